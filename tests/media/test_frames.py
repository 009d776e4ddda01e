"""Frames: immutable, converted once, right pixels, memory that is never native."""

from __future__ import annotations

import ctypes
import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit import rtc

from livelayer_bus.errors import MisuseError
from livelayer_bus.media import AudioFrame, FrameMetadata, PixelFormat, VideoFrame
from livelayer_bus.testing import PATIENCE


def solid(width: int, height: int, yuv: tuple[int, int, int]) -> VideoFrame:
    chroma = ((width + 1) // 2) * ((height + 1) // 2)
    y, u, v = yuv
    data = bytes([y]) * (width * height) + bytes([u]) * chroma + bytes([v]) * chroma
    return VideoFrame(data, width, height)


@given(width=st.integers(1, 9), height=st.integers(1, 9))
def test_planes_cover_the_data_with_their_strides(width: int, height: int) -> None:
    frame = solid(width, height, (1, 2, 3))
    assert [set(plane) for plane in frame.planes] == [{1}, {2}, {3}]
    rows = (height, (height + 1) // 2, (height + 1) // 2)
    sizes = [stride * count for stride, count in zip(frame.strides, rows, strict=True)]
    assert [plane.nbytes for plane in frame.planes] == sizes
    assert frame.nbytes == sum(sizes)
    assert frame.format == "i420"


@pytest.mark.parametrize(
    ("yuv", "rgb"),
    [
        ((16, 128, 128), (0, 0, 0)),
        ((235, 128, 128), (255, 255, 255)),
        ((81, 90, 240), (255, 0, 0)),
        ((145, 54, 34), (0, 255, 0)),
        ((41, 240, 110), (0, 0, 255)),
    ],
    ids=["black", "white", "red", "green", "blue"],
)
@pytest.mark.parametrize(("width", "height"), [(16, 8), (7, 5)])
def test_known_colours_come_out_in_their_channels(
    yuv: tuple[int, int, int], rgb: tuple[int, int, int], width: int, height: int
) -> None:
    frame = solid(width, height, yuv)
    as_rgb = frame.to_ndarray("rgb24")
    as_bgra = frame.to_ndarray("bgra")
    assert as_rgb.shape == (height, width, 3)
    assert as_bgra.shape == (height, width, 4)
    assert np.abs(as_rgb.astype(int) - rgb).max() <= 3
    assert np.abs(as_bgra[..., :3].astype(int) - rgb[::-1]).max() <= 3
    assert (as_bgra[..., 3] == 255).all()


def test_i420_and_gray_share_the_frames_memory() -> None:
    frame = solid(8, 4, (7, 8, 9))
    i420, gray = frame.to_ndarray(), frame.to_ndarray("gray")
    assert i420.shape == (6, 8)
    assert gray.shape == (4, 8)
    whole = np.frombuffer(frame.data, dtype=np.uint8)
    assert np.shares_memory(i420, whole)
    assert np.shares_memory(gray, whole)
    assert frame.held_bytes == frame.nbytes
    frame.to_ndarray("rgb24")
    assert frame.held_bytes == frame.nbytes + 8 * 4 * 3


def test_odd_sizes_stay_flat_as_i420() -> None:
    assert solid(7, 5, (1, 2, 3)).to_ndarray().shape == (7 * 5 + 2 * 4 * 3,)


@pytest.mark.parametrize("layout", ["i420", "gray", "rgb24", "bgra"])
def test_writing_into_a_frame_raises(layout: PixelFormat) -> None:
    frame = VideoFrame(bytearray(8 * 8 * 3 // 2), 8, 8)
    array = frame.to_ndarray(layout)
    with pytest.raises(ValueError, match="read-only"):
        array[0, 0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        array.flags.writeable = True
    with pytest.raises(TypeError, match="read-only"):
        frame.planes[0][0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(frame, "width", 3)  # noqa: B010 - a plain assignment would not type-check


def test_threads_get_the_one_conversion() -> None:
    frame = solid(320, 240, (81, 90, 240))
    gate = threading.Barrier(8)

    def convert() -> int:
        gate.wait(PATIENCE)
        return id(frame.to_ndarray("rgb24"))

    with ThreadPoolExecutor(8) as pool:
        seen = {done.result() for done in [pool.submit(convert) for _ in range(8)]}
    assert seen == {id(frame.to_ndarray("rgb24"))}


def test_bytes_and_bytearrays_are_adopted_without_a_copy() -> None:
    for data in (bytes(24), bytearray(24)):
        assert VideoFrame(data, 4, 4).data.obj is data
        assert VideoFrame(memoryview(data), 4, 4).data.obj is data


def test_what_the_sdk_copied_for_python_is_adopted() -> None:
    picture = rtc.VideoFrame(4, 4, rtc.VideoBufferType.RGBA, bytes(64)).convert(
        rtc.VideoBufferType.I420
    )
    assert VideoFrame(picture.data, 4, 4).data.obj is picture.data.obj
    audio = rtc.AudioFrame.create(48_000, 2, 480)
    assert AudioFrame(audio.data, 48_000, 2, 480).data.obj is audio.data.obj


def test_native_memory_is_copied() -> None:
    native = (ctypes.c_uint8 * 24)(*range(24))
    frame = VideoFrame(memoryview(native).cast("B"), 4, 4)
    native[0] = 99
    assert isinstance(frame.data.obj, bytes)
    assert frame.planes[0][0] == 0


def test_a_part_of_a_larger_buffer_does_not_keep_the_whole() -> None:
    large = bytes(1000)
    assert VideoFrame(memoryview(large)[:24], 4, 4).data.obj is not large


def test_what_cannot_be_a_frame_is_refused_with_the_numbers() -> None:
    with pytest.raises(MisuseError, match="takes 24 bytes, got 23"):
        VideoFrame(bytes(23), 4, 4)
    with pytest.raises(MisuseError, match="45 degrees"):
        VideoFrame(bytes(24), 4, 4, rotation=45)
    with pytest.raises(MisuseError, match="0 x 4"):
        VideoFrame(b"", 0, 4)
    with pytest.raises(MisuseError, match="takes 8 bytes, got 7"):
        AudioFrame(bytes(7), 48_000, 2, 2)
    with pytest.raises(MisuseError, match="0 samples"):
        AudioFrame(b"", 48_000, 1, 0)
    with pytest.raises(MisuseError, match="yuyv"):
        VideoFrame(bytes(24), 4, 4).to_ndarray("yuyv")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - the refusal is what is tested


def test_a_repr_shows_no_pixels_and_no_user_data() -> None:
    metadata = FrameMetadata(capture_us=5, frame_id=6, user_data=b"secret")
    text = repr(VideoFrame(bytes(24), 4, 4, metadata=metadata))
    assert "secret" not in text
    assert "memory" not in text
    assert "frame_id=6" in text


def test_sound_is_shaped_by_samples_and_channels() -> None:
    samples = np.array([[1, -1], [2, -2], [3, -3]], dtype=np.int16)
    frame = AudioFrame(samples.tobytes(), 48_000, 2, 3, received_ns=7)
    assert (frame.to_ndarray() == samples).all()
    assert list(frame.data) == [1, -1, 2, -2, 3, -3]
    assert frame.duration_ns == 62_500
    assert frame.nbytes == 12
    assert frame.received_ns == 7
    with pytest.raises(ValueError, match="read-only"):
        frame.to_ndarray()[0, 0] = 1
