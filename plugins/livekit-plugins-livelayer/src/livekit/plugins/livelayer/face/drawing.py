"""The face: a small round head with a sprout, drawn with numpy and cached in patches."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Final

import numpy as np

from .canvas import Canvas, Frame, Layer, Patch, Plane, Region, edge, rgb
from .expression import Look

WIDTH: Final = 640
HEIGHT: Final = 360

_CENTRE_X: Final = 320.0
_CENTRE_Y: Final = 186.0
_HEAD: Final = (116.0, 102.0)  # radii
_EYE_X: Final = 43.0
_MOUTH_Y: Final = 42.0

_HEAD_REGION: Final = Region(180, 30, 280, 276)
_EYES_REGION: Final = Region(248, 124, 144, 84)
_MOUTH_REGION: Final = Region(272, 208, 96, 66)
_THOUGHT_REGION: Final = Region(462, 40, 96, 92)
_HALO_REGION: Final = Region(140, 20, 360, 300)
_WHOLE: Final = Region(0, 0, WIDTH, HEIGHT)

_PATCHES_KEPT: Final = 384  # of eyes, and of mouths; about 15 kB each
_BOB_STEPS: Final = 9  # half pixels that the head moves up and down

_NIGHT, _DUSK, _DAWN = rgb("2d2656"), rgb("8a5382"), rgb("f4a884")
_CREAM, _LIGHT, _SHADOW = rgb("ffe3c2"), rgb("fff8ea"), rgb("efb48a")
_CHEEK, _INK, _BROW = rgb("ff8f86"), rgb("3b2534"), rgb("9a6650")
_LEAF, _LEAF_LIGHT, _STEM = rgb("6fbf7a"), rgb("b5e08c"), rgb("5a9d66")
_KNIT, _KNIT_LIGHT, _SCARF = rgb("2f7f86"), rgb("5bb5ad"), rgb("f0a43a")
_SCARF_LIGHT, _SCARF_DARK = rgb("ffd27a"), rgb("cf7f2a")
_LIPS, _INSIDE, _TONGUE, _TEETH = rgb("6a2f3c"), rgb("7d2a3d"), rgb("f0808a"), rgb("fffaf2")
_HALO, _WHITE = rgb("ffd98a"), rgb("ffffff")

_LIGHTS: Final = (  # soft lights in the background: x, y, radius, strength
    (70, 70, 46, 0.16),
    (150, 250, 70, 0.13),
    (540, 290, 84, 0.15),
    (590, 110, 50, 0.15),
    (480, 30, 30, 0.12),
    (32, 300, 40, 0.14),
    (230, 28, 24, 0.12),
    (612, 220, 26, 0.12),
)


class Face:
    """Draws looks into one I420 frame (`buffer`), which each call overwrites.

    Looks are rounded to steps too small to see, and the patches of each step are cached, so that
    most frames are a few copies. Memory is bounded. The constructor paints what every look needs
    (a fifth of a second).
    """

    def __init__(self) -> None:
        self._frame = Frame(WIDTH, HEIGHT)
        self._eyes = lru_cache(_PATCHES_KEPT)(paint_eyes)
        self._mouth = lru_cache(_PATCHES_KEPT)(paint_mouth)
        self._thought = lru_cache()(paint_thought)  # there are 25
        self._scene = paint_scene()
        self._heads = [paint_head(step / 2) for step in range(-_BOB_STEPS, _BOB_STEPS + 1)]
        self._halo = paint_halo()

    @property
    def buffer(self) -> bytearray:
        """The frame: 640 x 360, I420."""
        return self._frame.buffer

    def draw(self, look: Look) -> None:
        """Draw a look."""
        step = max(-_BOB_STEPS, min(_BOB_STEPS, round(look.bob * 2)))
        bob = step / 2
        gaze_x, gaze_y = look.gaze
        lay = self._frame.lay
        lay(self._scene)
        lay(self._heads[step + _BOB_STEPS])
        gaze = _round(gaze_x, 8), _round(gaze_y, 8)
        lay(self._eyes(bob, _round(look.eyes, 8), gaze, _round(look.brows, 6)))
        openness, roundness = _round(look.mouth.openness, 12), _round(look.mouth.roundness, 5)
        lay(self._mouth(bob, openness, roundness, _round(look.smile, 6)))
        if look.thought is not None:
            lay(self._thought(_round(look.thought, 24)))
        if look.glow > 0:
            self._frame.blend(self._halo, look.glow)


def _round(value: float, steps: int) -> float:
    """The nearest of that many steps from 0 to 1."""
    return round(value * steps) / steps


def paint_scene() -> Patch:
    """The whole picture without the head."""
    canvas = Canvas(_WHOLE)
    _scene(canvas)
    return canvas.patch()


def paint_halo() -> Layer:
    """The light around the head while the user speaks."""
    canvas = Canvas(_HALO_REGION)
    away = canvas.distance(_CENTRE_X, _CENTRE_Y, _HEAD[0] + 8, _HEAD[1] + 6)
    ring = np.exp(-((away - 12.0) ** 2) / 150.0) * _smooth(away / 10)
    return canvas.layer(_HALO, (ring * np.float32(0.7)).astype(np.float32))


def paint_head(bob: float) -> Patch:
    """The head without eyes and mouth, and the scene around it."""
    canvas = Canvas(_HEAD_REGION)
    _scene(canvas)
    _sprout(canvas, bob)
    cover = canvas.ellipse(_CENTRE_X, _CENTRE_Y + bob, *_HEAD)
    for side in (-1, 1):
        ear = canvas.ellipse(_CENTRE_X + side * 113, _CENTRE_Y + bob + 8, 17, 20)
        canvas.fill(_SHADOW, ear)
        inner = canvas.ellipse(_CENTRE_X + side * 116, _CENTRE_Y + bob + 8, 9, 11)
        canvas.fill(_CHEEK, inner * np.float32(0.55))
    _skin(canvas, bob, cover)
    return canvas.patch()


def paint_eyes(bob: float, openness: float, gaze: tuple[float, float], brows: float) -> Patch:
    """The band of the face with eyes and brows."""
    canvas = Canvas(_EYES_REGION)
    _skin(canvas, bob, 1.0)
    for side in (-1, 1):
        x = _CENTRE_X + side * _EYE_X + gaze[0] * 7
        y = _CENTRE_Y + bob - 6 + gaze[1] * (6 if gaze[1] < 0 else 2)
        if openness < 0.2:
            _smiling_lid(canvas, _CENTRE_X + side * _EYE_X, y + 4)
        else:
            down = 18.5 * openness
            canvas.fill(_INK, canvas.ellipse(x, y, 13.5, down))
            shine = min(1.0, openness * 1.4) * 0.95
            large = canvas.ellipse(x - 4.2, y - 6.5 * openness, 4.8, 5.2 * openness)
            small = canvas.ellipse(x + 4.6, y + 6.0 * openness, 2.3, 2.3 * openness)
            canvas.fill(_WHITE, large * np.float32(shine))
            canvas.fill(_WHITE, small * np.float32(shine * 0.7))
        lift = _CENTRE_Y + bob - 39 - 8 * brows
        middle = _CENTRE_X + side * (_EYE_X + 1)
        left = canvas.stroke((middle - 11, lift + 3), (middle, lift), 5.0)
        right = canvas.stroke((middle, lift), (middle + 11, lift + 3), 5.0)
        canvas.fill(_BROW, np.maximum(left, right))
    return canvas.patch()


def paint_mouth(bob: float, openness: float, roundness: float, smile: float) -> Patch:
    """The part of the face with the mouth."""
    canvas = Canvas(_MOUTH_REGION)
    _skin(canvas, bob, 1.0)
    half = 27.0 - 4.0 * (1 - smile) - (12.0 * roundness if roundness > 0 else 4.0 * roundness)
    half -= 2.0 * openness
    across = (canvas.x - _CENTRE_X) / half
    arch = np.clip(1.0 - across * across, 0.0, 1.0)
    bend = 10.0 * smile * (1.0 - 0.55 * openness) * (1.0 - 0.6 * max(0.0, roundness))
    middle = _CENTRE_Y + bob + _MOUTH_Y - bend * 0.5 + bend * arch
    thick = (5.0 + 30.0 * openness) * np.sqrt(arch)
    upper = middle - thick * (0.5 - 0.18 * openness)
    lower = middle + thick * (0.5 + 0.18 * openness)
    outside = np.maximum(upper - canvas.y, canvas.y - lower).astype(np.float32)
    beside = np.float32(half) * (np.abs(across) - 1.0)
    shape = np.maximum(outside, beside)
    canvas.fill(_LIPS, edge(shape))
    if openness > 0.08:
        _inside(canvas, edge(shape + np.float32(2.2)), upper, lower, openness, roundness)
    corner = _CENTRE_Y + bob + _MOUTH_Y - bend * 0.5
    for side in (-1, 1):
        canvas.fill(_LIPS, canvas.ellipse(_CENTRE_X + side * (half - 1.0), corner, 2.5, 2.5))
    return canvas.patch()


def paint_thought(phase: float) -> Patch:
    """Three bubbles that rise beside the head, one after the other."""
    canvas = Canvas(_THOUGHT_REGION)
    _scene(canvas)
    for index, (x, y, size) in enumerate(((474, 116, 5.5), (496, 94, 8.5), (524, 66, 12.5))):
        swing = 0.5 + 0.5 * float(np.cos(2 * np.pi * (phase - index / 4)))
        radius = size * (0.72 + 0.28 * swing)
        canvas.fill(_WHITE, canvas.ellipse(x, y, radius, radius) * np.float32(0.45 + 0.5 * swing))
    return canvas.patch()


def _scene(canvas: Canvas) -> None:
    part = np.clip(canvas.y / HEIGHT + (canvas.x - _CENTRE_X) * 0.0003, 0.0, 1.0)
    canvas.shade(_NIGHT, _DUSK, _smooth(part / 0.75))
    canvas.fill(_DAWN, _smooth((part - 0.3) / 0.8))
    for x, y, radius, strength in _LIGHTS:
        away = canvas.distance(x, y, radius, radius)
        canvas.fill(_HALO, _smooth(0.5 - away / 22) * np.float32(strength))
    canvas.fill(_HALO, canvas.glow(_CENTRE_X, _CENTRE_Y, 190.0) * np.float32(0.30))
    _body(canvas)


def _body(canvas: Canvas) -> None:
    knit = canvas.ellipse(_CENTRE_X, 400, 142, 108)
    canvas.shade(_KNIT_LIGHT, _KNIT, np.clip((canvas.y - 290) / 70, 0.0, 1.0), knit)
    ribs = 0.5 + 0.5 * np.cos((canvas.x - _CENTRE_X) * 0.42)
    canvas.fill(_KNIT, knit * (ribs * 0.18).astype(np.float32))
    for x, y, down, tilt in ((368, 332, 26, 0.16), (386, 324, 22, -0.34)):
        tail = canvas.ellipse(x, y, 10, down, tilt=tilt)
        canvas.shade(_SCARF, _SCARF_DARK, np.clip((canvas.y - 304) / 60, 0.0, 1.0), tail)
    band = canvas.ellipse(_CENTRE_X, 296, 86, 23)
    canvas.shade(_SCARF_LIGHT, _SCARF, np.clip((canvas.y - 284) / 32, 0.0, 1.0), band)
    knot = canvas.ellipse(374, 303, 14, 12.5)
    canvas.shade(_SCARF_LIGHT, _SCARF, np.clip((canvas.y - 292) / 22, 0.0, 1.0), knot)
    shadow = canvas.ellipse(_CENTRE_X, _CENTRE_Y + 6, *_HEAD) * band
    canvas.fill(_SCARF_DARK, shadow * np.float32(0.8))


def _sprout(canvas: Canvas, bob: float) -> None:
    top = _CENTRE_Y + bob - _HEAD[1]
    sway = bob * 0.9  # the stem is soft: it leans as the head moves
    canvas.fill(_STEM, canvas.stroke((_CENTRE_X, top + 6), (_CENTRE_X + sway, top - 18), 5.0))
    for side, across, down, tilt in ((-1, 21, 10, 0.5), (1, 25, 11.5, -0.55)):
        x, y = _CENTRE_X + sway + side * 19, top - 27 - (3 if side > 0 else 0)
        leaf = canvas.ellipse(x, y, across, down, tilt=tilt)
        canvas.shade(_LEAF_LIGHT, _LEAF, np.clip((canvas.y - (y - 12)) / 24, 0.0, 1.0), leaf)
        vein = canvas.stroke((_CENTRE_X + sway + side * 3, top - 18), (x + side * 10, y - 5), 1.6)
        canvas.fill(_STEM, vein * np.float32(0.6))


def _skin(canvas: Canvas, bob: float, cover: Plane | float) -> None:
    x, y = _CENTRE_X, _CENTRE_Y + bob
    height = np.clip((canvas.y - (y - _HEAD[1])) / (2 * _HEAD[1]), 0.0, 1.0)
    aside = (canvas.x - x) / (4 * _HEAD[0])
    canvas.shade(_CREAM, _SHADOW, np.clip((height + aside - 0.42) * 1.1, 0.0, 1.0), cover)
    canvas.fill(_LIGHT, canvas.glow(x - 34, y - 52, 74.0) * cover)
    for side in (-1, 1):
        canvas.fill(_CHEEK, canvas.glow(x + side * 70, y + 30, 25.0) * np.float32(0.62) * cover)


def _smooth(part: Plane) -> Plane:
    """A soft step from 0 to 1 while `part` goes from 0 to 1."""
    inside = np.clip(part, 0.0, 1.0)
    step: Plane = (inside * inside * (3.0 - 2.0 * inside)).astype(np.float32)
    return step


def _smiling_lid(canvas: Canvas, x: float, y: float) -> None:
    bend = ((-13, -1.5), (-6.5, 3.0), (0, 4.5), (6.5, 3.0), (13, -1.5))
    for start, end in pairwise((x + across, y + down) for across, down in bend):
        canvas.fill(_INK, canvas.stroke(start, end, 4.6))


def _inside(
    canvas: Canvas, cover: Plane, upper: Plane, lower: Plane, openness: float, roundness: float
) -> None:
    canvas.fill(_INSIDE, cover)
    bottom = float(np.max(lower))
    tongue = canvas.ellipse(
        _CENTRE_X, bottom + 1.0, 17 - 4 * max(0.0, roundness), 15 * openness + 2
    )
    canvas.fill(_TONGUE, tongue * cover)
    if openness > 0.3 and roundness < 0.3:
        teeth = edge((canvas.y - upper - np.float32(3.0 + 4.0 * openness)).astype(np.float32))
        canvas.fill(_TEETH, teeth * cover)
