"""`SurfaceBridge`: makes an `AgentSession` of livekit-agents a LiveLayer agent."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Final, Self, TypeVar, final, overload
from uuid import uuid4

import msgspec
from livekit import rtc
from livekit.agents import AgentSession, get_job_context
from livekit.agents.voice import room_io

from livelayer_bus.errors import ClosedError, MisuseError, NotSupportedError
from livelayer_bus.messages import (
    Capability,
    PageContextPending,
    RawMessage,
    UserMessage,
    WireMessage,
    capability_of,
    encode,
    message_type,
)
from livelayer_bus.tasks import TaskOwner

from .capabilities import Grants
from .command_requests import Pending, Requests
from .command_result import Answer, Outcome
from .context import ContextNote
from .custom_commands import CustomCommand, custom_tool
from .data_collection import Collection, Slot
from .data_listeners import Handler, Listeners
from .form_fields import Field
from .incoming import is_person, read
from .message_sender import Outbox, Outgoing
from .page_context import Surroundings
from .replay import TAIL, Replay
from .session_observer import Following
from .statistics import BridgeStatistics, Counts, snapshot
from .status_announcer import Presence
from .text_input import Turns
from .tools import PageTools, offer_page

ANSWER_SECONDS: Final = 5.0
CLOSE_SECONDS: Final = 2.0
_WITH_ID: Final = ("submit_form", "request_page_context", "request_routes")

M = TypeVar("M", bound=WireMessage)


@final
class SurfaceBridge:
    """Connects one `AgentSession` with the LiveLayer surfaces in its room.

    From `start` to `aclose` everybody in the room knows the agent's state, whenever they come;
    typed lines interrupt and are answered; the model has a tool for each thing that the surfaces
    let it do, and hears what became of it, refusals included. Commands and answers go to the
    participant whose line is being answered, else to the one the session is linked to. Who comes
    back to the room is shown the transcript's tail. All of it outlives hand-offs between agents.
    What arrives never raises: hostile input is counted (`statistics`). Queues are bounded, and
    every task ends with `aclose`.

    Start it before or after the session; it closes with the session, or with the job.
    """

    def __init__(
        self,
        agent_session: AgentSession[Any],
        room: rtc.Room,
        *,
        capabilities: Iterable[str] = (),
        command_timeout: float = ANSWER_SECONDS,
        leave_after: float | None = None,
        replay: int = TAIL,
    ) -> None:
        """
        Args:
            agent_session: The session to bridge.
            room: The agent's room; it is neither connected nor left here.
            capabilities: What the surfaces let the agent do. A surface decides by itself all the
                same: what it refuses is withdrawn from the model for a minute.
            command_timeout: Seconds that a surface has to say what became of a command.
            leave_after: Seconds between `idle_warning` (the user is away, as the session sees it)
                and `idle_timeout`, with which the session shuts down; None: it stays.
            replay: Lines of the transcript that are shown again to who comes back to the room;
                0: none.

        Raises:
            MisuseError: a capability that there is not.
        """
        self._session = agent_session
        self._room = room
        self._timeout = command_timeout
        self._counts: Counts = Counter()
        self._grants = Grants(capabilities)
        self._tasks = TaskOwner()
        self._outbox = Outbox(room, self._counts)
        self._requests = Requests(self._counts)
        self._turns = Turns(agent_session, self._counts)
        self._surroundings = Surroundings()
        self._note = ContextNote(agent_session, self._surroundings)
        self._listeners = Listeners(self._tasks, self._counts)
        self._following = Following(
            agent_session,
            room,
            Presence(self._outbox.put),
            self._tasks,
            send=self._outbox.put,
            leave_after=leave_after,
            on_running=self._on_running,
            on_handoff=self._note.mark_stale,
            on_closed=self._on_session_closed,
        )
        self._replay = Replay(agent_session, room, self._tasks, self._counts, lines=replay)
        self._tools = PageTools(lambda: self._grants.current, self._following.current_agent)
        offer_page(self._tools, self)
        self._slot = Slot(self._tools)
        self._state = "new"

    # Its life -------------------------------------------------------------------------------

    async def start(self) -> Self:
        """Listen and speak from now on; returns itself.

        Raises:
            MisuseError: it was started before.
            ClosedError: it was closed.
        """
        if self._state != "new":
            if self._state == "closed":
                raise ClosedError("this SurfaceBridge")
            raise MisuseError("this SurfaceBridge was started before: create a new one")
        self._state = "open"
        self._give_tools()
        self._room.on("data_received", self._on_data)
        self._room.on("participant_disconnected", self._on_left)
        for work, name in (
            (self._outbox.run, "bridge outbox"),
            (self._turns.run, "bridge turns"),
            (self._note.run, "bridge context"),
        ):
            self._tasks.start(work, name)
        self._listeners.start()
        job = get_job_context(required=False)
        if job is not None:
            job.add_shutdown_callback(self.aclose)
        self._following.start()
        self._replay.start()
        return self

    async def aclose(self) -> None:
        """Say what is still to be said, then stop; who waits for an answer gets none. Repeatable.

        The session and the room go on.
        """
        was = self._state
        self._stop()
        self._state = "closed"
        if was != "new":
            await self._wind_down()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def statistics(self) -> BridgeStatistics:
        """What was sent, taken and turned away so far."""
        return snapshot(self._counts, waiting=self._requests.waiting)

    # What the surfaces say ------------------------------------------------------------------

    @overload
    def on(self, kind: type[M]) -> Callable[[Handler[M]], Handler[M]]: ...
    @overload
    def on(self, kind: str) -> Callable[[Handler[Any]], Handler[Any]]: ...
    def on(self, kind: type[WireMessage] | str) -> Callable[[Handler[Any]], Handler[Any]]:
        """Have the decorated handler called with each message of a kind, and who sent it.

        `@bridge.on(FormSubmitted)` is given a `FormSubmitted`; `@bridge.on("quiz_response")` any
        type of the host application, as a `RawMessage`. A handler gets one message at a time, in
        order; its exceptions are counted, and no handler holds up another. Answers to what the
        bridge asked are not news and are not passed on.
        """
        name = kind if isinstance(kind, str) else kind.wire_type()

        def add(handler: Handler[Any]) -> Handler[Any]:
            self._listeners.add(name, handler)
            return handler

        return add

    def text_input(self, session: AgentSession[Any], event: room_io.TextInputEvent) -> None:
        """For `TextInputOptions(text_input_cb=bridge.text_input)`: `lk.chat` as `user_message`."""
        self._turns.put(event.text, event.participant.identity if event.participant else "")

    # What the agent does --------------------------------------------------------------------

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What the model may do now: as granted, less what was refused in the last minute."""
        return self._grants.current

    def grant(self, *capabilities: str) -> None:
        """The surfaces let the agent do this and nothing else, from now on.

        Raises:
            MisuseError: a capability that there is not.
        """
        self._grants.replace(capabilities)

    @property
    def asker(self) -> str | None:
        """Whose line the calling task answers; else the participant the session is linked to."""
        return self._turns.asker or self._following.linked

    def send(self, message: Outgoing, *, to: str | None = None) -> bool:
        """Queue a message for everybody, or for one participant; False if the outbox is full.

        Never waits, asks for no capability, and expects no answer; `command` does.

        Raises:
            MalformedMessageError, MessageTooLargeError: it cannot be sent.
        """
        return self._outbox.put(message, to)

    async def command(
        self,
        message: Outgoing,
        *,
        to: str | None = None,
        reply: str | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """Send a command and return what became of it; never claims more than a surface said.

        Cancelled: the command may have been carried out.

        Args:
            message: A typed command, or any message of the application's own.
            to: A participant's identity; by default `asker`, and everybody if there is none.
            reply: The type of the application's own message that answers it.
            timeout: Seconds to wait; by default `command_timeout`.

        Raises:
            MalformedMessageError, MessageTooLargeError: it cannot be sent.
            ClosedError: the bridge is not open.
        """
        if self._state != "open":
            raise ClosedError("this SurfaceBridge", "start it, or create a new one")
        kind = message_type(encode(message)) or ""
        identity = f"agent-{uuid4().hex[:12]}" if kind in _WITH_ID or reply else None
        target = to or self.asker
        people = self._following.people()
        asked = people if target is None else people & {target}
        if not asked:
            return Answer(Outcome.GONE, participant=target)
        pending = Pending(kind, identity, asked, reply)
        self._requests.add(pending)
        if not self._outbox.put(_with_id(message, identity), target):
            pending.settle(Answer(Outcome.FAILED))
        answer = await self._requests.wait(pending, self._timeout if timeout is None else timeout)
        if answer or answer.outcome is Outcome.REFUSED:
            self._grants.learn(capability_of(kind), refused=not answer)
        return answer

    def add_command(self, command: CustomCommand) -> None:
        """Give the model a command of the application's own, as a function tool.

        Raises:
            CommandNameError: there is one of that name.
        """
        self._tools.offer(custom_tool(command, self), command.capability)

    async def collect(
        self, fields: Iterable[Field], *, instructions: str = "", timeout: float | None = None
    ) -> Collection:
        """Fill fields by conversation; returns when every required one has a valid value.

        The model is asked to ask, and given a tool that checks each value. Each one goes to the
        surface as `task_field_updated`, and `task_completed` once at the end. Cancelled or timed
        out, nothing is completed.

        Args:
            fields: What to fill.
            instructions: What else the model should know about the task.
            timeout: Seconds the conversation may take; None: as long as it takes.

        Raises:
            CapabilityNotGrantedError: no surface granted `collect_data`.
            CollectionBusyError: another collection is going on.
            CollectionEndedError: it took too long, or the bridge was closed.
            MisuseError: no fields, or two of the same name.
        """
        participant = self.asker
        collection = Collection(
            tuple(fields),
            session_id=self._room.name or "session",
            send=lambda message: self._outbox.put(message, participant),
        )
        return await self._slot.hold(
            collection, self._grants.granted, self._session, instructions, timeout
        )

    # Inside ---------------------------------------------------------------------------------

    def _give_tools(self) -> None:
        # The session's own tools come before those of whichever agent has it.
        self._session.tools.append(self._tools)
        if self._tools not in self._session.tools:
            raise NotSupportedError("tools of the session", "this version of livekit-agents")

    def _on_running(self) -> None:
        self._turns.begin()
        self._note.begin()

    def _on_session_closed(self) -> None:
        self._stop()
        self._tasks.start(self._wind_down, "bridge end")

    async def _wind_down(self) -> None:
        if self._room.isconnected():
            try:
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._outbox.drained()
            except TimeoutError:
                self._counts["dropped"] += 1
        await self._tasks.aclose(CLOSE_SECONDS)

    def _stop(self) -> None:
        if self._state != "open":
            return
        self._state = "stopped"
        self._room.off("data_received", self._on_data)
        self._room.off("participant_disconnected", self._on_left)
        self._following.stop()
        self._replay.stop()
        self._requests.close()
        self._slot.close("the bridge was closed")
        if self._tools in self._session.tools:
            self._session.tools.remove(self._tools)

    def _on_data(self, packet: rtc.DataPacket) -> None:
        message = read(packet, self._counts)
        if message is None:
            return
        sender = packet.participant.identity if packet.participant is not None else ""
        if isinstance(message, UserMessage):
            self._turns.put(message.text, sender)
        elif self._requests.take(message, sender):
            return
        if isinstance(message, PageContextPending):
            return
        if self._surroundings.note(message, sender):
            self._note.mark_stale()
        self._listeners.tell(message, sender)

    def _on_left(self, participant: rtc.RemoteParticipant) -> None:
        self._requests.left(participant.identity)
        if is_person(participant) and self._surroundings.forget(participant.identity):
            self._note.mark_stale()


def _with_id(message: Outgoing, identity: str | None) -> Outgoing:
    if identity is None:
        return message
    if isinstance(message, RawMessage):
        return RawMessage(message.type, {**message.fields, "requestId": identity})
    if isinstance(message, WireMessage):
        if "request_id" in message.__struct_fields__:
            replaced: Any = msgspec.structs.replace(message, request_id=identity)
            return replaced  # type: ignore[no-any-return] # of the message's own type
        return message
    return {**message, "requestId": identity}
