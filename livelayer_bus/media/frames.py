"""Video and audio frames: immutable, in memory that Python owns, valid without limit."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, final, get_args

import numpy as np
import numpy.typing as npt
from livekit import rtc

from ..clock import now_ns
from ..errors import BrokenError, ForkedError, MisuseError

PixelFormat: TypeAlias = Literal["i420", "rgb24", "bgra", "gray"]
Pixels: TypeAlias = npt.NDArray[np.uint8]
FrameData: TypeAlias = bytes | bytearray | memoryview

SAMPLE_BYTES = 2  # int16
NS_PER_SECOND = 1_000_000_000
ROTATIONS = (0, 90, 180, 270)  # degrees
# What the SDK converts to, and bytes a pixel; the other formats share the frame's memory.
CONVERSIONS: dict[PixelFormat, tuple[rtc.VideoBufferType.ValueType, int]] = {
    "rgb24": (rtc.VideoBufferType.RGB24, 3),
    "bgra": (rtc.VideoBufferType.BGRA, 4),
}
# The SDK creates its process-wide client on first use without a lock of its own.
_first_use = threading.Lock()
_converted_once = threading.Event()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FrameMetadata:
    """What the sender attached to a picture; a field is None where it attached nothing."""

    capture_us: int | None = None  # microseconds, on the sender's clock
    frame_id: int | None = None
    user_data: bytes | None = field(default=None, repr=False)  # what the application defines


@final
@dataclass(frozen=True, slots=True, eq=False, init=False, weakref_slot=True)
class VideoFrame:
    """One decoded picture: never changes, and outlives its session, room and loop.

    Every reader gets the same object. Two frames are equal only if they are the same one.

    `planes` are read-only views of Y, U and V (`format` is "i420"), `strides` their bytes a row.
    `rotation` is how many degrees clockwise a viewer has to turn the picture; neither `planes`
    nor `to_ndarray` apply it. `received_ns` is when this process got the picture
    (`livelayer_bus.clock.now_ns`), `presentation_us` the SDK's render time, maybe in the future.
    """

    width: int
    height: int
    planes: tuple[memoryview, memoryview, memoryview] = field(repr=False)
    strides: tuple[int, int, int] = field(repr=False)
    rotation: int
    received_ns: int
    presentation_us: int | None
    metadata: FrameMetadata | None
    _data: memoryview = field(repr=False)
    _arrays: dict[PixelFormat, Pixels] = field(repr=False)
    _lock: threading.Lock = field(repr=False)

    def __init__(
        self,
        data: FrameData,
        width: int,
        height: int,
        *,
        rotation: int = 0,
        received_ns: int | None = None,
        presentation_us: int | None = None,
        metadata: FrameMetadata | None = None,
    ) -> None:
        """Adopt `data` without a copy if Python owns its memory, copy it once otherwise.

        Args:
            data: the Y, U and V planes one after the other, rows packed without padding. A
                `bytearray` (or a view of a whole one) is adopted: the caller must not write to it
                again. A view of anything but `bytes` or `bytearray` is copied.
            width, height: columns and rows of pixels.
            rotation: degrees clockwise: 0, 90, 180 or 270.
            received_ns: on `livelayer_bus.clock.now_ns`; now, if None.
            presentation_us: the SDK's render time in microseconds.
            metadata: what the sender wrote beside the picture.

        Raises:
            MisuseError: the size, the length of `data` or the rotation is invalid.
        """
        if width < 1 or height < 1 or rotation not in ROTATIONS:
            raise MisuseError(
                f"invalid picture format: {width} x {height} at {rotation} degrees; width and "
                f"height must be at least 1, rotation one of {ROTATIONS}"
            )
        luma, chroma = width * height, ((width + 1) // 2) * ((height + 1) // 2)
        owned = _owned(data, luma + 2 * chroma, f"an i420 picture of {width} x {height}")
        put = object.__setattr__
        put(self, "width", width)
        put(self, "height", height)
        put(self, "planes", (owned[:luma], owned[luma : luma + chroma], owned[luma + chroma :]))
        put(self, "strides", (width, (width + 1) // 2, (width + 1) // 2))
        put(self, "rotation", rotation)
        put(self, "received_ns", now_ns() if received_ns is None else received_ns)
        put(self, "presentation_us", presentation_us)
        put(self, "metadata", metadata)
        put(self, "_data", owned)
        put(self, "_arrays", {})
        put(self, "_lock", threading.Lock())

    @property
    def format(self) -> Literal["i420"]:
        """How `planes` are laid out."""
        return "i420"

    @property
    def data(self) -> memoryview:
        """All planes in one read-only view, Y, U, V, packed."""
        return self._data

    @property
    def nbytes(self) -> int:
        """Bytes of the planes."""
        return self._data.nbytes

    @property
    def held_bytes(self) -> int:
        """Bytes of the planes and of every conversion made so far."""
        made = self._arrays.copy().items()
        return self.nbytes + sum(array.nbytes for layout, array in made if layout in CONVERSIONS)

    def to_ndarray(self, layout: PixelFormat = "i420") -> Pixels:
        """Return the picture as a read-only uint8 array, the same object for every caller.

        Converted at most once a layout, in any thread; "i420" and "gray" share its memory.

        Args:
            layout: "i420" has shape (height * 3 / 2, width) if both are even and (nbytes,)
                otherwise; "gray" (height, width), the luma plane as it came (video range, 16 to
                235); "rgb24" (height, width, 3); "bgra" (height, width, 4), alpha 255.

        Raises:
            MisuseError: `layout` is unknown.
            ForkedError: the SDK was used before this process was forked: "i420" and "gray" work.
            BrokenError: the SDK refused the conversion.
        """
        with self._lock:
            array = self._arrays.get(layout)
            if array is None:
                array = self._arrays[layout] = self._converted(layout)
            return array

    def _converted(self, layout: PixelFormat) -> Pixels:
        width, height = self.width, self.height
        if layout == "i420":
            flat = np.frombuffer(self._data, dtype=np.uint8)
            # Only even sizes fit the customary one-plane shape; odd ones stay flat.
            return flat if width % 2 or height % 2 else flat.reshape(height * 3 // 2, width)
        if layout == "gray":
            return np.frombuffer(self.planes[0], dtype=np.uint8).reshape(height, width)
        if layout not in CONVERSIONS:
            formats = get_args(PixelFormat)
            raise MisuseError(f"layout must be one of {formats}, got {layout!r}")
        target, channels = CONVERSIONS[layout]
        source = rtc.VideoFrame(width, height, rtc.VideoBufferType.I420, self._data)
        try:
            with nullcontext() if _converted_once.is_set() else _first_use:
                converted = source.convert(target)
        except RuntimeError as exc:
            raise ForkedError("the SDK's pixel converter") from exc
        except Exception as exc:
            raise BrokenError(f"the SDK cannot convert this frame: {exc}", retryable=False) from exc
        _converted_once.set()
        # The SDK has copied the result into memory of Python's; only this view of it is kept.
        pixels = np.frombuffer(converted.data.toreadonly(), dtype=np.uint8)
        return pixels.reshape(height, width, channels)


@final
@dataclass(frozen=True, slots=True, eq=False, init=False, weakref_slot=True)
class AudioFrame:
    """One stretch of audio: never changes, and outlives its session, room and loop.

    `data` is a read-only view of int16 samples (format "h"), channels interleaved; `sample_rate`
    in Hz. `received_ns` is when this process got it, on `livelayer_bus.clock.now_ns`.
    """

    data: memoryview = field(repr=False)
    sample_rate: int
    num_channels: int
    samples_per_channel: int
    received_ns: int

    def __init__(
        self,
        data: FrameData,
        sample_rate: int,
        num_channels: int,
        samples_per_channel: int,
        *,
        received_ns: int | None = None,
    ) -> None:
        """Adopt `data` without a copy if Python owns its memory, copy it once otherwise.

        Args:
            data: int16 samples in the machine's byte order, channels interleaved. A `bytearray`
                is given up by the caller, as in `VideoFrame`.
            sample_rate, num_channels: samples a second and channel; 1 is mono, 2 stereo.
            samples_per_channel: how many samples each channel has, at least 1.
            received_ns: on `livelayer_bus.clock.now_ns`; now, if None.

        Raises:
            MisuseError: a number is below 1, or `data` does not have the length that they give.
        """
        if min(sample_rate, num_channels, samples_per_channel) < 1:
            raise MisuseError(
                f"invalid audio format: {samples_per_channel} samples x {num_channels} channels "
                f"at {sample_rate} Hz; each number must be at least 1"
            )
        size = samples_per_channel * num_channels * SAMPLE_BYTES
        owned = _owned(data, size, f"{samples_per_channel} x {num_channels} int16 samples")
        put = object.__setattr__
        put(self, "data", owned.cast("h"))
        put(self, "sample_rate", sample_rate)
        put(self, "num_channels", num_channels)
        put(self, "samples_per_channel", samples_per_channel)
        put(self, "received_ns", now_ns() if received_ns is None else received_ns)

    @property
    def nbytes(self) -> int:
        """Bytes of the samples."""
        return self.data.nbytes

    held_bytes = nbytes  # arrays share its memory

    @property
    def duration_ns(self) -> int:
        """How long it lasts, rounded down to nanoseconds."""
        return self.samples_per_channel * NS_PER_SECOND // self.sample_rate

    def to_ndarray(self) -> npt.NDArray[np.int16]:
        """Return the samples as a read-only array of shape (samples, channels), without a copy."""
        samples = np.frombuffer(self.data, dtype=np.int16)
        return samples.reshape(self.samples_per_channel, self.num_channels)


def _owned(data: FrameData, size: int, what: str) -> memoryview:
    """A read-only view of `data`, copied unless its memory is a Python object's own."""
    view = memoryview(data)
    if view.nbytes != size:
        raise MisuseError(f"{what} takes {size} bytes, got {view.nbytes}: pack rows, no padding")
    # Native memory may be freed under a live view; a part of a larger object keeps all of it.
    whole = isinstance(view.obj, (bytes, bytearray)) and len(view.obj) == size
    if not whole or not view.c_contiguous:
        view = memoryview(view.tobytes())
    return view.cast("B").toreadonly()
