"""Sound at another speed lasts accordingly, and keeps its pitch."""

from __future__ import annotations

import numpy as np
import pytest
from livelayer_recorder.tempo import FASTEST, SLOWEST, Tempo

from .media_kit import RATE, SECOND, sound


@pytest.mark.parametrize("speed", [SLOWEST, 0.8, 1.5, 2.0, FASTEST])
def test_it_lasts_accordingly_and_keeps_its_pitch(speed: float) -> None:
    tempo = Tempo(speed)
    heard = [part for _ in range(20) for part in tempo.change(sound(SECOND, loud=True, ms=100))]
    count = sum(part.samples_per_channel for part in heard)
    assert abs(count / RATE - 2.0 / speed) < 0.25
    samples = np.concatenate([part.to_ndarray()[:, 0] for part in heard]).astype(np.float64)
    spectrum = np.abs(np.fft.rfft(samples))
    assert np.argmax(spectrum) * RATE / len(samples) == pytest.approx(1000, rel=0.02)
