"""Data messages beside the bare SDK's: round trips to an agent that echoes, and throughput."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from importlib import import_module
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from .. import harness
from ..signals import echo

OURS: Final = "livelayer-bus"
SDK: Final = "bare SDK"
READY_SECONDS: Final = 30.0  # for the agent's process to begin
CASE_SECONDS: Final = 120.0  # a case takes at most
REPLY_SECONDS: Final = 10.0  # for one reply
PAUSE: Final = 0.002  # seconds between round trips, so that none meets the end of the last

OnReply: TypeAlias = Callable[[int], None]
"""The last reader has the reply to the message of that number."""

SendMessage: TypeAlias = Callable[[int, str], Awaitable[None]]
"""Sends a number and a text; returns when the transport took them."""


class Plan(msgspec.Struct, frozen=True):
    """How much to measure: about a minute."""

    readers: tuple[int, ...] = (1, 16)
    round_trips: int = 300
    warm_up: int = 50
    burst: int = 1000
    """Messages sent one after the other, without waiting for replies."""
    size: int = 200
    """Characters of text in a message."""
    repetitions: int = 3


class Case(msgspec.Struct, frozen=True):
    """One way with one number of readers, over all repetitions, times in milliseconds."""

    rival: harness.Name
    readers: harness.Readers
    ratio: harness.Ratio
    """`p50` in times of the bare SDK's with as many readers; median of the repetitions."""
    p50: Annotated[float, harness.Column(form=".2f")]
    """From before sending to the last reader of the agent's reply."""
    p95: Annotated[float, harness.Column(form=".2f")]
    p99: Annotated[float, harness.Column(form=".2f")]
    sent_a_second: Annotated[float, harness.Column("sent/s", ",.0f")]
    """Messages taken by the transport, one after the other."""
    echoed_a_second: Annotated[float, harness.Column("echoed/s", ",.0f")]
    """Messages that came back."""
    lost: Annotated[int, harness.Column()]
    cpu: Annotated[float, harness.Column("CPU", ".2f")]
    """Milliseconds of the process for a message there and back."""


class Ping(msgspec.Struct, frozen=True):
    """The message that is sent."""

    number: int
    text: str

    def fields(self) -> dict[str, Any]:
        """As `send_data` takes it, and as it travels."""
        return {"type": "bench_ping", "number": self.number, "text": self.text}


_decoder = msgspec.json.Decoder(Ping)


def number_in(data: bytes) -> int:
    """The number of the message in a packet."""
    return _decoder.decode(data).number


class Job(msgspec.Struct, frozen=True):
    """What one process measures."""

    rival: str
    """A module that `livelayer_benchmarks.rivals.data` describes."""
    readers: int
    plan: Plan
    room: harness.RoomRef


class Answer(msgspec.Struct, frozen=True):
    """What a process measured."""

    round_trips: list[float]
    """Milliseconds from before sending to the last reader."""
    sent_a_second: float
    """Messages of the burst that the transport took."""
    echoed_a_second: float
    """Messages of the burst that came back."""
    lost: int
    cpu: float
    """Milliseconds of the process for each message of the burst and its reply."""

    @property
    def p50(self) -> float:
        """The median round trip."""
        return harness.median(self.round_trips, 4)


class _Replies:
    """Counts replies and waits for them."""

    def __init__(self) -> None:
        self.count = 0
        self._wanted = 0
        self._complete = asyncio.Event()

    def on_reply(self, number: int) -> None:
        del number  # they come in order
        self.count += 1
        if self.count >= self._wanted:
            self._complete.set()

    def expect(self, count: int) -> None:
        self.count, self._wanted = 0, count
        self._complete.clear()

    async def wait(self) -> None:
        async with asyncio.timeout(REPLY_SECONDS):
            await self._complete.wait()


async def measure(job: Job) -> Answer:
    """Round trips one by one, then a burst."""
    rival: Any = import_module(job.rival)
    plan, replies, text = job.plan, _Replies(), "x" * job.plan.size

    async def round_trip(number: int) -> float:
        replies.expect(1)
        began = time.perf_counter_ns()
        await send_message(number, text)
        await replies.wait()
        return (time.perf_counter_ns() - began) / 1e6

    async with rival.exchange(job.room, job.readers, replies.on_reply) as send_message:
        for number in range(plan.warm_up):
            await round_trip(number)
        trips: list[float] = []
        for number in range(plan.round_trips):
            trips.append(await round_trip(number))
            await asyncio.sleep(PAUSE)
        replies.expect(plan.burst)
        used, began = harness.cpu_seconds(), time.perf_counter()
        for number in range(plan.burst):
            await send_message(number, text)
        sent = time.perf_counter() - began
        try:
            await replies.wait()
            back = time.perf_counter() - began
        except TimeoutError:
            back = REPLY_SECONDS
        used = harness.cpu_seconds() - used
    lost = max(0, plan.burst - replies.count)
    return Answer(
        round_trips=[round(trip, 4) for trip in trips],
        sent_a_second=round(plan.burst / sent, 1),
        echoed_a_second=round((plan.burst - lost) / back, 1),
        lost=lost,
        cpu=round(1000 * used / plan.burst, 4),
    )


def run(plan: Plan, url: str | None, rivals: list[harness.Rival]) -> harness.Measured:
    """Measure the rivals side by side: each case in a fresh process, repetitions interleaved."""
    measured: list[harness.Row[Answer]] = harness.rows(rivals, plan.readers)
    with harness.server_for(url) as server:
        room = harness.new_room(server)

        def measure_row(row: harness.Row[Answer]) -> Answer:
            job = Job(row.rival.module, row.readers, plan, room)
            return harness.ask(measure, job, CASE_SECONDS)

        with harness.started(echo.echo, echo.Job([room])) as agent:
            agent.answer(harness.Ready, READY_SECONDS)
            harness.run_rounds("data", measured, plan.repetitions, measure_row)
    cases = list(_cases(measured))
    ours = [case.lost for case in cases if case.rival == OURS]
    goals = [harness.at_most("messages lost", 0, sum(ours), "")] if ours else []
    return harness.Measured(cases, goals)


def _cases(measured: Sequence[harness.Row[Answer]]) -> Iterator[Case]:
    sdk = {row.readers: row for row in measured if row.rival.name == SDK}
    for row in measured:
        trips = sorted(trip for answer in row.answers for trip in answer.round_trips)
        yield Case(
            rival=row.rival.name,
            readers=row.readers,
            ratio=row.ratio("p50", sdk.get(row.readers)),
            **harness.spread(trips, 3),
            sent_a_second=row.median("sent_a_second", 0),
            echoed_a_second=row.median("echoed_a_second", 0),
            lost=sum(answer.lost for answer in row.answers),
            cpu=row.median("cpu"),
        )


AREA = harness.Area(
    name="data",
    plan=Plan(),
    quick=Plan(round_trips=100, burst=300, repetitions=1),
    run=run,
    tables=(
        harness.Table("round trips to an echo in ms (x the bare SDK), CPU ms a message", Case),
    ),
    charts=(harness.cost_and_latency("data", Case, "a message"),),
)
