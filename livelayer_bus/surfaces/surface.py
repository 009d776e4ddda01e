"""What shows a session: the `Surface` protocol, and the session as one surface sees it."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Protocol, Self, TypeAlias, TypeVar, cast, final, overload

from .. import events
from ..bus import Subscription
from ..contract import ControlledSession, E, Outgoing, Playback
from ..errors import Lagged, MisuseError, NotSupportedError, RefusedError
from ..events import CommandReceived, DataReceived, Event, RefusalReason
from ..media import AudioChannel, AudioFrame, VideoChannel, VideoFrame
from ..media.publishing import F, Lease, MediaSource
from ..messages import AgentContext, Capability, Command, Message, RawMessage, UserMessage
from ..state import SessionState
from .commands import CommandRouter, RoutedCommand

C = TypeVar("C", VideoChannel, AudioChannel)

DONE_BY_A_PERSON: Final = ("switch_agent", "send_text", "answer_approval")


class Surface(Protocol):
    """Shows a session for as long as `run` runs; an async function of one argument does so too.

    `run` is cancelled when the surface is unmounted, and may end by itself before. What it raises
    is a `SurfaceFailed` event and does not affect other surfaces.
    """

    async def run(self, session: SurfaceSession) -> None: ...


SurfaceFunction: TypeAlias = Callable[["SurfaceSession"], Awaitable[None]]


@final
@dataclass(eq=False, repr=False)
class SurfacePublisher(Generic[F]):
    """The session's microphone, camera or screen; a surface's lease of it ends with the surface."""

    _publisher: MediaSource[F]
    _key: str
    _lease: Lease[F] | None = None

    @property
    def owner(self) -> str | None:
        return self._publisher.owner

    @property
    def muted(self) -> bool:
        return self._publisher.muted

    @property
    def sent(self) -> VideoChannel | AudioChannel:
        return self._publisher.sent

    @asynccontextmanager
    async def acquire(self, owner: str | None = None) -> AsyncGenerator[Lease[F], None]:
        """Hold it for a block, under the surface's key unless `owner` is given.

        Raises:
            SourceBusyError: as `Publisher.acquire`.
        """
        async with self._publisher.acquire(owner or self._key) as lease:
            self._lease = lease
            try:
                yield lease
            finally:
                self._lease = None

    def revoke(self) -> None:
        """End a lease that the surface left behind. Called by its supervisor."""
        if self._lease is not None:
            self._lease.revoke()


@final
@dataclass(eq=False, repr=False)
class SurfaceCommands:
    """The commands given to one surface, one at a time, each answered exactly once.

    Iteration yields typed commands, and messages of unknown type as `RawMessage`. Asking for the
    next one says that the last one was carried out, unless `finish` said otherwise before. A
    command that is not settled within ten seconds is answered with `timeout`; one that was
    answered, or whose agent is gone, before the surface took it is never yielded.
    """

    _inbox: Subscription[Event, SessionState]
    _key: str
    _router: CommandRouter[Any]
    auto: bool = True
    # Taken and not settled: by identity, with their numbers.
    _taken: dict[int, tuple[Command | RawMessage, int]] = field(default_factory=dict, init=False)
    _found: deque[RoutedCommand] = field(default_factory=deque, init=False)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Command | RawMessage:
        for command, number in tuple(self._taken.values()):
            if self.auto or not self._router.is_open(number):
                self.finish(command)
        while True:
            while self._found:
                found = self._found.popleft()
                if (claimed := self._claim(found.command, found.number)) is not None:
                    return claimed
            try:
                event = await anext(self._inbox)
            except Lagged:
                # Messages are lost; a command is not, as long as its agent waits for it.
                self._found.extend(self._router.given_to(self._key))
                continue
            match event:
                case CommandReceived(surface=self._key):
                    message = self._claim(event.message, event.number)
                case DataReceived(from_agent=True, message=RawMessage() as message):
                    pass
                case _:
                    message = None
            if message is not None:
                return message

    def finish(
        self, command: Command | RawMessage, *, ok: bool = True, reason: RefusalReason | None = None
    ) -> None:
        """Settle `command`, an object that this iteration yielded; twice changes nothing."""
        _, number = self._taken.pop(id(command), (None, None))
        if number is not None:
            self._router.finish(number, ok, reason if not ok else None)

    def fail(self) -> None:
        """Settle what the surface had taken when it failed."""
        for command, _ in tuple(self._taken.values()):
            self.finish(command, ok=False, reason="failed")

    def close(self) -> None:
        """Stop reading: the surface has ended."""
        self._inbox.close()

    def _claim(self, command: Message | None, number: int) -> Command | None:
        is_taken = any(number == taken for _, taken in self._taken.values())
        if is_taken or not isinstance(command, Command) or not self._router.is_open(number):
            return None
        self._taken[id(command)] = command, number
        return command


@final
class SurfaceSession(ControlledSession):
    """A session as one surface has it: every `ControlledSession` member, and its own.

    `key` and `capabilities` are what it was mounted with; `commands()` are the commands that it
    was given; what it holds of `microphone`, `camera` and `screen` ends with the surface. What
    a person does here makes it the surface that a person used last. What the session behind does
    not offer raises its `NotSupportedError`.
    """

    def __init__(
        self,
        session: ControlledSession,
        key: str,
        capabilities: frozenset[Capability],
        router: CommandRouter[Any] | None,
        publish: Callable[[Event], None] = lambda _: None,
        subscribe: Callable[..., Subscription[Event, Any]] | None = None,
    ) -> None:
        # `router` gives the surface its commands (None: the session routes none); they are read
        # from `subscribe`, by default the session's.
        self._publish = publish
        self._session = session
        self.key: Final = key
        self.capabilities: Final = capabilities
        self._router = router
        self._sources: dict[str, SurfacePublisher[Any]] = {}
        self._commands: SurfaceCommands | None = None
        if router is not None:
            # Opened at mount: a command that comes before `commands()` is called is not lost.
            inbox = (subscribe or session.subscribe)(CommandReceived, DataReceived).__enter__()
            self._commands = SurfaceCommands(inbox, key, router)
        # A channel of the session, and the same one under this surface's key.
        self._channels: dict[type, tuple[object, object]] = {}
        self._page: AgentContext | None = None
        self.last_used = 0

    @property
    def state(self) -> SessionState:
        return self._session.state

    @overload
    def subscribe(self, *, after: int | str | None = None) -> Subscription[Event, SessionState]: ...
    @overload
    def subscribe(
        self, *types: type[E], after: int | str | None = None
    ) -> Subscription[E, SessionState]: ...
    def subscribe(
        self, *types: type[Any], after: int | str | None = None
    ) -> Subscription[Any, SessionState]:
        return self._session.subscribe(*types, after=after)

    @property
    def room_name(self) -> str | None:
        return self._session.room_name

    @property
    def playback(self) -> Playback | None:
        return self._session.playback

    @property
    def video(self) -> VideoChannel:
        return self._labelled(self._session.video)

    @property
    def audio(self) -> AudioChannel:
        return self._labelled(self._session.audio)

    def _labelled(self, channel: C) -> C:
        if self._channels.get(type(channel), (None,))[0] is not channel:
            self._channels[type(channel)] = channel, channel.with_label(self.key)
        return cast("C", self._channels[type(channel)][1])

    @property
    def microphone(self) -> SurfacePublisher[AudioFrame]:
        return self._source("microphone", self._session.microphone)

    @property
    def camera(self) -> SurfacePublisher[VideoFrame]:
        return self._source("camera", self._session.camera)

    @property
    def screen(self) -> SurfacePublisher[VideoFrame]:
        return self._source("screen", self._session.screen)

    def commands(self, *, auto: bool = True) -> SurfaceCommands:
        """The commands given to this surface since it was mounted; one reader at a time.

        Args:
            auto: asking for the next command settles the last one. False: call `finish` for each.

        Raises:
            NotSupportedError: the session routes no commands.
        """
        if self._commands is None:
            raise NotSupportedError("commands", type(self._session).__name__)
        self._commands.auto = auto
        return self._commands

    def mark_used(self) -> None:
        """A person used this surface: commands go to it first from now on."""
        if self._router is not None:
            self.last_used = self._router.next_use()
        if self._page is not None:
            self.describe_page(self._page)  # another surface's page may be described now

    def report_recording(self, active: bool, error: str | None = None) -> None:
        """Publish that the surface records the session from now on, or not any more."""
        self._publish(events.RecordingChanged(self.key, active, error))

    def report_problem(self, problem: str) -> None:
        """Publish a `HandlerFailed` of the surface, which goes on."""
        self._publish(events.HandlerFailed(self.key, problem))

    async def send_data(
        self,
        message: Outgoing,
        *,
        timeout: float = 5.0,
        require_agent: bool = True,
        confirm: bool | None = False,
    ) -> None:
        """See `Session.send_data`. What a person typed makes this the active surface."""
        if isinstance(message, UserMessage):
            self.mark_used()
        await super().send_data(
            message, timeout=timeout, require_agent=require_agent, confirm=confirm
        )

    async def answer_approval(
        self, number: int, *, approved: bool, surface: str | None = None
    ) -> bool:
        """Answer what the agent asks a person to approve; see `Session`.

        Raises:
            RefusedError: the surface does not have the capability `ask_approval`.
        """
        if "ask_approval" not in self.capabilities:
            raise RefusedError(f"surface {self.key!r} does not have the capability 'ask_approval'")
        surface = surface or self.key
        return await super().answer_approval(number, approved=approved, surface=surface)

    def describe_page(self, page: AgentContext | None, *, surface: str = "") -> None:
        """See `ControlledSession.describe_page`; this surface's page, until it is unmounted."""
        self._session.describe_page(page, surface=self.key)
        self._page = page

    def fail_commands(self) -> None:
        """Settle what the surface had taken when it failed. Called by its supervisor."""
        if self._commands is not None:
            self._commands.fail()

    def detach(self) -> None:
        """Give back what the surface held. Called by its supervisor when it has ended."""
        if self._commands is not None:
            self._commands.close()
        for source in self._sources.values():
            source.revoke()

    def _behind(self, what: str) -> ControlledSession:
        if what in DONE_BY_A_PERSON:
            self.mark_used()
        return self._session

    def _source(self, name: str, source: MediaSource[F]) -> SurfacePublisher[F]:
        return self._sources.setdefault(name, SurfacePublisher(source, self.key))


def surface_function(surface: object) -> SurfaceFunction:
    """The async function that a surface runs; `MisuseError` if `surface` is not one."""
    if isinstance(surface, type):
        raise MisuseError(f"mount an instance: {surface.__name__}(...), not the class itself")
    run: Any = getattr(surface, "run", surface)
    if not callable(run):
        kind = type(surface).__name__
        raise MisuseError(f"{kind} is not a surface: it needs 'async def run(self, session)'")
    # A lambda, a wrapper and a function that says what it returns may return an awaitable.
    plain = inspect.isfunction(run) or inspect.ismethod(run)
    if plain and not inspect.iscoroutinefunction(run) and not hasattr(run, "__wrapped__"):
        returns = run.__annotations__.get("return")
        if returns in (None, "None") and run.__name__ != "<lambda>":
            raise MisuseError(f"{run.__qualname__} is not async: write 'async def {run.__name__}'")
    return cast("SurfaceFunction", run)
