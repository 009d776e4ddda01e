"""What one page sends: its microphone, camera or screen, decoded into the session's leases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeAlias, final

import av
import msgspec
import numpy as np
import numpy.typing as npt
from aiortc.rtcrtpreceiver import RTCRtpReceiver

from livelayer_bus.errors import BusyError, ClosedError, ConnectionLostError, NotConnectedError
from livelayer_bus.media import AudioFrame, VideoFrame
from livelayer_bus.surfaces import Lease

from .aiortc_private import AudioIntake, VideoIntake
from .sdp import SourceKind

SAMPLE_RATE: Final = 48_000  # Hz
PIECE: Final = 960  # samples, 20 ms
PLAIN_FORMATS: Final = ("yuv420p", "yuvj420p")

Decoded: TypeAlias = av.AudioFrame | av.VideoFrame


class SourceStatistics(msgspec.Struct, frozen=True):
    """One source of a page so far."""

    decoded: int
    """Frames decoded."""
    dropped: int
    """Decoded frames that were dropped because the lease was too slow."""
    left_out: int
    """Video frames, or audio packets, that were not decoded: not fed, muted, late, or before a key
    frame."""


@final
class Source:
    """One track of a page. It costs almost nothing until it is fed into a lease."""

    def __init__(self, kind: SourceKind, receiver: RTCRtpReceiver) -> None:
        """Take over the receiver. Call it before the answer is made."""
        self.kind: Final = kind
        self._intake: AudioIntake | VideoIntake = (
            AudioIntake(receiver) if kind == "microphone" else VideoIntake(receiver)
        )
        self._fed = False

    async def feed(self, lease: Lease[Any]) -> None:
        """See `MediaConnection.feed`."""
        if self._fed:
            raise BusyError(f"the page's {self.kind}", "one feed at a time: cancel the other first")
        intake = self._intake
        self._fed = True
        intake.frames.clear()
        intake.wanted.ask = lambda: not lease.muted
        try:
            await intake.start()
            while (decoded := await intake.frames.get()) is not None:
                for frame in _frames(decoded):
                    await _push(lease, frame)
        except ClosedError:
            return  # the lease has ended
        finally:
            intake.wanted.ask = None
            self._fed = False

    def statistics(self) -> SourceStatistics:
        intake = self._intake
        return SourceStatistics(
            decoded=intake.frames.taken, dropped=intake.frames.dropped, left_out=intake.left_out
        )

    def close(self) -> None:
        """End it for good: a feed returns."""
        self._intake.close()


async def _push(lease: Lease[Any], frame: AudioFrame | VideoFrame) -> None:
    try:
        await lease.push(frame)
    except (NotConnectedError, ConnectionLostError):
        return  # the lease may outlast the room: frames between two rooms are lost


def _frames(decoded: Decoded) -> Iterator[AudioFrame | VideoFrame]:
    if isinstance(decoded, av.VideoFrame):
        yield video_frame(decoded)
    else:
        yield from audio_frames(decoded)


def audio_frames(decoded: av.AudioFrame) -> Iterator[AudioFrame]:
    """Mono audio in pieces of at most 20 ms, from packed int16 samples at 48 kHz."""
    channels = decoded.layout.nb_channels
    samples = decoded.to_ndarray().reshape(-1, channels)
    mono = samples[:, 0] if channels == 1 else samples.mean(axis=1).astype(np.int16)
    for start in range(0, len(mono), PIECE):
        piece = mono[start : start + PIECE].tobytes()
        yield AudioFrame(piece, SAMPLE_RATE, 1, len(piece) // 2)


def video_frame(decoded: av.VideoFrame) -> VideoFrame:
    """An I420 frame with packed rows."""
    if decoded.format.name not in PLAIN_FORMATS:
        decoded = decoded.reformat(format="yuv420p")
    width, height = decoded.width, decoded.height
    half_width, half_height = (width + 1) // 2, (height + 1) // 2
    sizes = ((width, height), (half_width, half_height), (half_width, half_height))
    data = bytearray(sum(columns * rows for columns, rows in sizes))
    packed: npt.NDArray[np.uint8] = np.frombuffer(data, np.uint8)
    start = 0
    for plane, (columns, rows) in zip(decoded.planes, sizes, strict=True):
        lines = np.frombuffer(memoryview(plane), np.uint8)[: rows * plane.line_size]
        end = start + columns * rows
        packed[start:end].reshape(rows, columns)[:] = lines.reshape(rows, -1)[:, :columns]
        start = end
    del packed  # the frame takes over `data` alone
    return VideoFrame(data, width, height)
