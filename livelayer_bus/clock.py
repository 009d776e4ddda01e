"""Time: the clock that every timed decision uses, so that tests never sleep, and retry pauses."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, Protocol

import anyio
import msgspec

from .errors import MisuseError

SLICE: Final = 10.0  # seconds that a sleeper is late, at most, after the machine was suspended

if sys.platform == "linux":
    _clock = partial(time.clock_gettime_ns, time.CLOCK_BOOTTIME)
elif sys.platform == "darwin":
    _clock = partial(time.clock_gettime_ns, time.CLOCK_MONOTONIC_RAW)
else:
    _clock = time.monotonic_ns  # counts it on Windows

now_ns: Final[Callable[[], int]] = _clock
"""Nanoseconds on the monotonic clock that goes on while the machine is suspended; `time.monotonic`
and the event loop's timers stand still meanwhile, except on Windows."""


class Clock(Protocol):
    """Monotonic seconds, also while the machine is suspended; a sleeper may be late."""

    def now(self) -> float:
        """Seconds on a monotonic clock; only differences mean anything."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return once `seconds` have passed on this clock."""
        ...


class SystemClock:
    """The clock of `now_ns`, and the event loop's own timers, at most `SLICE` seconds each."""

    def now(self) -> float:
        return now_ns() / 1e9

    async def sleep(self, seconds: float) -> None:
        until = self.now() + seconds
        while seconds > SLICE and self.now() + SLICE < until:
            await anyio.sleep(SLICE)
            seconds -= SLICE
        await anyio.sleep(max(0.0, min(seconds, until - self.now())))


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
