"""What is lost, and what is not, when NATS, the stream or a message is not as it should be."""

from __future__ import annotations

import os
import random
import zlib
from pathlib import Path

import anyio
import msgspec
import pytest
from livelayer_nats import NatsBridge, OwnershipLostError, RemoteSession
from livelayer_nats.connection import Link, cause_of
from livelayer_nats.log import LogReader, LogWriter
from livelayer_nats.ownership import Lease, Ownership
from livelayer_nats.requests import Answer
from livelayer_nats.store import Limits, SessionStore
from livelayer_nats.wire import VERSION, Batch, End, Subjects, join

from livelayer_bus import (
    Event,
    HandlerFailed,
    Lagged,
    Session,
    SessionState,
    Subscription,
    SurfaceFailed,
    TranscriptUpdated,
)
from livelayer_bus.bus import Record
from livelayer_bus.events import TurnEnded
from livelayer_bus.testing import PATIENCE, ScriptedRoom, polled

from .nats_kit import NatsServer, caught_up, event_of, joined, owned

pytestmark = pytest.mark.anyio


def opened(server: NatsServer, session: Session) -> RemoteSession:
    return RemoteSession(server.url, session.id, connect_timeout=PATIENCE)


def says(room: ScriptedRoom, first: int, count: int) -> None:
    for number in range(first, first + count):
        room.transcribes(f"line-{number}", f"words {number}")


async def missed(events: Subscription[Event, SessionState]) -> int:
    """What the first `Lagged` of a reader says."""
    with anyio.fail_after(PATIENCE):
        while True:
            try:
                await anext(events)
            except Lagged as lagged:
                return lagged.missed


async def test_nothing_is_lost_or_repeated_when_the_server_is_killed(server: NatsServer) -> None:
    bridge = NatsBridge(server.url)
    async with owned(server, bridge) as (session, rooms), opened(server, session) as remote:
        with remote.subscribe() as events, session.subscribe(HandlerFailed) as problems:
            room = await joined(session, rooms)
            for trial in range(3):
                says(room, 100 * trial, 50)
                server.kill()
                says(room, 100 * trial + 50, 50)
                problem = await event_of(problems, lambda event: event.handler == "nats")
                assert "NATS" in problem.error
                assert bridge.problem is not None
                await server.start().ready()
                await polled(lambda: remote.state == session.state)
            first = events.sequence
            seen = [record.sequence for record in [await anext(events.records())]]
            while events.lag:
                seen.append((await anext(events.records())).sequence)
            assert seen == list(range(first + 1, remote.state.sequence + 1))
        assert (remote.statistics().lost, bridge.statistics().lost) == (0, 0)


async def test_what_falls_out_of_the_ring_meanwhile_is_a_snapshot(server: NatsServer) -> None:
    bridge = NatsBridge(server.url)
    async with (
        owned(server, bridge, capacity=32) as (session, rooms),
        opened(server, session) as remote,
    ):
        room = await joined(session, rooms)
        await caught_up(remote, session.state.sequence)
        with remote.subscribe() as events:
            server.kill()
            says(room, 0, 300)
            await server.start().ready()
            assert await missed(events) > 200
        await polled(lambda: remote.state == session.state)
        assert remote.statistics().lost == bridge.statistics().lost > 200


@pytest.mark.parametrize("loss", ["delete", "purge"])
async def test_a_lost_stream_is_reported_and_made_anew(server: NatsServer, loss: str) -> None:
    async with owned(server) as (session, rooms), opened(server, session) as remote:
        room = await joined(session, rooms)
        await caught_up(remote, session.state.sequence)
        with session.subscribe(HandlerFailed) as problems:
            async with server.client() as client:
                stream = client.jetstream()
                await (stream.delete_stream if loss == "delete" else stream.purge_stream)(
                    "LIVELAYER"
                )
            says(room, 0, 5)
            problem = await event_of(problems, lambda event: event.handler == "nats")
            assert "lost" in problem.error or "no stream" in problem.error
        await polled(lambda: remote.state == session.state)
        async with opened(server, session) as late:
            assert late.state == session.state


async def test_a_full_disk_is_reported_and_recovered_from(tmp_path: Path) -> None:
    server = NatsServer(tmp_path)
    server.limits = "max_file_store: 1MB"
    try:
        await server.start().ready()
        bridge = NatsBridge(server.url, max_bytes=-1)
        async with owned(server, bridge) as (session, rooms), opened(server, session) as remote:
            room = await joined(session, rooms)
            with session.subscribe(HandlerFailed) as problems:
                while bridge.problem is None:
                    # Text that cannot be made smaller.
                    room.agent_says({"type": "large", "text": os.urandom(25_000).hex()})
                    sent = session.state.sequence
                    await polled(lambda: bridge.problem or remote.state.sequence == sent)  # noqa: B023
                problem = await event_of(problems, lambda event: event.handler == "nats")
                assert "writing the session failed" in problem.error
                async with server.client() as client:
                    await client.jetstream().purge_stream("LIVELAYER")
            await polled(lambda: remote.state == session.state)
    finally:
        server.kill()


# One writer at a time -----------------------------------------------------------------------------


def events_from(first: int, count: int) -> list[Record[Event]]:
    return [Record(number, number, TurnEnded("agent")) for number in range(first, first + count)]


def lease_of(store: SessionStore, owner: str, term: int) -> Lease:
    lease = Lease(store, "s", 60.0)
    lease.record = Ownership(VERSION, owner, owner, term, 60.0)
    return lease


async def test_a_former_owner_writes_nothing_more(server: NatsServer) -> None:
    reported: list[str | None] = []
    async with server.client() as client:
        store = SessionStore(Link(client), Subjects("LIVELAYER"))
        await store.ensure(Limits())
        former = LogWriter(store, "s", lease_of(store, "former", 1), reported.append)
        await former.open()
        await former.write_snapshot(SessionState(id="s", agent_id="a"))
        await former.write_events(events_from(1, 3), 0)
        await store.own("s", msgspec.json.encode(lease_of(store, "owner", 2).record), 0)
        owner = LogWriter(store, "s", lease_of(store, "owner", 2), reported.append)
        await owner.open()
        await owner.write_snapshot(SessionState(id="s", agent_id="a", sequence=3))
        with pytest.raises(OwnershipLostError, match="belongs to owner"):
            await former.write_events(events_from(4, 1), 0)
        await owner.write_events(events_from(4, 1), 0)
        newest = await store.newest("s")
        assert newest is not None
        assert b'"owner":"owner"' in newest.data
    assert not reported


async def test_a_write_whose_answer_was_lost_is_recognized(server: NatsServer) -> None:
    async with server.client() as client:
        store = SessionStore(Link(client), Subjects("LIVELAYER"))
        await store.ensure(Limits())
        writer = LogWriter(store, "s", lease_of(store, "owner", 1), lambda _: None)
        await writer.open()
        await writer.write_snapshot(SessionState(id="s", agent_id="a"))
        first = await store.newest("s")
        assert first is not None
        again = LogWriter(store, "s", lease_of(store, "owner", 1), lambda _: None)
        await again.open(first.seq)
        again.snapshot = writer.snapshot
        await writer.write_events(events_from(1, 3), 0)  # arrives; `again` did not hear of it
        await again.write_events(events_from(1, 3), 0)
        await again.write_events(events_from(4, 1), 0)
        assert len(await store.after("s", 0)) == 3


async def test_a_bridge_that_lost_its_session_ends(server: NatsServer) -> None:
    async with owned(server) as (session, rooms), opened(server, session) as remote:
        room = await joined(session, rooms)
        await caught_up(remote, session.state.sequence)
        async with server.client() as client:
            store = SessionStore(Link(client), Subjects("LIVELAYER"))
            with session.subscribe(SurfaceFailed) as failures:
                revision, _ = await store.owned(session.id)
                record = Ownership(VERSION, "other", "another process", 9, 60.0)
                taken = await store.own(session.id, msgspec.json.encode(record), revision)
                while taken is None:
                    revision, _ = await store.owned(session.id)
                    taken = await store.own(session.id, msgspec.json.encode(record), revision)
                failure = await event_of(failures, lambda event: event.key == "nats")
        assert failure.error.startswith("OwnershipLostError")
        assert not failure.restarting
        says(room, 0, 1)  # the session itself goes on
        assert session.transcript[-1].text == "words 0"


# Messages that are none ---------------------------------------------------------------------------


def hostile(what: str, session_id: str) -> bytes:
    """Bytes that are no message of this session, or one whose body is not what its head says."""

    def batch(
        body: bytes = b"", *, v: int = VERSION, s: str = session_id, z: bool = False
    ) -> bytes:
        return join(Batch(v, s, 1, "o", 0, 5, z), body)

    return {
        "no record": b"\xff\x00 nonsense",
        "no head": b"{}\n[]",
        "another version": batch(v=99),
        "another session": batch(s="another"),
        "an end of another session": join(End(VERSION, "another", 1, "o", 0, 9)),
        "no events": batch(b"[]"),
        "no zlib": batch(b"x", z=True),
        "a bomb": batch(zlib.compress(bytes(128 * 1024 * 1024), 9), z=True),
        "deep": batch(b"[" * 100_000),
        "empty": b"",
    }[what]


HOSTILE = (
    "no record", "no head", "another version", "another session", "an end of another session",
    "no events", "no zlib", "a bomb", "deep", "empty",
)  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
async def test_a_hostile_message_is_counted_and_skipped(server: NatsServer, what: str) -> None:
    async with owned(server) as (session, rooms), opened(server, session) as remote:
        room = await joined(session, rooms)
        await caught_up(remote, session.state.sequence)
        subjects, data = Subjects("LIVELAYER"), hostile(what, session.id)
        with remote.local_events(HandlerFailed) as problems:
            async with server.client() as client:
                await client.publish(subjects.live(session.id), data)
                await client.jetstream().publish(subjects.events(session.id), data)
                problem = await event_of(problems, lambda event: event.handler == "nats")
                assert "skipped" in problem.error
                says(room, 0, 5)
                await polled(lambda: remote.state == session.state)
                assert remote.statistics().malformed == 1
                answer = await client.request(subjects.requests(session.id), data)
        decoded = msgspec.json.decode(answer.data, type=Answer)
        assert decoded.error is not None
        assert decoded.error.kind == "misuse"


# Slow readers -------------------------------------------------------------------------------------


async def test_a_slow_remote_reads_everything_and_slows_nobody(
    server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("livelayer_nats.log.MAX_LIVE", 4)
    async with owned(server) as (session, rooms), opened(server, session) as remote:
        await joined(session, rooms)
        await caught_up(remote, session.state.sequence)
        async with server.client() as client:
            slow = LogReader(SessionStore(Link(client), Subjects("LIVELAYER")), session.id)
            await slow.open()
            room = rooms.rooms[-1]
            for number in range(100):
                says(room, number, 1)
                await caught_up(remote, session.state.sequence)
            newest = await SessionStore(Link(client), Subjects("LIVELAYER")).newest(session.id)
            assert newest is not None
            seen: list[int] = []
            with anyio.fail_after(PATIENCE):
                while slow.position < newest.seq:
                    seen.append((await slow.next()).seq)
            assert seen == sorted(set(seen))
            assert len(seen) == newest.seq - seen[0] + 1
            await slow.aclose()


async def test_an_event_too_large_for_a_message_is_in_the_snapshot(tmp_path: Path) -> None:
    server = NatsServer(tmp_path, "max_payload: 16KB")
    try:
        await server.start().ready()
        bridge = NatsBridge(server.url)
        async with owned(server, bridge) as (session, rooms), opened(server, session) as remote:
            room = await joined(session, rooms)
            says(room, 0, 20)
            text = "".join(random.Random(1).choices([chr(n) for n in range(33, 997)], k=60_000))
            room.transcribes("large", text)
            says(room, 20, 20)
            await polled(lambda: remote.state == session.state)
            assert any(entry.text == text for entry in remote.transcript)
            assert bridge.statistics().lost > 0
            with session.subscribe(TranscriptUpdated) as events:
                says(room, 40, 1)
                await anext(events)
    finally:
        server.kill()


def test_a_fault_that_several_tasks_met_is_one() -> None:
    lost = [OwnershipLostError("s", "another") for _ in range(2)]
    nested = BaseExceptionGroup("", [lost[0], BaseExceptionGroup("", [lost[1]])])
    assert cause_of(nested) is lost[0]
    several = BaseExceptionGroup("", [lost[0], ValueError()])
    assert cause_of(several) is several
