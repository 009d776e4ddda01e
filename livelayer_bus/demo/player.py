"""The audio output between the agent and the room: it hears what is played, and moves the mouth."""

from __future__ import annotations

import time
from typing import Final

import numpy as np
from livekit import rtc
from livekit.agents.voice import io

from livelayer_bus.demo.mouth import ENERGY_STEP_SECONDS, MouthTimeline, Viseme

VISEMES_KEY: Final = "livelayer.visemes"
"""Where a frame's `userdata` holds the mouth shapes that go with it."""

_LOUD: Final = 5_000.0  # root mean square of 16-bit samples that counts as full loudness
_QUEUE_SECONDS: Final = 0.2  # what RoomIO's audio source holds, and throws away on a pause


class MouthOutput(io.AudioOutput):
    """Passes audio on unchanged and keeps a `MouthTimeline` in step with what is being played."""

    def __init__(self, next_in_chain: io.AudioOutput, timeline: MouthTimeline) -> None:
        super().__init__(
            label="demo-mouth",
            next_in_chain=next_in_chain,
            sample_rate=next_in_chain.sample_rate,
            capabilities=io.AudioOutputCapabilities(pause=True),
        )
        self._timeline = timeline

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        """Hand a frame on for playing."""
        await super().capture_frame(frame)
        visemes = frame.userdata.get(VISEMES_KEY, ())
        known = tuple(item for item in visemes if isinstance(item, Viseme))
        self._timeline.append(frame.duration, known, energies(frame))
        if self.next_in_chain is not None:
            await self.next_in_chain.capture_frame(frame)

    def flush(self) -> None:
        """The speech is complete."""
        super().flush()
        if self.next_in_chain is not None:
            self.next_in_chain.flush()

    def clear_buffer(self) -> None:
        """Stop playing at once."""
        if self.next_in_chain is not None:
            self.next_in_chain.clear_buffer()

    def pause(self) -> None:
        """Hold the speech."""
        self._timeline.pause(time.monotonic())
        super().pause()

    def resume(self) -> None:
        """Go on with the speech."""
        super().resume()
        self._timeline.resume(time.monotonic(), _QUEUE_SECONDS)

    def on_playback_started(self, *, created_at: float) -> None:
        """The first frame of a speech is leaving."""
        self._timeline.start(time.monotonic())
        super().on_playback_started(created_at=created_at)

    def on_playback_finished(
        self,
        *,
        playback_position: float,
        interrupted: bool,
        synchronized_transcript: str | None = None,
    ) -> None:
        """A speech ended, played to the end or interrupted."""
        self._timeline.finish()
        super().on_playback_finished(
            playback_position=playback_position,
            interrupted=interrupted,
            synchronized_transcript=synchronized_transcript,
        )


def energies(frame: rtc.AudioFrame) -> list[float]:
    """The loudness of a frame, 0 to 1, one value each `ENERGY_STEP_SECONDS`."""
    samples = np.frombuffer(frame.data, dtype=np.int16).astype(np.float32)
    step = max(1, int(frame.sample_rate * ENERGY_STEP_SECONDS)) * frame.num_channels
    whole = len(samples) // step
    if whole == 0:
        return []
    blocks = samples[: whole * step].reshape(whole, step)
    loudness = np.sqrt(np.mean(blocks * blocks, axis=1)) / _LOUD
    return [float(value) for value in np.minimum(loudness, 1.0)]
