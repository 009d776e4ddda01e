"""A source whose picture flashes when its sound beeps, and a look at where a file has both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np

from livelayer_bus import AudioFrame, VideoFrame
from livelayer_bus.media import FrameMetadata

MS = 1_000_000
SECOND = 1000 * MS
RATE = 48_000
START_NS = 5_000 * SECOND


def picture(
    at_ns: int,
    *,
    bright: bool = False,
    size: tuple[int, int] = (64, 48),
    rotation: int = 0,
    capture_us: int | None = None,
) -> VideoFrame:
    """A black or a white picture that was received at a time."""
    metadata = None if capture_us is None else FrameMetadata(capture_us=capture_us)
    width, height = size
    luma = bytes([235 if bright else 16]) * (width * height)
    chroma = bytes([128]) * (2 * ((width + 1) // 2) * ((height + 1) // 2))
    return VideoFrame(
        luma + chroma, width, height, rotation=rotation, received_ns=at_ns, metadata=metadata
    )


def sound(
    at_ns: int, *, loud: bool = False, ms: int = 10, rate: int = RATE, channels: int = 1
) -> AudioFrame:
    """A stretch of silence, or of a tone, that was whole at a time."""
    count = rate * ms // 1000
    wave = np.sin(np.arange(count) * 2 * np.pi * 1000 / rate) * (20_000 if loud else 0)
    samples = np.repeat(wave.astype(np.int16), channels)
    return AudioFrame(samples.tobytes(), rate, channels, count, received_ns=at_ns)


def frames(path: Path, kind: str, track: int = 0) -> Iterator[Any]:
    with av.open(str(path)) as container:
        yield from container.decode(**{kind: track})


def flashes(path: Path, track: int = 0) -> list[float]:
    """The times at which the picture becomes bright."""
    found: list[float] = []
    was_bright = False
    for frame in frames(path, "video", track):
        image = frame.to_ndarray(format="gray")
        rows, columns = image.shape
        middle = image[rows // 2 - 2 : rows // 2 + 2, columns // 2 - 2 : columns // 2 + 2]
        bright = bool(middle.mean() > 128)
        if bright and not was_bright:
            found.append(float(frame.time))
        was_bright = bright
    return found


def beeps(path: Path, track: int = 0) -> list[float]:
    """The times at which a tone begins: half a second of quiet lies between two."""
    found: list[float] = []
    last = -1.0
    for frame in frames(path, "audio", track):
        samples = frame.to_ndarray().reshape(-1).astype(np.float64)
        if frame.format.name.startswith("s16"):
            samples /= 32_768
        loud = np.flatnonzero(np.abs(samples) > 0.1)
        if len(loud):
            begins = float(frame.time) + float(loud[0]) / frame.sample_rate
            if begins - last > 0.5:
                found.append(begins)
            last = float(frame.time) + float(loud[-1]) / frame.sample_rate
    return found


def durations(path: Path) -> dict[str, float]:
    """The end of each track, in seconds, from the timestamps of its packets."""
    ends: dict[str, float] = {}
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.pts is not None:
                end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                kind = packet.stream.type
                ends[kind] = max(ends.get(kind, 0.0), end)
    return ends


def decoding_times(path: Path) -> dict[str, list[int]]:
    """The decoding timestamps of each track, in file order."""
    times: dict[str, list[int]] = {}
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.dts is not None:
                times.setdefault(packet.stream.type, []).append(packet.dts)
    return times
