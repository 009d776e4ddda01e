"""The audio output between the agent and the room: it hears what is played, and moves the mouth."""

from __future__ import annotations

import time
from typing import Final

from livekit import rtc
from livekit.agents.voice import io
from livekit.plugins.livelayer.face import MouthTimeline, energies, visemes_of

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
        self._timeline.append(frame.duration, visemes_of(frame), energies(frame))
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
