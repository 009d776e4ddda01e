"""A track without readers is paused, stays available, and comes back with a reader."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest
from livekit import rtc

from livelayer_bus.clock import now_ns
from livelayer_bus.media import AudioChannel, VideoChannel, VideoFrame
from livelayer_bus.rooms import BorrowedRoom, LiveKitRoom
from livelayer_bus.testing import PATIENCE, ManualClock, polled
from tests.rooms.kit import (
    Joined,
    Painter,
    RecordingSink,
    Speaker,
    Stage,
    new_writers,
)

pytestmark = [pytest.mark.anyio, pytest.mark.realtime]

GRACE = 2.0  # seconds on the manual clock
STRETCH = 15  # pictures, or stretches of sound, that a sender sends while nothing comes of them


@pytest.fixture
def clock() -> ManualClock:
    """Measures how long there is no reader."""
    return ManualClock()


@pytest.fixture
async def joined(stage: Stage, sink: RecordingSink, clock: ManualClock) -> AsyncIterator[Joined]:
    """A user of ours whose pauses are in the hands of the test."""
    video, audio, writers = new_writers()
    sink.writers = video, audio
    room = LiveKitRoom(pause_after=GRACE, clock=clock)
    await room.connect(stage.access(), sink, writers)
    yield Joined(room, video, audio)
    await room.aclose()


async def first_frame(channel: VideoChannel) -> VideoFrame:
    """What a new reader gets first."""
    with anyio.fail_after(PATIENCE), channel.subscribe() as frames:
        return await anext(frames)


def video_track(room: rtc.Room) -> rtc.RemoteTrack:
    """The agent's picture, as the SDK has it."""
    publications = room.remote_participants["agent"].track_publications.values()
    tracks = [one.track for one in publications if one.kind == rtc.TrackKind.KIND_VIDEO]
    assert tracks[0] is not None
    return tracks[0]


async def packets(room: rtc.Room) -> int:
    """How many packets of the agent's picture the server has sent us."""
    stats = await video_track(room).get_stats()
    return sum(
        one.inbound_rtp.received.packets_received for one in stats if one.HasField("inbound_rtp")
    )


async def comes_to_rest(channel: VideoChannel | AudioChannel, sender: Painter | Speaker) -> None:
    """Return once nothing is pushed any more, though its sender goes on."""
    with anyio.fail_after(PATIENCE):
        pushed = -1
        while pushed != channel.statistics().pushed:
            pushed = channel.statistics().pushed
            await sender.sends(STRETCH)


async def is_not_sent(room: rtc.Room, painter: Painter) -> None:
    """Return once the server sends no packet of the picture, though its sender goes on."""
    with anyio.fail_after(PATIENCE):
        before = -1
        while before != (now := await packets(room)):
            before = now
            await painter.sends(STRETCH)


async def test_unread_video_is_not_sent_and_comes_back_with_a_reader(
    stage: Stage, joined: Joined, sink: RecordingSink, clock: ManualClock
) -> None:
    painter = Painter(await stage.agent(), 90)
    await painter.start()
    channel = joined.video.channel
    native = joined.room.native
    assert native is not None
    await first_frame(channel)
    for _ in range(3):
        await clock.elapse(GRACE)
        await comes_to_rest(channel, painter)
        await is_not_sent(native, painter)
        assert channel.available
        assert channel.statistics().held == 0
        asked_ns = now_ns()
        frame = await first_frame(channel)
        assert asked_ns < frame.received_ns
    assert sink.named("track") == [("video", True, "agent")]
    await painter.stop()


async def test_a_reader_that_comes_within_the_grace_keeps_the_video_running(
    stage: Stage, joined: Joined, clock: ManualClock
) -> None:
    painter = Painter(await stage.agent(), 90)
    await painter.start()
    channel = joined.video.channel
    await first_frame(channel)
    await clock.elapse(GRACE / 2)
    with channel.subscribe() as frames, anyio.fail_after(PATIENCE):
        await clock.elapse(GRACE)
        for _ in range(10):
            await anext(frames)
    await clock.elapse(GRACE / 2)
    pushed = channel.statistics().pushed
    await polled(lambda: channel.statistics().pushed > pushed + 5)
    await painter.stop()


async def test_a_track_that_nobody_ever_read_becomes_available_and_rests(
    stage: Stage, joined: Joined, sink: RecordingSink, clock: ManualClock
) -> None:
    await clock.elapse(GRACE)
    painter = Painter(await stage.agent(), 90)
    await painter.start()
    await sink.saw("track", "video", True, "agent")
    await clock.elapse(GRACE)
    await comes_to_rest(joined.video.channel, painter)
    assert joined.video.channel.available
    await painter.stop()
    await sink.saw("track", "video", False, "agent")
    assert not joined.video.channel.available


async def test_a_track_that_rested_comes_back_after_another_took_its_place(
    stage: Stage, joined: Joined, sink: RecordingSink, clock: ManualClock
) -> None:
    own = Painter(await stage.agent(), 90)
    await own.start()
    await sink.saw("track", "video", True, "agent")
    await clock.elapse(GRACE)
    await comes_to_rest(joined.video.channel, own)
    instead = Painter(await stage.worker(), 200)
    await instead.start()
    await sink.saw("track", "video", True, "worker")
    await clock.elapse(GRACE)
    await comes_to_rest(joined.video.channel, instead)
    # At rest as well: asking for a track that has ended would end the process.
    await instead.stop()
    await sink.until(lambda: sink.named("track").count(("video", True, "agent")) == 2)
    frame = await first_frame(joined.video.channel)
    assert abs(frame.data[0] - 90) < 20
    await own.stop()


async def test_a_resting_track_follows_its_sender_muting_it(
    stage: Stage, joined: Joined, sink: RecordingSink, clock: ManualClock
) -> None:
    painter = Painter(await stage.agent(), 90)
    await painter.start()
    await sink.saw("track", "video", True, "agent")
    await clock.elapse(GRACE)
    await comes_to_rest(joined.video.channel, painter)
    painter.track.mute()
    await sink.saw("track", "video", False, "agent")
    painter.track.unmute()
    await sink.until(lambda: sink.named("track").count(("video", True, "agent")) == 2)
    await comes_to_rest(joined.video.channel, painter)
    assert joined.video.channel.available
    await first_frame(joined.video.channel)
    await painter.stop()


async def test_looking_at_the_newest_frame_now_and_then_is_demand(
    stage: Stage, joined: Joined, clock: ManualClock
) -> None:
    agent = await stage.agent()
    painter, speaker = Painter(agent, 90), Speaker(agent)
    await painter.start()
    await speaker.start()
    with anyio.fail_after(PATIENCE):
        await joined.video.channel.wait_available()
        await joined.audio.channel.wait_available()
    await clock.elapse(GRACE)
    await comes_to_rest(joined.video.channel, painter)
    await comes_to_rest(joined.audio.channel, speaker)
    await polled(lambda: joined.video.channel.latest is not None)
    await polled(lambda: joined.audio.channel.level > 0.1)
    await speaker.stop()
    await painter.stop()


async def test_unread_sound_is_not_taken_from_the_sdk_and_comes_back_with_a_reader(
    stage: Stage, joined: Joined, clock: ManualClock
) -> None:
    speaker = Speaker(await stage.agent())
    await speaker.start()
    channel = joined.audio.channel
    with anyio.fail_after(PATIENCE):
        await channel.wait_available()
        await clock.elapse(GRACE)
        await comes_to_rest(channel, speaker)
        assert channel.available
        asked_ns = now_ns()
        with channel.subscribe() as sound:
            frame = await anext(sound)
    assert asked_ns < frame.received_ns
    await speaker.stop()


async def test_a_room_may_keep_its_tracks_running(stage: Stage, sink: RecordingSink) -> None:
    video, audio, writers = new_writers()
    sink.writers = video, audio
    room = LiveKitRoom(pause_after=None, clock=(clock := ManualClock()))
    await room.connect(stage.access(), sink, writers)
    painter = Painter(await stage.agent(), 90)
    await painter.start()
    await sink.saw("track", "video", True, "agent")
    await clock.elapse(1_000)
    pushed = video.channel.statistics().pushed
    await polled(lambda: video.channel.statistics().pushed > pushed + 5)
    await painter.stop()
    await room.aclose()


async def test_leaving_a_borrowed_room_unread_does_not_pause_what_its_owner_reads(
    stage: Stage, sink: RecordingSink
) -> None:
    owned = await stage.join("job")
    clock = ManualClock()
    room = BorrowedRoom(owned, clock=clock)
    video, audio, writers = new_writers()
    sink.writers = video, audio
    await room.connect(stage.access("job"), sink, writers)
    painter = Painter(await stage.agent(), 90)
    await painter.start()
    await sink.saw("track", "video", True, "agent")
    stream = rtc.VideoStream.from_track(track=video_track(owned), capacity=2)
    await clock.elapse(GRACE)
    await comes_to_rest(video.channel, painter)
    with anyio.fail_after(PATIENCE):
        for _ in range(10):
            await anext(stream)
    await stream.aclose()
    await first_frame(video.channel)
    await painter.stop()
    await room.aclose()
