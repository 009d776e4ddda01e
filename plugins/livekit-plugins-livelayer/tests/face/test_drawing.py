"""The drawn face and what moves it: pictures differ where the look differs, and cost little."""

from __future__ import annotations

import numpy as np
import pytest
from livekit.plugins.livelayer.face import HEIGHT, WIDTH, Expression, Face, Look, MouthShape
from livekit.plugins.livelayer.face.expression import blink
from livekit.plugins.livelayer.face.mouth import CLOSED
from msgspec.structs import replace
from numpy.typing import NDArray

CALM = Look(
    bob=0.0,
    eyes=1.0,
    gaze=(0.0, 0.0),
    brows=0.0,
    mouth=CLOSED,
    smile=1.0,
    thought=None,
    glow=0.0,
)
MOUTH = (slice(208, 274), slice(272, 368))
EYES = (slice(124, 208), slice(248, 392))


@pytest.fixture(scope="module")
def face() -> Face:
    return Face()


def luma(face: Face, look: Look) -> NDArray[np.int16]:
    face.draw(look)
    plane = np.frombuffer(face.buffer, dtype=np.uint8)[: WIDTH * HEIGHT]
    return plane.reshape(HEIGHT, WIDTH).astype(np.int16)


def changed(one: NDArray[np.int16], other: NDArray[np.int16]) -> NDArray[np.bool_]:
    difference: NDArray[np.bool_] = np.abs(one - other) > 8
    return difference


def test_a_frame_is_i420_of_the_whole_picture(face: Face) -> None:
    assert len(face.buffer) == WIDTH * HEIGHT * 3 // 2


def test_an_open_mouth_changes_the_mouth_and_nothing_else(face: Face) -> None:
    difference = changed(luma(face, CALM), luma(face, replace(CALM, mouth=MouthShape(1.0, 0.0))))
    assert difference[MOUTH].sum() > 400
    difference[MOUTH] = False
    assert not difference.any()


def test_a_blink_changes_the_eyes_and_nothing_else(face: Face) -> None:
    difference = changed(luma(face, CALM), luma(face, replace(CALM, eyes=0.0)))
    assert difference[EYES].sum() > 400
    difference[EYES] = False
    assert not difference.any()


def test_thinking_and_being_talked_to_can_be_seen(face: Face) -> None:
    calm = luma(face, CALM)
    assert changed(calm, luma(face, replace(CALM, thought=0.3))).sum() > 200
    assert changed(calm, luma(face, replace(CALM, glow=1.0))).sum() > 2_000


def test_drawing_leaves_nothing_of_the_look_before(face: Face) -> None:
    calm = luma(face, CALM)
    luma(face, replace(CALM, bob=4.5, mouth=MouthShape(1.0, 1.0), thought=0.5, glow=1.0, eyes=0.0))
    assert np.array_equal(calm, luma(face, CALM))


@pytest.mark.parametrize("bob", [-40.0, -4.5, 4.5, 40.0])
@pytest.mark.parametrize("gaze", [(-1.0, -1.0), (1.0, 1.0)])
def test_no_patch_cuts_through_the_eyes_or_the_mouth(
    face: Face, bob: float, gaze: tuple[float, float]
) -> None:
    picture = luma(face, replace(CALM, bob=bob, gaze=gaze, mouth=MouthShape(1.0, 0.0), brows=1.0))
    dark = picture < 90
    # The rows and columns along the seams show skin only, no ink.
    assert not dark[124:126, 248:392].any()
    assert not dark[206:209, 272:368].any()
    assert not dark[272:274, 272:368].any()


def test_blinks_are_short_and_happen() -> None:
    values = [blink(step / 100) for step in range(2_000)]
    assert max(values) == 1.0
    assert min(values) < 0.2
    assert sum(value < 1.0 for value in values) / len(values) < 0.1


def test_moods_blend_instead_of_jumping() -> None:
    expression = Expression()
    expression.set_state("listening")
    before = expression.look(0.0, CLOSED)
    expression.set_state("thinking")
    just_after = expression.look(1 / 30, CLOSED)
    later = [expression.look(step / 30, CLOSED) for step in range(2, 40)][-1]
    assert abs(just_after.brows - before.brows) < 0.25
    assert later.brows > 0.6
    assert later.thought is not None
    assert later.gaze[1] < -0.5


def test_being_talked_to_glows_and_stops_glowing() -> None:
    expression = Expression()
    expression.set_state("listening")
    expression.set_user_speaking(True)
    looks = [expression.look(step / 30, CLOSED) for step in range(30)]
    expression.set_user_speaking(False)
    after = [expression.look(1 + step / 30, CLOSED) for step in range(60)]
    assert looks[-1].glow > 0.5
    assert after[-1].glow < 0.05


@pytest.mark.parametrize(
    ("state", "mood"), [("initializing", "idle"), ("speaking", "speaking"), ("failed", "idle")]
)
def test_unknown_states_count_as_idle(state: str, mood: str) -> None:
    expression = Expression()
    expression.set_state(state)
    assert expression.mood == mood
