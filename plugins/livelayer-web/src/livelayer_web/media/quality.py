"""The qualities that video is encoded in, and which one suits a viewer: pure, given the time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, final

import msgspec

from livelayer_bus.errors import MisuseError

CodecName: TypeAlias = Literal["VP8", "H264"]

# Of a quality's bitrate: the lowest that its encoder goes for the slowest viewer. A viewer that
# needs less gets the next quality; the others keep theirs.
LEAST_SHARE = 0.6


class Quality(msgspec.Struct, frozen=True):
    """One encoding of the video, shared by all viewers that it suits.

    Args:
        name: identifies it in statistics.
        height: pixels; a smaller source is not enlarged.
        bitrate: bit/s at most.
        fps: frames a second at most, on average.

    Raises:
        MisuseError: a number that an encoder does not accept.
    """

    name: str
    height: int
    bitrate: int
    fps: float

    def __post_init__(self) -> None:
        if self.height < 2 or self.bitrate < 10_000 or not 0 < self.fps <= 240:
            raise MisuseError(
                f"quality {self.name!r}: give pixels >= 2, bit/s >= 10000 and 0 < fps <= 240"
            )


LADDER: tuple[Quality, ...] = (
    Quality("720p", 720, 1_800_000, 30.0),
    Quality("360p", 360, 600_000, 30.0),
    Quality("180p", 180, 200_000, 15.0),
)


ENLARGED = 1.15  # how far a page may enlarge the video before the next quality is worth it
SMALLER_AFTER = 3.0  # seconds that a smaller size must be wanted: animations change sizes
SETTLE = 5.0  # seconds that an estimate needs to follow a new rate upwards
DOWN_AFTER = 2.0  # seconds of reports that the link does not carry the quality
UP_AFTER = 10.0  # seconds of clean reports before a better quality is tried
UP_AFTER_MOST = 160.0  # seconds; each try that failed doubles the wait, up to this
HEAVY_LOSS = 0.10  # of the packets: the link does not carry this
LIGHT_LOSS = 0.02  # of the packets: nothing to worry about

SHARES = (1.0, 0.8, LEAST_SHARE)
NEARLY = 0.95  # of a bitrate is enough: estimates are noisy
SHARE_UP_AFTER = 20.0  # seconds of enough before the next larger share
SHARE_HOLD = 2.0  # seconds between two changes: each costs all viewers a key frame


@final
class QualityChoice:
    """One viewer's quality: not larger than it shows, not more than its link carries.

    A link that does not carry a quality for two seconds gets a lower one. After ten seconds without
    loss the next better one is tried, one step at a time; each failed try doubles the wait. The
    first choice trusts the link. A receiver cannot estimate much more than it is sent, and a still
    image needs little: so an estimate counts against the link only if it is below what is sent.
    """

    def __init__(self, ladder: Sequence[Quality], *, now: float) -> None:
        """A viewer that has just connected.

        Args:
            ladder: the qualities, best first.
            now: seconds, on the clock of all later calls.

        Raises:
            MisuseError: the ladder is empty.
        """
        if not ladder:
            raise MisuseError("a ladder needs at least one quality")
        self._ladder = tuple(ladder)
        self._suits = 0  # the smallest quality that fills the page's video element
        self._shrinks: tuple[int, float] | None = None  # a smaller one suffices, and since when
        self._carried = 0  # the best quality that the link is trusted with
        self._settled_at = now + SETTLE
        self._limit: int | None = None
        self._bad_since: float | None = None
        self._clean_since: float | None = None
        self._up_after = UP_AFTER
        self._climbed_at: float | None = None

    @property
    def _place(self) -> int:
        return max(self._suits, self._carried)

    def want(self, height: int | None, *, now: float) -> None:
        """Set how large the page shows the video. Larger counts at once, smaller after a while.

        Args:
            height: device pixels; None: the best quality.
            now: seconds.
        """
        suits = self._smallest_for(height)
        if suits <= self._suits:
            self._shrinks = None
            self._move(now, suits=suits)
        elif self._shrinks is None or self._shrinks[0] != suits:
            self._shrinks = (suits, now)

    @property
    def limit(self) -> int | None:
        """What the link carries, in bit/s, if that is less than it is sent; else None."""
        return self._limit

    def report(
        self,
        *,
        now: float,
        bandwidth: int | None = None,
        sent: int | None = None,
        loss: float | None = None,
    ) -> None:
        """Process a report of the viewer's receiver.

        Args:
            now: seconds.
            bandwidth: its estimate of what the link carries, in bit/s; None: not reported.
            sent: what it is sent on average, in bit/s; None: the quality's bitrate.
            loss: the fraction of packets lost since the last report, 0 to 1; None: not reported.
        """
        quality = self._ladder[self._place]
        load = quality.bitrate if sent is None else min(sent, quality.bitrate)
        settled = now >= self._settled_at
        if bandwidth is not None:
            self._limit = bandwidth if settled and bandwidth < load * NEARLY else None
        short = self._limit is not None and self._limit < quality.bitrate * LEAST_SHARE
        lossy = loss is not None and loss > HEAVY_LOSS
        if lossy or short:
            self._clean_since = None
            if self._bad_since is None:
                self._bad_since = now
            if now - self._bad_since >= DOWN_AFTER:
                self._descend(now, bandwidth)
            return
        if loss is not None or bandwidth is not None:
            self._bad_since = None
        if self._limit is not None or (loss is not None and loss > LIGHT_LOSS):
            self._clean_since = None
        elif self._clean_since is None:
            self._clean_since = now
        elif self._carried and now - self._clean_since >= self._up_after:
            self._climbed_at = self._clean_since = now
            self._move(now, carried=self._carried - 1)

    def choose(self, now: float) -> Quality:
        """The quality to send from now on."""
        if self._shrinks is not None and now - self._shrinks[1] >= SMALLER_AFTER:
            suits, self._shrinks = self._shrinks[0], None
            self._move(now, suits=suits)
        return self._ladder[self._place]

    def _smallest_for(self, height: int | None) -> int:
        if height is None:
            return 0
        fits = [place for place, one in enumerate(self._ladder) if one.height * ENLARGED >= height]
        return max(fits, default=0)

    def _descend(self, now: float, bandwidth: int | None) -> None:
        last = len(self._ladder) - 1
        place = min(self._place + 1, last)
        while (
            bandwidth is not None
            and place < last
            and bandwidth < self._ladder[place].bitrate * LEAST_SHARE
        ):
            place += 1
        tried = self._climbed_at is not None and now - self._climbed_at < self._up_after + SETTLE
        self._up_after = min(self._up_after * 2, UP_AFTER_MOST) if tried else UP_AFTER
        self._climbed_at = None
        self._move(now, carried=place)
        self._bad_since = None

    def _move(self, now: float, *, suits: int | None = None, carried: int | None = None) -> None:
        before = self._place
        self._suits = self._suits if suits is None else suits
        self._carried = self._carried if carried is None else carried
        if self._place != before:
            # The reports so far were about another rate.
            self._settled_at = now + SETTLE
            self._limit = self._bad_since = self._clean_since = None


@final
class SharedBitrate:
    """The bitrate of a shared encoder: the quality's, or what its slowest viewer can receive.

    The share is one of `SHARES`. It falls at once and rises one step at a time.
    """

    def __init__(self, target: int) -> None:
        """At the full bitrate.

        Args:
            target: the quality's, in bit/s.
        """
        self._target = target
        self._step = 0
        self._changed_at: float | None = None
        self._enough_since: float | None = None

    @property
    def bitrate(self) -> int:
        """The target now, in bit/s."""
        return round(self._target * SHARES[self._step])

    def adapt(self, slowest: int | None, *, now: float) -> int:
        """Process what the slowest viewer's link carries, and return the new target.

        Args:
            slowest: bit/s; None: every link suffices.
            now: seconds.
        """
        if self._changed_at is not None and now - self._changed_at < SHARE_HOLD:
            return self.bitrate
        if not self._enough(slowest, self._step):
            self._enough_since = None
            while self._step < len(SHARES) - 1 and not self._enough(slowest, self._step):
                self._step += 1
                self._changed_at = now
        elif self._step and self._enough(slowest, self._step - 1):
            if self._enough_since is None:
                self._enough_since = now
            elif now - self._enough_since >= SHARE_UP_AFTER:
                self._step -= 1
                self._changed_at, self._enough_since = now, None
        else:
            self._enough_since = None
        return self.bitrate

    def _enough(self, slowest: int | None, step: int) -> bool:
        return slowest is None or slowest >= self._target * SHARES[step] * NEARLY
