"""Where each stretch of audio lies in time: receive time decides, jitter does not.

An audio frame begins where the one before it ends, unless the times at which frames were received
say otherwise for good. A frame that is late may be followed by others that make up for it; a frame
that was never sent may not. So each frame waits for `HOLD_NS`, and the earliest of the frames that
came meanwhile decides: if even that one is late, audio is missing, and silence takes its place.
"""

from __future__ import annotations

from collections import deque
from typing import Final, final

import msgspec
import numpy as np
import numpy.typing as npt

from livelayer_bus import AudioFrame

NS_PER_SECOND: Final = 1_000_000_000
HOLD_NS: Final = 200_000_000
"""How long a frame waits for later ones."""
GAP_NS: Final = 20_000_000
"""Audio that is later than this, for good, follows a gap."""
AHEAD_NS: Final = 40_000_000
"""Audio that is earlier than this, for good, is more than the time there was: some is left out."""
IDLE_NS: Final = 600_000_000
"""How far silence stays behind the present while no frame comes."""
MAX_SILENCE_NS: Final = NS_PER_SECOND
"""The longest stretch of silence handed out at once."""

Samples = npt.NDArray[np.int16]


class Stretch(msgspec.Struct, frozen=True, eq=False):
    """Audio that follows the stretch before it: `samples` has the shape (samples, channels)."""

    samples: Samples
    sample_rate: int

    @property
    def duration_ns(self) -> int:
        return len(self.samples) * NS_PER_SECOND // self.sample_rate


class Gap(msgspec.Struct, frozen=True):
    """Audio that was missing: where, and for how long, in seconds of the recording."""

    start: float
    seconds: float


class _Held(msgspec.Struct, frozen=True, eq=False):
    frame: AudioFrame
    late_ns: int
    """How much later it came than the frames before it last until, silence not counted."""


@final
class AudioTimeline:
    """Turns frames into one unbroken course of audio from `start_ns` on.

    Guarantee: at any time, the end of what was handed out is within `GAP_NS` of the time at which
    the last frame of it was received, less the jitter of the frames in `HOLD_NS`. What is added is
    a `Gap`; what is left out is counted.
    """

    def __init__(self, start_ns: int) -> None:
        self.start_ns: Final = start_ns
        self.end_ns = start_ns
        """Where the audio handed out so far ends, on the clock of `received_ns`."""
        self.left_out_ns = 0
        """Audio that there was no time for."""
        self.gaps: list[Gap] = []
        self._held: deque[_Held] = deque()
        self._taken_ns = 0  # durations of all frames taken
        self._shift_ns = 0  # silence added, less what was left out, as of the last one handed out
        self._format = 48_000, 1

    def add(self, frame: AudioFrame) -> list[Stretch]:
        """Take a frame; return what can be handed out now."""
        late_ns = frame.received_ns - frame.duration_ns - self.start_ns - self._taken_ns
        self._taken_ns += frame.duration_ns
        self._held.append(_Held(frame, late_ns))
        return self._release(frame.received_ns - HOLD_NS)

    def advance(self, now_ns: int) -> list[Stretch]:
        """Return what can be handed out at `now_ns`, silence included."""
        ready = self._release(now_ns - HOLD_NS)
        if not self._held:
            ready += self._silence(now_ns - IDLE_NS - self.end_ns)
        return ready

    def finish(self, end_ns: int) -> list[Stretch]:
        """Return all that is left, and silence until `end_ns`."""
        ready = self._release(end_ns + HOLD_NS)
        return ready + self._silence(end_ns - self.end_ns)

    def _release(self, before_ns: int) -> list[Stretch]:
        ready: list[Stretch] = []
        while self._held and self._held[0].frame.received_ns <= before_ns:
            missing_ns = min(one.late_ns for one in self._held) - self._shift_ns
            frame = self._held.popleft().frame
            self._format = frame.sample_rate, frame.num_channels
            if missing_ns > GAP_NS:
                ready += self._silence(missing_ns)
            elif missing_ns < -AHEAD_NS:
                self._shift_ns -= frame.duration_ns
                self.left_out_ns += frame.duration_ns
                continue
            ready.append(Stretch(frame.to_ndarray(), frame.sample_rate))
            self.end_ns += frame.duration_ns
        return ready

    def _silence(self, length_ns: int) -> list[Stretch]:
        rate, channels = self._format
        ready: list[Stretch] = []
        start_ns = self.end_ns
        while length_ns > 0:
            part_ns = min(length_ns, MAX_SILENCE_NS)
            length_ns -= part_ns
            count = part_ns * rate // NS_PER_SECOND
            if count:
                ready.append(Stretch(np.zeros((count, channels), np.int16), rate))
                self.end_ns += count * NS_PER_SECOND // rate
        added_ns = self.end_ns - start_ns
        self._shift_ns += added_ns
        if added_ns:
            self._note_gap(start_ns, added_ns)
        return ready

    def _note_gap(self, start_ns: int, added_ns: int) -> None:
        start, seconds = (start_ns - self.start_ns) / NS_PER_SECOND, added_ns / NS_PER_SECOND
        last = self.gaps[-1] if self.gaps else None
        if last is not None and abs(last.start + last.seconds - start) < GAP_NS / NS_PER_SECOND:
            self.gaps[-1] = Gap(last.start, round(last.seconds + seconds, 6))
        else:
            self.gaps.append(Gap(round(start, 6), round(seconds, 6)))
