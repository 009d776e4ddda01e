"""Microphone tracks of ours in an SDK room."""

from __future__ import annotations

import asyncio
from typing import Final, final

from livekit import rtc

from livelayer_bus._tasks import RootTask, TaskOwner
from livelayer_bus.errors import BrokenError, ClosedError, MisuseError
from livelayer_bus.media import AudioFrame
from livelayer_bus.rooms.listeners import report
from livelayer_bus.rooms.outcomes import broken

QUEUE_MS: Final = 200  # of sound the SDK holds before `push` waits
ANSWER_SECONDS: Final = 10.0  # for the room to take a track, or to let it go; some never answer
CLOSE_SECONDS: Final = 1.0  # likewise, when the whole room is closed
TRACK_NAME: Final = "microphone"


@final
class LiveKitMicrophone:
    """One published audio track, until it is closed."""

    def __init__(
        self,
        room: rtc.Room,
        source: rtc.AudioSource,
        track: rtc.LocalAudioTrack,
        publication: rtc.LocalTrackPublication,
    ) -> None:
        self._room = room
        self._source = source
        self._track = track
        self._publication = publication
        self._closed = False

    async def push(self, frame: AudioFrame) -> None:
        """Return when the frame is taken; waits while 200 ms of sound are waiting to be sent.

        Raises:
            ClosedError: the microphone was closed.
            MisuseError: the frame has another rate or number of channels than the track.
            BrokenError: the SDK did not take the frame.
        """
        if self._closed:
            raise ClosedError("the microphone", "open it again")
        source = self._source
        if (frame.sample_rate, frame.num_channels) != (source.sample_rate, source.num_channels):
            raise MisuseError(
                f"the microphone takes {source.sample_rate} Hz x {source.num_channels}, not "
                f"{frame.sample_rate} Hz x {frame.num_channels}: resample, or open it so"
            )
        sound = rtc.AudioFrame(
            bytes(frame.data), frame.sample_rate, frame.num_channels, frame.samples_per_channel
        )
        try:
            await source.capture_frame(sound)
        except Exception as exc:
            raise broken("the microphone did not take the frame", exc) from exc

    def set_muted(self, muted: bool) -> None:
        """Send silence, or the sound again; the other side sees the track as muted."""
        if self._closed:
            raise ClosedError("the microphone", "open it again")
        if muted:
            self._track.mute()
        else:
            self._track.unmute()

    async def aclose(self) -> None:
        """Unpublish; closing twice does nothing.

        Raises:
            BrokenError: the room did not confirm it.
        """
        if self._closed:
            return
        self._closed = True
        try:
            if self._room.isconnected():
                async with asyncio.timeout(ANSWER_SECONDS):
                    # Read now: a reconnect gives the publication a new sid.
                    await self._room.local_participant.unpublish_track(self._publication.sid)
        except Exception as exc:
            problem = broken("the microphone was not unpublished cleanly", exc)
            raise BrokenError(str(problem)) from exc
        finally:
            await self._source.aclose()


@final
class _Publishing:
    """One attempt to publish, which undoes itself if it was given up."""

    def __init__(self, room: rtc.Room, sample_rate: int, num_channels: int) -> None:
        self._room = room
        self._sample_rate = sample_rate
        self._num_channels = num_channels
        self.given_up = False
        self.microphone: LiveKitMicrophone | None = None
        self.error: Exception | None = None

    async def run(self) -> None:
        source = rtc.AudioSource(self._sample_rate, self._num_channels, queue_size_ms=QUEUE_MS)
        track = rtc.LocalAudioTrack.create_audio_track(TRACK_NAME, source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                publication = await self._room.local_participant.publish_track(track, options)
        except BaseException as error:
            await source.aclose()
            if not isinstance(error, Exception):
                raise
            self.error = error
            return
        self.microphone = LiveKitMicrophone(self._room, source, track, publication)
        if self.given_up:
            await self.microphone.aclose()


@final
class Microphones:
    """The microphone tracks of one room: opened, and at the end closed, together."""

    def __init__(self) -> None:
        self._tasks = TaskOwner()
        self._attempts: list[RootTask] = []
        self._open: list[LiveKitMicrophone] = []
        self._closed = False

    async def open(self, room: rtc.Room, sample_rate: int, num_channels: int) -> LiveKitMicrophone:
        """Publish a track that takes sound of this form; cancelled, it is unpublished again.

        Raises:
            ClosedError: the room was closed meanwhile.
            BrokenError: the room did not take the track.
        """
        attempt = _Publishing(room, sample_rate, num_channels)
        task = self._tasks.start(attempt.run, "publishing the microphone")
        self._attempts = [one for one in self._attempts if not one.ended]
        self._attempts.append(task)
        try:
            await task.wait()
        except BaseException:
            attempt.given_up = True
            if attempt.microphone is not None:
                self._tasks.start(attempt.microphone.aclose, "unpublishing the microphone")
            raise
        if attempt.error is not None:
            problem = broken("the room did not take the microphone", attempt.error)
            raise problem from attempt.error
        if self._closed or attempt.microphone is None:
            raise ClosedError("the room")
        self._open.append(attempt.microphone)
        return attempt.microphone

    async def aclose(self) -> None:
        """Unpublish them all, those being published included; bounded in time."""
        self._closed = True
        for microphone in self._open:
            try:
                async with asyncio.timeout(CLOSE_SECONDS):
                    await microphone.aclose()
            except (BrokenError, TimeoutError) as error:
                report("closing a microphone", error)
        self._open.clear()
        # An attempt cancelled half-way may publish all the same: let it end, if the room answers.
        for attempt in self._attempts:
            await attempt.wait(CLOSE_SECONDS)
        await self._tasks.aclose(CLOSE_SECONDS)
