"""One encode for all viewers, while there is one, with real codecs in their threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any, Literal, cast

import av
import numpy as np
import numpy.typing as npt
import pytest
from livelayer_web import Quality
from livelayer_web.media import LADDER
from livelayer_web.media.encoding import KEY_FRAME_INTERVAL, RETRY_SECONDS
from livelayer_web.media.packets import Packet, PacketReader
from livelayer_web.media.quality import CodecName
from livelayer_web.media.statistics import StreamStatistics
from livelayer_web.media.video import VideoEncodings
from livelayer_web.media.video_codecs import VideoEncoder

from livelayer_bus.clock import now_ns
from livelayer_bus.errors import MisuseError
from livelayer_bus.media import VideoFrame, VideoWriter
from livelayer_bus.testing import PATIENCE, ManualClock, settle

from .marked_pictures import mark_of, marked_picture

pytestmark = pytest.mark.anyio

BEST, MIDDLE, LEAST = LADDER
FRAME_NS = 1_000_000_000 // 25
DECODERS: dict[CodecName, Literal["vp8", "h264"]] = {"VP8": "vp8", "H264": "h264"}


class Decoder:
    """What a viewer does with the packets; strict, so that a lost one does not go unseen."""

    def __init__(self, codec: CodecName) -> None:
        self._context = av.CodecContext.create(DECODERS[codec], "r")

    def decode(self, packet: Packet) -> npt.NDArray[np.uint8]:
        """The picture of this packet."""
        copy: Any = av.Packet(bytes(packet))
        pictures = self._context.decode(copy)
        if not pictures:  # h264 keeps one until it sees the next
            pictures = self._context.decode(None)
            self._context.flush_buffers()
        assert len(pictures) == 1
        plane = pictures[0].planes[0]
        memory = np.frombuffer(cast(bytes, plane), dtype=np.uint8)
        return memory.reshape(-1, plane.line_size)[: pictures[0].height, : pictures[0].width]


class Studio:
    """A channel that the test feeds, and the encoders that read it."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.writer = VideoWriter()
        self.writer.set_available(True)
        self.pictures = VideoEncodings(self.writer.channel, clock=clock)
        self._times = count(now_ns(), FRAME_NS)

    def show(
        self, spot: int = 0, width: int = 320, height: int = 180, *, rotation: int = 0
    ) -> VideoFrame:
        """Push a picture, a twenty-fifth of a second after the one before."""
        frame = marked_picture(
            width, height, spot, rotation=rotation, received_ns=next(self._times)
        )
        self.writer.push(frame)
        return frame

    def viewer(self, quality: Quality = LADDER[0], codec: CodecName = "VP8") -> PacketReader:
        """A reader that follows this quality."""
        reader = self.pictures.reader()
        reader.follow(self.pictures.encoding(codec, quality))
        return reader

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """Run the encoders."""
        task = asyncio.create_task(self.pictures.run())
        try:
            async with asyncio.timeout(PATIENCE):
                yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def studio(manual_clock: ManualClock) -> Studio:
    """Encoders on a clock that stands still."""
    return Studio(manual_clock)


def only_stream(studio: Studio) -> StreamStatistics:
    [stream] = studio.pictures.statistics().streams
    return stream


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_the_first_viewer_gets_the_current_picture_at_once(
    studio: Studio, codec: CodecName
) -> None:
    studio.show(5)
    async with studio.open():
        packet = await anext(studio.viewer(codec=codec))
        assert packet.is_keyframe
        assert mark_of(Decoder(codec).decode(packet)) == 5


async def test_four_viewers_are_one_encode(studio: Studio) -> None:
    async with studio.open():
        viewers = [studio.viewer() for _ in range(4)]
        decoders = [Decoder("VP8") for _ in viewers]
        for spot in range(10):
            studio.show(spot)
            packets = [await anext(viewer) for viewer in viewers]
            assert all(packet is packets[0] for packet in packets)
            for packet, decoder in zip(packets, decoders, strict=True):
                assert mark_of(decoder.decode(packet)) == spot
        counted = only_stream(studio)
        assert (counted.frames, counted.key_frames, counted.viewers) == (10, 1, 4)
        assert counted.encode.measured == 10
        assert studio.writer.demand == 1


async def test_latency_is_counted_from_a_pictures_arrival(studio: Studio) -> None:
    async with studio.open():
        viewer = studio.viewer()
        await settle()
        studio.writer.push(marked_picture(320, 180))
        await anext(viewer)
        counted = only_stream(studio)
        assert counted.latency.measured == 1
        assert counted.latency.last_ns >= counted.encode.last_ns > 0


async def test_nothing_is_encoded_while_nobody_looks(studio: Studio) -> None:
    async with studio.open():
        assert studio.writer.demand == 0
        viewer, other = studio.viewer(), studio.viewer()
        studio.show(1)
        await anext(viewer)
        viewer.follow(None)
        await settle()
        assert studio.writer.demand == 1
        other.close()
        await settle()
        assert studio.writer.demand == 0
        assert not only_stream(studio).running
        frames = only_stream(studio).frames
        studio.show(2)
        await settle()
        assert only_stream(studio).frames == frames
        viewer.follow(studio.pictures.encoding("VP8", BEST))
        packet = await anext(viewer)
        assert packet.is_keyframe
        assert mark_of(Decoder("VP8").decode(packet)) == 2


async def test_a_second_viewer_gets_a_still_picture_as_a_key_frame(studio: Studio) -> None:
    studio.show(3)
    async with studio.open():
        first = studio.viewer()
        shown = await anext(first)
        studio.clock.advance(KEY_FRAME_INTERVAL)
        packet = await anext(studio.viewer())
        assert packet.is_keyframe
        assert mark_of(Decoder("VP8").decode(packet)) == 3
        assert (packet.pts or 0) > (shown.pts or 0)


async def test_requests_of_all_viewers_make_one_key_frame_and_early_ones_wait(
    studio: Studio,
) -> None:
    studio.show(0)
    async with studio.open():
        viewer = studio.viewer()
        await anext(viewer)
        stream = studio.pictures.encoding("VP8", BEST)
        for _ in range(5):
            stream.request_key_frame()
        await studio.clock.wait_for_sleepers()
        studio.show(1)
        assert not (await anext(viewer)).is_keyframe
        assert studio.clock.next_in == pytest.approx(KEY_FRAME_INTERVAL)
        studio.clock.advance(KEY_FRAME_INTERVAL)
        assert (await anext(viewer)).is_keyframe
        await settle()
        assert only_stream(studio).key_frames == 2
        assert studio.clock.sleepers == 0


async def test_a_viewer_moves_between_qualities_without_a_break(studio: Studio) -> None:
    async with studio.open():
        stays, moves = studio.viewer(BEST), studio.viewer(BEST)
        studio.show(1, 640, 360)
        await anext(stays)
        await anext(moves)
        moves.follow(studio.pictures.encoding("VP8", LEAST))
        packet = await anext(moves)
        assert packet.is_keyframe
        seen = Decoder("VP8").decode(packet)
        assert seen.shape == (180, 320)
        assert mark_of(seen) == 1
        assert studio.pictures.statistics().running == 2
        stays.close()
        for spot in (2, 3):  # the least quality takes every second picture
            studio.show(spot, 640, 360)
        assert (await anext(moves)).pts is not None
        await settle()
        assert studio.pictures.statistics().running == 1


async def test_a_picture_is_not_enlarged_and_a_new_size_starts_over(studio: Studio) -> None:
    async with studio.open():
        viewer = studio.viewer(BEST)
        for number, (width, height) in enumerate([(320, 180), (640, 360), (321, 181), (180, 320)]):
            studio.show(number, width, height)
            packet = await anext(viewer)
            assert packet.is_keyframe
            seen = Decoder("VP8").decode(packet)
            assert seen.shape == (height // 2 * 2, width // 2 * 2)
            assert mark_of(seen) == number


async def test_a_renewed_track_starts_with_a_key_frame_and_shows_nothing_old(
    studio: Studio,
) -> None:
    async with studio.open():
        viewer = studio.viewer()
        studio.show(1)
        await anext(viewer)
        studio.writer.set_available(False)
        await settle()
        studio.clock.advance(KEY_FRAME_INTERVAL)
        studio.pictures.encoding("VP8", BEST).request_key_frame()
        await settle()
        assert viewer.statistics().waiting == 0
        studio.writer.set_available(True)
        await settle()
        studio.show(9)
        packet = await anext(viewer)
        assert packet.is_keyframe
        assert mark_of(Decoder("VP8").decode(packet)) == 9


async def test_a_slow_encoder_leaves_pictures_out_and_takes_the_newest(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, gate, entered = VideoEncoder.encode, threading.Event(), threading.Event()

    def slow(
        self: VideoEncoder, picture: av.VideoFrame, pts: int, *, bitrate: int, key_frame: bool
    ) -> list[Packet]:
        if picture.height == 180:  # and not the one that warms up
            entered.set()
            assert gate.wait(10)
        return real(self, picture, pts, bitrate=bitrate, key_frame=key_frame)

    monkeypatch.setattr(VideoEncoder, "encode", slow)
    async with studio.open():
        viewer = studio.viewer()
        studio.show(0)
        await asyncio.to_thread(entered.wait, 10)
        for spot in range(1, 8):
            studio.show(spot)
            await settle()
        gate.set()
        decoder = Decoder("VP8")
        assert mark_of(decoder.decode(await anext(viewer))) == 0
        assert mark_of(decoder.decode(await anext(viewer))) == 7
        counted = only_stream(studio)
        assert (counted.frames, counted.left_out) == (2, 6)


async def test_a_refused_picture_is_counted_and_tried_again(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = VideoEncoder.encode
    refusals = [True]

    def refuses_once(
        self: VideoEncoder, picture: av.VideoFrame, pts: int, *, bitrate: int, key_frame: bool
    ) -> list[Packet]:
        if picture.height == 180 and refusals:
            refusals.pop()
            raise av.FFmpegError(22, "refused")
        return real(self, picture, pts, bitrate=bitrate, key_frame=key_frame)

    monkeypatch.setattr(VideoEncoder, "encode", refuses_once)
    async with studio.open():
        viewer = studio.viewer()
        studio.show(4)
        await studio.clock.wait_for_sleepers()
        studio.clock.advance(RETRY_SECONDS)
        packet = await anext(viewer)
        assert packet.is_keyframe
        assert mark_of(Decoder("VP8").decode(packet)) == 4
        assert only_stream(studio).failures == 1


async def test_the_bitrate_follows_the_slowest_viewer_of_the_quality(studio: Studio) -> None:
    async with studio.open():
        fast, slow = studio.viewer(), studio.viewer()
        studio.show(0)
        await anext(fast)
        assert only_stream(studio).bitrate == BEST.bitrate
        slow.bandwidth = BEST.bitrate * 7 // 10
        studio.show(1)
        packet = await anext(fast)
        assert packet.is_keyframe
        assert only_stream(studio).bitrate == BEST.bitrate * 6 // 10
        slow.close()
        studio.clock.advance(2.0)
        for spot in (2, 3):
            studio.show(spot)
            await anext(fast)
            studio.clock.advance(20.0)
        assert only_stream(studio).bitrate == BEST.bitrate * 8 // 10


async def test_the_rate_is_what_goes_out_without_key_frames(studio: Studio) -> None:
    async with studio.open():
        viewer = studio.viewer()
        stream = studio.pictures.encoding("VP8", BEST)
        studio.show(0)
        await anext(viewer)
        assert stream.rate == 0
        studio.show(1)
        packet = await anext(viewer)
        assert stream.rate == packet.size * 8 // 2  # on average over two seconds


async def test_a_viewer_that_never_reads_piles_nothing_up(studio: Studio) -> None:
    async with studio.open():
        stuck, reads = studio.viewer(), studio.viewer()
        for number in range(80):
            studio.show(number)
            await anext(reads)
        counted = stuck.statistics()
        assert counted.peak_waiting <= 16
        assert counted.dropped > 0
        assert reads.statistics().dropped == 0
        channel = studio.writer.channel.statistics()
        assert channel.frames_alive <= 3


async def test_viewers_that_come_before_the_start_are_served_and_the_end_closes_them(
    studio: Studio,
) -> None:
    viewer = studio.viewer()
    studio.show(6)
    async with studio.open():
        assert (await anext(viewer)).is_keyframe
        waiting = asyncio.create_task(drained(viewer))
        await settle()
    await waiting
    assert viewer.closed
    assert studio.pictures.reader().closed
    assert studio.writer.demand == 0
    assert not only_stream(studio).running


async def drained(reader: PacketReader) -> None:
    async for _ in reader:
        pass


async def test_the_channels_end_is_the_encoders_end(studio: Studio) -> None:
    async with studio.open():
        viewer = studio.viewer()
        studio.show(1)
        await anext(viewer)
        studio.writer.close()
        await settle()
        assert not only_stream(studio).running


async def test_nonsense_is_refused(studio: Studio, manual_clock: ManualClock) -> None:
    with pytest.raises(MisuseError):
        VideoEncodings(studio.writer.channel, ())
    with pytest.raises(MisuseError):
        studio.pictures.encoding("VP8", Quality("8k", 4320, 1_000_000, 30))
    for height, bitrate, fps in [(1, 100_000, 30), (720, 10, 30), (720, 100_000, 0)]:
        with pytest.raises(MisuseError):
            Quality("none", height, bitrate, fps)
    assert studio.pictures.encoding("VP8", BEST) is studio.pictures.encoding("VP8", BEST)
    async with studio.open():
        await settle()
        with pytest.raises(MisuseError):
            await studio.pictures.run()
