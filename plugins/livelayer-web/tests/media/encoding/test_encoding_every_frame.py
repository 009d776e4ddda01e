"""Every picture of a steady channel reaches every viewer, over key frames and steps of bitrate."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from itertools import pairwise

import pytest
from livelayer_web import Quality
from livelayer_web.media.quality import SHARE_UP_AFTER, SHARES, CodecName, QualityChoice
from livelayer_web.media.video import VideoEncodings

from livelayer_bus.clock import now_ns
from livelayer_bus.media import VideoWriter
from livelayer_bus.testing import PATIENCE, ManualClock

from .marked_pictures import marked_picture

pytestmark = pytest.mark.anyio

QUALITY = Quality("small", 180, 300_000, 30.0)
FPS = 30
FRAME_NS = 1_000_000_000 // FPS
FRAME_SECONDS = 1 / FPS
ASKED_AT = 20  # of the pictures of a second: the limit on key frames has passed by then


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def most_steps(seconds: float) -> int:
    """How often a shared bitrate may change, whatever its viewers say: it seldom rises."""
    rises = int(seconds / SHARE_UP_AFTER)
    return 2 * rises + len(SHARES) - 1


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_every_picture_comes_out_over_key_frames_and_steps_of_the_bitrate(
    codec: CodecName, manual_clock: ManualClock
) -> None:
    writer = VideoWriter()
    writer.set_available(True)
    pictures = VideoEncodings(writer.channel, (QUALITY,), clock=manual_clock)
    stream = pictures.encoding(codec, QUALITY)
    viewers = [pictures.reader() for _ in range(2)]
    for viewer in viewers:
        viewer.follow(stream)
    running = asyncio.create_task(pictures.run())
    began_ns, seconds = now_ns(), 5
    repeated = 0
    stamps: list[int] = []
    async with asyncio.timeout(PATIENCE):
        for number in range(seconds * FPS):
            if number % FPS == ASKED_AT:
                # The picture that is there is sent again, and the next one is not left out for it.
                stream.request_key_frame()
                again = [await anext(viewer) for viewer in viewers]
                assert all(packet.is_keyframe for packet in again)
                repeated += 1
            if number == 2 * FPS:
                viewers[1].bandwidth = QUALITY.bitrate // 2
            received_ns = began_ns + number * FRAME_NS
            writer.push(marked_picture(320, 180, number % 16, received_ns=received_ns))
            first, second = [await anext(viewer) for viewer in viewers]
            assert first is second
            assert first.is_keyframe is (number in (0, 2 * FPS))
            assert first.pts is not None
            stamps.append(first.pts)
            manual_clock.advance(FRAME_SECONDS)
        counted = stream.statistics()
        assert repeated == seconds
        assert counted.frames == seconds * FPS + repeated
        assert counted.key_frames == 2 + repeated
        assert counted.left_out == counted.failures == 0
        assert all(later > earlier for earlier, later in pairwise(stamps))
        for viewer in viewers:
            lost = viewer.statistics()
            assert lost.delivered == counted.frames
            assert (lost.dropped, lost.skipped, lost.waiting) == (0, 0, 0)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def test_a_jittery_estimate_does_not_open_encoder_after_encoder(
    manual_clock: ManualClock,
) -> None:
    writer = VideoWriter()
    writer.set_available(True)
    pictures = VideoEncodings(writer.channel, (QUALITY,), clock=manual_clock)
    stream = pictures.encoding("VP8", QUALITY)
    viewer = pictures.reader()
    viewer.follow(stream)
    choice = QualityChoice((QUALITY,), now=manual_clock.now())
    jitter = random.Random(6)
    seconds, reports = 60, 5  # a second
    running = asyncio.create_task(pictures.run())
    began_ns = now_ns()
    async with asyncio.timeout(PATIENCE):
        for number in range(seconds * reports):
            received_ns = began_ns + number * 1_000_000_000 // reports
            writer.push(marked_picture(64, 36, number % 16, received_ns=received_ns))
            await anext(viewer)
            estimate = round(QUALITY.bitrate * jitter.uniform(0.5, 1.6))
            choice.report(now=manual_clock.now(), bandwidth=estimate, sent=QUALITY.bitrate)
            viewer.bandwidth = choice.limit
            manual_clock.advance(1 / reports)
        # No viewer asked for a key frame: each is an encoder that was opened.
        assert 1 < stream.statistics().key_frames <= 1 + most_steps(seconds)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
