"""How often the picture is drawn: at most as often as asked, and never at others' cost."""

from __future__ import annotations

from typing import Final, final

SHARE: Final = 0.08  # of one core, at most
SLOWEST: Final = 2.0  # seconds between pictures when nothing else helps
RECOVERY: Final = 0.8  # of the interval, after each picture in time


@final
class Pace:
    """The interval between pictures: grows at once when they cost too much, and shrinks slowly.

    Args:
        fps: pictures a second, at most.
        share: CPU seconds a second that they may take.
    """

    def __init__(self, fps: float, share: float = SHARE) -> None:
        self._least = 1 / fps
        self._share = share
        self.interval = self._least
        """Seconds from the start of one picture to the next."""

    def drawn(self, cost: float, late: float) -> float:
        """Account for one picture; returns the new interval.

        Args:
            cost: CPU seconds that it took.
            late: seconds that the event loop woke the drawing task too late: others need it.
        """
        if late > max(self._least, self.interval) / 2:
            self.interval *= 2
        else:
            self.interval *= RECOVERY
        affordable = max(self._least, cost / self._share)
        self.interval = min(SLOWEST, max(affordable, self.interval))
        return self.interval
