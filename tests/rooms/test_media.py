"""The agent's tracks: into one channel each, through every change of track and of agent."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from livekit import rtc

from livelayer_bus.media import VideoFrame
from livelayer_bus.rooms import LiveKitRoom
from livelayer_bus.testing import PATIENCE
from tests.rooms.kit import (
    HEIGHT,
    ON_BEHALF,
    WIDTH,
    Joined,
    Painter,
    RecordingSink,
    Speaker,
    Stage,
    new_writers,
)

pytestmark = [pytest.mark.anyio, pytest.mark.realtime]

AGENTS, WORKERS = 60, 200  # grey levels that tell the tracks apart


@asynccontextmanager
async def painting(room: rtc.Room, luma: int, **options: Any) -> AsyncGenerator[Painter]:
    """A video track, as long as the block runs."""
    painter = Painter(room, luma)
    await painter.start(**options)
    try:
        yield painter
    finally:
        await painter.stop()


def luma(frame: VideoFrame) -> float:
    """The picture's average grey."""
    return float(frame.to_ndarray("gray").mean())


async def shows(joined: Joined, level: int) -> VideoFrame:
    """Wait for a picture of that grey."""
    with anyio.fail_after(PATIENCE), joined.video.channel.subscribe() as frames:
        async for frame in frames:
            if abs(luma(frame) - level) < 20:
                return frame
    raise AssertionError("the channel ended")


async def test_video_arrives_whole_with_its_rotation_and_times(
    stage: Stage, joined: Joined, sink: RecordingSink
) -> None:
    agent = await stage.agent()
    async with painting(agent, AGENTS):
        frame = await shows(joined, AGENTS)
        await sink.saw("track", "video", True, "agent")
        # Where the two sides did not agree to carry the rotation, the sender has applied it.
        turned = (frame.width, frame.height, frame.rotation)
        assert turned in ((WIDTH, HEIGHT, 90), (HEIGHT, WIDTH, 0))
        assert frame.presentation_us
        assert joined.video.channel.available
    await sink.saw("track", "video", False, "agent")
    assert not joined.video.channel.available


async def test_what_the_sender_wrote_beside_a_frame_comes_with_it(
    stage: Stage, joined: Joined
) -> None:
    agent = await stage.agent()
    features = [
        rtc.FrameMetadataFeature.FMF_USER_TIMESTAMP,
        rtc.FrameMetadataFeature.FMF_FRAME_ID,
    ]
    async with painting(agent, AGENTS, frame_metadata_features=features):
        frame = await shows(joined, AGENTS)
        assert frame.metadata is not None
        assert frame.metadata.frame_id
        assert frame.metadata.capture_us == 1_000_000 + frame.metadata.frame_id


async def test_audio_arrives_in_order_at_the_rate_it_is_decoded_at(
    stage: Stage, joined: Joined, sink: RecordingSink
) -> None:
    agent = await stage.agent()
    speaker = Speaker(agent)
    await speaker.start()
    await sink.saw("track", "audio", True, "agent")
    with anyio.fail_after(PATIENCE), joined.audio.channel.subscribe() as sound:
        async for frame in sound:
            assert (frame.sample_rate, frame.num_channels) == (48_000, 1)
            assert frame.nbytes == 2 * frame.samples_per_channel
            if joined.audio.channel.level > 0.1:
                break
    await speaker.stop()
    await agent.disconnect()
    await sink.saw("track", "audio", False, "agent")


async def test_a_track_that_is_there_already_is_taken_up_on_joining(
    stage: Stage, sink: RecordingSink
) -> None:
    agent = await stage.agent()
    async with painting(agent, AGENTS):
        video, audio, writers = new_writers()
        sink.writers = video, audio
        room = LiveKitRoom()
        await room.connect(stage.access(), sink, writers)
        await shows(Joined(room, video, audio), AGENTS)
        await room.aclose()
        assert not video.channel.available


async def test_muted_video_is_unavailable_until_it_is_unmuted(
    stage: Stage, joined: Joined, sink: RecordingSink
) -> None:
    agent = await stage.agent()
    async with painting(agent, AGENTS) as painter:
        await shows(joined, AGENTS)
        painter.track.mute()
        await sink.saw("track", "video", False, "agent")
        pushed = joined.video.channel.statistics().pushed
        painter.track.unmute()
        await sink.until(lambda: sink.named("track").count(("video", True, "agent")) == 2)
        await shows(joined, AGENTS)
        assert joined.video.channel.statistics().pushed > pushed


async def test_an_avatar_workers_picture_comes_before_the_agents_own_and_may_be_renewed(
    stage: Stage, joined: Joined, sink: RecordingSink
) -> None:
    agent = await stage.agent()
    async with painting(agent, AGENTS):
        await shows(joined, AGENTS)
        worker = await stage.agent("worker", None, **{"lk.publish_on_behalf": "agent"})
        async with painting(worker, WORKERS):
            await shows(joined, WORKERS)
            await sink.saw("track", "video", True, "worker")
        await shows(joined, AGENTS)
        await worker.disconnect()
        renewed = await stage.agent("worker 2", None, **{"lk.publish_on_behalf": "agent"})
        async with painting(renewed, WORKERS):
            await shows(joined, WORKERS)
            await sink.saw("track", "video", True, "worker 2")


async def test_nobody_elses_picture_is_shown(
    stage: Stage, joined: Joined, sink: RecordingSink
) -> None:
    guest = await stage.join("guest", attributes=ON_BEHALF)
    async with painting(guest, WORKERS):
        agent = await stage.agent()
        async with painting(agent, AGENTS):
            await shows(joined, AGENTS)
            assert {call[2] for call in sink.named("track")} == {"agent"}


async def test_a_camera_comes_before_a_shared_screen(
    stage: Stage, joined: Joined, sink: RecordingSink
) -> None:
    agent = await stage.agent()
    async with painting(agent, WORKERS, source=rtc.TrackSource.SOURCE_SCREENSHARE):
        await shows(joined, WORKERS)
        async with painting(agent, AGENTS):
            await shows(joined, AGENTS)
