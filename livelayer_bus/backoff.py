"""How long to wait between attempts."""

from __future__ import annotations

import random
from collections.abc import Iterator

import msgspec

from .errors import MisuseError


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """Growing pauses: `initial * factor ** n` seconds, at most `maximum`, give or take `jitter`.

    `attempts` bounds how often is tried at all (None: for ever). `jitter` is a share of the pause,
    0 to 1, so that many clients of one restarted server do not return in step.

    Raises:
        MisuseError: a value is out of range.
    """

    initial: float = 0.25  # seconds
    maximum: float = 8.0  # seconds
    factor: float = 2.0
    jitter: float = 0.25
    attempts: int | None = 12

    def __post_init__(self) -> None:
        if self.initial <= 0 or self.maximum < self.initial or self.factor < 1:
            raise MisuseError("Backoff needs 0 < initial <= maximum and factor >= 1")
        if not 0 <= self.jitter <= 1:
            raise MisuseError(f"Backoff.jitter is a share from 0 to 1, not {self.jitter}")
        if self.attempts is not None and self.attempts < 1:
            raise MisuseError(f"Backoff.attempts is at least 1, or None, not {self.attempts}")

    def pauses(self, rng: random.Random | None = None) -> Iterator[float]:
        """The pause in seconds before each attempt; ends when the attempts are used up."""
        rng = rng or random.Random()
        pause, attempt = self.initial, 0
        while self.attempts is None or attempt < self.attempts:
            yield pause * (1 + self.jitter * rng.uniform(-1, 1))
            pause = min(pause * self.factor, self.maximum)
            attempt += 1
