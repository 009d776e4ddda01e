"""Reads a media file in order, from any time on, a little ahead of what is played."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any, Final, TypeAlias, final

import av
import av.error
import numpy as np
from av.audio.resampler import AudioResampler

from livelayer_bus import AudioFrame, VideoFrame

Timed: TypeAlias = tuple[float, VideoFrame | AudioFrame]

AHEAD_SECONDS: Final = 0.25
"""How much is decoded at once."""


@final
class MediaReader:
    """Pictures and sound of a file in the order of their times; used by one thread at a time.

    A file whose process died is read as far as it goes.
    """

    def __init__(self, path: Path, starts: float) -> None:
        """Open the file; `starts` is when it begins, in seconds of the recording.

        Raises:
            OSError: it cannot be read.
        """
        self._starts = starts
        self._container = av.open(str(path))
        streams = self._container.streams
        self._streams: list[Any] = [*streams.video[:1], *streams.audio[:1]]
        for stream in streams.video[:1]:
            stream.thread_type = "AUTO"
        self.has_pictures: Final = bool(streams.video)
        self._frames = self._decode()
        self._ready: dict[str, deque[Timed]] = {one.type: deque() for one in self._streams}
        self._resampler = AudioResampler(format="s16", layout="mono", rate=48_000)
        self._from = 0.0
        self._is_ended = False

    def seek(self, seconds: float) -> None:
        """Go on at a time of the recording: with the picture shown then, and the sound after it."""
        target = max(0.0, seconds - self._starts)
        for stream in self._streams:
            # To the key frame before; what lies between is decoded and left out.
            self._container.seek(int(target / stream.time_base), stream=stream, backward=True)
            break
        self._frames = self._decode()
        for ready in self._ready.values():
            ready.clear()
        self._resampler = AudioResampler(format="s16", layout="mono", rate=48_000)
        self._from, self._is_ended = target, False

    def read(self, until: float) -> list[Timed]:
        """What comes next, at least until a time of the recording; nothing at the end."""
        wanted = until - self._starts
        found: list[Timed] = []
        while not found and not self.is_ended:
            wanted += AHEAD_SECONDS
            while not self._is_ended and self._complete_until() < wanted:
                frame = next(self._frames, None)
                if frame is None:
                    self._is_ended = True
                elif frame.time is not None:
                    self._take(frame)
            for ready in self._ready.values():
                while ready and ready[0][0] <= wanted:
                    found.append(ready.popleft())
        found.sort(key=lambda one: one[0])
        return [(self._starts + at, frame) for at, frame in found]

    @property
    def is_ended(self) -> bool:
        """Whether everything was read."""
        return self._is_ended and not any(self._ready.values())

    def close(self) -> None:
        self._container.close()

    def _complete_until(self) -> float:
        """Until when every stream was read: the file stores them in steps of half a second."""
        return min((ready[-1][0] if ready else -1.0 for ready in self._ready.values()), default=0.0)

    def _decode(self) -> Any:
        try:
            yield from self._container.decode(*self._streams)
        except (av.error.EOFError, av.error.InvalidDataError):
            return  # the process died while it wrote this

    def _take(self, frame: Any) -> None:
        if isinstance(frame, av.VideoFrame):
            ready, at = self._ready["video"], float(frame.time or 0.0)
            if at < self._from:
                ready.clear()  # of the pictures before, the last one is shown
            ready.append((max(at, self._from), picture_of(frame)))
            return
        at = float(frame.time)
        for part in self._resampler.resample(frame):
            samples = part.to_ndarray()
            if at >= self._from:
                sound = AudioFrame(samples.tobytes(), 48_000, 1, part.samples)
                self._ready["audio"].append((at, sound))
            at += part.samples / 48_000


def picture_of(frame: av.VideoFrame) -> VideoFrame:
    """The decoded picture as a frame of a session, copied once."""
    if frame.format.name != "yuv420p":
        frame = frame.reformat(format="yuv420p")
    width, height = frame.width, frame.height
    half = (width + 1) // 2, (height + 1) // 2
    data = bytearray(width * height + 2 * half[0] * half[1])
    target = np.frombuffer(data, np.uint8)
    at = 0
    for plane, (columns, rows) in zip(frame.planes, ((width, height), half, half), strict=True):
        source = np.frombuffer(memoryview(plane), np.uint8)
        size = rows * columns
        target[at : at + size].reshape(rows, columns)[:] = source.reshape(-1, plane.line_size)[
            :rows, :columns
        ]
        at += size
    del target  # the frame adopts `data`, which must have no other user
    return VideoFrame(data, width, height)
