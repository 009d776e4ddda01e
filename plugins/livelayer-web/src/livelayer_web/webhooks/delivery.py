"""The webhooks that are on their way: one at a time, tried again, bounded, and logged."""

from __future__ import annotations

import heapq
import logging
import random
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Final, Literal, TypeAlias, final

import anyio
import msgspec

from livelayer_bus import Backoff
from livelayer_bus.clock import Clock

from .signing import ID, SIGNATURE, TIMESTAMP, sign
from .target import Target, TargetError

logger = logging.getLogger(__package__)

GONE: Final = 410
"""The answer of a receiver that wants no more webhooks."""

Status: TypeAlias = Literal["waiting", "delivered", "failed", "dropped"]


class DeliveryRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one event so far: nothing of its content, and no secret."""

    id: str
    type: str
    time: str
    """When the event happened; UTC, ISO 8601."""
    status: Status
    attempts: int = 0
    answer: int | None = None
    """The HTTP status of the last attempt."""
    problem: str | None = None
    """Why the last attempt failed, or why there was none."""
    next_seconds: float | None = None
    """The pause before the next attempt."""


class WebhookStatistics(msgspec.Struct, frozen=True):
    """What one surface has posted."""

    waiting: int
    """Events that are not delivered yet."""
    waiting_bytes: int
    peak_waiting: int
    delivered: int
    failed: int
    """Events given up after their last attempt."""
    dropped: int
    """Events for which there was no room, or that a receiver did not want any more."""
    attempts: int
    missed: int
    """Events of the session that were overwritten before the surface read them."""


@final
@dataclass(order=True)
class _Delivery:
    due: float
    order: int
    record: DeliveryRecord = field(compare=False)
    body: bytes = field(compare=False)
    pauses: Iterator[float] = field(compare=False)


@final
class Deliveries:
    """The events of one target.

    Guarantee: an event is posted at least once, under one id, until the target answers 2xx, the
    attempts are used up, or the target answers 410. First attempts are in order, one at a time; an
    event that failed waits and lets the others pass. `put` never waits: at most `max_waiting`
    events and `max_bytes` are kept, and beyond that the oldest is dropped and counted.

    Args:
        target: where they are posted.
        keys: gives the keys to sign with, anew for each attempt.
        clock: what pauses are measured on.
        retries: the pauses.
        max_waiting: events at once.
        max_bytes: of their bodies.
        timeout: seconds of one attempt, in real time.
        log_size: records that `records` keeps.
        report: called with each record that changes.
        rng: gives the jitter.
    """

    def __init__(
        self,
        target: Target,
        keys: Callable[[], tuple[bytes, ...]],
        clock: Clock,
        *,
        retries: Backoff,
        max_waiting: int,
        max_bytes: int,
        timeout: float,
        log_size: int,
        report: Callable[[DeliveryRecord], Awaitable[None]],
        rng: random.Random | None = None,
    ) -> None:
        self._target = target
        self._keys = keys
        self._clock = clock
        self._retries = retries
        self._max_waiting = max_waiting
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._log_size = log_size
        self._report = report
        self._rng = rng
        self._heap: list[_Delivery] = []
        self._order = count()
        self._bytes = 0
        self._peak = 0
        self._woken = anyio.Event()
        self._log: OrderedDict[str, DeliveryRecord] = OrderedDict()
        counted = ("delivered", "failed", "dropped", "attempts")
        self._counts: dict[str, int] = dict.fromkeys(counted, 0)
        self._gone = False

    def put(self, event_id: str, kind: str, when: str, body: bytes) -> None:
        """Post this event as soon as possible. An id that the log has is not posted again."""
        if event_id in self._log:
            return
        record = DeliveryRecord(event_id, kind, when, "waiting")
        self._remember(record)
        pauses = self._retries.pauses(self._rng)
        delivery = _Delivery(self._clock.now(), next(self._order), record, body, pauses)
        heapq.heappush(self._heap, delivery)
        self._bytes += len(body)
        if self._gone:
            self._drop(delivery, "the receiver wants no more webhooks")
        while len(self._heap) > self._max_waiting or self._bytes > self._max_bytes:
            oldest = min(self._heap, key=lambda one: one.order)
            self._drop(oldest, "more events waited than there is room for")
        self._peak = max(self._peak, len(self._heap))
        self._woken.set()

    async def run(self) -> None:
        """Post what is due, until cancelled."""
        while True:
            while self._heap and self._heap[0].due <= self._clock.now():
                await self._attempt(self._heap[0])
            self._woken = anyio.Event()
            async with anyio.create_task_group() as group:
                if self._heap:
                    group.start_soon(self._wake, self._heap[0].due - self._clock.now())
                await self._woken.wait()
                group.cancel_scope.cancel()

    async def finish(self) -> None:
        """Post each event that was not tried yet, once."""
        while untried := [one for one in self._heap if not one.record.attempts]:
            await self._attempt(min(untried))

    def records(self) -> tuple[DeliveryRecord, ...]:
        """The latest events, the one whose record changed last at the end."""
        return tuple(self._log.values())

    def statistics(self, missed: int) -> WebhookStatistics:
        """The numbers so far."""
        return WebhookStatistics(
            waiting=len(self._heap),
            waiting_bytes=self._bytes,
            peak_waiting=self._peak,
            missed=missed,
            **self._counts,
        )

    async def _wake(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._woken.set()

    async def _attempt(self, delivery: _Delivery) -> None:
        """Post one event. Cancelled, it stays as it was, and is posted again."""
        answer: int | None = None
        wait: float | None = None
        problem: str | None = None
        final = False
        timestamp = int(time.time())
        headers = {
            "content-type": "application/json",
            "user-agent": "livelayer-web webhooks",
            ID: delivery.record.id,
            TIMESTAMP: str(timestamp),
            SIGNATURE: sign(self._keys(), delivery.record.id, timestamp, delivery.body),
        }
        try:
            with anyio.fail_after(self._timeout):
                answer, wait = await self._target.post(headers, delivery.body)
        except TimeoutError:
            problem = f"no answer within {self._timeout:g} s"
        except TargetError as exc:
            problem, final = exc.problem, exc.final
        if delivery not in self._heap:
            return  # dropped meanwhile
        self._counts["attempts"] += 1
        record = msgspec.structs.replace(
            delivery.record,
            attempts=delivery.record.attempts + 1,
            answer=answer,
            problem=problem,
            next_seconds=None,
        )
        if answer is not None and 200 <= answer < 300:
            self._settle(delivery, record, "delivered")
        elif answer == GONE:
            self._gone = True
            self._settle(delivery, record, "failed")
            for other in tuple(self._heap):
                self._drop(other, "the receiver wants no more webhooks")
        elif final or (pause := next(delivery.pauses, None)) is None:
            self._settle(delivery, record, "failed")
        else:
            pause = max(pause, min(wait or 0.0, self._retries.maximum))
            delivery.due = self._clock.now() + pause
            delivery.record = msgspec.structs.replace(record, next_seconds=round(pause, 3))
            heapq.heapify(self._heap)
            self._remember(delivery.record)
        await self._report(self._log.get(record.id, record))

    def _settle(self, delivery: _Delivery, record: DeliveryRecord, status: Status) -> None:
        self._heap.remove(delivery)
        heapq.heapify(self._heap)
        self._bytes -= len(delivery.body)
        self._counts[status] += 1
        self._remember(msgspec.structs.replace(record, status=status))

    def _drop(self, delivery: _Delivery, problem: str) -> None:
        logger.warning("a webhook of type %s is dropped: %s", delivery.record.type, problem)
        record = msgspec.structs.replace(delivery.record, problem=problem, next_seconds=None)
        self._settle(delivery, record, "dropped")

    def _remember(self, record: DeliveryRecord) -> None:
        self._log[record.id] = record
        self._log.move_to_end(record.id)
        while len(self._log) > self._log_size:
            self._log.popitem(last=False)
