"""Sound that shows its delay: a quiet tone with a loud beep twice a second."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from typing import Final, final

import numpy as np
import numpy.typing as npt

RATE: Final = 48_000  # Hz
FRAME_MS: Final = 10
SAMPLES: Final = RATE * FRAME_MS // 1000
EVERY: Final = 50  # frames from beep to beep
EVERY_NS: Final = EVERY * FRAME_MS * 1_000_000
BEEP: Final = 5  # frames a beep lasts
TONE: Final = 1000  # Hz: ten whole periods a frame
QUARTER: Final = RATE // TONE // 4  # samples after which the tone is a quarter period on
QUIET, LOUD = 500, 16_000  # amplitudes of int16
EDGE: Final = (LOUD // 2) ** 2  # power between the two


def _tone(amplitude: int) -> bytes:
    phase = 2 * np.pi * TONE / RATE * np.arange(SAMPLES)
    samples: npt.NDArray[np.int16] = (amplitude * np.sin(phase)).astype(np.int16)
    return samples.tobytes()


@final
class Beeper:
    """Makes the sound, frame by frame, and remembers when each beep was taken."""

    def __init__(self, kept: int) -> None:
        self.sent_ns: deque[int] = deque(maxlen=kept)
        self._quiet, self._loud = _tone(QUIET), _tone(LOUD)
        self._count = 0

    def next_frame(self) -> bytes:
        """Ten milliseconds of sound: int16, mono, at `RATE`."""
        place = self._count % EVERY
        self._count += 1
        if place == 0:
            self.sent_ns.append(time.monotonic_ns())
        return self._loud if place < BEEP else self._quiet


@final
class Listener:
    """Notes when beeps begin; costs under a microsecond a frame."""

    def __init__(self) -> None:
        self.heard_ns: list[int] = []
        self.frames = 0
        self._loud = True  # what begins in the middle of a beep is not its beginning

    def hear(self, samples: memoryview) -> None:
        """Take a frame in: int16 samples, mono."""
        self.frames += 1
        # Two samples a quarter period apart have the tone's power between them.
        a, b = samples[-1], samples[-1 - QUARTER]
        loud = a * a + b * b > EDGE
        if loud and not self._loud:
            self.heard_ns.append(time.monotonic_ns())
        self._loud = loud


def delays(sent_ns: Sequence[int], heard_ns: Sequence[int]) -> list[float]:
    """Milliseconds from each beep sent to when it was heard, sorted.

    A beep belongs to the newest one sent before it, so delays over half a second would show as
    shorter ones.
    """
    places = ((bisect_right(sent_ns, heard), heard) for heard in heard_ns)
    found = ((heard - sent_ns[place - 1]) for place, heard in places if place)
    return sorted(delay / 1e6 for delay in found if delay < EVERY_NS)
