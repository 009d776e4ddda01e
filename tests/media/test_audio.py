"""AudioChannel: a bounded span in order, oldest dropped first, every drop counted."""

from __future__ import annotations

from collections import deque

import anyio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livelayer_bus.errors import MisuseError
from livelayer_bus.media import AudioFrame, AudioSubscription, AudioWriter
from livelayer_bus.testing import PATIENCE

pytestmark = pytest.mark.anyio
MS = 1_000_000  # nanoseconds
RATE = 1_000  # Hz: one sample is one millisecond


def audio_frame(milliseconds: int = 10, value: int = 0, received_ns: int = 0) -> AudioFrame:
    samples = np.full(milliseconds, value, dtype=np.int16)
    return AudioFrame(samples.tobytes(), RATE, 1, milliseconds, received_ns=received_ns)


def take(reader: AudioSubscription) -> AudioFrame:
    """Read a frame that waits: the coroutine ends at its first step."""
    with pytest.raises(StopIteration) as stop:
        reader.__anext__().send(None)
    frame: AudioFrame = stop.value.value
    return frame


class Model:
    """A reader with a queue of its own that drops eagerly: what the shared ring must equal."""

    def __init__(self, span_ms: int) -> None:
        self.span_ms = span_ms
        self.queue: deque[AudioFrame] = deque()
        self.dropped = 0

    def push(self, frame: AudioFrame) -> None:
        self.queue.append(frame)
        while len(self.queue) > 1 and self.length_ms() > self.span_ms:
            self.queue.popleft()
            self.dropped += 1

    def length_ms(self) -> int:
        return sum(frame.samples_per_channel for frame in self.queue)


spans = st.integers(1, 400)
readings = st.integers(0, 2).map(lambda reader: ("read", reader))
pushes = st.integers(1, 150).map(lambda length: ("push", length))


@given(
    limits=st.tuples(spans, spans, spans),
    steps=st.lists(st.one_of(pushes, pushes, readings, st.just(("discard", 0))), max_size=80),
)
def test_each_reader_gets_what_a_queue_of_its_own_would_hold(
    limits: tuple[int, int, int], steps: list[tuple[str, int]]
) -> None:
    writer = AudioWriter()
    models = [Model(limit) for limit in limits]
    subscriptions = [writer.channel.subscribe(max_delay_ms=limit) for limit in limits]
    with subscriptions[0], subscriptions[1], subscriptions[2]:
        for step, number in steps:
            if step == "push":
                frame = audio_frame(number)
                writer.push(frame)
                for model in models:
                    model.push(frame)
            elif step == "discard":
                writer.discard()
                for model in models:
                    model.dropped += len(model.queue)
                    model.queue.clear()
            elif models[number].queue:
                assert take(subscriptions[number]) is models[number].queue.popleft()
            for model, subscription in zip(models, subscriptions, strict=True):
                seen = subscription.statistics()
                assert (seen.dropped, seen.waiting) == (model.dropped, len(model.queue))
                assert seen.received == seen.delivered + seen.dropped + seen.waiting


async def test_frames_come_in_order_to_every_reader() -> None:
    writer = AudioWriter()
    got: list[list[int]] = [[], [], []]

    async def read(into: list[int]) -> None:
        into.extend([frame.received_ns async for frame in writer.channel.subscribe()])

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for into in got:
                tasks.start_soon(read, into)
            await anyio.wait_all_tasks_blocked()
            for number in range(30):
                writer.push(audio_frame(received_ns=number))
                if number % 4 == 3:
                    await anyio.wait_all_tasks_blocked()
            writer.close()
    assert got == [list(range(30))] * 3


async def test_a_reader_starts_with_the_sound_from_now_on() -> None:
    writer = AudioWriter()
    writer.push(audio_frame())
    with writer.channel.subscribe() as frames:
        assert frames.statistics().waiting == 0
        frame = audio_frame()
        writer.push(frame)
        with anyio.fail_after(PATIENCE):
            assert await anext(frames) is frame


async def test_a_sleeping_reader_keeps_its_span_and_no_more() -> None:
    writer = AudioWriter()
    with writer.channel.subscribe(max_delay_ms=300) as sleeper, writer.channel.subscribe():
        for number in range(6_000):  # a minute
            writer.push(audio_frame(received_ns=number))
        assert writer.channel.statistics().frames_alive == 30
        assert take(sleeper).received_ns == 5_970
        seen = sleeper.statistics()
        assert (seen.dropped, seen.delivered, seen.waiting) == (5_970, 1, 29)
        assert seen.peak_waiting == 30
    assert writer.channel.statistics().held == 10


async def test_one_frame_longer_than_the_span_still_arrives() -> None:
    writer = AudioWriter()
    with writer.channel.subscribe(max_delay_ms=5) as frames:
        frame = audio_frame(milliseconds=500)
        writer.push(frame)
        assert take(frames) is frame
        assert frames.statistics().dropped == 0


def test_the_level_is_the_rms_of_the_last_tenth_of_a_second() -> None:
    now = [0]
    writer = AudioWriter(now_ns=lambda: now[0])
    channel = writer.channel
    assert channel.level == 0.0
    writer.set_available(True)
    for _ in range(10):
        writer.push(audio_frame(value=16_384))
    assert channel.level == pytest.approx(0.5)
    for _ in range(5):
        writer.push(audio_frame(value=0))
    assert channel.level == pytest.approx((0.5**2 / 2) ** 0.5)
    now[0] = 501 * MS
    assert channel.level == 0.0
    writer.push(audio_frame(milliseconds=200, value=-32_768, received_ns=now[0]))
    assert channel.level == 1.0
    writer.set_available(False)
    assert channel.level == 0.0
    assert channel.latest is None


@pytest.mark.parametrize("delay", [0, -5, float("nan"), float("inf")])
def test_impossible_delays_are_refused(delay: float) -> None:
    with pytest.raises(MisuseError, match="max_delay_ms"):
        AudioWriter().channel.subscribe(max_delay_ms=delay)
