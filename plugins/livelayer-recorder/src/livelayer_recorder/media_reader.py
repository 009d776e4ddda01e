"""Reads a media file in order, from any time on, a little ahead of what is played."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final, TypeAlias, final

import av
import av.error
import msgspec
import numpy as np
from av.audio.resampler import AudioResampler
from av.bitstream import BitStreamFilterContext

from livelayer_bus import AudioFrame, VideoFrame

from .tracks import SOURCES

_KEY_UNIT: Final = re.compile(rb"\x00\x00\x01[\x05\x25\x45\x65]")
"""An instantaneous decoder refresh of H.264: what a decoder can begin with."""


class EncodedPicture(msgspec.Struct, frozen=True):
    """One picture as it was encoded: H.264 with start codes, or VP8."""

    data: bytes
    width: int
    height: int
    is_key: bool


Timed: TypeAlias = tuple[float, VideoFrame | AudioFrame | EncodedPicture]

AHEAD_SECONDS: Final = 0.25
"""How much is decoded at once."""


@final
class MediaReader:
    """Pictures and sound of a file in the order of their times; used by one thread at a time.

    A file whose process died is read as far as it goes.
    """

    def __init__(self, path: Path, starts: float, *, encoded: bool = False) -> None:
        """Open the file.

        Args:
            path: the file.
            starts: when it begins, in seconds of the recording.
            encoded: give pictures as they are in the file. After a seek the first ones are those
                from the key frame before it on.

        Raises:
            OSError: it cannot be read.
        """
        self._starts = starts
        self._encoded = encoded
        self._container = av.open(str(path))
        videos, audios = agents(self._container, "video"), agents(self._container, "audio")
        self._streams: list[Any] = [*videos, *audios]
        for stream in videos:
            stream.thread_type = "AUTO"
        self.has_pictures: Final = bool(videos)
        self._filter = _start_codes(videos[0]) if encoded and videos else None
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
        if self._filter is not None:
            self._filter.flush()
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
                elif frame.pts is not None:
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

    def _decode(self) -> Generator[Any]:
        try:
            if not self._encoded:
                yield from self._container.decode(*self._streams)
                return
            for packet in self._container.demux(*self._streams):
                if packet.stream.type == "audio":
                    yield from packet.decode()
                elif packet.size:
                    yield packet
        except (av.error.EOFError, av.error.InvalidDataError):
            return  # the process died while it wrote this

    def _take(self, frame: Any) -> None:
        if isinstance(frame, av.Packet):
            at = max(float((frame.pts or 0) * frame.time_base), self._from)
            self._ready["video"] += [(at, picture) for picture in self._encoded_pictures(frame)]
            return
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

    def _encoded_pictures(self, packet: Any) -> list[EncodedPicture]:
        stream = packet.stream
        is_key = packet.is_keyframe
        parts = [packet] if self._filter is None else self._filter.filter(packet)
        pictures = []
        for part in parts:
            data = bytes(part)
            if self._filter is not None:
                is_key = _KEY_UNIT.search(data) is not None
            pictures.append(EncodedPicture(data, stream.width, stream.height, is_key))
        return pictures


def _start_codes(stream: Any) -> BitStreamFilterContext | None:
    """What makes H.264 of a file into that of a network; None: the codec has one form only."""
    is_h264 = stream.codec_context.name == "h264"
    return BitStreamFilterContext("h264_mp4toannexb", stream) if is_h264 else None


def agents(container: Any, kind: str) -> list[Any]:
    """The agent's track of a kind, if there is one."""
    streams = [one for one in container.streams if one.type == kind and not _is_persons(one)]
    return streams[:1]


def _is_persons(stream: Any) -> bool:
    """Whether it is the track of the session's own microphone or camera."""
    names = stream.metadata.get("handler_name"), stream.metadata.get("title")
    return any(source in names for source in SOURCES if source != "agent")


def picture_format(path: Path) -> tuple[str, int, int] | None:
    """The codec, the width and the height of a file's pictures; None: it has none.

    Raises:
        OSError: it cannot be read.
    """
    with av.open(str(path)) as container:
        for stream in agents(container, "video"):
            return stream.codec_context.name, stream.width, stream.height
    return None


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
