"""Our own camera and screen, as another participant sees them."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

import anyio
import numpy as np
import pytest
from livekit import rtc

from livelayer_bus.errors import ClosedError
from livelayer_bus.media import FrameMetadata, VideoFrame
from livelayer_bus.rooms import PublishedTrack, publishing
from livelayer_bus.testing import PATIENCE, grey_picture, polled
from tests.rooms.kit import Joined, Stage
from tests.support import every

pytestmark = [pytest.mark.anyio, pytest.mark.realtime]

WIDTH, HEIGHT = 320, 240


class Eye:
    """Another participant that waits for our picture."""

    def __init__(self, room: rtc.Room) -> None:
        self.track: asyncio.Future[tuple[rtc.Track, int]] = (
            asyncio.get_running_loop().create_future()
        )
        self.muted, self.unmuted, self.gone = asyncio.Event(), asyncio.Event(), asyncio.Event()
        room.on("track_subscribed", self._subscribed)
        room.on("track_muted", lambda *_: self.muted.set())
        room.on("track_unmuted", lambda *_: self.unmuted.set())
        room.on("track_unpublished", lambda *_: self.gone.set())

    def _subscribed(
        self, track: rtc.Track, publication: rtc.RemoteTrackPublication, _: object
    ) -> None:
        self.track.set_result((track, publication.source))

    async def sees(self, level: int) -> rtc.VideoFrameEvent:
        """Return the first picture of that grey."""
        track, _ = await self.track
        stream = rtc.VideoStream.from_track(
            track=track, format=rtc.VideoBufferType.I420, capacity=2
        )
        try:
            async for event in stream:
                luma = np.frombuffer(event.frame.data, np.uint8)[: event.frame.width]
                if abs(float(luma.mean()) - level) < 20:
                    return event
        finally:
            await stream.aclose()
        raise AssertionError("the track ended")


def picture(luma: int, width: int = WIDTH, height: int = HEIGHT, **more: int) -> VideoFrame:
    """A grey picture with what its sender writes beside it."""
    data = bytes([luma]) * (width * height) + b"\x80" * (width * height // 2)
    metadata = FrameMetadata(capture_us=time.time_ns() // 1000, frame_id=7) if more else None
    return VideoFrame(data, width, height, metadata=metadata)


async def show(pictures: PublishedTrack[VideoFrame], frame: VideoFrame) -> None:
    """Push without end, thirty times a second."""
    async for _ in every(1 / 30):
        await pictures.push(frame)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("camera", rtc.TrackSource.SOURCE_CAMERA),
        ("screen", rtc.TrackSource.SOURCE_SCREENSHARE),
    ],
)
async def test_what_is_pushed_is_seen_until_it_is_muted_or_closed(
    stage: Stage, joined: Joined, source: str, kind: int
) -> None:
    eye = Eye(await stage.agent())
    assert source in ("camera", "screen")
    pictures = await joined.room.open_track(
        "camera" if source == "camera" else "screen", picture(90, stamp=1)
    )
    frame = picture(90, stamp=1)
    assert frame.metadata is not None
    showing = asyncio.create_task(show(pictures, frame))
    with anyio.fail_after(PATIENCE):
        event = await eye.sees(90)
        assert (await eye.track)[1] == kind
        assert event.metadata is not None
        assert event.metadata.frame_id == 7
        assert event.metadata.user_timestamp == frame.metadata.capture_us
        pictures.set_muted(True)
        await eye.muted.wait()
        pictures.set_muted(False)
        await eye.unmuted.wait()
        showing.cancel()
        await asyncio.wait([showing])
        await pictures.aclose()
        await pictures.aclose()
        await eye.gone.wait()
    with pytest.raises(ClosedError):
        await pictures.push(picture(90))
    with pytest.raises(ClosedError):
        pictures.set_muted(True)


async def test_pictures_may_change_their_size(stage: Stage, joined: Joined) -> None:
    eye = Eye(await stage.agent())
    pictures = await joined.room.open_track("camera", grey_picture(WIDTH, HEIGHT))
    with anyio.fail_after(PATIENCE):
        for width, height, luma in ((WIDTH, HEIGHT, 90), (480, 320, 180)):
            showing = asyncio.create_task(show(pictures, picture(luma, width, height)))
            await eye.sees(luma)
            showing.cancel()
            await asyncio.wait([showing])
    await pictures.aclose()


async def test_the_sdk_reads_the_frames_own_memory(
    joined: Joined, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[rtc.VideoFrame] = []
    capture = rtc.VideoSource.capture_frame

    def spy(self: rtc.VideoSource, frame: rtc.VideoFrame, **more: object) -> None:
        taken.append(frame)
        capture(self, frame)

    monkeypatch.setattr(rtc.VideoSource, "capture_frame", spy)
    pictures = await joined.room.open_track("camera", grey_picture(WIDTH, HEIGHT))
    frame = picture(90)
    await pictures.push(frame)
    assert taken[0].data.obj is frame.data.obj
    await pictures.aclose()


async def test_a_burst_is_spread_over_time(joined: Joined, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    # A loop whose time stands still, as it does for all practical purposes in a burst.
    still = SimpleNamespace(get_running_loop=lambda: SimpleNamespace(time=lambda: 1.0), sleep=pause)
    pictures = await joined.room.open_track("camera", grey_picture(WIDTH, HEIGHT))
    frame = picture(90)
    monkeypatch.setattr(publishing, "asyncio", still)
    for _ in range(19):
        await pictures.push(frame)
    monkeypatch.undo()
    assert pauses == pytest.approx([number / publishing.MAX_FPS for number in range(1, 19)])
    await pictures.aclose()


async def test_closing_the_room_takes_camera_and_screen_along(joined: Joined) -> None:
    camera = await joined.room.open_track("camera", grey_picture(WIDTH, HEIGHT))
    screen = await joined.room.open_track("screen", grey_picture(WIDTH, HEIGHT))
    await joined.room.aclose()
    for pictures in (camera, screen):
        with pytest.raises(ClosedError):
            await pictures.push(picture(90))


async def test_a_cancelled_opening_publishes_nothing(stage: Stage, joined: Joined) -> None:
    opening = asyncio.ensure_future(joined.room.open_track("camera", grey_picture(WIDTH, HEIGHT)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    opening.cancel()
    await asyncio.wait([opening])
    assert opening.cancelled()
    native = joined.room.native
    assert native is not None
    await (await joined.room.open_track("camera", grey_picture(WIDTH, HEIGHT))).aclose()
    await polled(lambda: not native.local_participant.track_publications)
