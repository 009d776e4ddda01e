"""AudioEncoding encoded once, decoded again, and its clock over gaps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from typing import Any

import av
import numpy as np
import pytest
from livelayer_web.media.audio import (
    PACKET_SAMPLES,
    RATE,
    RETRY_SECONDS,
    TIME_BASE,
    AudioEncoding,
    OpusEncoder,
)
from livelayer_web.media.packets import Packet, PacketReader

from livelayer_bus.clock import now_ns
from livelayer_bus.errors import MisuseError
from livelayer_bus.media import AudioFrame, AudioWriter
from livelayer_bus.testing import PATIENCE, ManualClock, settle

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


NS_PER_MS = 1_000_000


def tone(
    milliseconds: int, *, hertz: int = 440, rate: int = RATE, channels: int = 1, at_ns: int = 0
) -> AudioFrame:
    """A sine at half of full scale, the same in every channel."""
    samples = rate * milliseconds // 1000
    wave = 16_000 * np.sin(2 * np.pi * hertz * np.arange(samples) / rate)
    data = np.repeat(wave.astype(np.int16), channels).tobytes()
    return AudioFrame(data, rate, channels, samples, received_ns=at_ns or None)


def decoded(packets: list[Packet], layout: str = "mono") -> np.ndarray[Any, Any]:
    """The samples of the first channel."""
    context = av.CodecContext.create("libopus", "r")
    context.format, context.layout, context.sample_rate = "s16", layout, RATE
    frames = [frame for packet in packets for frame in context.decode(packet)]
    width = 2 if layout == "stereo" else 1
    return np.concatenate([frame.to_ndarray().reshape(-1, width)[:, 0] for frame in frames])


def pitch(samples: np.ndarray[Any, Any]) -> float:
    """The loudest frequency in hertz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * RATE / len(samples))


class Hall:
    """A channel that the test feeds, and the one encode of it."""

    def __init__(self, clock: ManualClock) -> None:
        self.writer = AudioWriter()
        self.writer.set_available(True)
        self.sound = AudioEncoding(self.writer.channel, clock=clock)
        self.now_ns = now_ns()

    async def listener(self) -> PacketReader:
        """One who follows, once the channel is read: earlier audio is dropped."""
        reader = self.sound.reader()
        reader.follow(self.sound)
        await settle()
        return reader

    def say(self, milliseconds: int = 20, **kind: Any) -> None:
        """Push audio that arrived just when it was due."""
        self.writer.push(tone(milliseconds, at_ns=self.now_ns, **kind))
        self.now_ns += milliseconds * NS_PER_MS

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        task = asyncio.create_task(self.sound.run())
        await settle()
        try:
            async with asyncio.timeout(PATIENCE):
                yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@pytest.fixture
def hall(manual_clock: ManualClock) -> Hall:
    return Hall(manual_clock)


@pytest.mark.parametrize(("rate", "channels"), [(48_000, 1), (48_000, 2), (24_000, 1), (16_000, 2)])
def test_a_tone_survives_at_any_rate(rate: int, channels: int) -> None:
    encoder = OpusEncoder()
    packets: list[Packet] = []
    for _ in range(10):
        packets += encoder.encode(tone(100, rate=rate, channels=channels))
    assert [packet.pts for packet in packets] == [n * PACKET_SAMPLES for n in range(len(packets))]
    assert all(packet.time_base == TIME_BASE for packet in packets)
    assert len(packets) >= 48
    heard = decoded(packets, "stereo" if channels == 2 else "mono")
    assert pitch(heard[4800:]) == pytest.approx(440, abs=3)
    assert 9_000 < np.sqrt(np.mean(heard[4800:].astype(float) ** 2)) < 13_000


def test_more_channels_than_two_are_heard_as_two() -> None:
    packets = OpusEncoder().encode(tone(200, channels=4))
    assert pitch(decoded(packets, "stereo")[2400:]) == pytest.approx(440, abs=8)


def test_another_format_goes_on_in_the_same_stream() -> None:
    encoder = OpusEncoder()
    packets = encoder.encode(tone(100))
    packets += encoder.encode(tone(100, rate=16_000))
    packets += encoder.encode(tone(100, channels=2))
    stamps = [packet.pts or 0 for packet in packets]
    assert stamps == [n * PACKET_SAMPLES for n in range(len(stamps))]


async def test_all_listeners_share_one_encode(hall: Hall) -> None:
    async with hall.open():
        listeners = [await hall.listener() for _ in range(4)]
        for _ in range(5):
            hall.say(20)
            packets = [await anext(listener) for listener in listeners]
            assert all(packet is packets[0] for packet in packets)
        counted = hall.sound.statistics()
        assert (counted.packets, counted.viewers) == (5, 4)
        assert counted.latency.measured == 5


async def test_nothing_is_encoded_while_nobody_listens(hall: Hall) -> None:
    async with hall.open():
        hall.say()
        assert hall.writer.demand == 0
        listener = await hall.listener()
        await settle()
        assert hall.writer.demand == 1
        listener.close()
        await settle()
        assert hall.writer.demand == 0
        assert not hall.sound.statistics().running


async def test_the_clock_goes_on_over_a_gap_and_ignores_jitter(hall: Hall) -> None:
    async with hall.open():
        listener = await hall.listener()
        hall.say()
        first = (await anext(listener)).pts or 0
        hall.now_ns += 60 * NS_PER_MS  # late, as on any network
        hall.say()
        assert (await anext(listener)).pts == first + PACKET_SAMPLES
        hall.now_ns += 3_000 * NS_PER_MS
        hall.say()
        jumped = (await anext(listener)).pts or 0
        assert jumped == pytest.approx(first + 3 * 960 + 63 * 48 + 3_000 * 48, abs=5_000)
        assert hall.sound.statistics().gaps == 1


async def test_a_listener_who_stays_hears_rising_time_stamps_over_a_pause(hall: Hall) -> None:
    async with hall.open():
        listener = await hall.listener()
        stamps: list[int] = []
        for _ in range(3):
            hall.say()
            stamps.append((await anext(listener)).pts or 0)
            listener.follow(None)
            await settle()
            listener.follow(hall.sound)
            await settle()
        assert all(later - earlier >= 960 for earlier, later in pairwise(stamps))


async def test_a_listener_that_never_reads_loses_the_oldest(hall: Hall) -> None:
    async with hall.open():
        stuck, reads = await hall.listener(), await hall.listener()
        last = 0
        for _ in range(50):
            hall.say()
            last = (await anext(reads)).pts or 0
        counted = stuck.statistics()
        assert (counted.waiting, counted.dropped) == (10, 40)
        assert (await anext(stuck)).pts == last - 9 * PACKET_SAMPLES


async def test_a_refused_stretch_is_counted_and_the_sound_goes_on(
    hall: Hall, manual_clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, refusals = OpusEncoder.encode, [True]

    def refuses_once(self: OpusEncoder, frame: AudioFrame) -> list[Packet]:
        if refusals:
            refusals.pop()
            raise av.FFmpegError(22, "refused")
        return real(self, frame)

    monkeypatch.setattr(OpusEncoder, "encode", refuses_once)
    async with hall.open():
        listener = await hall.listener()
        await settle()
        hall.say()
        await manual_clock.wait_for_sleepers()
        manual_clock.advance(RETRY_SECONDS)
        hall.say()
        assert (await anext(listener)).pts is not None
        assert hall.sound.statistics().failures == 1


async def test_the_end_closes_every_listener(hall: Hall) -> None:
    async with hall.open():
        listener = await hall.listener()
        waiting = asyncio.create_task(anext(listener, None))
        await settle()
        with pytest.raises(MisuseError):
            await hall.sound.run()
    assert await waiting is None
    assert hall.sound.reader().closed
    assert hall.writer.demand == 0
