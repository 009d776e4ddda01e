"""Time: the clock that every timed decision uses, so that tests never sleep, and retry pauses."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Protocol

import anyio
import msgspec

from .errors import MisuseError


class Clock(Protocol):
    """Monotonic seconds, and a way to wait for some of them to pass."""

    def now(self) -> float:
        """Seconds on a monotonic clock; only differences mean anything."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return once `seconds` have passed on this clock."""
        ...


class SystemClock:
    """The machine's monotonic clock and the event loop's own timers."""

    def now(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """Growing pauses: `initial * factor ** n` seconds, at most `maximum`, give or take `jitter`.

    `attempts` limits the number of attempts (None: no limit). `jitter` is a share of the pause,
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
