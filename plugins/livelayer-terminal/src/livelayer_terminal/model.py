"""What the terminal surface knows of one session: facts for its widgets, collected without them."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable
from typing import Final, TypeVar, final

import anyio
import msgspec

from livelayer_bus import events, messages
from livelayer_bus.clock import now_ns
from livelayer_bus.contract import Outgoing
from livelayer_bus.errors import Lagged, LivelayerError, NotSupportedError
from livelayer_bus.messages import AgentContext, Command, ContextField, RawMessage
from livelayer_bus.surfaces import SurfaceSession

from .surface import shortened
from .typed import enter
from .view import Direction

MESSAGES: Final = 500  # data messages kept for the inspector
KEPT_BYTES: Final = 8192  # of one data message
HISTORY: Final = 100  # typed lines that the up arrow brings back
FIELDS: Final = 100  # collected at once; the oldest goes
RATE_NS: Final = 2_000_000_000  # over which rates are measured

C = TypeVar("C")
FieldKey = tuple[str, str]
"""A form's id ("" for a task) and a field's name."""


class DataMessage(msgspec.Struct, frozen=True):
    """One data message, as the inspector shows it."""

    number: int
    at: float
    """Seconds since the epoch."""
    direction: Direction
    type: str
    size: int
    """Bytes."""
    text: str
    """Its fields on one line, shortened."""
    data: bytes
    """The first `KEPT_BYTES`."""

    def matches(self, words: list[str]) -> bool:
        """Whether every word is in it; `in:` and `out:` stand for the direction."""
        whole = f"{self.direction}: {self.type} {self.data.decode('utf-8', 'replace')}".casefold()
        return all(word in whole for word in words)


class Field(msgspec.Struct, frozen=True):
    """One field that is being collected."""

    label: str
    value: str
    source: str = "agent"
    """Who gave the value: `agent`, or `person` at this terminal."""


@final
class Rate:
    """How fast a counter rises."""

    def __init__(self) -> None:
        self._counts: deque[tuple[int, int]] = deque()

    def count(self, total: int) -> float:
        """Add the counter's value now; returns its rise a second over the last two."""
        now = now_ns()
        self._counts.append((now, total))
        while now - self._counts[0][0] > RATE_NS:
            self._counts.popleft()
        (began, before), (_, after) = self._counts[0], self._counts[-1]
        return (after - before) * 1e9 / (now - began) if now > began else 0.0


@final
class SessionModel:
    """Follows one session; belongs to the surface's task, and is read by the widgets.

    Guarantee: everything is bounded: the oldest messages, fields and typed lines go first.
    """

    def __init__(self, session: SurfaceSession) -> None:
        self.session: Final = session
        self.video: Final = _offered(lambda: session.video)
        self.audio: Final = _offered(lambda: session.audio)
        self.messages: deque[DataMessage] = deque(maxlen=MESSAGES)
        self.counted = 0
        """Messages so far."""
        self.fields: dict[FieldKey, Field] = {}
        self.fields_version = 0
        self.focus: FieldKey | None = None
        """The field that the agent put the person's cursor into; taken by the widgets."""
        self.summary: str | None = None
        """Of the task that was completed last."""
        self.history: list[str] = []
        self.draft = ""
        self.notice: str | None = None
        """The latest error."""
        self.lost = 0
        """Events lost because this surface was too slow."""
        self.events = self.session.subscribe(
            events.DataReceived,
            events.DataSent,
            events.CommandRefused,
            events.HandlerFailed,
            events.MalformedMessage,
            events.SurfaceFailed,
        )
        self.left = False
        """The person left this session."""
        self._changed = anyio.Event()

    # What a person does ------------------------------------------------------------------------

    def leave(self) -> None:
        """End this surface; the session goes on."""
        self.left = True
        self.wake()

    def wake(self) -> None:
        """Have the surface's task look again at what is to be done."""
        self._changed.set()
        self._changed = anyio.Event()

    async def changed(self) -> None:
        """Return after the next `wake`."""
        await self._changed.wait()

    async def enter(self, line: str) -> None:
        """Do what Enter does with a typed line; an error is shown."""
        self.notice = None
        if line and self.history[-1:] != [line]:
            self.history = [*self.history, line][-HISTORY:]
        try:
            await enter(self.session, line, self.question)
        except LivelayerError as error:
            self.notice = str(error)

    async def interrupt(self) -> None:
        """Stop what the agent says; an error is shown."""
        self.notice = None
        try:
            await self.session.interrupt()
        except LivelayerError as error:
            self.notice = str(error)

    def set_field(self, key: FieldKey, value: str) -> None:
        """A person typed a field's value."""
        field = self.fields[key]
        if field.value != value:
            self._put(key, Field(field.label, value, "person"))
            self._describe()

    @property
    def question(self) -> events.ApprovalRequested | None:
        """What the agent asks, if the person here may answer."""
        if "ask_approval" not in self.session.capabilities:
            return None
        return next(iter(self.session.state.approvals), None)

    # What happens ------------------------------------------------------------------------------

    async def follow(self) -> None:
        """Take in the session's events until it has ended."""
        with self.events as changes:
            while True:
                try:
                    self._take(await anext(changes))
                except Lagged as lagged:
                    self.lost += lagged.missed
                except StopAsyncIteration:
                    return

    async def collect(self) -> None:
        """Carry out the commands that fill in, collect and submit fields; refuse the others."""
        try:
            commands = self.session.commands(auto=False)
        except NotSupportedError:
            return
        async for command in commands:
            if isinstance(command, RawMessage):
                continue
            try:
                done = await self._carry_out(command)
            except LivelayerError as error:
                self.notice = str(error)
                done = False
            commands.finish(command, ok=done, reason=None if done else "failed")

    async def _carry_out(self, command: Command) -> bool:
        match command:
            case messages.TaskFieldUpdated():
                key = command.form_id or "", command.field_name
                self._put(key, Field(command.field_name, _shown(command.value)))
            case messages.TaskCompleted(result=result):
                self.summary = result.summary or "the task is complete"
                for name, value in result.results.items():
                    self._put(("", name), Field(name, _shown(value)))
            case messages.FillForm():
                for name, value in command.values.items():
                    self._put((command.form_id, name), Field(name, value))
            case messages.FocusField():
                self.focus = command.form_id, command.field_name
                if self.focus not in self.fields:
                    self._put(self.focus, Field(command.field_name, ""))
                self.fields_version += 1
            case messages.SubmitForm():
                return await self._submit(command)
            case messages.RequestPageContext():
                context = msgspec.to_builtins(self._page())
                answer = messages.PageContext(context, request_id=command.request_id)
                await self._answer(answer)
            case messages.RequestRoutes():
                await self._answer(messages.Routes((), request_id=command.request_id))
            case _:
                return False
        self._describe()
        return True

    async def _submit(self, command: messages.SubmitForm) -> bool:
        names = [name for form, name in self.fields if form == command.form_id]
        empty = tuple(
            f"{name}: is empty" for name in names if not self.fields[command.form_id, name].value
        )
        if not names or empty:
            await self._answer(
                messages.FormSubmitBlocked(
                    command.form_id, "validation", command.request_id, invalid_fields=empty
                )
            )
            return False
        await self._answer(messages.FormSubmitted(command.form_id, command.request_id))
        self.summary = f"form {command.form_id} was submitted"
        self.fields_version += 1
        return True

    async def _answer(self, message: Outgoing) -> None:
        await self.session.send_data(message, confirm=None)

    def _put(self, key: FieldKey, field: Field) -> None:
        self.fields[key] = field
        while len(self.fields) > FIELDS:
            del self.fields[next(iter(self.fields))]
        self.fields_version += 1

    def _describe(self) -> None:
        """Publish the fields as the agent's page context, if it may read pages."""
        if "read_page" in self.session.capabilities:
            with contextlib.suppress(NotSupportedError):
                self.session.describe_page(self._page())

    def _page(self) -> AgentContext:
        return AgentContext(
            title="terminal",
            elements=tuple(
                ContextField(
                    id=name, label=field.label, value=field.value or None, form_id=form or None
                )
                for (form, name), field in self.fields.items()
            ),
        )

    def _take(self, event: events.Event) -> None:
        match event:
            case events.DataReceived() | events.DataSent():
                self.counted += 1
                self.messages.append(
                    DataMessage(
                        number=self.counted,
                        at=time.time(),
                        direction="in" if isinstance(event, events.DataReceived) else "out",
                        type=event.type or "bytes",
                        size=len(event.data),
                        text=shortened(event),
                        data=event.data[:KEPT_BYTES],
                    )
                )
            case events.CommandRefused():
                self.notice = f"{event.command} refused: {event.detail}"
            case events.MalformedMessage():
                self.notice = event.problem
            case events.HandlerFailed():
                self.notice = f"{event.handler}: {event.error}"
            case events.SurfaceFailed():
                self.notice = f"surface {event.key}: {event.error}"
            case _:
                pass


def _offered(channel: Callable[[], C]) -> C | None:
    """A channel of a session that offers it."""
    try:
        return channel()
    except NotSupportedError:
        return None


def _shown(value: object) -> str:
    """Any JSON value as one line."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
