"""One live agent session, owned by the application and shared by any number of surfaces."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any, Final, Self, TypedDict, final, overload
from uuid import uuid4

import anyio
import anyio.lowlevel
from livekit import rtc

from .. import errors, events
from ..bus import Subscription
from ..clock import Backoff, Clock, SystemClock
from ..contract import ControlledSession, DataHandler, E, Outgoing, Playback, Unsubscribe
from ..events import DataReceived, EpochStarted, Event, TranscriptEntry
from ..media import AudioChannel, AudioFrame, AudioWriter, VideoChannel, VideoFrame, VideoWriter
from ..media.publishing import SOURCES, Publisher, SourceName
from ..messages import AgentContext, CommandResult, ContextField, Message, UserMessage, WireMessage
from ..rooms import RoomFactory, names
from ..state import SessionState
from ..surfaces import MountedSurface, OnFault, Surface, SurfaceFunction
from ..surfaces.supervision import Supervisor
from ..tokens import RoomAccess, SessionEndpoint, TokenSource, fetch_agent_config
from ..tokens.sources import SESSION_PATH, WIDGET_AGENT_PATH
from ..transcript import LIMIT
from .agent_context import ContextPublisher
from .commands import AgentCommands
from .connection import Connection, Target, target_of
from .outbox import Confirmations, DeliveryStatistics, Outbox
from .room_events import RoomEventHandler, SessionWriters
from .store import CommandStream, Store, add_handler
from .transcript import TranscriptWriter

RESULT_TIMEOUT = 5.0  # seconds to get one command's result to the agent
SURFACES_SHARE = 0.8  # of close_timeout: the remainder is for the rest of the session


class SessionOptions(TypedDict, total=False):
    """The keyword arguments of `Session`."""

    base_url: str | None
    tokens: TokenSource | None
    room: rtc.Room | RoomFactory | None
    resume_window: float
    reconnect: Backoff | None
    agent_timeout: float | None
    linger: float | None
    close_timeout: float
    capacity: int
    max_bytes: int
    max_message_bytes: int
    transcript_limit: int
    clock: Clock | None
    continues: SessionState | None
    prior_room_name: str | None


@final
class Session(ControlledSession):
    """One live agent, any number of surfaces; `async with` owns every task of it.

    Guarantee: state and events agree at every instant (see `subscribe`), nothing sent is lost
    without an error, a surface's fault stays its own, and leaving the block takes at most
    `close_timeout`. Nothing is connected, and nothing billed, before `connect()`.

    Args:
        agent_id: the agent to talk to.
        base_url: LiveLayer's address; without `tokens`, its session endpoint gives the tokens.
        tokens: where to get a room and a token, asked anew for every connection.
        room: a connected `rtc.Room` to borrow (never disconnected by us), or a function that makes
            `RoomPort`s; LiveKit's SDK if None.
        resume_window: seconds after a disconnect in which `connect()` returns to the same room.
        reconnect: how to rejoin with a new token when the SDK gave up; None to fail instead.
        agent_timeout: seconds without an active agent until `AgentTimedOut`; None: no limit.
        linger: seconds after the last surface left until the session disconnects; None: never.
        close_timeout: seconds that closing may take.
        capacity, max_bytes: what the bus keeps for slow readers: events, and their bytes.
        max_message_bytes: of encoded JSON in one data message; LiveKit's documented limit.
        transcript_limit: the newest utterances, in the state; `earlier_transcript` has 20,000.
        clock: what all of these times are measured on; for tests.
        continues: the state of a session whose process is gone. This one goes on with its id, its
            sequence and its transcript, and joins again if that one was connected.
        prior_room_name: the room that it was in, its `room_name`.

    Raises:
        MisuseError: there is no way to get a token, or a value is out of range.
    """

    def __init__(
        self,
        agent_id: str,
        *,
        base_url: str | None = None,
        tokens: TokenSource | None = None,
        room: rtc.Room | RoomFactory | None = None,
        resume_window: float = 300.0,
        reconnect: Backoff | None = Backoff(),  # noqa: B008 - frozen
        agent_timeout: float | None = 30.0,
        linger: float | None = None,
        close_timeout: float = 5.0,
        capacity: int = 4096,
        max_bytes: int = 16 * 1024 * 1024,
        max_message_bytes: int = 15_360,
        transcript_limit: int = LIMIT,
        clock: Clock | None = None,
        continues: SessionState | None = None,
        prior_room_name: str | None = None,
    ) -> None:
        _check_range(1, transcript_limit=transcript_limit)
        _check_range(0, resume_window=resume_window, agent_timeout=agent_timeout, linger=linger)
        _check_range(0, close_timeout=close_timeout, max_message_bytes=max_message_bytes)
        target = target_of(base_url, tokens, room)
        state = continues or SessionState(
            id=uuid4().hex, agent_id=agent_id, base_url=base_url, transcript_limit=transcript_limit
        )
        clock = clock or SystemClock()
        store = self._store = Store(state, clock, capacity=capacity, max_bytes=max_bytes)
        self._lifetime: Final = Lifetime()
        self._close_timeout: Final = close_timeout
        self._prior_room_name: Final = prior_room_name
        self._linger: Final = linger
        self._linger_timer: Final = store.timer(self._part, "linger")
        media = self._media = SessionWriters(VideoWriter(), AudioWriter())
        mounted: dict[str, MountedSurface] = {}
        self._commands: Final = AgentCommands(store, mounted.values())
        self._transcript: Final = TranscriptWriter(store, transcript_limit)
        self._supervisor: Final = Supervisor(
            self,
            publish=store.publish_late,
            mounted=mounted,
            router=self._commands.router,
            on_ended=self._surface_ended,
            clock=clock,
            close_timeout=close_timeout,
        )
        # Not the id: a bridge that knows it takes no number twice, and this counts from 1.
        self._confirmations: Final = Confirmations(uuid4().hex if continues else state.id)
        confirm = self._confirmations.confirm
        self._connection: Final = Connection(
            store,
            media,
            self._transcript,
            target,
            partial(RoomEventHandler, store, self._commands, media, self._transcript, confirm),
            reconnect=reconnect,
            resume_window=resume_window,
            agent_timeout=agent_timeout,
            close_timeout=close_timeout,
        )
        self._sources: Final[dict[SourceName, Publisher[Any]]] = {
            name: Publisher(name, self._connection, store.publish_late, store.tasks)
            for name in SOURCES
        }
        self._outbox: Final = Outbox(
            store, self._connection, self._confirmations, max_message_bytes
        )
        self._context: Final = ContextPublisher(store, self._connection, mounted.values())

    # Opening and closing --------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._lifetime.open()
        if self.state.epoch:
            self._take_over(self.state)
        else:
            self._store.publish(EpochStarted(1, self.agent_id, self.base_url))

        async def send(result: CommandResult) -> None:
            await self._outbox.send(result, RESULT_TIMEOUT)

        self._store.tasks.start(lambda: self._commands.report(send), "command results")
        self._store.tasks.start(self._outbox.watch, "unconfirmed messages")
        self._store.tasks.start(self._read_agent, "agent configuration")
        return self

    def _take_over(self, left: SessionState) -> None:
        # Nothing is mounted or leased in this process yet.
        for key in left.surfaces:
            self._store.publish(events.SurfaceUnmounted(key))
        for name, source in SOURCES.items():
            if getattr(left, name) is not None:
                self._store.publish(source(None))
        self._transcript.adopt(left.transcript)
        self._connection.take_over(self._prior_room_name)

    async def _read_agent(self) -> None:
        # What the session endpoint answers may come first.
        source, before = self._connection.target.tokens, self.state
        if isinstance(source, SessionEndpoint) and source.url.endswith(SESSION_PATH):
            base, path = source.url.removesuffix(SESSION_PATH), WIDGET_AGENT_PATH
            with suppress(errors.LivelayerError):  # `connect` raises what is wrong with the address
                config = await fetch_agent_config(base, before.agent_id, path=path)
                if (self.state.epoch, self.state.agent_config) == (before.epoch, None):
                    self._store.publish(events.AgentConfigChanged(config))

    async def __aexit__(self, _: object, exc: BaseException | None, __: object) -> None:
        try:
            await self.aclose()
        except errors.SurfaceFailedError as fault:
            if exc is None:
                raise
            exc.add_note(f"while closing: {fault}")

    async def aclose(self) -> None:
        """Unmount every surface, leave the room, end every task; at most `close_timeout` seconds.

        On trio it waits for a surface that ignores its cancellation. Closing twice does nothing.

        Raises:
            SurfaceFailedError: one mounted with `on_fault="raise"` failed, not raised by `wait()`.
        """
        if self._lifetime.closed or self._lifetime.forked:
            return
        self._lifetime.check_loop()
        self._lifetime.closed = True
        deadline = anyio.current_time() + self._close_timeout
        with anyio.CancelScope(shield=True), ExitStack() as last:
            # The other way round: the bus is closed at the very end.
            last.callback(self._store.bus.close)
            for source in self._sources.values():
                last.callback(source.close)
            last.callback(self._media.audio.close)
            last.callback(self._media.video.close)
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._connection.aclose)
                    await self._supervisor.aclose(SURFACES_SHARE * self._close_timeout)
            finally:
                await self._store.tasks.aclose(max(0.0, deadline - anyio.current_time()))
        self._supervisor.raise_faults()

    # What is known --------------------------------------------------------------------------

    @property
    def state(self) -> SessionState:
        """What is known, as of `state.sequence`. Immutable; readable from anywhere, at any time."""
        return self._store.state

    @property
    def video(self) -> VideoChannel:
        return self._media.video.channel

    @property
    def audio(self) -> AudioChannel:
        return self._media.audio.channel

    @property
    def room(self) -> rtc.Room | None:
        """The SDK's room while connected, for what this package does not wrap."""
        port = self._connection.port
        return port.native if port and isinstance(port.native, rtc.Room) else None

    @property
    def room_name(self) -> str | None:
        """The room that it is in, or was in last and can return to."""
        return self._connection.room_name

    @property
    def playback(self) -> Playback | None:
        return self._connection.port.playback if self._connection.port else None

    @property
    def microphone(self) -> Publisher[AudioFrame]:
        return self._sources["microphone"]

    @property
    def camera(self) -> Publisher[VideoFrame]:
        return self._sources["camera"]

    @property
    def screen(self) -> Publisher[VideoFrame]:
        return self._sources["screen"]

    @overload
    def subscribe(self, *, after: int | str | None = None) -> Subscription[Event, SessionState]: ...
    @overload
    def subscribe(
        self, *types: type[E], after: int | str | None = None
    ) -> Subscription[E, SessionState]: ...
    def subscribe(
        self, *types: type[Any], after: int | str | None = None
    ) -> Subscription[Any, SessionState]:
        """Read events of these types (none: all), each once and in order.

        On entering the subscription's block, `snapshot` is the state as of its `sequence`, and the
        first event is the one after it: no gap, no duplicate.

        Args:
            types: classes of events, as for `isinstance`.
            after: go on after this sequence, or after this cursor `<session id>:<sequence>`.

        Raises:
            StaleCursorError: the cursor belongs to another session, or lies in the future.
            ClosedError: the session is closed.
        """
        self._lifetime.check()
        return self._store.bus.subscribe(*types, after=self.state.sequence_after(after))

    # The connection -------------------------------------------------------------------------

    async def connect(self) -> None:
        """Return when the room is joined; does nothing when it is. Several callers share one join.

        A room to which no agent came within `agent_timeout` is left for another one. Cancelled, it
        ends the join unless another caller waits for it.

        Raises:
            RefusedError: the token endpoint or the server refused.
            BrokenError: one of them could not be reached; `connection_state` is `error` then.
            NotConnectedError: `disconnect()` or `switch_agent()` ended the attempt.
        """
        self._lifetime.check()
        await self._connection.connect()

    async def viewer_access(self) -> RoomAccess:
        """As `ControlledSession.viewer_access`, from the token source, with `role="viewer"`.

        Raises:
            NotSupportedError: what the token source gives is not a viewer's.
            NotConnectedError, ConnectionLostError: the session is in no room, or left it meanwhile.
            RefusedError, BrokenError: the token source's own.
        """
        self._lifetime.check()
        return await self._connection.viewer_access()

    async def disconnect(self) -> None:
        """Leave the room and clear the transcript; surfaces stay mounted.

        Takes at most `close_timeout` seconds. A join under way ends with `NotConnectedError`. For
        `resume_window` seconds the next `connect()` returns to the same room. A room that is not
        left cleanly is a `HandlerFailed`. An idle or disconnected session stays as it is.

        Raises:
            ClosedError: the session is closed.
        """
        self._lifetime.check()
        self._commands.router.forget()
        await self._connection.disconnect()

    async def switch_agent(self, agent_id: str) -> None:
        """Switch the session to another agent: `reconfigure(agent_id=...)`, which explains."""
        await self.reconfigure(agent_id=agent_id)

    async def reconfigure(
        self,
        *,
        agent_id: str | None = None,
        base_url: str | None = None,
        tokens: TokenSource | None = None,
    ) -> None:
        """Switch the session to another agent, address or token source: a new `epoch`.

        The state is reset and the old room left before the new room reports anything; surfaces
        stay mounted and get `EpochStarted`. A session that was connected or connecting joins again
        before the call returns; otherwise it stays disconnected.

        Args:
            agent_id: the new agent; None keeps the current one.
            base_url: LiveLayer's new address; None keeps the current one.
            tokens: the new token source; None: the endpoint of a new `base_url`, or the old source.

        Raises:
            MisuseError: the session borrows a room.
            ConfigError: `base_url` is invalid.
            RefusedError, BrokenError, NotConnectedError: as `connect()`; the new epoch stays.
            ClosedError: the session is closed.
        """
        self._lifetime.check()
        target = self._connection.target
        if target.borrowed:
            raise errors.MisuseError("a borrowed room belongs to one agent: open another session")
        state = self.state
        if tokens is None and base_url is not None:
            tokens = SessionEndpoint.at(base_url)
        self._commands.router.forget()
        self._store.tasks.start(self._read_agent, "agent configuration")
        await self._connection.switch(
            Target(tokens or target.tokens, target.rooms),
            EpochStarted(state.epoch + 1, agent_id or state.agent_id, base_url or state.base_url),
        )

    # Data messages --------------------------------------------------------------------------

    async def send_data(
        self,
        message: Outgoing,
        *,
        timeout: float = 5.0,
        require_agent: bool = True,
        confirm: bool | None = False,
    ) -> None:
        """Send a data message to the agent; return when the transport took it.

        Messages go out in the order of the calls. While connecting, reconnecting or until the
        agent is active, the call waits. Cancelled, the message may or may not have been sent.

        What the transport took is lost if the server or the agent fails before it is delivered.
        With `confirm`, the call returns when the agent's bridge (`SurfaceBridge`) has the message:
        it is sent again after a reconnect or rejoin, to the next agent of the same epoch, and as
        long as no confirmation comes. No bridge gets it twice. After an error it may have arrived,
        unless the error says that it was not sent.

        Args:
            message: a typed message, or any JSON object with a string `type`.
            timeout: seconds to wait in all; with `confirm`, on the session's clock.
            require_agent: send to the active agent only. False: to every participant of the room.
            confirm: wait for the bridge's confirmation; None: if the agent has such a bridge.

        Raises:
            NotConnectedError: the session is in no room, left it, or was switched meanwhile.
            ConnectionLostError: the room was lost for good.
            SendTimeoutError: `timeout` passed; the error says what the call waited for.
            MessageTooLargeError: the JSON exceeds `max_message_bytes`.
            MalformedMessageError: `message` is not a message.
            BrokenError: the transport refused it.
            NotSupportedError: `confirm`, and the agent, ready for a second, announced no bridge.
            BusyError: `confirm`, and 1024 messages wait for their confirmation.
            MisuseError: `confirm` without `require_agent`.
        """
        self._lifetime.check()
        with self._transcript.sending(message):
            await self._outbox.send(message, timeout, require_agent, confirm)

    async def send_text(
        self, text: str, *, timeout: float = 5.0, line_id: str | None = None
    ) -> None:
        """Send what a person typed, in the form that the agent understands.

        It is an entry of the transcript from now on, first `pending`, then `sent` or `failed`.
        An agent that speaks LiveLayer's messages gets a `user_message`, confirmed if its bridge
        does that; any other livekit-agents agent a text stream on `lk.chat`. The agent announces
        which it is within its first second in the room; an earlier text waits for that.

        Args:
            text: the text, of any length for a text stream.
            timeout: seconds to wait in all for the agent and the transport, on top of that second.
            line_id: the id of its entry; a failed line is sent again under it, a sent one is not.

        Raises:
            MessageTooLargeError: as a `user_message`, it exceeds `max_message_bytes`.
            NotConnectedError, ConnectionLostError, SendTimeoutError, BrokenError, BusyError: as
                `send_data`.
        """
        self._lifetime.check()
        if self._transcript.has_sent(text, line_id):
            return
        with self._transcript.typing(text, line_id) as line:
            if await self._connection.agent_speaks_livelayer():
                await self._outbox.send(UserMessage(text, line), timeout, confirm=None)
            else:
                await self._outbox.send_text(text, names.CHAT_TOPIC, timeout)

    async def answer_approval(
        self, number: int, *, approved: bool, surface: str | None = None
    ) -> bool:
        """Answer one of `state.approvals`; False: it was settled before."""
        self._lifetime.check()
        outcome: events.ApprovalOutcome = "approved" if approved else "declined"
        return self._commands.settle_approval(number, outcome, surface)

    async def earlier_transcript(
        self, before: TranscriptEntry, *, limit: int = 100
    ) -> tuple[TranscriptEntry, ...]:
        """Return the `limit` utterances before `before`, oldest first; empty at the beginning.

        A session keeps the newest 20,000 utterances, or fewer with 8 Mi characters together.
        """
        self._lifetime.check()
        return self._transcript.earlier(before, limit)

    async def request(
        self, message: Outgoing, *, reply: type[WireMessage] | str, timeout: float = 10.0
    ) -> Message:
        """Send `message` and return the agent's answer: the `reply` with the same `requestId`.

        Args:
            message: as for `send_data(confirm=None)`; a `requestId` is added if it has none.
            reply: the answer's class, or its `type`.
            timeout: seconds for sending and answer together.

        Raises:
            RequestTimeoutError: no such answer came in time.
            NotConnectedError, SendTimeoutError, MessageTooLargeError, BrokenError, BusyError: as
                `send_data`.
        """
        self._lifetime.check()
        return await self._outbox.request(message, reply, timeout)

    def subscribe_to_data_messages(self, handler: DataHandler) -> Unsubscribe:
        """Call `handler`, sync or async, with every data packet from now on; the result ends that.

        It runs in a task of its own behind its own cursor, one packet at a time. What it raises is
        a `HandlerFailed` event; it stays subscribed.
        """
        store = self._store
        return add_handler(handler, self.data_messages(), store.tasks, store.publish_late)

    def data_messages(self) -> Subscription[DataReceived, SessionState]:
        """Every data packet from now on, with its sender and topic, in order.

        The subscription is open already. It ends with its `close()` or with the session.

        Raises:
            ClosedError: the session is closed.
        """
        return self.subscribe(DataReceived).__enter__()

    def commands(self) -> CommandStream:
        """The agent's commands from now on, and its messages of unknown type as `RawMessage`.

        Malformed ones and those of other participants are left out. Reading settles no command: for
        that, mount a surface. It ends with its `close()` or with the session.
        """
        return CommandStream(self.data_messages())

    def register_fields(self, fields: Iterable[ContextField]) -> Unsubscribe:
        """Describe fields in the attribute `agent.context`; call the result to remove them.

        They replace registered ones of the same id. They come before a page's fields, and win over
        one of the same id, from which they take what they leave open. Every participant of the room
        can read them. A token without `canUpdateOwnMetadata` is reported as `HandlerFailed`.
        """
        self._lifetime.check()
        return self._context.register(fields)

    def describe_page(self, page: AgentContext | None, *, surface: str = "") -> None:
        """As `ControlledSession.describe_page`: 200 ms later, again in each room."""
        self._lifetime.check()
        self._context.describe(page, surface)

    def statistics(self) -> DeliveryStatistics:
        """Count the messages that the agent's bridge had to confirm."""
        return self._confirmations.statistics()

    # Surfaces -------------------------------------------------------------------------------

    def mount(
        self,
        surface: Surface | SurfaceFunction,
        *,
        key: str,
        capabilities: Iterable[str] = (),
        on_fault: OnFault = "restart",
    ) -> MountedSurface:
        """Attach a surface, now or at any time; see `livelayer_bus.mount`.

        Raises:
            DuplicateSurfaceError: a surface with this key is mounted.
            MisuseError: `surface` is not a surface, or a capability does not exist.
        """
        self._lifetime.check()
        mounted = self._supervisor.mount(
            surface, key=key, capabilities=capabilities, on_fault=on_fault
        )
        self._linger_timer.stop()
        return mounted

    def _surface_ended(self, surface: MountedSurface) -> None:
        self._commands.router.target_ended(surface.key, ok=surface.status == "ended")
        self._context.describe(None, surface.key)
        idle = not self._supervisor.surfaces and not self._lifetime.closed
        if idle and self._linger is not None:
            self._linger_timer.start(self._linger)

    async def _part(self) -> None:
        if not self._supervisor.surfaces:
            await self.disconnect()


@final
class Lifetime:
    """Refuses a call that comes too early, too late or from another loop or process."""

    def __init__(self) -> None:
        self._loop: object | None = None
        self._process = os.getpid()
        self.closed = False

    @property
    def forked(self) -> bool:
        return os.getpid() != self._process

    def open(self) -> None:
        """Begin in the running loop: `MisuseError` if it was begun before, or as `check`."""
        self._check_alive()
        if self._loop is not None:
            hint = "enter it once, and share the object"
            raise errors.MisuseError(f"this session is open already: {hint}")
        self._loop = anyio.lowlevel.current_token()

    def check(self) -> None:
        """Raise the error of a public call that is not allowed now, or not from here."""
        self._check_alive()
        if self._loop is None:
            raise errors.MisuseError("this session is not open: use 'async with Session(...)'")
        self.check_loop()

    def check_loop(self) -> None:
        """Raise `WrongLoopError` if the call comes from another event loop."""
        try:
            current = anyio.lowlevel.current_token()
        except RuntimeError:
            return  # a callback of the loop, or another thread: there the bus checks
        if self._loop is not None and current != self._loop:
            owner, caller = f"event loop {self._loop!r}", f"event loop {current!r}"
            hint = "open a session of its own in each event loop"
            raise errors.WrongLoopError("this session", owner, caller, hint)

    def _check_alive(self) -> None:
        if self.forked:
            raise errors.ForkedError("this session")
        if self.closed:
            raise errors.ClosedError("this session")


def _check_range(least: int, **values: object) -> None:
    for name, value in values.items():
        if value is not None and not (isinstance(value, int | float) and value >= least):
            problem = f"must be a number of at least {least}, got {value!r}"
            raise errors.MisuseError(f"Session: {name} {problem}")
