"""The bounds of the ring, by count and by bytes, and what an event weighs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
import numpy as np
import pytest

from livelayer_bus.bus import Bus
from livelayer_bus.bus.ring import BASE_WEIGHT
from livelayer_bus.errors import Lagged, MisuseError

pytestmark = pytest.mark.anyio


class Text(msgspec.Struct, frozen=True):
    id: int
    text: str
    note: str | None = None


class Payload(msgspec.Struct, frozen=True):
    data: bytes


class Nested(msgspec.Struct, frozen=True):
    payload: Payload

    @property
    def nbytes(self) -> int:
        return len(self.payload.data)


class Declared(msgspec.Struct, frozen=True):
    bus_weight: ClassVar[int] = 100
    n: int
    text: str = "this does not count"


class Measured(msgspec.Struct, frozen=True):
    bus_weight: ClassVar[Callable[[Any], int]] = lambda event: len(event.payload.data)
    payload: Payload


class Inherited(Measured, frozen=True):
    pass


@dataclass
class Plain:
    n: int


def weight_of(event: object) -> int:
    bus: Bus[Any, None] = Bus()
    bus.publish(event)
    return bus.statistics().bytes


@pytest.mark.parametrize(
    ("event", "weight"),
    [
        (1, BASE_WEIGHT),
        (Plain(1), BASE_WEIGHT),
        (Text(1, "a" * 100), BASE_WEIGHT + 100),
        (Text(1, "a" * 100, "b" * 7), BASE_WEIGHT + 107),
        (Payload(bytes(1000)), BASE_WEIGHT + 1000),
        (Nested(Payload(bytes(1000))), BASE_WEIGHT + 1000),
        (np.zeros(100, np.uint8), BASE_WEIGHT + 100),
        (bytes(1000), BASE_WEIGHT + sys.getsizeof(bytes(1000))),
        ("x" * 1000, BASE_WEIGHT + sys.getsizeof("x" * 1000)),
        (Declared(1), 100),
        (Measured(Payload(bytes(1000))), BASE_WEIGHT + 1000),
        (Inherited(Payload(bytes(10))), BASE_WEIGHT + 10),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_weights(event: object, weight: int) -> None:
    assert weight_of(event) == weight


async def test_bytes_bound_what_is_kept() -> None:
    bus: Bus[Declared, None] = Bus(max_bytes=1000)
    with bus.subscribe() as events:
        for n in range(20):
            bus.publish(Declared(n))
            assert bus.statistics().bytes <= 1000
        statistics = bus.statistics()
        assert (statistics.kept, statistics.bytes, statistics.peak_bytes) == (10, 1000, 1000)
        assert (statistics.evicted_by_bytes, statistics.evicted_by_count) == (10, 0)
        with pytest.raises(Lagged) as lagged:
            await anext(events)
        assert lagged.value.missed == 10
        assert await anext(events) == Declared(10)


async def test_an_event_heavier_than_everything_is_kept_alone() -> None:
    bus: Bus[bytes, None] = Bus(max_bytes=1000)
    heavy = BASE_WEIGHT + sys.getsizeof(bytes(5000))
    with bus.subscribe() as events:
        bus.publish(bytes(10))
        bus.publish(bytes(5000))
        assert (bus.statistics().kept, bus.statistics().bytes) == (1, heavy)
        with pytest.raises(Lagged):
            await anext(events)
        assert len(await anext(events)) == 5000
        bus.publish(bytes(10))
        assert (bus.statistics().kept, bus.statistics().peak_bytes) == (1, heavy)


async def test_light_and_heavy_events_are_counted_together() -> None:
    bus: Bus[object, None] = Bus(4)
    for event in (1, 2, bytes(500), 3, 4, 5, 6, 7):
        bus.publish(event)
    statistics = bus.statistics()
    assert (statistics.kept, statistics.bytes) == (4, 4 * BASE_WEIGHT)
    assert statistics.peak_bytes == 4 * BASE_WEIGHT + sys.getsizeof(bytes(500))


async def test_a_weight_or_a_reducer_that_fails_publishes_nothing() -> None:
    def fail(*_: object) -> int:
        raise ValueError("no idea")

    class Weightless:
        bus_weight = fail

    bus: Bus[Any, int] = Bus(state=7, reducers={int: fail})
    for event in (Weightless(), 1):
        with pytest.raises(ValueError, match="no idea"):
            bus.publish(event)
    assert (bus.sequence, bus.statistics().kept, bus.statistics().bytes) == (0, 0, 0)
    assert bus.state == 7


@pytest.mark.parametrize("bounds", [(0, 1), (1, 0), (-1, 5)])
async def test_bounds_below_one_are_refused(bounds: tuple[int, int]) -> None:
    with pytest.raises(MisuseError):
        Bus(*bounds)
