"""Video for any number of readers: one slot with the newest frame, and a cursor for each reader."""

from __future__ import annotations

import math
import time
import weakref
from collections.abc import Callable
from typing import cast, final

from ..clock import now_ns
from ..errors import MisuseError
from .channel import Channel, Subscription
from .frames import NS_PER_SECOND, VideoFrame
from .writer import Writer

NS_PER_US = 1_000
MAX_TRANSIT_NS = 3600 * NS_PER_SECOND  # a larger value means that the stamp is not wall-clock time


@final
class VideoSubscription(Subscription[VideoFrame]):
    """The newest frame each time: a slow reader skips what it missed and wakes on the newest."""

    _writer: VideoWriter

    def __init__(self, writer: VideoWriter, max_fps: float | None, label: str | None) -> None:
        if max_fps is not None and not (max_fps > 0 and math.isfinite(max_fps)):
            raise MisuseError(f"max_fps={max_fps} must be more than 0 frames a second, or None")
        super().__init__(writer, 0, label)
        self._interval_ns = 0 if max_fps is None else round(NS_PER_SECOND / max_fps)

    def _start(self) -> int:
        writer = self._writer
        # A late reader gets the current picture at once and need not wait for the next.
        shown = writer.available and writer.newest is not None
        return writer.sequence - 1 if shown else writer.sequence

    def _skip(self) -> tuple[int, int]:
        pending = self._writer.sequence - self._cursor
        newest = self._writer.newest
        # Due times compare with received_ns, so a frame that is not due never becomes due.
        if not pending or newest is None or newest.received_ns < self._since_ns:
            return pending, 0
        return pending - 1, 1

    def _take(self) -> VideoFrame:
        frame = cast(VideoFrame, self._writer.newest)  # `_skip` said that it is there
        if self._interval_ns:
            # Steps of a fixed grid keep the average rate when frames jitter around it; a reader
            # that fell behind starts a new grid instead of catching up.
            behind_ns = frame.received_ns - self._since_ns
            start_ns = self._since_ns if behind_ns < self._interval_ns else frame.received_ns
            self._since_ns = start_ns + self._interval_ns
        return frame


@final
class VideoChannel(Channel[VideoFrame]):
    """The agent's picture: each frame exists once, and every reader gets that one object.

    It is there before any track and while an avatar is renewed (`available` says so), and holds
    at most one frame, however many readers it has and however slow they are.
    """

    _writer: VideoWriter

    def subscribe(self, *, max_fps: float | None = None) -> VideoSubscription:
        """Return a reader of the newest frames: `with channel.subscribe() as frames: async for`.

        It starts with the current picture, if any. On a closed channel it ends at once.

        Args:
            max_fps: at most that many frames a second on average, by `received_ns`; those left
                out count as dropped. None: as many as the reader can take.

        Raises:
            MisuseError: `max_fps` is not a positive number.
        """
        return VideoSubscription(self._writer, max_fps, self._label)


@final
class VideoWriter(Writer[VideoFrame]):
    """Creates a `VideoChannel` and feeds it; the channel alone goes to surfaces.

    Keeps the newest frame only.
    """

    def __init__(self, *, now_ns: Callable[[], int] = now_ns) -> None:
        super().__init__("the video channel", now_ns)
        self._channel: weakref.ref[VideoChannel] | None = None  # weak: the channel refers to this

    @property
    def channel(self) -> VideoChannel:
        """What readers subscribe to; one object for as long as it is held."""
        channel = self._channel() if self._channel else None
        if channel is None:
            channel = VideoChannel(self)
            self._channel = weakref.ref(channel)
        return channel

    def store(self, frame: VideoFrame) -> None:
        metadata = frame.metadata
        if metadata is not None and metadata.capture_us is not None:
            # received_ns is monotonic, and the sender's stamp is on the wall clock.
            wall_ns = frame.received_ns + time.time_ns() - self.now_ns()
            transit_ns = wall_ns - metadata.capture_us * NS_PER_US
            if abs(transit_ns) < MAX_TRANSIT_NS:
                self.transit.add(transit_ns)

    def release(self) -> None:
        self.newest = None

    @property
    def held(self) -> int:
        return 0 if self.newest is None else 1
