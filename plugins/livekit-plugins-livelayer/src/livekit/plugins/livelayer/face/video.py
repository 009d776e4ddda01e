"""The drawn face as livekit-agents' `VideoGenerator`: pictures and sound leave in step."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final, TypeAlias, final

from livekit import rtc
from livekit.agents.voice.avatar import AudioSegmentEnd, VideoGenerator

from .face import HEIGHT, WIDTH, Expression, Face, MouthTimeline, energies, visemes_of

FRAMES_PER_SECOND: Final = 30
AUDIO_RATE: Final = 24_000
FRAMES_WAITING: Final = 64
"""Audio frames that may wait to be shown; whoever pushes more waits."""

_STEP_BYTES: Final = AUDIO_RATE // FRAMES_PER_SECOND * 2  # of 16-bit mono audio a picture
Part: TypeAlias = rtc.VideoFrame | rtc.AudioFrame | AudioSegmentEnd


@final
class FaceVideo(VideoGenerator):
    """Draws one picture for each thirtieth of a second, with the sound that belongs to it.

    Without sound the face listens, thinks and blinks on. The pace is set by whoever iterates:
    `AvatarRunner` takes thirty pictures a second. One iteration an instance.
    """

    def __init__(self, face: Face, expression: Expression) -> None:
        """
        Args:
            face: Draws; owned by this from now on.
            expression: What the face shows besides its mouth.
        """
        self._face = face
        self._expression = expression
        self._timeline = MouthTimeline()
        self._waiting: asyncio.Queue[rtc.AudioFrame | AudioSegmentEnd] = asyncio.Queue(
            FRAMES_WAITING
        )
        self._sound = bytearray()
        self._played = 0.0
        self._ending = False
        self._pictures = 0

    async def push_audio(self, frame: rtc.AudioFrame | AudioSegmentEnd) -> None:
        """Take audio at `AUDIO_RATE`, mono, or the end of a speech; waits while much waits."""
        await self._waiting.put(frame)

    def clear_buffer(self) -> None:
        """Forget the speech at once: the mouth closes."""
        while not self._waiting.empty():
            self._waiting.get_nowait()
        self._begin_anew()

    def __aiter__(self) -> AsyncIterator[Part]:
        return self._parts()

    async def _parts(self) -> AsyncGenerator[Part]:
        while True:
            sound = self._next_sound()
            yield self._picture()
            if sound:
                self._played += len(sound) / 2 / AUDIO_RATE
                yield rtc.AudioFrame(sound, AUDIO_RATE, 1, len(sound) // 2)
            if self._ending and not self._sound:
                self._begin_anew()
                yield AudioSegmentEnd()

    def _next_sound(self) -> bytes:
        """The sound of the next picture; empty while there is none, or not enough."""
        while len(self._sound) < _STEP_BYTES and not self._ending:
            try:
                item = self._waiting.get_nowait()
            except asyncio.QueueEmpty:
                break
            if isinstance(item, AudioSegmentEnd):
                self._ending = True
            else:
                self._timeline.append(item.duration, visemes_of(item), energies(item))
                self._sound += bytes(item.data.cast("B"))
        if len(self._sound) < _STEP_BYTES and not self._ending:
            return b""
        sound = bytes(self._sound[:_STEP_BYTES])
        del self._sound[:_STEP_BYTES]
        if sound:
            self._timeline.start(0.0)
        return sound

    def _picture(self) -> rtc.VideoFrame:
        # Time is counted in pictures and sound in samples: the two cannot drift apart.
        now = self._pictures / FRAMES_PER_SECOND
        self._pictures += 1
        self._face.draw(self._expression.look(now, self._timeline.shape(self._played)))
        # A copy: some pictures wait for their time while the next ones are drawn.
        return rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.I420, bytes(self._face.buffer))

    def _begin_anew(self) -> None:
        self._sound.clear()
        self._timeline.finish()
        self._played = 0.0
        self._ending = False
