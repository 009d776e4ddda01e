"""The mouth at an instant of speech: the shapes of phonemes, and their timeline."""

from __future__ import annotations

from bisect import bisect_right

import msgspec

CLOSING_SECONDS = 0.09
"""How long the mouth takes to close after the last sound."""

BLEND_SECONDS = 0.07
"""How long one shape takes to become the next."""

ENERGY_STEP_SECONDS = 0.02


class MouthShape(msgspec.Struct, frozen=True):
    """A mouth: `openness` 0 (closed) to 1 (wide open), `roundness` -1 (spread) to 1 (rounded)."""

    openness: float = 0.0
    roundness: float = 0.0


class Viseme(msgspec.Struct, frozen=True):
    """`shape` is reached at `at`, in seconds from the start of its speech."""

    at: float
    shape: MouthShape


CLOSED = MouthShape()

# IPA letters; those that look like Latin ones are written as their code points.
_SHAPES = (
    ("a\u0251\u0250æ", MouthShape(1.0, -0.1)),  # open vowels
    ("ʌəɜɚ", MouthShape(0.6, 0.0)),
    ("eɛ", MouthShape(0.65, -0.6)),
    ("i\u026ay", MouthShape(0.38, -1.0)),
    ("oɔɒ", MouthShape(0.75, 0.8)),
    ("uʊ", MouthShape(0.36, 1.0)),
    ("wɹ", MouthShape(0.3, 0.9)),
    ("ʃʒ", MouthShape(0.3, 0.6)),
    ("mbp", CLOSED),
    ("fv", MouthShape(0.14, -0.4)),
    ("szθð", MouthShape(0.18, -0.7)),
    ("tdnlɾ", MouthShape(0.28, -0.3)),
    ("k\u0261ghŋxj", MouthShape(0.34, -0.2)),
)
_BY_LETTER = {letter: shape for letters, shape in _SHAPES for letter in letters}
_STRESS = "\u02c8\u02cc"


def shape_of(phoneme: str) -> MouthShape:
    """Return the mouth of an IPA phoneme; silence and unknown signs close it.

    A diphthong is shown by its first vowel: the next phoneme's shape follows soon enough.
    """
    for letter in phoneme:
        if letter not in _STRESS and letter in _BY_LETTER:
            return _BY_LETTER[letter]
    return CLOSED


def blend(one: MouthShape, other: MouthShape, part: float) -> MouthShape:
    """Return the shape `part` (0 to 1) of the way from `one` to `other`."""
    return MouthShape(
        one.openness + (other.openness - one.openness) * part,
        one.roundness + (other.roundness - one.roundness) * part,
    )


class MouthTimeline:
    """The mouth of the speech that is being played.

    Audio is appended before it is played (`append`), and runs against the caller's clock from
    `start` on, so the mouth shows what is heard, not what was computed. Mouth shapes that came with
    the audio lead; without them the loudness opens and closes the mouth. All times are seconds of
    one clock. Memory is bounded by one speech.
    """

    def __init__(self) -> None:
        self._times: list[float] = []
        self._shapes: list[MouthShape] = []
        self._energies: list[float] = []
        self._captured = 0.0
        self._origin: float | None = None

    def append(self, duration: float, visemes: tuple[Viseme, ...], energies: list[float]) -> None:
        """Add audio that will be played next.

        Args:
            duration: Its length in seconds.
            visemes: Mouth shapes, in order, their times relative to this audio's start.
            energies: Loudness, 0 to 1, one value each `ENERGY_STEP_SECONDS`.
        """
        for viseme in visemes:
            self._times.append(self._captured + viseme.at)
            self._shapes.append(viseme.shape)
        self._energies.extend(energies)
        self._captured += duration

    def start(self, now: float) -> None:
        """Note that the first sound is played at `now`."""
        if self._origin is None:
            self._origin = now

    def finish(self) -> None:
        """End the speech, played or interrupted: the mouth closes, and all of it is dropped."""
        self._times.clear()
        self._shapes.clear()
        self._energies.clear()
        self._captured = 0.0
        self._origin = None

    def shape(self, now: float) -> MouthShape:
        """Return the mouth at `now`; closed while nothing is played."""
        if self._origin is None:
            return CLOSED
        position = now - self._origin
        if position < 0.0 or position > self._captured + CLOSING_SECONDS:
            return CLOSED
        energy = self._energy(position)
        if not self._times:
            return MouthShape(min(1.0, energy * 1.3), 0.0)
        shape = self._spoken(position)
        # A phoneme that can hardly be heard opens the mouth less: quiet endings close softly.
        return MouthShape(shape.openness * (0.35 + 0.65 * min(1.0, energy * 2.5)), shape.roundness)

    def _spoken(self, position: float) -> MouthShape:
        index = bisect_right(self._times, position) - 1
        if index < 0:
            return CLOSED
        previous = self._shapes[index - 1] if index else CLOSED
        part = min(1.0, (position - self._times[index]) / BLEND_SECONDS)
        return blend(previous, self._shapes[index], part)

    def _energy(self, position: float) -> float:
        index = int(position / ENERGY_STEP_SECONDS)
        return self._energies[index] if 0 <= index < len(self._energies) else 0.0
