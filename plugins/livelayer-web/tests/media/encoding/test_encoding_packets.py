"""A viewer's inbox: bounded, decodable from its first packet on, and counted."""

from __future__ import annotations

import asyncio
from fractions import Fraction

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st
from livelayer_web.media.packets import Packet, PacketReader, PacketSource

from livelayer_bus.errors import BusyError, ClosedError, MisuseError
from livelayer_bus.testing import settle

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Source(PacketSource):
    """Publishes numbered packets, and counts who asks for key frames."""

    def __init__(self, start: int = 0) -> None:
        super().__init__()
        self.number = start
        self.asked = 0

    def request_key_frame(self) -> None:
        self.asked += 1

    def send(self, key_frame: bool = False) -> int:
        """Publish the next packet and return its number, which is its time-stamp too."""
        packet: Packet = av.Packet(self.number.to_bytes(8, "big"))
        packet.pts = self.number
        packet.time_base = Fraction(1, 90_000)
        packet.is_keyframe = key_frame
        self.publish(packet, key_frame)
        self.number += 1
        return self.number - 1


def number_of(packet: Packet) -> int:
    return int.from_bytes(bytes(packet), "big")


async def everything(reader: PacketReader) -> list[int]:
    """What waits for the reader now."""
    return [number_of(await anext(reader)) for _ in range(reader.statistics().waiting)]


async def test_a_viewer_starts_with_a_key_frame_and_asks_for_it() -> None:
    source, reader = Source(), PacketReader(4)
    reader.follow(source)
    assert source.asked == 1
    before = reader.source
    assert before is None
    source.send()
    first = source.send(key_frame=True)
    source.send()
    assert reader.source is source
    assert await everything(reader) == [first, first + 1]
    assert reader.statistics().skipped == 1


async def test_a_viewer_that_never_reads_holds_no_more_than_its_capacity() -> None:
    source, reader = Source(), PacketReader(4)
    reader.follow(source)
    source.send(key_frame=True)
    for _ in range(1000):
        source.send()
    statistics = reader.statistics()
    assert statistics.waiting == 0
    assert statistics.peak_waiting <= 4
    assert statistics.dropped + statistics.skipped == 1001
    assert source.asked == 2  # at the start, and once for what was lost
    assert await everything(reader) == []
    key = source.send(key_frame=True)
    assert await everything(reader) == [key]


async def test_a_slow_viewer_costs_the_others_nothing() -> None:
    source, slow, fast = Source(), PacketReader(2), PacketReader(2)
    slow.follow(source)
    fast.follow(source)
    seen: list[int] = []
    for number in range(100):
        source.send(key_frame=number == 0)
        seen += await everything(fast)
    assert seen == list(range(100))
    assert fast.statistics().dropped == 0
    assert slow.statistics().dropped > 0


async def test_a_viewer_goes_on_with_the_old_source_until_the_new_one_has_a_key_frame() -> None:
    old, new, reader = Source(), Source(start=1000), PacketReader(8)
    reader.follow(old)
    old.send(key_frame=True)
    reader.follow(new)
    assert reader.source is old
    assert reader.followed is new
    new.send()
    old.send()
    new.send(key_frame=True)
    assert reader.source is new
    assert old.viewers == 0
    old.send()
    new.send()
    assert await everything(reader) == [0, 1, 1001, 1002]
    assert reader.statistics().switches == 1


async def test_time_stamps_rise_over_a_switch_to_an_earlier_picture() -> None:
    old, new, reader = Source(start=500), Source(start=500), PacketReader(8)
    reader.follow(old)
    old.send(key_frame=True)
    old.send()
    await everything(reader)
    reader.follow(new)
    new.send(key_frame=True)
    new.send()
    new.send()
    stamps = [(await anext(reader)).pts for _ in range(3)]
    assert stamps == [502, 503, 504]


async def test_going_back_before_the_switch_leaves_everything_as_it_was() -> None:
    old, new, reader = Source(), Source(), PacketReader(8)
    reader.follow(old)
    old.send(key_frame=True)
    reader.follow(new)
    reader.follow(old)
    assert (old.viewers, new.viewers) == (1, 0)
    old.send()
    assert await everything(reader) == [0, 1]


async def test_wanting_nothing_frees_the_source_and_wanting_again_needs_a_key_frame() -> None:
    source, reader = Source(), PacketReader(8)
    reader.follow(source)
    source.send(key_frame=True)
    reader.follow(None)
    assert source.viewers == 0
    assert reader.statistics().waiting == 0
    reader.follow(source)
    source.send()
    key = source.send(key_frame=True)
    assert await everything(reader) == [key]


async def test_closing_ends_a_wait_and_every_later_use() -> None:
    source, reader = Source(), PacketReader(8)
    reader.follow(source)
    waiting = asyncio.create_task(anext(reader, None))
    await settle()
    with pytest.raises(BusyError):
        await anext(reader)
    reader.close()
    reader.close()
    assert await waiting is None
    assert source.viewers == 0
    with pytest.raises(ClosedError):
        reader.follow(source)
    with pytest.raises(StopAsyncIteration):
        await anext(reader)


async def test_a_cancelled_wait_loses_nothing() -> None:
    source, reader = Source(), PacketReader(8)
    reader.follow(source)
    waiting = asyncio.create_task(anext(reader, None))
    await settle()
    waiting.cancel()
    source.send(key_frame=True)
    await settle()
    assert waiting.cancelled()
    assert await everything(reader) == [0]


def test_a_reader_that_holds_nothing_is_refused() -> None:
    with pytest.raises(MisuseError):
        PacketReader(0)


@given(
    st.integers(1, 5),
    st.lists(st.sampled_from(("key", "more", "more", "read")), max_size=60),
)
def test_what_is_delivered_can_always_be_decoded(capacity: int, course: list[str]) -> None:
    async def play() -> None:
        source, reader = Source(), PacketReader(capacity)
        reader.follow(source)
        keys: set[int] = set()
        last: int | None = None
        sent = 0
        for step in course:
            if step == "read":
                if reader.statistics().waiting:
                    number = number_of(await anext(reader))
                    assert number in keys or (last is not None and number == last + 1)
                    last = number
            else:
                number = source.send(key_frame=step == "key")
                sent += 1
                if step == "key":
                    keys.add(number)
            counted = reader.statistics()
            assert counted.waiting <= capacity
            total = counted.delivered + counted.dropped + counted.skipped + counted.waiting
            assert total == sent

    asyncio.run(play())
