"""One rival in its own process: reads jobs as JSON lines, answers with numbers."""

from __future__ import annotations

import asyncio
import gc
import random
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import count, islice
from time import perf_counter_ns, process_time_ns
from typing import Any, Literal, Protocol, cast

import msgspec

from livelayer_bus.events import (
    AgentStateChanged,
    DataReceived,
    Event,
    TranscriptCleared,
    TranscriptEntry,
    TranscriptUpdated,
)

CLEARED_EVERY = 40  # turns of the conversation, as at the end of a call
WORDS = 8  # of a turn's line, each one an event
PACKETS = 22  # of a turn, so that it has 32 events


class Hire(msgspec.Struct, frozen=True):
    """A process's first line: the rival it runs."""

    module: str


class Job(msgspec.Struct, frozen=True):
    """What to measure once."""

    kind: Literal["fan_out", "wake"]
    seed: int
    readers: int = 1
    deliveries: int = 0
    """fan_out: events times readers, before the rival's `SHARE`."""
    burst: int = 1
    """fan_out: events published before the readers run."""
    text: bool = False
    """fan_out: every event is a `TranscriptUpdated`."""
    turns: int = 0
    """wake: events, each to a reader that waits."""


class Answer(msgspec.Struct, frozen=True):
    """The result of a job."""

    nanoseconds: float
    """fan_out: CPU time of a delivery. wake: the median time from before publish to the reader."""
    count: int
    """fan_out: deliveries. wake: turns."""


class Hello(msgspec.Struct, frozen=True):
    """Its first answer: the rival's name, or why it cannot run."""

    name: str
    delivers_to: str = ""
    kinds: tuple[Literal["fan_out", "wake"], ...] = ()
    requires: tuple[str, ...] = ()
    missing: str | None = None


class Side(Protocol):
    """A `FanOut` or a `Wake`."""

    def publish(self, event: Any, /) -> object: ...
    async def open(self) -> None: ...
    async def close(self) -> None: ...


class Rival(Protocol):
    """The names of a rival's module; see `bus_rivals`."""

    NAME: str
    DELIVERS_TO: str
    REQUIRES: tuple[str, ...]
    SHARE: float
    FanOut: Callable[[int, int, Callable[[], None]], Side]
    Wake: Callable[[Callable[[], None]], Side]


def conversation(job: Job) -> Iterator[Event]:
    """Yield the events of a job without end, the same for every rival.

    Of a turn's events, eight are a growing line of the transcript, two a state of the agent, and
    the others data packets, which are what really comes in bursts.
    """
    rng = random.Random(job.seed)
    for turn in count():
        if turn % CLEARED_EVERY == 0:
            yield TranscriptCleared()
        line = _line(rng, turn)
        if job.text:
            yield from line
        else:
            words = set(rng.sample(range(WORDS + PACKETS), WORDS))
            yield AgentStateChanged("speaking", "speaking")
            for place in range(WORDS + PACKETS):
                yield next(line) if place in words else _packet(rng)
            yield AgentStateChanged("listening", "listening")


def _line(rng: random.Random, turn: int) -> Iterator[TranscriptUpdated]:
    text = ""
    for word in range(WORDS):
        text += "x" * rng.randint(2, 10) + " "
        is_last = word == WORDS - 1
        yield TranscriptUpdated(TranscriptEntry(f"SG_{turn}", "agent", text, is_last, turn, turn))


def _packet(rng: random.Random) -> DataReceived:
    payload = msgspec.Raw(b'{"type":"tick","level":%d}' % rng.randrange(10_000))
    return DataReceived(payload, type="tick", topic="data", sender="agent-1", from_agent=True)


async def fan_out(rival: Rival, job: Job) -> Answer:
    """Publish in bursts; after each, wait until every reader has it all.

    All of it runs in one thread, so its CPU time is what it takes on an idle machine; wall time
    would depend on what else is running.
    """
    deliveries = int(job.deliveries * rival.SHARE)
    burst = max(1, min(job.burst, deliveries // job.readers, getattr(rival, "BURST", job.burst)))
    rounds = max(1, deliveries // (burst * job.readers))
    source = conversation(job)
    kept: list[Event] = []  # so that no rival has to free events
    finished = took = 0

    def done() -> None:
        nonlocal finished
        finished += 1

    side = rival.FanOut(job.readers, burst, done)
    await side.open()
    publish = side.publish
    gc.collect()
    for expected in range(job.readers, (rounds + 1) * job.readers, job.readers):
        events = list(islice(source, burst))  # just made, as when a session publishes them
        kept += events
        began = process_time_ns()
        for event in events:
            publish(event)
        while finished < expected:  # noqa: ASYNC110 - an event would be one more thing measured
            await asyncio.sleep(0)
        took += process_time_ns() - began
    await side.close()
    total = rounds * burst * job.readers
    return Answer(took / total, total)


async def wake(rival: Rival, job: Job) -> Answer:
    """Publish single events to one reader that waits; the median is the answer."""
    latencies: list[int] = []
    sent = 0

    def woken() -> None:
        latencies.append(perf_counter_ns() - sent)

    side = rival.Wake(woken)
    await side.open()
    publish = side.publish
    source = conversation(job)
    gc.collect()
    for turn, event in enumerate(islice(source, job.turns)):
        sent = perf_counter_ns()
        publish(event)
        while len(latencies) <= turn:  # noqa: ASYNC110 - an event would be one more thing measured
            await asyncio.sleep(0)
        await asyncio.sleep(0)  # let it wait again
    await side.close()
    return Answer(float(sorted(latencies)[len(latencies) // 2]), len(latencies))


def main() -> None:
    """Say hello, then serve jobs from standard input until it ends."""
    module = msgspec.json.decode(sys.stdin.buffer.readline(), type=Hire).module
    encode = msgspec.json.Encoder().encode

    def answer(message: Hello | Answer) -> None:
        sys.stdout.buffer.write(encode(message) + b"\n")
        sys.stdout.buffer.flush()

    try:
        rival = cast(Rival, import_module(module))
    except ModuleNotFoundError as error:
        answer(Hello(module.rpartition(".")[2], missing=f"{error.name} is not installed"))
        return
    kinds = [
        kind for kind, name in (("fan_out", "FanOut"), ("wake", "Wake")) if hasattr(rival, name)
    ]
    answer(
        msgspec.convert(
            {
                "name": rival.NAME,
                "delivers_to": rival.DELIVERS_TO,
                "kinds": kinds,
                "requires": rival.REQUIRES,
            },
            Hello,
        )
    )
    decoder = msgspec.json.Decoder(Job)
    gc.collect()
    gc.freeze()  # the collector need not look at what imports left behind
    for line in sys.stdin.buffer:
        job = decoder.decode(line)
        answer(asyncio.run(wake(rival, job) if job.kind == "wake" else fan_out(rival, job)))
