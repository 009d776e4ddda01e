"""The drawn face as livekit-agents' `VideoGenerator`: pictures and audio leave in step."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final, TypeAlias, final

import numpy as np
from livekit import rtc
from livekit.agents.voice.avatar import AudioSegmentEnd, VideoGenerator

from .drawing import HEIGHT, WIDTH, Face
from .expression import Expression
from .mouth import CLOSED, ENERGY_STEP_SECONDS, MouthTimeline, Viseme

FRAMES_PER_SECOND: Final = 30
AUDIO_RATE: Final = 24_000
"""Samples a second of the audio that a face takes and gives."""
VISEMES_KEY: Final = "livelayer.visemes"
"""The key of a frame's `userdata` that holds its mouth shapes, a tuple of `Viseme`."""

_FRAMES_WAITING: Final = 64  # audio frames that may wait; `push_audio` then waits
_STEP_BYTES: Final = AUDIO_RATE // FRAMES_PER_SECOND * 2  # of 16-bit mono audio a picture
_LOUD: Final = 5_000.0  # root mean square of 16-bit samples that counts as full loudness

Part: TypeAlias = rtc.VideoFrame | rtc.AudioFrame | AudioSegmentEnd


@final
class FaceVideo(VideoGenerator):
    """Yields one picture for each thirtieth of a second, and the audio that belongs to it.

    Without audio the face listens, thinks and blinks. The consumer sets the pace: thirty pictures
    a second. One iteration an instance.
    """

    def __init__(self, face: Face, expression: Expression) -> None:
        """
        Args:
            face: Draws the pictures; this object owns it from now on.
            expression: What the face shows besides its mouth.
        """
        self._face = face
        self._expression = expression
        self._timeline = MouthTimeline()
        self._waiting: asyncio.Queue[tuple[int, rtc.AudioFrame | AudioSegmentEnd]] = asyncio.Queue()
        self._room = asyncio.Semaphore(_FRAMES_WAITING)
        self._cleared = 0
        self._audio = bytearray()
        self._played = 0.0
        self._paused = False
        self._ending = False
        self._pictures = 0

    async def push_audio(self, frame: rtc.AudioFrame | AudioSegmentEnd) -> None:
        """Add mono 16-bit audio at `AUDIO_RATE`, or the end of a speech.

        Waits while 64 frames are waiting; `clear_buffer` drops the frame of such a call too.
        """
        if isinstance(frame, AudioSegmentEnd):
            self.end_segment()
            return
        number = self._cleared
        await self._room.acquire()
        self._waiting.put_nowait((number, frame))

    def end_segment(self) -> None:
        """Add the end of a speech; never waits."""
        self._waiting.put_nowait((self._cleared, AudioSegmentEnd()))

    def clear_buffer(self) -> None:
        """Drop the speech at once: the mouth closes."""
        self._cleared += 1
        self._begin_anew()

    def pause(self) -> None:
        """Stop yielding audio: the mouth closes, and the speech is kept."""
        self._paused = True

    def resume(self) -> None:
        """Continue the speech."""
        self._paused = False

    def __aiter__(self) -> AsyncIterator[Part]:
        return self._parts()

    async def _parts(self) -> AsyncGenerator[Part]:
        while True:
            audio = b"" if self._paused else self._next_audio()
            yield self._picture()
            if audio:
                self._played += len(audio) / 2 / AUDIO_RATE
                yield rtc.AudioFrame(audio, AUDIO_RATE, 1, len(audio) // 2)
            if self._ending and not self._audio:
                self._begin_anew()
                yield AudioSegmentEnd()

    def _next_audio(self) -> bytes:
        """Return the audio of the next picture; empty while there is not enough."""
        while len(self._audio) < _STEP_BYTES and not self._ending:
            if self._waiting.empty():
                break
            number, item = self._waiting.get_nowait()
            if isinstance(item, rtc.AudioFrame):
                self._room.release()
            if number != self._cleared:
                continue
            if isinstance(item, AudioSegmentEnd):
                self._ending = True
            else:
                self._timeline.append(item.duration, visemes_of(item), energies(item))
                self._audio += bytes(item.data.cast("B"))
        if len(self._audio) < _STEP_BYTES and not self._ending:
            return b""
        audio = bytes(self._audio[:_STEP_BYTES])
        del self._audio[:_STEP_BYTES]
        if audio:
            self._timeline.start(0.0)
        return audio

    def _picture(self) -> rtc.VideoFrame:
        # Time is counted in pictures and audio in samples: the two cannot drift apart.
        now = self._pictures / FRAMES_PER_SECOND
        self._pictures += 1
        mouth = CLOSED if self._paused else self._timeline.shape(self._played)
        self._face.draw(self._expression.look(now, mouth))
        # A copy: some pictures wait for their time while the next ones are drawn.
        return rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.I420, bytes(self._face.buffer))

    def _begin_anew(self) -> None:
        self._audio.clear()
        self._timeline.finish()
        self._played = 0.0
        self._ending = False


def energies(frame: rtc.AudioFrame) -> list[float]:
    """Return a frame's loudness, 0 to 1, one value each `ENERGY_STEP_SECONDS`."""
    samples = np.frombuffer(frame.data, dtype=np.int16).astype(np.float32)
    step = max(1, int(frame.sample_rate * ENERGY_STEP_SECONDS)) * frame.num_channels
    whole = len(samples) // step
    if whole == 0:
        return []
    blocks = samples[: whole * step].reshape(whole, step)
    loudness = np.sqrt(np.mean(blocks * blocks, axis=1)) / _LOUD
    return [float(value) for value in np.minimum(loudness, 1.0)]


def visemes_of(frame: rtc.AudioFrame) -> tuple[Viseme, ...]:
    """Return the mouth shapes that came with a frame; empty if its voice has none."""
    visemes = frame.userdata.get(VISEMES_KEY, ())
    return tuple(item for item in visemes if isinstance(item, Viseme))
