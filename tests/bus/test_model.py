"""Any course of publishing and reading, against a model that keeps everything."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livelayer_bus.bus import Bus, Subscription
from livelayer_bus.bus.ring import BASE_WEIGHT
from livelayer_bus.errors import Lagged
from tests.support import EXAMPLES


@dataclass(frozen=True)
class Event:
    n: int
    nbytes: int


class A(Event):
    pass


class B(Event):
    pass


class SubA(A):
    pass


class Passed(A, B):
    """An event that a restart passes over: it counts for every filter."""


KINDS: tuple[type[Event], ...] = (A, B, SubA)
FILTERS: tuple[tuple[type, ...], ...] = ((), (A,), (B,), (SubA,), (A, B), (Event,))


@dataclass
class Model:
    capacity: int
    max_bytes: int
    events: list[Event] = field(default_factory=list[Event])
    tail: int = 0

    def restart(self, passed: int) -> None:
        """Pass over events that no reader will ever get, and whose types nobody knows."""
        self.events += [Passed(len(self.events) + n, 0) for n in range(passed)]
        self.tail = len(self.events)

    def publish(self, event: Event, weight: int) -> None:
        self.events.append(event)
        self.tail = max(self.tail, len(self.events) - self.capacity)
        while self.weight(weight) > self.max_bytes and self.tail < len(self.events) - 1:
            self.tail += 1

    def weight(self, base: int) -> int:
        return sum(base + event.nbytes for event in self.events[self.tail :])


@dataclass
class Reader:
    """What a reader must see next: a plain walk over everything ever published."""

    model: Model
    types: tuple[type, ...]
    position: int
    owed: int = 0

    def wants(self, event: Event) -> bool:
        return isinstance(event, (Passed, *self.types)) if self.types else True

    @property
    def lost(self) -> int:
        gone = self.model.events[self.position : self.model.tail]
        return self.owed + sum(map(self.wants, gone))

    @property
    def pending(self) -> list[tuple[int, Event]]:
        start = max(self.position, self.model.tail)
        numbered = enumerate(self.model.events[start:], start + 1)
        return [(sequence, event) for sequence, event in numbered if self.wants(event)]


OPERATIONS = st.one_of(
    st.tuples(
        st.just("publish"),
        st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from([0, 0, 0, 9, 300])), max_size=9),
    ),
    st.tuples(st.just("attach"), st.sampled_from(FILTERS), st.none() | st.integers(0, 12)),
    st.tuples(st.just("restart"), st.sampled_from([0, 1, 5])),
    st.tuples(
        st.sampled_from(["item", "item", "record", "batch", "resync", "detach"]),
        st.integers(0, 3),
        st.integers(1, 6),
    ),
)


@settings(max_examples=300 * EXAMPLES, deadline=None)
@given(
    capacity=st.integers(1, 9),
    max_bytes=st.sampled_from([300, 1900, 40_000]),
    operations=st.lists(OPERATIONS, max_size=40),
)
def test_every_reader_sees_what_the_model_says(
    capacity: int, max_bytes: int, operations: list[tuple[Any, ...]]
) -> None:
    asyncio.run(play(Model(capacity, max_bytes), operations))


async def play(model: Model, operations: list[tuple[Any, ...]]) -> None:
    bus: Bus[Event, int] = Bus(
        model.capacity, model.max_bytes, state=0, reducers={Event: lambda n, event: n + 1}
    )
    readers: list[tuple[Reader, Subscription[Event, int]]] = []
    for operation, *values in operations:
        if operation == "publish":
            for kind, nbytes in values[0]:
                event = kind(len(model.events), nbytes)
                model.publish(event, BASE_WEIGHT)
                assert bus.publish(event) == len(model.events)
        elif operation == "restart":
            model.restart(values[0])
            bus.restart(len(model.events), len(model.events))
        elif operation == "attach":
            attach(bus, model, readers, *values)
        elif values[0] < len(readers):
            reader, subscription = readers[values[0]]
            if operation == "detach":
                subscription.__exit__(None, None, None)
                del readers[values[0]]
            elif operation == "resync":
                assert subscription.resync() == len(model.events) == subscription.snapshot
                reader.position, reader.owed = len(model.events), 0
            else:
                for _ in range(values[1]):
                    await read(reader, subscription, operation)
        check(bus, model, readers)


def attach(
    bus: Bus[Event, int],
    model: Model,
    readers: list[tuple[Reader, Subscription[Event, int]]],
    types: tuple[type[Event], ...],
    back: int | None,
) -> None:
    after = None if back is None else max(0, len(model.events) - back)
    start = len(model.events) if after is None else after
    subscription = bus.subscribe(*types, after=after)
    subscription.__enter__()
    assert subscription.sequence == start
    if after is None:
        assert subscription.snapshot == start
    reader = Reader(model, types, start)
    if types:  # what was lost before a filter existed cannot be told apart any more
        reader.owed = max(0, model.tail - start)
        reader.position = max(start, model.tail)
    readers.append((reader, subscription))


async def read(reader: Reader, subscription: Subscription[Event, int], form: str) -> None:
    if lost := reader.lost:
        with pytest.raises(Lagged) as lagged:
            await anext(subscription)
        assert lagged.value.missed == lost
        reader.position, reader.owed = max(reader.position, reader.model.tail), 0
        assert subscription.sequence == reader.position
    pending = reader.pending
    if not pending:
        return
    sequence, event = pending[0]
    if form == "item":
        assert await anext(subscription) is event
    elif form == "record":
        record = await anext(subscription.records())
        assert (record.sequence, record.event) == (sequence, event)
    else:
        batch = await anext(subscription.batches())
        assert batch
        assert list(batch) == [event for _, event in pending[: len(batch)]]
        sequence = pending[len(batch) - 1][0]
    assert subscription.sequence == sequence
    reader.position = sequence


def check(
    bus: Bus[Event, int],
    model: Model,
    readers: list[tuple[Reader, Subscription[Event, int]]],
) -> None:
    statistics = bus.statistics()
    assert statistics.published == len(model.events) == bus.sequence
    assert statistics.kept == len(model.events) - model.tail
    assert statistics.bytes == model.weight(BASE_WEIGHT)
    assert statistics.evicted_by_count + statistics.evicted_by_bytes == model.tail
    assert statistics.readers == len(readers)
    assert statistics.peak_bytes >= statistics.bytes
    for reader, subscription in readers:
        assert subscription.lag == reader.lost + len(reader.pending)
