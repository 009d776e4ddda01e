"""The mouth: shapes of phonemes, and a timeline that follows what is played."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.plugins.livelayer.face import MouthShape, MouthTimeline, Viseme, shape_of
from livekit.plugins.livelayer.face.mouth import CLOSED, ENERGY_STEP_SECONDS

OPEN = MouthShape(1.0, 0.0)


def loud(seconds: float) -> list[float]:
    return [1.0] * round(seconds / ENERGY_STEP_SECONDS)


def test_vowels_open_the_mouth_and_lips_close_it() -> None:
    assert shape_of("\u02c8a\u026a").openness > 0.8
    assert shape_of("u\u02d0").roundness > 0.8
    assert shape_of("i\u02d0").roundness < -0.8
    assert shape_of("m") == shape_of("p") == CLOSED


@pytest.mark.parametrize("phoneme", ["", "_", "\u02c8", "?!"])
def test_silence_and_unknown_signs_close_the_mouth(phoneme: str) -> None:
    assert shape_of(phoneme) == CLOSED


def test_the_mouth_is_closed_until_playing_starts() -> None:
    timeline = MouthTimeline()
    timeline.append(1.0, (Viseme(0.0, OPEN),), loud(1.0))
    assert timeline.shape(100.0) == CLOSED
    timeline.start(100.0)
    assert timeline.shape(100.5).openness > 0.9


def test_visemes_of_later_audio_follow_those_of_earlier_audio() -> None:
    timeline = MouthTimeline()
    timeline.append(0.5, (Viseme(0.1, OPEN),), loud(0.5))
    timeline.append(0.5, (Viseme(0.1, CLOSED),), loud(0.5))
    timeline.start(10.0)
    assert timeline.shape(10.4).openness > 0.9
    assert timeline.shape(10.9).openness < 0.1


def test_finishing_closes_the_mouth_and_forgets_everything() -> None:
    timeline = MouthTimeline()
    timeline.append(1.0, (Viseme(0.0, OPEN),), loud(1.0))
    timeline.start(0.0)
    timeline.finish()
    assert timeline.shape(0.5) == CLOSED
    timeline.start(1.0)
    assert timeline.shape(1.05) == CLOSED


def test_without_phonemes_loudness_moves_the_mouth() -> None:
    timeline = MouthTimeline()
    timeline.append(0.4, (), [0.0] * 10 + [0.8] * 10)
    timeline.start(0.0)
    assert timeline.shape(0.1).openness == 0.0
    assert timeline.shape(0.3).openness > 0.8


@given(
    st.lists(
        st.tuples(
            st.floats(0.01, 0.5),
            st.lists(st.tuples(st.floats(0, 0.5), st.floats(0, 1), st.floats(-1, 1)), max_size=4),
        ),
        max_size=8,
    ),
    st.floats(-1, 5),
)
def test_the_mouth_never_leaves_its_range(
    parts: list[tuple[float, list[tuple[float, float, float]]]], position: float
) -> None:
    timeline = MouthTimeline()
    for duration, visemes in parts:
        ordered = sorted(visemes)
        timeline.append(
            duration, tuple(Viseme(at, MouthShape(o, r)) for at, o, r in ordered), loud(duration)
        )
    timeline.start(0.0)
    shape = timeline.shape(position)
    assert 0.0 <= shape.openness <= 1.0
    assert -1.0 <= shape.roundness <= 1.0
