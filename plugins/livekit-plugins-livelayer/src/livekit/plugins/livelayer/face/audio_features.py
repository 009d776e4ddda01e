"""What a mouth takes from audio: its loudness, and the mouth shapes that came with a frame."""

from __future__ import annotations

from typing import Final

import numpy as np
from livekit import rtc

from .mouth import ENERGY_STEP_SECONDS, Viseme

VISEMES_KEY: Final = "livelayer.visemes"
"""Where a frame's `userdata` holds the mouth shapes that go with it."""

_LOUD: Final = 5_000.0  # root mean square of 16-bit samples that counts as full loudness


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


def visemes_of(frame: rtc.AudioFrame) -> tuple[Viseme, ...]:
    """The mouth shapes that came with a frame; empty if its voice knows none."""
    visemes = frame.userdata.get(VISEMES_KEY, ())
    return tuple(item for item in visemes if isinstance(item, Viseme))
