"""One rival in its own process: reads jobs as JSON lines, answers with numbers."""

from __future__ import annotations

import asyncio
import gc
import random
import statistics
import sys
from collections.abc import Iterator
from importlib import import_module
from itertools import count, islice
from time import perf_counter_ns, process_time_ns
from typing import Any, Literal

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


async def fan_out(rival: Any, job: Job) -> Answer:
    """Publish in bursts; after each, wait until every reader has it all.

    All of it runs in one thread, so its CPU time is what it takes on an idle machine; wall time
    would depend on what else is running.
    """
    deliveries = int(job.deliveries * getattr(rival, "SHARE", 1.0))
    burst = max(1, min(job.burst, deliveries // job.readers, getattr(rival, "BURST", job.burst)))
    rounds = max(1, deliveries // (burst * job.readers))
    source = conversation(job)
    kept: list[Event] = []  # so that no rival has to free events
    finished = took = 0

    def done() -> None:
        nonlocal finished
        finished += 1

    async with rival.fan_out(job.readers, burst, done) as publish:
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
    return Answer(took / (rounds * burst * job.readers))


async def wake(rival: Any, job: Job) -> Answer:
    """Publish single events to one reader that waits; the median is the answer."""
    latencies: list[int] = []
    sent = 0

    def woken() -> None:
        latencies.append(perf_counter_ns() - sent)

    async with rival.fan_out(1, 1, woken) as publish:
        gc.collect()
        for turn, event in enumerate(islice(conversation(job), job.turns)):
            sent = perf_counter_ns()
            publish(event)
            while len(latencies) <= turn:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0)
            await asyncio.sleep(0)  # let it wait again
    return Answer(float(statistics.median_low(latencies)))


def main() -> None:
    """Serve jobs from standard input until it ends."""
    lines = sys.stdin.buffer
    hire = msgspec.json.decode(lines.readline(), type=Hire)
    rival: Any = import_module(hire.module)
    decoder = msgspec.json.Decoder(Job)
    gc.collect()
    gc.freeze()  # the collector need not look at what imports left behind
    for line in lines:
        job = decoder.decode(line)
        answer = asyncio.run(wake(rival, job) if job.kind == "wake" else fan_out(rival, job))
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
        sys.stdout.buffer.flush()
