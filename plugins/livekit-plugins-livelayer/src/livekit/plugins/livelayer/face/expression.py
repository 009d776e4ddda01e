"""Eyes, brows and head of the face, as a function of time and mood."""

from __future__ import annotations

import math
from typing import Final, Literal, TypeAlias

import msgspec

from .mouth import MouthShape

Mood: TypeAlias = Literal["idle", "listening", "thinking", "speaking"]

_BLINK_SECONDS: Final = 0.18
_BLINK_EVERY: Final = (3.1, 4.7, 2.3, 5.2, 3.8)  # seconds between blinks, over and over
_MOOD_SECONDS: Final = 0.25  # how long one mood takes to become the next
_BREATH_SECONDS: Final = 3.6


class Look(msgspec.Struct, frozen=True):
    """Everything that is drawn of one instant.

    `bob` is the head's height in pixels, `eyes` 0 (shut) to 1 (open), `gaze` where the eyes look
    (x to the right, y down, -1 to 1), `brows` -1 (low) to 1 (raised), `mouth` the mouth,
    `smile` 0 to 1, `thought` the phase of the thinking dots or None, `glow` 0 to 1.
    """

    bob: float
    eyes: float
    gaze: tuple[float, float]
    brows: float
    mouth: MouthShape
    smile: float
    thought: float | None
    glow: float


class Expression:
    """Turns the states of agent and user into looks; one mood blends into the next."""

    def __init__(self) -> None:
        self._mood: Mood = "idle"
        self._user_speaks = False
        self._heard = 0.0  # 0 to 1, following `_user_speaks`
        self._weights = {"idle": 1.0, "listening": 0.0, "thinking": 0.0, "speaking": 0.0}
        self._last: float | None = None

    @property
    def mood(self) -> Mood:
        """The agent's state, as the face shows it."""
        return self._mood

    def set_state(self, agent_state: str) -> None:
        """Show the agent's state; an unknown one counts as idle."""
        match agent_state:
            case "listening" | "thinking" | "speaking":
                self._mood = agent_state
            case _:
                self._mood = "idle"

    def set_user_speaking(self, speaking: bool) -> None:
        """Show whether the user is speaking."""
        self._user_speaks = speaking

    def look(self, now: float, mouth: MouthShape) -> Look:
        """Return the look at `now` (monotonic seconds) with this mouth."""
        self._blend(now)
        thinking = self._weights["thinking"]
        speaking = self._weights["speaking"]
        attentive = self._weights["listening"] * (0.35 + 0.65 * self._heard)
        breath = math.sin(2 * math.pi * now / _BREATH_SECONDS)
        wander = math.sin(now * 0.7) * 0.25 * (1 - thinking - 0.6 * attentive)
        return Look(
            bob=2.2 * breath + 2.0 * speaking * mouth.openness,
            eyes=min(1.0, blink(now) * (0.94 + 0.06 * attentive)),
            gaze=(0.75 * thinking + wander, -0.8 * thinking + 0.1 * breath),
            brows=0.8 * thinking + 0.55 * attentive + 0.25 * speaking * mouth.openness,
            mouth=mouth,
            smile=1.0 - 0.75 * thinking,
            thought=(now % 1.2) / 1.2 if thinking > 0.4 else None,
            glow=self._heard * (0.8 + 0.2 * math.sin(now * 4.0)),
        )

    def _blend(self, now: float) -> None:
        elapsed = 0.0 if self._last is None else max(0.0, now - self._last)
        self._last = now
        part = min(1.0, elapsed / _MOOD_SECONDS)
        for mood, weight in self._weights.items():
            target = 1.0 if mood == self._mood else 0.0
            self._weights[mood] = weight + (target - weight) * part
        self._heard += ((1.0 if self._user_speaks else 0.0) - self._heard) * part


def blink(now: float) -> float:
    """Return how open the eyes are at `now`: 1, except for a short blink every few seconds."""
    position = now % sum(_BLINK_EVERY)
    for pause in _BLINK_EVERY:
        if position < pause:
            break
        position -= pause
    if position >= _BLINK_SECONDS:
        return 1.0
    return abs(math.cos(math.pi * position / _BLINK_SECONDS))
