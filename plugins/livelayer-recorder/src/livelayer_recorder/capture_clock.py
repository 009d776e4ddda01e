"""When pictures were captured, on the clock by which they are received."""

from __future__ import annotations

from collections import deque
from typing import Final, final

from livelayer_bus import VideoFrame

WINDOW_NS: Final = 10_000_000_000
"""The shortest way in this time says how far both clocks are apart; clocks drift."""
MAX_LATE_NS: Final = 1_000_000_000
"""A picture that seems to have been under way for longer is of another clock."""


@final
class CaptureClock:
    """Turns the sender's capture times, where there are any, into times of the receiver.

    Guarantee: pictures are as far apart as they were captured, whatever the network did to them,
    and none is later than it was received. The sender's clock may be any: the picture that took
    the shortest time in the last `WINDOW_NS` is taken to be captured when it was received, so that
    pictures stay in step with sound, for which LiveKit has no such times. A picture without a time,
    or with one that is not later than the one before it, has the time at which it was received.
    """

    def __init__(self) -> None:
        self._last_us = -1
        self._last_ns = 0
        # (received, delay): the delays grow, each the least of all that came after the one before.
        self._delays: deque[tuple[int, int]] = deque()

    def time_of(self, frame: VideoFrame) -> int:
        """When a picture was captured, in nanoseconds of the clock of `received_ns`."""
        capture_us = frame.metadata.capture_us if frame.metadata is not None else None
        received_ns = frame.received_ns
        if capture_us is None or capture_us <= self._last_us:
            self._last_us = -1
            self._delays.clear()
            return received_ns
        self._last_us = capture_us
        delay_ns = received_ns - capture_us * 1000
        delays = self._delays
        if delays and delay_ns - delays[0][1] > MAX_LATE_NS:
            delays.clear()
        while delays and delays[-1][1] >= delay_ns:
            delays.pop()
        delays.append((received_ns, delay_ns))
        while received_ns - delays[0][0] > WINDOW_NS:
            delays.popleft()
        # A faster way moves all that follows it forward, past no picture that was there before.
        at_ns = max(capture_us * 1000 + delays[0][1], min(self._last_ns + 1_000_000, received_ns))
        self._last_ns = at_ns
        return at_ns
