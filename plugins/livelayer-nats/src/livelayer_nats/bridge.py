"""The surface that takes a session to other machines: its events there, what they ask back."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from typing import Final, Literal, TypeAlias, Unpack, final, get_args

import anyio
import msgspec

from livelayer_bus import ClosedError, Lagged, MisuseError, Record, RefusedError, SurfaceSession
from livelayer_bus.bus import Subscription
from livelayer_bus.clock import now_ns
from livelayer_bus.events import Event
from livelayer_bus.messages import decode, encode
from livelayer_bus.state import SessionState

from .connection import (
    NatsArguments,
    NatsOptions,
    Persistence,
    Servers,
    cancellable,
    cause_of,
)
from .log import HistoryLostError, LogWriter
from .ownership import Lease
from .remote_commands import RemoteCommands
from .requests import (
    Announce,
    AnswerApproval,
    Call,
    Connect,
    Disconnect,
    EarlierTranscript,
    Finish,
    Request,
    RequestServer,
    SendData,
    SendText,
    SwitchAgent,
    TakeSnapshot,
)
from .store import Limits, SessionStore, opened
from .wire import Subjects, check_name

Permission: TypeAlias = Literal["messages", "connection"]
PERMISSIONS: Final[tuple[Permission, ...]] = get_args(Permission)

MAX_BATCH: Final = 256  # events in one message
FLUSH_SECONDS: Final = 2.0  # that unmounting may take to write what is left
REFRESH: Final = 600.0  # seconds after which an idle session's snapshot is written again
_WALL_NS: Final = time.time_ns() - now_ns()


class Claimed(msgspec.Struct, frozen=True):
    """A snapshot that was written before the session was made that goes on with it."""

    sequence: int
    snapshot: int
    """Its stream sequence."""


class BridgeStatistics(msgspec.Struct, frozen=True):
    """What a bridge has written and answered, over all its mounts."""

    events: int
    messages: int
    """Batches of events."""
    snapshots: int
    lost: int
    """Events that no remote got: NATS was away for longer than the session's ring lasts."""
    requests: int
    remotes: int
    """Remotes that announced themselves and have not left."""


@final
class NatsBridge:
    """Publishes a session's events to NATS JetStream, and does what remotes ask for.

    Guarantee: every event is in the stream once and in order. While NATS is away, the session's
    ring keeps what waits; what falls out of it is replaced by a snapshot, counted, and `Lagged` for
    the remotes. What NATS refuses is a `HandlerFailed` event of the session, once, and is tried
    again. When another process owns the session, nothing more can be written, and the surface ends
    with `OwnershipLostError`. Nothing of this concerns other surfaces.

    What the agent may do with remotes are the capabilities that the bridge is mounted with; each
    command goes to one of their surfaces, by the rules of the session. `ask_approval` lets remotes
    answer approvals.

    Args:
        nats: an address, several of one cluster, or a connection of the application.
        stream: the JetStream stream; created if it does not exist.
        snapshot_every: events after which a new remote need not read those before.
        lease_seconds: how long a dead owner's session stays without an owner.
        allow: what remotes may do: `messages` to the agent, and the `connection`.
        max_age, max_bytes, replicas: what the server keeps, see `Limits`.
        connection: how to connect, see `NatsOptions`.

    Raises:
        MisuseError: a value is out of range.
    """

    def __init__(
        self,
        nats: Servers = "nats://127.0.0.1:4222",
        *,
        stream: str = "LIVELAYER",
        snapshot_every: int = 1000,
        lease_seconds: float = 3.0,
        allow: Iterable[Permission] = PERMISSIONS,
        max_age: float = Limits().max_age,
        max_bytes: int = Limits().max_bytes,
        replicas: int = 1,
        **connection: Unpack[NatsArguments],
    ) -> None:
        allowed = frozenset(allow)
        if unknown := allowed.difference(PERMISSIONS):
            raise MisuseError(
                f"allow: unknown {sorted(unknown)}; choose from {', '.join(PERMISSIONS)}"
            )
        if snapshot_every < 1 or not lease_seconds > 0:
            raise MisuseError("snapshot_every must be at least 1, lease_seconds more than 0")
        self.servers = nats
        self.subjects: Final = Subjects(stream)
        self.options: Final = NatsOptions(**connection)
        self._every: Final = snapshot_every
        self.lease_seconds: Final = lease_seconds
        self._allowed: Final = allowed
        self.limits: Final = Limits(max_age, max_bytes, replicas)
        self.lease: Lease | None = None
        """One that this process has already; see `take_over`."""
        self.claimed: Claimed | None = None
        """Where the stream is then."""
        self.problem: str | None = None
        """What NATS cannot do at the moment; None while all is well."""
        self._events = self._messages = self._snapshots = self._lost = self._requests = 0
        self._run: _Run | None = None
        self._commands: RemoteCommands | None = None

    def __repr__(self) -> str:
        return f"NatsBridge(stream={self.subjects.stream!r})"

    def statistics(self) -> BridgeStatistics:
        """What it has written and answered so far, in numbers."""
        run = self._run
        return BridgeStatistics(
            events=self._events + (run.events if run else 0),
            messages=self._messages + (run.messages if run else 0),
            snapshots=self._snapshots + (run.snapshots if run else 0),
            lost=self._lost + (run.lost if run else 0),
            requests=self._requests,
            remotes=0 if self._commands is None else len(self._commands),
        )

    def opened(self, role: str, session_id: str) -> AbstractAsyncContextManager[SessionStore]:
        """A connection for a block, once NATS can be reached."""
        return opened(self.servers, self.options, self.subjects, f"{role} {session_id}", None)

    async def run(self, session: SurfaceSession) -> None:
        """Publish until unmounted, until the session is closed, or until it is lost.

        Raises:
            OwnershipLostError: another process owns the session now.
            OwnedElsewhereError: another process owns it, and renews its lease.
        """
        check_name("the session's id", session.id)
        await cancellable(partial(self._bridge, session))

    async def _bridge(self, session: SurfaceSession) -> None:
        # Attached before the first wait: every event from here on is in the stream.
        claimed, self.claimed = self.claimed, None
        with session.subscribe(after=None if claimed is None else claimed.sequence) as events:
            async with self.opened("owner", session.id) as store:
                persist = Persistence(store.link, partial(self._report, session))
                await persist(lambda: store.ensure(self.limits))
                lease = self.lease or Lease(store, session.id, self.lease_seconds)
                await persist(lambda: lease.take(wait=False))
                try:
                    await self._publish(session, events, store, lease, claimed)
                finally:
                    with anyio.move_on_after(FLUSH_SECONDS, shield=True):
                        await lease.give_up()

    async def _publish(
        self,
        session: SurfaceSession,
        events: Subscription[Event, SessionState],
        store: SessionStore,
        lease: Lease,
        claimed: Claimed | None,
    ) -> None:
        writer = LogWriter(store, session.id, lease, partial(self._report, session))

        run = self._run = _Run(session, events, writer, self.limits, self._every)
        commands = self._commands = RemoteCommands(session, store, lease.record.owner)
        server = RequestServer(
            store,
            session.id,
            partial(self._carry_out, session, run, commands),
            lambda: session.state.sequence,
            lambda: lease.is_certain,
            session.report_problem,
        )
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lease.keep, lambda: session.room_name)
                tasks.start_soon(server.serve)
                tasks.start_soon(commands.route)
                tasks.start_soon(run.refresh)
                try:
                    await run.write(claimed)
                except anyio.get_cancelled_exc_class():
                    with anyio.move_on_after(FLUSH_SECONDS, shield=True):
                        await run.flush()
                    raise
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise cause_of(group) from None
        finally:
            self._events += run.events
            self._messages += run.messages
            self._snapshots += run.snapshots
            self._lost += run.lost
            self._run = None

    def _report(self, session: SurfaceSession, problem: str | None) -> None:
        self.problem = problem
        if problem is not None:
            session.report_problem(problem)

    async def _carry_out(
        self, session: SurfaceSession, run: _Run, commands: RemoteCommands, call: Call
    ) -> object:
        self._requests += 1
        match call.ask:
            case SendData(message, timeout, require_agent, confirm):
                self._require("messages")
                commands.used(call.remote)
                await session.send_data(
                    decode(bytes(message)),
                    timeout=timeout,
                    require_agent=require_agent,
                    confirm=confirm,
                )
            case SendText(text, timeout, line_id):
                self._require("messages")
                commands.used(call.remote)
                await session.send_text(text, timeout=timeout, line_id=line_id)
            case Request(message, reply, timeout):
                self._require("messages")
                answer = await session.request(decode(bytes(message)), reply=reply, timeout=timeout)
                return msgspec.Raw(encode(answer))
            case AnswerApproval(number, approved, surface):
                self._require("messages")
                commands.used(call.remote)
                return await session.answer_approval(number, approved=approved, surface=surface)
            case EarlierTranscript(before, limit):
                return await session.earlier_transcript(before, limit=limit)
            case Connect():
                self._require("connection")
                await session.connect()
            case Disconnect():
                self._require("connection")
                await session.disconnect()
            case SwitchAgent(agent_id):
                self._require("connection")
                await session.switch_agent(agent_id)
            case TakeSnapshot():
                run.want_snapshot()
            case Announce():
                commands.announce(call.remote, call.ask)
            case Finish(number, ok, reason):
                commands.finish(call.remote, number, ok, reason)
        return None

    def _require(self, permission: Permission) -> None:
        if permission not in self._allowed:
            raise RefusedError(f"the session's owner does not allow remotes its {permission}")


@final
class _Run:
    """The writing of one mount."""

    def __init__(
        self,
        session: SurfaceSession,
        events: Subscription[Event, SessionState],
        writer: LogWriter,
        limits: Limits,
        every: int,
    ) -> None:
        self._session = session
        self._reader = events
        self._records = events.records()
        self._writer = writer
        self._limits = limits
        self._every = every
        self._turn = anyio.Lock(fast_acquire=True)
        self._wanted = anyio.Event()
        self._pending: list[Record[Event]] = []  # taken from the ring, not acknowledged yet
        self._written = 0  # the sequence of the last event in the stream
        self._since = 0  # events since the last snapshot
        self.events = self.messages = self.snapshots = self.lost = 0

    def want_snapshot(self) -> None:
        """Write a snapshot soon: one for all that ask, unless nothing happened since the last."""
        if self._since:
            self._wanted.set()

    async def write(self, claimed: Claimed | None) -> None:
        """Write everything until the session is closed."""
        async with self._turn:
            await self._writer.open()
            if claimed is None:
                await self._write_snapshot(self._reader.snapshot)
            else:
                self._written, self._writer.snapshot = claimed.sequence, claimed.snapshot
        while True:
            behind = await self._collect()
            if not self._pending and not behind:
                break
            await self._lasting(partial(self._write_pending, behind))
        await self._lasting(lambda: self._writer.write_end(self._written))

    async def _collect(self) -> bool:
        """Take what there is, at least one event; True if some fell out of the ring before.

        Nothing is pending after it: the session has ended.
        """
        try:
            while not self._pending or (self._reader.lag and len(self._pending) < MAX_BATCH):
                self._pending.append(await anext(self._records))
        except Lagged:
            return True
        except StopAsyncIteration:
            pass
        return False

    async def refresh(self) -> None:
        """Write a snapshot when one is asked for, and now and then."""
        while True:
            with anyio.move_on_after(REFRESH):
                await self._wanted.wait()
            self._wanted = anyio.Event()
            self._since = self._every
            await self._lasting(self._write_due)

    async def flush(self) -> None:
        """Write what the ring holds, without waiting for more, and the end if it is the end."""
        while self._pending or self._reader.lag:
            behind = self._reader.lag > 0 and await self._collect()
            await self._lasting(partial(self._write_pending, behind))
        try:
            self._session.subscribe()
        except ClosedError:
            await self._lasting(lambda: self._writer.write_end(self._written))

    async def _lasting(self, write: Callable[[], Awaitable[None]]) -> None:
        """Write, one at a time; if the stream was lost, make another one and begin anew there."""
        async with self._turn:
            while True:
                try:
                    return await write()
                except HistoryLostError as lost:
                    self._session.report_problem(str(lost))
                    await self._writer.make_stream(self._limits)
                    await self._writer.open()
                    self._pending.clear()
                    with suppress(HistoryLostError):
                        await self._start_over()

    async def _write_pending(self, behind: bool) -> None:
        records = self._pending
        # In the same instant in which nothing more waits, so that it is the state of the batch.
        state = None if self._reader.lag else self._session.state
        if records:
            self._since += len(records)
            if not await self._writer.write_events(records, _WALL_NS):
                behind = True
            else:
                self._written = records[-1].sequence
                self.events += len(records)
                self.messages += 1
            records.clear()
        if behind:
            await self._start_over()
        elif self._since >= self._every and state is not None and state.sequence == self._written:
            await self._write_snapshot(state)

    async def _write_due(self) -> None:
        state = self._session.state
        if state.sequence == self._written:  # or else the next batch brings it
            await self._write_snapshot(state)

    async def _start_over(self) -> None:
        """Go on with a snapshot: the events before it are lost to remotes."""
        state = self._reader.resync()
        self.lost += state.sequence - self._written
        await self._write_snapshot(state)

    async def _write_snapshot(self, state: SessionState) -> None:
        await self._writer.write_snapshot(state)
        self._written = state.sequence
        self._since = 0
        self.snapshots += 1
