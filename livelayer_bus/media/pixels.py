"""From i420 planes to the arrays that surfaces draw, by way of the SDK's converter."""

from __future__ import annotations

import threading
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from livekit import rtc

from ..errors import BrokenError, ForkedError

PixelFormat: TypeAlias = Literal["i420", "rgb24", "bgra", "gray"]
Pixels: TypeAlias = npt.NDArray[np.uint8]

# The SDK creates its process-wide client on first use without a lock of its own.
_first_use = threading.Lock()
_converted_once = threading.Event()


def i420_plane_sizes(width: int, height: int) -> tuple[int, int]:
    """Bytes of the luma plane and of each chroma plane, rows packed without padding."""
    return width * height, ((width + 1) // 2) * ((height + 1) // 2)


def i420_to_array(data: memoryview, width: int, height: int, layout: PixelFormat) -> Pixels:
    """Return a read-only array of a packed i420 picture; "i420" and "gray" share its memory.

    Raises:
        ForkedError: the SDK was first used before this process was forked.
        BrokenError: the SDK refused the conversion.
    """
    if layout == "i420":
        flat = np.frombuffer(data, dtype=np.uint8)
        # Only even sizes fit the customary one-plane shape; odd ones stay flat.
        return flat if width % 2 or height % 2 else flat.reshape(height * 3 // 2, width)
    if layout == "gray":
        luma, _ = i420_plane_sizes(width, height)
        return np.frombuffer(data[:luma], dtype=np.uint8).reshape(height, width)
    target, channels = (
        (rtc.VideoBufferType.RGB24, 3) if layout == "rgb24" else (rtc.VideoBufferType.BGRA, 4)
    )
    source = rtc.VideoFrame(width, height, rtc.VideoBufferType.I420, data)
    if _converted_once.is_set():
        converted = _convert(source, target)
    else:
        with _first_use:
            converted = _convert(source, target)
        _converted_once.set()
    # The SDK has copied the result into memory of Python's; only this view of it is kept.
    pixels = np.frombuffer(converted.data.toreadonly(), dtype=np.uint8)
    return pixels.reshape(height, width, channels)


def _convert(source: rtc.VideoFrame, target: rtc.VideoBufferType.ValueType) -> rtc.VideoFrame:
    try:
        return source.convert(target)
    except RuntimeError as exc:
        raise ForkedError("the SDK's pixel converter") from exc
    except Exception as exc:
        raise BrokenError(f"the SDK cannot convert this frame: {exc}", retryable=False) from exc
