"""A session that another process owns, as a session of this one."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any, Final, Self, Unpack, final, overload
from uuid import uuid4

import anyio
import msgspec
import nats.errors
from nats.aio.msg import Msg

from livelayer_bus import (
    Bus,
    ClosedError,
    CommandReceived,
    ControlledSession,
    DataReceived,
    Event,
    HandlerFailed,
    LivelayerError,
    MisuseError,
    MountedSurface,
    RawMessage,
    SessionState,
    Subscription,
    Surface,
    TranscriptEntry,
)
from livelayer_bus.clock import SystemClock
from livelayer_bus.contract import DataHandler, E, Outgoing, Unsubscribe
from livelayer_bus.errors import (
    MalformedMessageError,
    not_connected,
)
from livelayer_bus.events import carrying
from livelayer_bus.messages import (
    Capability,
    Message,
    RefusalReason,
    WireMessage,
    decode,
    encode,
    is_command,
)
from livelayer_bus.session import CommandStream, add_handler
from livelayer_bus.state import REDUCERS
from livelayer_bus.surfaces import (
    CommandRouter,
    OnFault,
    RoutedCommand,
    Supervisor,
    SurfaceFunction,
)
from livelayer_bus.tasks import TaskOwner

from .connection import NatsArguments, NatsOptions, Servers, cancellable
from .errors import NatsError, NoOwnerError, NoSuchSessionError
from .log import LogReader, RestartedError
from .remote_commands import ANNOUNCE, CommandForRemote
from .requests import (
    GRACE,
    Announce,
    AnswerApproval,
    AnyAsk,
    Connect,
    Disconnect,
    EarlierTranscript,
    Finish,
    Request,
    RequestClient,
    SendData,
    SendText,
    SwitchAgent,
    TakeSnapshot,
)
from .store import Stored, opened
from .wire import (
    VERSION,
    Batch,
    End,
    Snapshot,
    Subjects,
    check_name,
    decode_events,
    decode_state,
    split,
)

CONNECT_SECONDS: Final = 60.0  # for `connect` and `switch_agent` of the owner
SHORT: Final = 10.0  # for what the owner does at once

_commands: Final = msgspec.json.Decoder(CommandForRemote)


class RemoteStatistics(msgspec.Struct, frozen=True):
    """What a remote has read."""

    events: int
    lost: int
    """Events that it never got: they fell out of the owner's ring, or out of the stream."""
    malformed: int
    """Messages that it could not read."""
    catch_ups: int
    """Times that it asked the stream for what it may have missed; now and then without need."""
    delay: float
    """Seconds from the owner's publishing of the newest event to its arrival here, by the clocks
    of both machines."""


@final
class RemoteSession(ControlledSession):
    """Another process's session: `async with RemoteSession(nats, session_id) as session`.

    Guarantee: its events have the owner's sequences, and `state` equals the owner's at each of
    them. A cursor of one remote resumes on another, and on the owner. Events are lost only if the
    owner's ring or the stream lost them: then readers get `Lagged`, and the state is right again.
    While NATS or the owner is away, everything stays as it was and goes on by itself. A call
    returns when this remote has what the owner's session published meanwhile.

    What is asked of the owner is carried out once, also if the question has to be repeated; errors
    are those that the owner's session raised. `NoOwnerError`: nobody answered.

    Surfaces are mounted as on any session (`mount`). What happens to them stays here: the events
    about them are those of `local_events()`, and `state.surfaces` has the owner's. The agent's
    commands reach them if the `NatsBridge` was mounted with their capabilities.

    Args:
        nats: an address, several of one cluster, or a connection of the application.
        session_id: `session.id` of the owner's.
        stream: the name that its `NatsBridge` has.
        capacity, max_bytes: what this remote's bus keeps for slow readers.
        connect_timeout: seconds to reach NATS and to read the first snapshot.
        close_timeout: seconds that closing may take.
        connection: how to connect, see `NatsOptions`.

    Raises:
        MisuseError: a name cannot be one of NATS.
    """

    def __init__(
        self,
        nats: Servers,
        session_id: str,
        *,
        stream: str = "LIVELAYER",
        capacity: int = 4096,
        max_bytes: int = 16 * 1024 * 1024,
        connect_timeout: float = 10.0,
        close_timeout: float = 5.0,
        **connection: Unpack[NatsArguments],
    ) -> None:
        self._servers = nats
        self._session_id: Final = check_name("the session's id", session_id)
        self._subjects: Final = Subjects(stream)
        self._options: Final = NatsOptions(**connection)
        self._connect_timeout: Final = connect_timeout
        self._close_timeout: Final = close_timeout
        self._remote_id: Final = uuid4().hex
        self._bus: Final[Bus[Event, SessionState]] = Bus(
            capacity,
            max_bytes,
            state=SessionState(id=session_id, agent_id=""),
            reducers=REDUCERS,
            as_of=SessionState.as_of,
        )
        self._local: Final[Bus[Event, None]] = Bus(capacity, max_bytes)
        self._stack: Final = AsyncExitStack()
        self._tasks: Final = TaskOwner()
        self._opened = False
        self._changed = anyio.Event()
        self._parts: list[bytes] = []
        self._lost = self._malformed = self._events = 0
        self._delay = 0.0
        self._rewound = 0  # the snapshot, by its stream sequence, that a gap was answered with
        self._gap = -1
        self._has_state = self._has_announced = False
        clock = SystemClock()
        self._mounted: Final[dict[str, MountedSurface]] = {}
        self._router: Final[CommandRouter[MountedSurface]] = CommandRouter(
            self._mounted.values(), self._deliver, self._settled, self._tasks, clock
        )
        self._given = 0  # the owner's number of the command that is being routed
        self._numbers: dict[int, int] = {}  # the router's numbers: those of the owner's
        self._taken: deque[tuple[str, int]] = deque(maxlen=256)
        self._supervisor: Final = Supervisor(
            self,
            publish=self._publish_local,
            subscribe=self._local.subscribe,
            mounted=self._mounted,
            router=self._router,
            on_ended=self._surface_ended,
            clock=clock,
            close_timeout=close_timeout,
        )

    # Opening and closing ------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Read the newest snapshot.

        Raises:
            NatsError: NATS cannot be reached, or refuses us.
            NoSuchSessionError: it knows no such session.
            ClosedError: the session has ended, or this remote was closed.
            MisuseError: this remote is open already.
        """
        if self._opened:
            raise MisuseError("this remote session was opened before: make another one")
        self._opened = True
        try:
            self._store = await self._stack.enter_async_context(
                opened(
                    self._servers,
                    self._options,
                    self._subjects,
                    f"remote {self._session_id}",
                    self._connect_timeout,
                )
            )
            self._client = RequestClient(self._store, self._session_id, self._remote_id)
            self._reader = LogReader(self._store, self._session_id)
            self._stack.push_async_callback(self._reader.aclose)
            await self._open()
            if self._bus.closed:
                raise ClosedError(f"session {self._session_id}", "its owner has closed it")
        except BaseException:
            await self.aclose()
            raise
        self._tasks.start(partial(cancellable, self._follow), "remote session")
        self._tasks.start(partial(cancellable, self._announce), "announce a remote")
        return self

    async def _open(self) -> None:
        """Read the newest snapshot, and wait for one if the owner is only starting."""
        problem: NatsError | NoSuchSessionError = NoSuchSessionError(
            self._session_id, self._subjects.stream
        )
        with anyio.move_on_after(self._connect_timeout):
            while True:
                try:
                    await self._reader.open()
                    break
                except (NatsError, NoSuchSessionError) as exc:
                    problem = exc
                    if not exc.retryable:
                        raise
                await anyio.sleep(0.1)
            while not self._is_current and not self._bus.closed:
                await self._take(await self._reader.next())
        if not self._has_state and not self._bus.closed:
            raise problem

    @property
    def _is_current(self) -> bool:
        return self._has_state and self._reader.position >= self._reader.newest

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Unmount its surfaces and leave; the session goes on. Closing twice does nothing."""
        with anyio.CancelScope(shield=True):
            await self._supervisor.aclose(self._close_timeout)
            if self._has_announced:
                await self._tell(Announce(leaves=True))
            await self._tasks.aclose(self._close_timeout)
            with anyio.move_on_after(self._close_timeout):
                await self._stack.aclose()
            for bus in (self._bus, self._local):
                bus.close()
        self._supervisor.raise_faults()

    # What is known ------------------------------------------------------------------------------

    @property
    def state(self) -> SessionState:
        """What the owner's session knew, as of `state.sequence`."""
        return self._bus.state

    @overload
    def subscribe(self, *, after: int | str | None = None) -> Subscription[Event, SessionState]: ...
    @overload
    def subscribe(
        self, *types: type[E], after: int | str | None = None
    ) -> Subscription[E, SessionState]: ...
    def subscribe(
        self, *types: type[Any], after: int | str | None = None
    ) -> Subscription[Any, SessionState]:
        """Read the session's events, each once and in order; see `Session.subscribe`.

        Raises:
            StaleCursorError: the cursor belongs to another session, or lies in the future.
            ClosedError: this remote is closed, or the session is.
        """
        if self._bus.closed:
            raise ClosedError("this remote session")
        return self._bus.subscribe(*types, after=self.state.sequence_after(after))

    def local_events(self, *types: type[E]) -> Subscription[E, None]:
        """Read what happens to this remote's own surfaces and handlers, with sequences of its own.

        They are `SurfaceMounted`, `SurfaceUnmounted`, `SurfaceFailed`, `SurfaceDidNotStop`,
        `CommandReceived` and `HandlerFailed`, and what cannot be read from NATS is `HandlerFailed`.
        """
        return self._local.subscribe(*types)

    def statistics(self) -> RemoteStatistics:
        """What it has read so far, in numbers."""
        return RemoteStatistics(
            events=self._events,
            lost=self._lost,
            malformed=self._malformed,
            catch_ups=self._reader.catch_ups,
            delay=self._delay,
        )

    async def reached(self, seq: int) -> None:
        """Return when it has taken in the message with this stream sequence."""
        while self._reader.position < seq and not self._bus.closed:
            await self._changed.wait()

    # Following the owner ------------------------------------------------------------------------

    async def _follow(self) -> None:
        while not self._bus.closed:
            try:
                await self._take(await self._reader.next())
            except RestartedError as exc:
                self._problem(str(exc))
                await self._rewind()

    async def _take(self, stored: Stored) -> None:
        """Take in one message of the stream."""
        try:
            head, body = split(stored.data, self._session_id)
            match head:
                case Batch():
                    await self._take_events(head, body)
                case Snapshot():
                    self._take_snapshot(head, body)
                case End():
                    self._bus.close()
        except MalformedMessageError as exc:
            self._malformed += 1
            self._problem(f"a message of the session was skipped: {exc.problem}")
        self._notify()

    async def _take_events(self, head: Batch, body: bytes) -> None:
        known = self._bus.sequence
        if head.first > known + 1:
            await self._bridge_gap(known, head)
            return
        events = decode_events(head, body)
        new = events[known + 1 - head.first :]
        for _, event in new:
            self._bus.publish(event)
            if self._mounted and _is_unknown_message(event):
                self._publish_local(event)  # where the surfaces' commands are
        if new:
            self._events += len(new)
            self._delay = (time.time_ns() - new[-1][0]) / 1e9

    async def _bridge_gap(self, known: int, head: Batch) -> None:
        """Events are missing in the stream: go on at a snapshot that comes after them."""
        if head.snapshot > self._rewound:
            self._rewound = head.snapshot
            await self._rewind()
        elif self._gap != known:
            self._gap = known
            self._problem(f"events {known + 1} to {head.first - 1} are missing in the stream")
            self._tasks.start(lambda: self._tell(TakeSnapshot()), "ask for a snapshot")

    def _take_snapshot(self, head: Snapshot, body: bytes) -> None:
        known = self._bus.sequence
        if self._has_state and head.sequence <= known:
            return
        if head.part == 0:
            self._parts = []
        if head.part != len(self._parts):
            return  # the beginning of it was written before this remote came
        self._parts.append(body)
        if len(self._parts) < head.parts:
            return
        state = decode_state(b"".join(self._parts))
        self._parts = []
        if (state.id, state.sequence) != (self._session_id, head.sequence):
            raise MalformedMessageError("snapshot", "it is another session's")
        if self._has_state:
            self._lost += head.sequence - known
        self._has_state = True
        self._bus.restart(head.sequence, state)

    async def _rewind(self) -> None:
        """Go on at the newest snapshot, once there is one."""
        while True:
            try:
                return await self._reader.rewind()
            except ClosedError:
                return self._bus.close()
            except (NatsError, NoSuchSessionError):
                await anyio.sleep(ANNOUNCE)

    def _notify(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    def _problem(self, problem: str) -> None:
        self._publish_local(HandlerFailed("nats", problem))

    def _publish_local(self, event: Event) -> None:
        if not self._local.closed:
            self._local.publish(event)

    # Asking the owner ---------------------------------------------------------------------------

    async def _ask(self, ask: AnyAsk, what: str, timeout: float) -> msgspec.Raw:
        """Have the owner do it; return when this remote has seen what it did."""
        if self._bus.closed:
            raise ClosedError("this remote session")
        try:
            answer = await self._client.call(ask, what, timeout + GRACE)
        except NoOwnerError:
            if self._bus.closed:
                raise ClosedError("this session", "its owner has closed it") from None
            raise
        with anyio.move_on_after(GRACE):
            while self._bus.sequence < answer.sequence and not self._bus.closed:
                await self._changed.wait()
        return answer.value

    async def _tell(self, ask: AnyAsk) -> None:
        """Have the owner know; whether it does is not important enough for an error."""
        with suppress(LivelayerError):
            await self._client.call(ask, type(ask).__name__, 1.0)

    async def connect(self) -> None:
        """Have the owner connect; see `Session.connect`.

        Raises:
            NoOwnerError: nobody answered.
            RefusedError: the bridge does not allow remotes its `connection`.
            LivelayerError: as `Session.connect`.
        """
        await self._ask(Connect(), "connect", CONNECT_SECONDS)

    async def disconnect(self) -> None:
        """Have the owner leave the room; see `Session.disconnect`."""
        await self._ask(Disconnect(), "disconnect", SHORT)

    async def switch_agent(self, agent_id: str) -> None:
        """Have the owner switch to another agent; see `Session.switch_agent`."""
        await self._ask(SwitchAgent(agent_id), "switch_agent", CONNECT_SECONDS)

    async def send_data(
        self,
        message: Outgoing,
        *,
        timeout: float = 5.0,
        require_agent: bool = True,
        confirm: bool | None = False,
    ) -> None:
        """Have the owner send a data message; see `Session.send_data`.

        Raises:
            NoOwnerError: nobody answered: it may have been sent.
            LivelayerError: as `Session.send_data`.
        """
        data = msgspec.Raw(encode(message))
        self._require_room()
        await self._ask(SendData(data, timeout, require_agent, confirm), "send_data", timeout)

    async def send_text(
        self, text: str, *, timeout: float = 5.0, line_id: str | None = None
    ) -> None:
        """Have the owner send what a person typed; see `Session.send_text`."""
        self._require_room()
        await self._ask(SendText(text, timeout, line_id), "send_text", timeout + 1.0)

    async def request(
        self, message: Outgoing, *, reply: type[WireMessage] | str, timeout: float = 10.0
    ) -> Message:
        """Have the owner ask the agent; its answer. See `Session.request`."""
        self._require_room()
        wanted = reply if isinstance(reply, str) else reply.wire_type()
        ask = Request(msgspec.Raw(encode(message)), wanted, timeout)
        return decode(bytes(await self._ask(ask, "request", timeout)))

    async def answer_approval(
        self, number: int, *, approved: bool, surface: str | None = None
    ) -> bool:
        """Answer what the agent asks a person to approve; whether this was its answer.

        Raises:
            RefusedError: the bridge was not mounted with the capability `ask_approval`.
            NoOwnerError: nobody answered.
        """
        ask = AnswerApproval(number, approved, surface)
        value = await self._ask(ask, "answer_approval", SHORT)
        return msgspec.json.decode(value, type=bool)

    async def earlier_transcript(
        self, before: TranscriptEntry, *, limit: int = 100
    ) -> tuple[TranscriptEntry, ...]:
        """Have the owner say what was said before; see `Session.earlier_transcript`."""
        value = await self._ask(EarlierTranscript(before, limit), "earlier_transcript", SHORT)
        return msgspec.json.decode(value, type=tuple[TranscriptEntry, ...])

    def _require_room(self) -> None:
        state = self.state
        if state.connection_state not in ("connecting", "connected"):
            raise not_connected(state.connection_state, state.error)

    # Reading messages ---------------------------------------------------------------------------

    def subscribe_to_data_messages(self, handler: DataHandler) -> Unsubscribe:
        """Call `handler` with every data packet from now on; call the result to end that.

        What it raises is a `HandlerFailed` of `local_events()`; it stays subscribed.
        """
        packets = self.subscribe(DataReceived).__enter__()
        return add_handler(handler, packets, self._tasks, self._publish_local)

    def commands(self) -> CommandStream:
        """The agent's commands from now on, and its messages of unknown type.

        Reading settles no command: for that, mount a surface.
        """
        return CommandStream(self.subscribe(DataReceived).__enter__())

    # Surfaces -----------------------------------------------------------------------------------

    def mount(
        self,
        surface: Surface | SurfaceFunction,
        *,
        key: str,
        capabilities: Iterable[str] = (),
        on_fault: OnFault = "restart",
    ) -> MountedSurface:
        """Attach a surface to this remote; see `livelayer_bus.mount`.

        Raises:
            DuplicateSurfaceError: a surface with this key is mounted here.
            MisuseError: `surface` is not a surface, or a capability does not exist.
            ClosedError: this remote is closed.
        """
        if self._bus.closed:
            raise ClosedError("this remote session")
        mounted = self._supervisor.mount(
            surface, key=key, capabilities=capabilities, on_fault=on_fault
        )
        if mounted.capabilities:
            self._tasks.start(self._announce_once, "announce a surface")
        return mounted

    def _surface_ended(self, surface: MountedSurface) -> None:
        self._router.target_ended(surface.key, ok=surface.status == "ended")

    async def _announce(self) -> None:
        while not self._bus.closed:
            await anyio.sleep(ANNOUNCE)
            if self._mounted:
                await self._announce_once()

    async def _subscribe_to_commands(self) -> None:
        subject = self._subjects.remote(self._remote_id)
        with suppress(nats.errors.Error):
            await self._store.client.subscribe(subject, cb=self._command)

    async def _announce_once(self) -> None:
        surfaces = tuple(self._mounted.values())
        capabilities: set[Capability] = set()
        for surface in surfaces:
            capabilities |= surface.capabilities
        if capabilities:
            if not self._has_announced:
                self._has_announced = True
                await self._subscribe_to_commands()
            uses = max(surface.last_used for surface in surfaces)
            await self._tell(Announce(tuple(sorted(capabilities)), uses))

    async def _command(self, message: Msg) -> None:
        """The owner gives this remote a command."""
        try:
            given = _commands.decode(message.data)
            command = decode(bytes(given.command)) if given.v == VERSION else None
        except (ValueError, RecursionError, MalformedMessageError):
            given, command = CommandForRemote(0, "", 0, msgspec.Raw(b"")), None
        if not is_command(command):
            self._malformed += 1
            self._problem("something that is no command came to this remote")
            return
        if (given.owner, given.number) in self._taken:
            return  # it was given again
        self._taken.append((given.owner, given.number))
        self._given = given.number
        if not self._router.route(command, bytes(given.command)):
            self._finish(given.number, False, "failed")

    def _deliver(self, routed: RoutedCommand, surface: MountedSurface) -> bool:
        self._numbers[routed.number] = self._given
        event = CommandReceived(
            routed.command.wire_type(), msgspec.Raw(routed.payload), routed.number, surface.key
        )
        self._publish_local(carrying(event, routed.command))
        return True

    def _settled(self, routed: RoutedCommand, ok: bool, reason: RefusalReason | None) -> None:
        number = self._numbers.pop(routed.number, None)
        if number is not None:
            self._finish(number, ok, reason)

    def _finish(self, number: int, ok: bool, reason: RefusalReason | None) -> None:
        async def tell() -> None:
            with suppress(LivelayerError):
                await self._client.call(Finish(number, ok, reason), "command result", SHORT)

        self._tasks.start(tell, "command result")


def _is_unknown_message(event: Event) -> bool:
    return (
        isinstance(event, DataReceived)
        and event.from_agent
        and isinstance(event.message, RawMessage)
    )
