"""One rival in a process of its own: hired by a JSON line, takes jobs, answers with numbers."""

from __future__ import annotations

import asyncio
import gc
import random
import sys
from collections.abc import Callable
from importlib import import_module
from time import perf_counter_ns, process_time_ns
from typing import Literal, Protocol, cast

import msgspec


class Hire(msgspec.Struct, frozen=True):
    """A process's first line: who it is to be."""

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
    """fan_out: events carry a line of text."""
    turns: int = 0
    """wake: events, each to a reader that waits."""


class Answer(msgspec.Struct, frozen=True):
    """What came of a job."""

    nanoseconds: float
    """fan_out: CPU time of a delivery. wake: the median from before publish to the reader."""
    count: int
    """fan_out: deliveries. wake: turns."""


class Hello(msgspec.Struct, frozen=True):
    """Its first answer: who it is, or why it cannot be."""

    name: str
    delivers_to: str = ""
    kinds: tuple[Literal["fan_out", "wake"], ...] = ()
    requires: tuple[str, ...] = ()
    missing: str | None = None


class Changed(msgspec.Struct, frozen=True):
    """The workload's plain event."""

    number: int
    level: float


class Renamed(Changed, frozen=True):
    """Another type of the workload, so that types differ as they do in life."""


class Moved(Changed, frozen=True):
    """A third one."""


class Said(msgspec.Struct, frozen=True):
    """The workload's event with text."""

    number: int
    text: str


class Side(Protocol):
    """A `FanOut` or a `Wake`."""

    def publish(self, event: object, /) -> object: ...
    async def open(self) -> None: ...
    async def close(self) -> None: ...


class Rival(Protocol):
    """The names of a rival's module; see `bus_rivals`."""

    NAME: str
    DELIVERS_TO: str
    REQUIRES: tuple[str, ...]
    SHARE: float
    FanOut: Callable[[int, int, Callable[[], None]], Side]
    Wake: Callable[[list[int]], Side]


def workload(job: Job, count: int) -> list[object]:
    """Return the events of a job, the same for every rival."""
    rng = random.Random(job.seed)
    if job.text:
        return [Said(n, "x" * rng.randint(5, 80)) for n in range(count)]
    kinds = (Changed, Renamed, Moved)
    return [rng.choice(kinds)(n, rng.random()) for n in range(count)]


async def fan_out(rival: Rival, job: Job) -> Answer:
    """Publish in bursts; after each, wait until every reader has it all.

    All of it is one thread's computing, so its CPU time is what it takes on a machine of its own;
    the clock on the wall would measure who else is running.
    """
    deliveries = int(job.deliveries * rival.SHARE)
    burst = max(1, min(job.burst, deliveries // job.readers, getattr(rival, "BURST", job.burst)))
    rounds = max(1, deliveries // (burst * job.readers))
    events = workload(job, burst)
    finished = 0

    def done() -> None:
        nonlocal finished
        finished += 1

    side = rival.FanOut(job.readers, burst, done)
    await side.open()
    publish = side.publish
    gc.collect()
    began = process_time_ns()
    for expected in range(job.readers, (rounds + 1) * job.readers, job.readers):
        for event in events:
            publish(event)
        while finished < expected:  # noqa: ASYNC110 - an event would be one more thing measured
            await asyncio.sleep(0)
    took = process_time_ns() - began
    await side.close()
    count = rounds * burst * job.readers
    return Answer(took / count, count)


async def wake(rival: Rival, job: Job) -> Answer:
    """Publish single events to one reader that waits; the median is the answer."""
    latencies: list[int] = []
    side = rival.Wake(latencies)
    await side.open()
    publish = side.publish
    gc.collect()
    for turn in range(job.turns):
        publish(perf_counter_ns())
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
    gc.freeze()  # what imports left behind is nobody's garbage
    for line in sys.stdin.buffer:
        job = decoder.decode(line)
        answer(asyncio.run(wake(rival, job) if job.kind == "wake" else fan_out(rival, job)))


if __name__ == "__main__":
    main()
