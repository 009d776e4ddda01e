"""Audio that shows its delay: a quiet tone with a loud beep twice a second."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias, final

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

OnSamples: TypeAlias = Callable[[int, memoryview], None]
"""A listener, by its number, has samples: int16, mono."""


def _tone(amplitude: int) -> bytes:
    phase = 2 * np.pi * TONE / RATE * np.arange(SAMPLES)
    samples: npt.NDArray[np.int16] = (amplitude * np.sin(phase)).astype(np.int16)
    return samples.tobytes()


@final
class Beeper:
    """Makes the audio, frame by frame, and notes when each beep was taken."""

    def __init__(self, kept: int) -> None:
        self.sent_ns: deque[int] = deque(maxlen=kept)
        self._quiet, self._loud = _tone(QUIET), _tone(LOUD)
        self._count = 0

    def next_frame(self) -> bytes:
        """Ten milliseconds: int16, mono, at `RATE`."""
        position = self._count % EVERY
        self._count += 1
        if position == 0:
            self.sent_ns.append(time.monotonic_ns())
        return self._loud if position < BEEP else self._quiet


@final
class BeepDetector:
    """Notes when beeps begin; costs under a microsecond a frame."""

    def __init__(self) -> None:
        self.detected_ns: list[int] = []
        self.frames = 0
        self._loud = True  # audio that begins in the middle of a beep has no beginning of it

    def feed(self, samples: memoryview) -> None:
        """Examine a frame: int16 samples, mono."""
        self.frames += 1
        # Two samples a quarter period apart have the tone's power between them.
        a, b = samples[-1], samples[-1 - QUARTER]
        loud = a * a + b * b > EDGE
        if loud and not self._loud:
            self.detected_ns.append(time.monotonic_ns())
        self._loud = loud


def delays(sent_ns: Sequence[int], detected_ns: Sequence[int]) -> list[float]:
    """Milliseconds from each beep sent to its detection, sorted.

    A beep is taken for the newest one sent before it, so delays over half a second would show as
    shorter ones.
    """
    found = ((bisect_right(sent_ns, at), at) for at in detected_ns)
    ages = (at - sent_ns[count - 1] for count, at in found if count)
    return sorted(age / 1e6 for age in ages if age < EVERY_NS)
