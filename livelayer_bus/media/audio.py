"""Audio for any number of readers: one bounded span in order, and a cursor for each reader."""

from __future__ import annotations

import math
import weakref
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import final

import numpy as np

from ..clock import now_ns
from ..errors import MisuseError
from .channel import Channel, Subscription
from .frames import AudioFrame
from .writer import Writer

NS_PER_MS = 1_000_000
LEVEL_SPAN_NS = 100 * NS_PER_MS  # of audio that `level` is computed over; always kept
LEVEL_STALE_NS = 500 * NS_PER_MS  # without a frame, after which the level is 0
FULL_SCALE = 32768.0  # of int16


@final
class AudioSubscription(Subscription[AudioFrame]):
    """Every frame in order, as long as the reader lags at most `max_delay_ms`."""

    _writer: AudioWriter

    def __init__(self, writer: AudioWriter, max_delay_ms: float, label: str | None) -> None:
        if not (max_delay_ms > 0 and math.isfinite(max_delay_ms)):
            raise MisuseError(f"max_delay_ms={max_delay_ms} must be more than 0 milliseconds")
        super().__init__(writer, round(max_delay_ms * NS_PER_MS), label)

    def _start(self) -> int:
        return self._writer.sequence

    def _skip(self) -> tuple[int, int]:
        writer = self._writer
        pending = writer.sequence - self._cursor
        if not pending:
            return 0, 0
        kept = len(writer.ring)
        first = max(0, kept - pending)
        ready = kept - writer.first_within(first, self._span_ns)
        return pending - ready, ready

    def _take(self) -> AudioFrame:
        return self._writer.ring[self._cursor - self._writer.sequence]


@final
class AudioChannel(Channel[AudioFrame]):
    """The agent's voice: each frame exists once, and every reader gets that one object.

    It is there before any track and while a track is renewed (`available` says so). It keeps as
    much audio as the largest `max_delay_ms` of its readers, at least 100 ms.
    """

    _writer: AudioWriter
    _level: tuple[int, float] = (0, 0.0)

    @property
    def level(self) -> float:
        """How loud the last 100 ms were: RMS from 0 to 1, over all channels.

        0 without a track, and after half a second without a frame. Computed when it is read.
        """
        writer = self._writer
        newest = self.latest
        if newest is None or writer.now_ns() - newest.received_ns > LEVEL_STALE_NS:
            return 0.0
        if self._level[0] != writer.sequence:
            first = writer.first_within(0, LEVEL_SPAN_NS)
            frames = [frame.to_ndarray().ravel() for frame in islice(writer.ring, first, None)]
            samples = np.concatenate(frames).astype(np.float32)
            power = float(np.dot(samples, samples)) / samples.size
            self._level = (writer.sequence, min(1.0, math.sqrt(power) / FULL_SCALE))
        return self._level[1]

    def subscribe(self, *, max_delay_ms: float = 200) -> AudioSubscription:
        """A reader of the audio from now on: `with channel.subscribe() as audio: async for ...`.

        On a closed channel the iteration ends at once.

        Args:
            max_delay_ms: how much audio may wait for this reader; beyond it the oldest frames
                are dropped and counted. One frame may always wait, however long it is.

        Raises:
            MisuseError: `max_delay_ms` is not a positive number.
        """
        return AudioSubscription(self._writer, max_delay_ms, self._label)


@final
class AudioWriter(Writer[AudioFrame]):
    """Creates an `AudioChannel` and feeds it; the channel alone goes to surfaces.

    Keeps the newest frames, as much as the most patient reader asks for.
    """

    def __init__(self, *, now_ns: Callable[[], int] = now_ns) -> None:
        super().__init__("the audio channel", now_ns)
        self._channel: weakref.ref[AudioChannel] | None = None  # weak: the channel refers to this
        self.ring: deque[AudioFrame] = deque()
        # Where each kept frame starts, and where the newest ends: nanoseconds of audio pushed.
        self.starts: deque[int] = deque()
        self.end_ns = 0
        self.span_ns = LEVEL_SPAN_NS

    @property
    def channel(self) -> AudioChannel:
        """What readers subscribe to; one object for as long as it is held."""
        channel = self._channel() if self._channel else None
        if channel is None:
            channel = AudioChannel(self)
            self._channel = weakref.ref(channel)
        return channel

    def store(self, frame: AudioFrame) -> None:
        self.ring.append(frame)
        self.starts.append(self.end_ns)
        self.end_ns += frame.duration_ns
        self._trim()

    def release(self) -> None:
        self.newest = None
        self.ring.clear()
        self.starts.clear()

    def retune(self) -> None:
        self.span_ns = max(LEVEL_SPAN_NS, *self.readers.values(), 0)
        self._trim()

    @property
    def held(self) -> int:
        return len(self.ring)

    def first_within(self, index: int, span_ns: int) -> int:
        """The first kept frame from `index` on that a reader of `span_ns` may still get."""
        last = len(self.ring) - 1
        while index < last and self.end_ns - self.starts[index] > span_ns:
            index += 1
        return index

    def _trim(self) -> None:
        for _ in range(self.first_within(0, self.span_ns)):
            self.ring.popleft()
            self.starts.popleft()
