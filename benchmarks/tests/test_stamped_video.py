"""The stamp in a benchmark's frame is read back as it was written, also from a coded frame."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from livelayer_benchmarks.signals.stamped_video import (
    COLUMNS,
    NUMBER_BITS,
    TIME_BITS,
    Painter,
    Sampler,
    Stamp,
    encode,
    read_stamp,
)


@given(st.integers(0, 2**NUMBER_BITS - 1), st.integers(0, 2**TIME_BITS - 1))
def test_every_stamp_is_read_back(number: int, sent_us: int) -> None:
    bits = encode(Stamp(number, sent_us))
    sampled = bytes(235 if bits >> place & 1 else 16 for place in range(63, -1, -1))

    assert read_stamp(sampled) == Stamp(number, sent_us)


@pytest.mark.parametrize("size", [(1280, 720), (640, 360), (320, 180), (64, 48)])
def test_a_painted_frame_tells_its_number_and_age(size: tuple[int, int]) -> None:
    painter = Painter(*size)
    before = time.monotonic_ns()

    for number in range(12):
        luma = memoryview(painter.paint())
        stamp = read_stamp(Sampler(*size).sample(luma))
        assert stamp is not None
        assert stamp.number == number
        now = time.monotonic_ns()
        assert 0 <= stamp.age_us(now) <= (now - before) // 1000 + 1


def test_a_stamp_survives_half_the_size_and_noise() -> None:
    frame = np.frombuffer(Painter(640, 360).paint(), np.uint8, 640 * 360).reshape(360, 640)
    noise = np.random.default_rng(1).integers(-60, 60, (180, 320))
    small = np.clip(frame[::2, ::2].astype(int) + noise, 0, 255).astype(np.uint8)

    assert read_stamp(Sampler(320, 180).sample(memoryview(small.tobytes()))) is not None


def test_rows_may_be_padded() -> None:
    frame = np.frombuffer(Painter(320, 180).paint(), np.uint8, 320 * 180).reshape(180, 320)
    padded = np.pad(frame, ((0, 0), (0, 64)))

    sampled = Sampler(320, 180, stride=384).sample(memoryview(padded.tobytes()))

    assert read_stamp(sampled) is not None


def test_one_wrong_block_is_noticed() -> None:
    luma = bytearray(Painter(320, 180).paint())
    block = 320 // COLUMNS
    position = (block // 2) * 320 + 3 * block + block // 2
    luma[position] = 251 - luma[position]

    assert read_stamp(Sampler(320, 180).sample(memoryview(luma))) is None


@pytest.mark.parametrize("luma", [16, 235])
def test_a_plain_frame_has_no_stamp(luma: int) -> None:
    plain = memoryview(bytes([luma]) * (320 * 180))

    assert read_stamp(Sampler(320, 180).sample(plain)) is None


def test_a_frame_too_small_for_a_stamp_has_none() -> None:
    assert read_stamp(Sampler(16, 16).sample(memoryview(bytes(256)))) is None
