"""Owners that die, stand still or end, and the processes that go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import anyio
import anyio.abc
import pytest
from livelayer_nats import (
    NatsBridge,
    OwnedElsewhereError,
    OwnershipLostError,
    RemoteSession,
    take_over,
)
from livelayer_nats.connection import Link
from livelayer_nats.ownership import Lease
from livelayer_nats.store import Limits, SessionStore
from livelayer_nats.wire import Batch, Subjects, decode_events, split

from livelayer_bus import Event, Session
from livelayer_bus.state import reduce
from livelayer_bus.testing import PATIENCE, ManualClock, ScriptedRooms, polled

from .nats_kit import NatsServer

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
PROGRAM = Path(__file__).with_name("owner_program.py")
KILLS = int(os.environ.get("LIVELAYER_OWNER_KILLS", "3"))


class Owner:
    """A child process that owns a session, or waits to."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    async def line(self) -> str:
        """Wait for the next line that it prints."""
        assert self.process.stdout is not None
        with anyio.fail_after(PATIENCE):
            line = await anyio.to_thread.run_sync(self.process.stdout.readline)
        return line.decode().strip()

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)


@contextmanager
def owner(server: NatsServer, session_id: str) -> Generator[Owner]:
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, str(PROGRAM), server.url, session_id], stdout=subprocess.PIPE
    ) as process:
        try:
            yield Owner(process)
        finally:
            process.kill()


class Seen:
    """What one remote gets while owners come and go."""

    def __init__(self, remote: RemoteSession) -> None:
        self._remote = remote
        self.events: list[tuple[int, Event]] = []

    async def read(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        with self._remote.subscribe() as reader:
            state = reader.snapshot
            task_status.started()
            async for event in reader:
                state = reduce(state, event)
                self.events.append((reader.sequence, event))
                if reader.sequence == self._remote.state.sequence:
                    assert state == self._remote.state


async def stored(server: NatsServer, session_id: str) -> list[tuple[int, Event]]:
    """Every event that is in the stream, with its sequence."""
    async with server.client() as client:
        store = SessionStore(Link(client), Subjects("LIVELAYER"))
        found: list[tuple[int, Event]] = []
        position = 0
        while messages := await store.after(session_id, position):
            position = messages[-1].seq
            for message in messages:
                head, body = split(message.data, session_id)
                if isinstance(head, Batch):
                    events = decode_events(head, body)
                    found += [(head.first + at, event) for at, (_, event) in enumerate(events)]
        return found


async def test_a_killed_owner_is_followed_by_its_standby(
    server: NatsServer, record_property: Callable[[str, object], None]
) -> None:
    took: list[float] = []
    with ExitStack() as owners:
        current = owners.enter_context(owner(server, "desk"))
        assert await current.line() == "owns room-1"
        async with (
            RemoteSession(server.url, "desk", connect_timeout=PATIENCE) as remote,
            RemoteSession(server.url, "desk", connect_timeout=PATIENCE) as other,
            anyio.create_task_group() as tasks,
        ):
            readers = [Seen(remote), Seen(other)]
            for reader in readers:
                await tasks.start(reader.read)
            for _ in range(KILLS):
                standby = owners.enter_context(owner(server, "desk"))
                await more(remote, 200)
                current.send(signal.SIGKILL)
                killed = time.monotonic()
                current = standby
                assert await current.line() == "owns room-1"
                took.append(time.monotonic() - killed)
            await more(remote, 200)
            current.send(signal.SIGKILL)
            current.process.wait()
            written = await stored(server, "desk")
            for reader in readers:
                first = reader.events[0][0]
                expected = [one for one in written if one[0] >= first]
                await polled(lambda: len(reader.events) >= len(expected))  # noqa: B023
                assert reader.events == expected
                assert [at for at, _ in expected] == list(range(first, first + len(expected)))
            assert remote.statistics().lost == remote.statistics().malformed == 0
            tasks.cancel_scope.cancel()
    record_property("seconds without an owner", [round(one, 2) for one in took])
    print(f"{KILLS} owners killed: without an owner for {max(took):.2f} s at most")


async def more(remote: RemoteSession, events: int) -> None:
    """Wait for that many more events."""
    target = remote.state.sequence + events
    await polled(lambda: remote.state.sequence >= target)


async def test_an_owner_that_stood_still_writes_nothing_more(server: NatsServer) -> None:
    with owner(server, "desk") as first:
        assert await first.line() == "owns room-1"
        async with RemoteSession(server.url, "desk", connect_timeout=PATIENCE) as remote:
            await more(remote, 50)
            first.send(signal.SIGSTOP)
            with owner(server, "desk") as second:
                assert await second.line() == "owns room-1"
                first.send(signal.SIGCONT)
                assert await first.line() == "ended: OwnershipLostError"
                await more(remote, 50)
                assert remote.statistics().lost == remote.statistics().malformed == 0


def patient(server: NatsServer) -> NatsBridge:
    return NatsBridge(server.url, lease_seconds=1000.0)


async def test_an_owner_that_ends_hands_over_at_once(server: NatsServer) -> None:
    rooms = ScriptedRooms(agent="agent")
    async with (
        take_over(patient(server), "desk", "agt_1") as taken,
        Session("agt_1", tokens=rooms.tokens, room=rooms, continues=taken.state) as session,
    ):
        mounted = session.mount(taken.bridge, key="nats")
        await session.connect()
        room = await rooms.next()
        room.transcribes("one", "hello")
        async with RemoteSession(server.url, "desk", connect_timeout=PATIENCE) as remote:
            await polled(lambda: remote.state == session.state)
        await mounted.unmount()
        with anyio.fail_after(PATIENCE):
            async with take_over(patient(server), "desk", "agt_1") as next_one:
                assert next_one.state.sequence >= taken.state.sequence
                assert next_one.state.transcript == session.transcript


# The lease, on a clock of its own -----------------------------------------------------------------


async def test_a_lease_is_over_when_it_was_not_renewed_for_its_time(server: NatsServer) -> None:
    clock = ManualClock()
    async with server.client() as client:
        store = SessionStore(Link(client), Subjects("LIVELAYER"))
        await store.ensure(Limits())
        first = Lease(store, "s", 9.0, clock)
        assert await first.take(wait=False) is None
        second = Lease(store, "s", 9.0, clock)
        async with anyio.create_task_group() as tasks:
            taken = anyio.Event()

            async def wait() -> None:
                await second.take(wait=True)
                taken.set()

            tasks.start_soon(wait)
            for _ in range(8):
                await clock.elapse(1.0)
            assert not taken.is_set()
            while not taken.is_set():
                await clock.elapse(1.0)
        assert (second.record.term, first.record.term) == (2, 1)
        assert clock.now() >= 9.0
        assert not first.is_certain
        assert await first.rival() is not None

        async def keep() -> None:
            with pytest.raises(OwnershipLostError):
                await first.keep(lambda: None)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(keep)
            await clock.elapse(4.0)


async def test_a_renewed_lease_is_refused_to_others(server: NatsServer) -> None:
    clock = ManualClock()
    async with server.client() as client:
        store = SessionStore(Link(client), Subjects("LIVELAYER"))
        await store.ensure(Limits())
        first = Lease(store, "s", 9.0, clock)
        await first.take(wait=False)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first.keep, lambda: "a-room")

            async def take() -> None:
                with pytest.raises(OwnedElsewhereError, match="owns it"):
                    await Lease(store, "s", 9.0, clock).take(wait=False)
                tasks.cancel_scope.cancel()

            tasks.start_soon(take)
            while not tasks.cancel_scope.cancel_called:
                await clock.elapse(0.5)
        assert first.record.room == "a-room"


async def test_no_answer_is_no_lost_lease(server: NatsServer) -> None:
    async with server.client(reconnect_time_wait=0.1, max_reconnect_attempts=-1) as client:
        store = SessionStore(Link(client), Subjects("LIVELAYER"))
        await store.ensure(Limits())
        lease = Lease(store, "s", 0.3)
        await lease.take(wait=False)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lease.keep, lambda: None)
            server.kill()
            await polled(lambda: not lease.is_certain)
            await server.start().ready()
            await polled(lambda: lease.is_certain)
            assert await lease.rival() is None
            tasks.cancel_scope.cancel()


# The command --------------------------------------------------------------------------------------


async def test_the_command_owns_a_session_of_the_configuration(
    server: NatsServer, tmp_path: Path
) -> None:
    config = tmp_path / "livelayer.toml"
    config.write_text(
        f"""
        agent_id = "agt_1"
        control = false
        [session]
        reconnect = {{ attempts = 1 }}
        [tokens]
        kind = "literal"
        url = "ws://127.0.0.1:1"
        token = "a-token"
        [surfaces.nats]
        options = {{ nats = "{server.url}", lease_seconds = 2.0 }}
        """
    )
    livelayer = Path(sys.executable).with_name("livelayer")
    command = [str(livelayer), "standby", "desk", "--config", str(config)]
    done = await anyio.run_process(command, check=False)
    assert b"cannot join the room at ws://127.0.0.1:1" in done.stderr
    async with server.client() as client:
        newest = await SessionStore(Link(client), Subjects("LIVELAYER")).newest("desk")
    assert newest is not None
    assert b'"end"' in newest.data.partition(b"\n")[0]
