"""One case of the data path in a process of its own: round trips to an agent that echoes.

Started by the harness as `python -m livelayer_benchmarks.data_worker`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeAlias, cast

import msgspec

from .child import Missing, Say, load_rival, serve
from .places import Place
from .usage import cpu_seconds

ANSWER_SECONDS = 10.0  # for one answer
PAUSE = 0.002  # seconds between round trips, so that none meets the end of the last

Heard: TypeAlias = Callable[[int], None]
Send: TypeAlias = Callable[[int, str], Awaitable[None]]


class Ping(msgspec.Struct, frozen=True):
    """The workload's message."""

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
    """Module with the names that `data_rivals` describes."""
    place: Place
    readers: int
    warm_up: int
    round_trips: int
    burst: int
    """Messages sent one after the other, without waiting for answers."""
    size: int
    """Characters of text in a message."""


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """What came of it."""

    round_trips: list[float]
    """Milliseconds from before sending to the last reader."""
    sent_a_second: float
    """Messages of the burst that the transport took."""
    echoed_a_second: float
    """Messages of the burst that came back."""
    lost: int
    cpu: float
    """Milliseconds of the process for each message of the burst and its answer."""


Outcome = Answer | Missing


class Rival(Protocol):
    """The names of a rival's module; see `data_rivals`."""

    NAME: str
    REQUIRES: tuple[str, ...]

    def line(
        self, place: Place, readers: int, heard: Heard, /
    ) -> AbstractAsyncContextManager[Send]: ...


class _Exchange:
    """Waits for answers to what was sent."""

    def __init__(self, filling: str) -> None:
        self._filling = filling
        self._number = 0
        self._came = 0
        self._wanted = 0
        self._done = asyncio.Event()

    def heard(self, number: int) -> None:
        del number  # they come in order
        self._came += 1
        if self._came >= self._wanted:
            self._done.set()

    async def round_trip(self, send: Send) -> float:
        """Milliseconds of one."""
        self._came, self._wanted = 0, 1
        self._done.clear()
        began = time.perf_counter_ns()
        await send(self._number, self._filling)
        async with asyncio.timeout(ANSWER_SECONDS):
            await self._done.wait()
        self._number += 1
        return (time.perf_counter_ns() - began) / 1e6

    async def burst(self, send: Send, count: int) -> tuple[float, float, int]:
        """Seconds until all were taken, and until all came back; how many did not."""
        self._came, self._wanted = 0, count
        self._done.clear()
        began = time.perf_counter()
        for number in range(count):
            await send(number, self._filling)
        sent = time.perf_counter() - began
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._done.wait()
        except TimeoutError:
            return sent, ANSWER_SECONDS, count - self._came
        return sent, time.perf_counter() - began, 0


async def measure(job: Job, rival: Rival) -> Answer:
    """Round trips one by one, then a burst."""
    exchange = _Exchange("x" * job.size)
    async with rival.line(job.place, job.readers, exchange.heard) as send:
        for _ in range(job.warm_up):
            await exchange.round_trip(send)
        trips: list[float] = []
        for _ in range(job.round_trips):
            trips.append(await exchange.round_trip(send))
            await asyncio.sleep(PAUSE)
        used = cpu_seconds()
        sent, back, lost = await exchange.burst(send, job.burst)
        used = cpu_seconds() - used
    return Answer(
        round_trips=[round(trip, 4) for trip in trips],
        sent_a_second=round(job.burst / sent, 1),
        echoed_a_second=round((job.burst - lost) / back, 1),
        lost=lost,
        cpu=round(1000 * used / job.burst, 4),
    )


async def work(job: Job, say: Say, ended: asyncio.Event) -> None:
    """Measure and answer."""
    del ended  # the parent closes the pipe after the answer
    rival = load_rival(job.rival, say)
    if rival is not None:
        say(await measure(job, cast(Rival, rival)))


if __name__ == "__main__":
    serve(Job, work)
