"""A process that follows sessions: as `RemoteSession`s, or as bare subscriptions in order."""

from __future__ import annotations

import asyncio
import gc
import time
from contextlib import AsyncExitStack
from typing import Any, Literal

import msgspec
import nats
from livelayer_nats import RemoteSession
from nats.aio.msg import Msg

from livelayer_bus import DataReceived, Lagged
from livelayer_bus.clock import now_ns
from livelayer_bus.messages import RawMessage

from ... import harness
from .owner import ECHO, GO, READY, STOP, TICK, Stop

SUBSCRIPTIONS = 500  # of one connection, of bare readers
ARRIVE_SECONDS = 60.0  # for the last event
STALL = 0.5  # seconds for which a slow process stands still, again and again


class Job(msgspec.Struct, frozen=True):
    """What one process reads."""

    url: str
    kind: Literal["remote", "bare"]
    ids: list[str]
    """The session of each reader."""
    slow: bool = False
    echo: bool = False


class Read(msgspec.Struct, frozen=True):
    """What it measured."""

    cpu: float
    """Milliseconds of this process an event of one reader."""
    memory: float
    """Megabytes that each reader but the first added."""
    ages: list[float]
    """Milliseconds from the agent's room to the reader; a part of them where they are many."""
    delivered: int
    missed: int


class _Counts:
    """What the readers of this process have so far."""

    def __init__(self) -> None:
        self.delivered = 0
        self.ages: list[float] = []

    def take(self, sent: int) -> None:
        self.delivered += 1
        if self.delivered % 5 == 0 or len(self.ages) < 1000:
            self.ages.append((now_ns() - sent) / 1e6)


async def read(job: Job, send: harness.Send, ended: asyncio.Event) -> None:
    """Read until the owner says that it has written everything, and everything is here."""
    client = await nats.connect(job.url)
    go, stop = asyncio.Event(), asyncio.get_running_loop().create_future()

    async def on_go(_: Msg) -> None:
        go.set()

    async def on_stop(message: Msg) -> None:
        stop.set_result(msgspec.json.decode(message.data, type=Stop))

    async def on_echo(message: Msg) -> None:
        await message.respond(message.data)

    await client.subscribe(GO, cb=on_go)
    await client.subscribe(STOP, cb=on_stop)
    if job.echo:
        await client.subscribe(ECHO, cb=on_echo)
    counts = _Counts()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(client.close)
        open_all = _remotes if job.kind == "remote" else _bare
        memory, missed, tasks = await open_all(job, counts, stack)
        await stack.enter_async_context(harness.running(*tasks))
        await asyncio.sleep(0)  # each has subscribed: what is written from now on is counted
        send(harness.Ready())
        await client.publish(READY)
        await client.flush()
        await stack.enter_async_context(harness.running(*([_stall()] if job.slow else [])))
        await go.wait()
        used = harness.cpu_seconds()
        expected = (await stop).rounds * len(job.ids)
        until = time.monotonic() + ARRIVE_SECONDS
        while counts.delivered < expected and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        send(
            Read(
                cpu=1000 * (harness.cpu_seconds() - used) / max(1, counts.delivered),
                memory=memory,
                ages=sorted(counts.ages),
                delivered=counts.delivered,
                missed=missed() + expected - counts.delivered,
            )
        )
        await ended.wait()


async def _stall() -> None:
    while True:
        time.sleep(STALL)  # noqa: ASYNC251 - this process stands still
        await asyncio.sleep(STALL / 5)


async def _remotes(job: Job, counts: _Counts, stack: AsyncExitStack) -> Any:
    """A connection, a state and a bus each."""
    remotes: list[RemoteSession] = []
    memory = 0.0
    for name in job.ids:
        remote = RemoteSession(job.url, name, connect_timeout=ARRIVE_SECONDS)
        remotes.append(await stack.enter_async_context(remote))
        if len(remotes) == 1:
            gc.collect()
            memory = harness.resident_mb()
    gc.collect()
    memory = (harness.resident_mb() - memory) / max(1, len(remotes) - 1)

    async def follow(remote: RemoteSession) -> None:
        with remote.subscribe(DataReceived) as events:
            while True:
                try:
                    message = (await anext(events)).message
                except Lagged:
                    continue
                except StopAsyncIteration:
                    return
                if isinstance(message, RawMessage) and message.type == TICK:
                    counts.take(message.fields["sent"])

    def missed() -> int:
        return sum(remote.statistics().lost for remote in remotes)

    return memory, missed, [follow(remote) for remote in remotes]


async def _bare(job: Job, counts: _Counts, stack: AsyncExitStack) -> Any:
    """What no reader of a session can do without: the messages, and whether one is missing."""
    readers: list[_BareReader] = []
    gc.collect()
    memory = harness.resident_mb()
    for first in range(0, len(job.ids), SUBSCRIPTIONS):
        client = await nats.connect(job.url)
        stack.push_async_callback(client.close)
        for name in job.ids[first : first + SUBSCRIPTIONS]:
            reader = _BareReader(counts)
            readers.append(reader)
            await client.subscribe(f"livelayer.live.{name}", cb=reader.take)
        await client.flush()
    gc.collect()
    memory = (harness.resident_mb() - memory) / max(1, len(job.ids))
    return memory, lambda: sum(reader.gaps for reader in readers), []


class _BareReader:
    """Reads one session's messages in order, and keeps no state."""

    def __init__(self, counts: _Counts) -> None:
        self._counts = counts
        self._position: str | None = None
        self.gaps = 0

    async def take(self, message: Msg) -> None:
        headers = message.headers or {}
        if self._position is not None and headers["Nats-Last-Sequence"] != self._position:
            self.gaps += 1
        self._position = headers["Nats-Sequence"]
        head, _, body = message.data.partition(b"\n")
        if b'"batch"' in head:
            for _, event in msgspec.json.decode(body):
                if event.get("type") == TICK:
                    self._counts.take(event["payload"]["sent"])
