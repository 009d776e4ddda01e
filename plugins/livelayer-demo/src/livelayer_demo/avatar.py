"""The avatar's video: draws the face thirty times a second and publishes it as a track."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Final

from livekit import rtc
from livekit.plugins.livelayer.face import HEIGHT, WIDTH, Expression, Face, MouthTimeline

FRAMES_PER_SECOND: Final = 30
TRACK_NAME: Final = "avatar"
_MAX_BITRATE: Final = 900_000  # bits a second; a drawn face needs far less


@dataclass(frozen=True, slots=True)
class AvatarStatistics:
    """`frames` were handed to the encoder; `late` were left out because the loop was busy."""

    frames: int
    late: int


class Avatar:
    """Publishes a face as the agent's video.

    Frames are paced by the clock: frame n is due n / 30 s after the first, and a frame whose time
    is over is left out and counted, never sent late in a burst.
    """

    def __init__(self, face: Face, timeline: MouthTimeline) -> None:
        self._face = face
        self._timeline = timeline
        self._expression = Expression()
        self._source = rtc.VideoSource(WIDTH, HEIGHT)
        self._frames = 0
        self._late = 0

    @property
    def expression(self) -> Expression:
        """What the face shows; tell it what the agent and the user do."""
        return self._expression

    def statistics(self) -> AvatarStatistics:
        """Frames sent and left out so far."""
        return AvatarStatistics(self._frames, self._late)

    async def publish(self, room: rtc.Room) -> rtc.LocalTrackPublication:
        """Publish the track; frames come once `run` runs."""
        track = rtc.LocalVideoTrack.create_video_track(TRACK_NAME, self._source)
        options = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_CAMERA,
            simulcast=False,
            frame_metadata_features=[rtc.FrameMetadataFeature.FMF_USER_TIMESTAMP],
            video_encoding=rtc.VideoEncoding(
                max_bitrate=_MAX_BITRATE, max_framerate=FRAMES_PER_SECOND
            ),
        )
        return await room.local_participant.publish_track(track, options)

    async def run(self) -> None:
        """Draw and send frames until cancelled."""
        frame = rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.I420, self._face.buffer)
        began = time.monotonic()
        due = 0
        while True:
            now = time.monotonic()
            self._face.draw(self._expression.look(now, self._timeline.shape(now)))
            stamp = rtc.FrameMetadata(user_timestamp=time.time_ns() // 1000)
            self._source.capture_frame(frame, metadata=stamp)
            self._frames += 1
            due += 1
            now = time.monotonic()
            passed = int((now - began) * FRAMES_PER_SECOND)
            if passed > due:
                self._late += passed - due
                due = passed
            await asyncio.sleep(max(0.0, began + due / FRAMES_PER_SECOND - now))

    async def aclose(self) -> None:
        """Free the video source; the track must be unpublished, or the room left, before."""
        await self._source.aclose()
