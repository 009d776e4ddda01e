"""Audio for any number of readers: one bounded span in order, and a cursor for each reader."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import final

import numpy as np

from ..clock import now_ns
from ..errors import MisuseError
from .buffer import ChannelBuffer
from .channel import Channel, Subscription, Writer
from .frames import AudioFrame

NS_PER_MS = 1_000_000
LEVEL_SPAN_NS = 100 * NS_PER_MS  # of audio that `level` is computed over; always kept
LEVEL_STALE_NS = 500 * NS_PER_MS  # without a frame, after which the level is 0
FULL_SCALE = 32768.0  # of int16


@final
class AudioBuffer(ChannelBuffer[AudioFrame]):
    """Keeps the newest frames, as much as the most patient reader asks for."""

    def __init__(self, name: str, now_ns: Callable[[], int]) -> None:
        super().__init__(name, now_ns)
        self.ring: deque[AudioFrame] = deque()
        # Where each kept frame starts, and where the newest ends: nanoseconds of audio pushed.
        self.starts: deque[int] = deque()
        self.end_ns = 0
        self.span_ns = LEVEL_SPAN_NS

    def store(self, frame: AudioFrame) -> None:
        self.ring.append(frame)
        self.starts.append(self.end_ns)
        self.end_ns += frame.duration_ns
        self._trim()

    def discard(self) -> None:
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


@final
class AudioSubscription(Subscription[AudioFrame]):
    """Every frame in order, as long as the reader lags at most `max_delay_ms`."""

    _buffer: AudioBuffer

    def __init__(self, buffer: AudioBuffer, max_delay_ms: float, label: str | None) -> None:
        if not (max_delay_ms > 0 and math.isfinite(max_delay_ms)):
            raise MisuseError(f"max_delay_ms={max_delay_ms} must be more than 0 milliseconds")
        super().__init__(buffer, round(max_delay_ms * NS_PER_MS), label)

    def _start(self) -> int:
        return self._buffer.sequence

    def _skip(self) -> tuple[int, int]:
        buffer = self._buffer
        pending = buffer.sequence - self._cursor
        if not pending:
            return 0, 0
        kept = len(buffer.ring)
        first = max(0, kept - pending)
        ready = kept - buffer.first_within(first, self._span_ns)
        return pending - ready, ready

    def _take(self) -> AudioFrame:
        buffer = self._buffer
        return buffer.ring[self._cursor - buffer.sequence]


@final
class AudioChannel(Channel[AudioFrame]):
    """The agent's voice: each frame exists once, and every reader gets that one object.

    It is there before any track and while a track is renewed (`available` says so). It keeps as
    much audio as the largest `max_delay_ms` of its readers, at least 100 ms.
    """

    _buffer: AudioBuffer
    _level: tuple[int, float] = (0, 0.0)

    @property
    def latest(self) -> AudioFrame | None:
        """The newest frame of the track that feeds the channel; None without a track.

        A track without readers is paused after some seconds, and `latest` is None: reading it
        resumes the track, so read it again, or subscribe. The same holds for `level`.
        """
        self._buffer.peek()
        return self._buffer.ring[-1] if self._buffer.available and self._buffer.ring else None

    @property
    def level(self) -> float:
        """How loud the last 100 ms were: RMS from 0 to 1, over all channels.

        0 without a track, and after half a second without a frame. Computed when it is read.
        """
        buffer = self._buffer
        newest = self.latest
        if newest is None or buffer.now_ns() - newest.received_ns > LEVEL_STALE_NS:
            return 0.0
        if self._level[0] != buffer.sequence:
            self._level = (buffer.sequence, self._measure())
        return self._level[1]

    def _measure(self) -> float:
        first = self._buffer.first_within(0, LEVEL_SPAN_NS)
        power, count = 0.0, 0
        for index in range(first, len(self._buffer.ring)):
            samples = np.frombuffer(self._buffer.ring[index].data, dtype=np.int16)
            scaled = samples.astype(np.float32)
            power += float(np.dot(scaled, scaled))
            count += samples.size
        return min(1.0, math.sqrt(power / count) / FULL_SCALE)

    def subscribe(self, *, max_delay_ms: float = 200) -> AudioSubscription:
        """Return a reader of the audio from now on: `with channel.subscribe() as audio: async for`.

        On a closed channel the iteration ends at once.

        Args:
            max_delay_ms: how much audio may wait for this reader; beyond it the oldest frames
                are dropped and counted. One frame may always wait, however long it is.

        Raises:
            MisuseError: `max_delay_ms` is not a positive number.
        """
        return AudioSubscription(self._buffer, max_delay_ms, self._label)


@final
class AudioWriter(Writer[AudioFrame]):
    """Creates an `AudioChannel` and feeds it; the channel alone goes to surfaces."""

    def __init__(self, *, now_ns: Callable[[], int] = now_ns) -> None:
        buffer = AudioBuffer("the audio channel", now_ns)
        super().__init__(buffer)
        self.channel = AudioChannel(buffer)
