"""Moving frames that carry their time of sending: it is drawn as black and white blocks.

The top of a frame is two rows of 32 blocks: 40 bits of microseconds, 16 bits of the frame's number,
8 bits of checksum. Blocks of a 32nd of the width survive lossy coding and scaling.
"""

from __future__ import annotations

import time
from typing import Final, NamedTuple, final

import numpy as np

COLUMNS: Final = 32
ROWS: Final = 2
TIME_BITS: Final = 40  # of microseconds: wraps around after twelve days
NUMBER_BITS: Final = 16
CHECK: Final = 0x5A  # an all black or an all white frame is not a stamp
PHASES: Final = 8  # frames after which the movement begins again
BLACK, WHITE = 16, 235  # video range
_DIGITS: Final = bytes(b"0"[0] if luma < 128 else b"1"[0] for luma in range(256))


class Stamp(NamedTuple):
    """What a frame carries."""

    number: int
    """Counted by the sender, modulo 65,536."""
    sent_us: int
    """On `time.monotonic`, modulo 2**40."""

    def age_us(self, now_ns: int) -> int:
        """Microseconds since it was sent."""
        return (now_ns // 1000 - self.sent_us) % (1 << TIME_BITS)


def _check(value: int) -> int:
    return sum(value.to_bytes(7, "big")) & 0xFF ^ CHECK


def encode(stamp: Stamp) -> int:
    """The 64 bits of a stamp."""
    value = (stamp.sent_us % (1 << TIME_BITS)) << NUMBER_BITS | stamp.number % (1 << NUMBER_BITS)
    return value << 8 | _check(value)


class Sampler:
    """Where the blocks are in the Y plane of frames of one size."""

    def __init__(self, width: int, height: int, stride: int = 0) -> None:
        """Find them; `stride` is bytes a row, `width` if 0. The size may differ from what was sent.

        Nothing is sampled from a frame too small to hold a stamp.
        """
        self.block = width // COLUMNS
        fits = self.block > 0 and height >= ROWS * self.block
        half, stride = self.block // 2, stride or width
        starts = [(row * self.block + half) * stride + half for row in range(ROWS)]
        length = (COLUMNS - 1) * self.block + 1 if fits else 0
        step = max(1, self.block)
        self.upper, self.lower = (slice(first, first + length, step) for first in starts)

    def sample(self, luma: memoryview) -> bytes:
        """One pixel of each block: what `read_stamp` reads. Cheap, for the measured time."""
        return bytes(luma[self.upper]) + bytes(luma[self.lower])


def read_stamp(sampled: bytes) -> Stamp | None:
    """Decode the blocks; None if there is no stamp, or a damaged one."""
    if len(sampled) != ROWS * COLUMNS:
        return None
    value = int(sampled.translate(_DIGITS), 2)
    value, check = value >> 8, value & 0xFF
    if check != _check(value):
        return None
    return Stamp(value % (1 << NUMBER_BITS), value >> NUMBER_BITS)


@final
class Painter:
    """Paints one frame after another: a texture that moves, and a stamp.

    The texture is painted beforehand, so that a measured process spends little on it.
    """

    def __init__(self, width: int, height: int, seed: int = 1) -> None:
        """Prepare frames of a size; both numbers even, `width` a multiple of 32."""
        self.width, self.height = width, height
        self.number = -1
        self._block = width // COLUMNS
        rng = np.random.default_rng(seed)
        coarse = rng.integers(40, 200, (height // 16 + 2, width // 8 + 2), dtype=np.uint8)
        texture = np.kron(coarse, np.ones((16, 16), np.uint8))
        self._frames = [bytearray(b"\x80" * (width * height * 3 // 2)) for _ in range(PHASES)]
        self._lumas = [
            np.frombuffer(frame, np.uint8, width * height).reshape(height, width)
            for frame in self._frames
        ]
        for phase, luma in enumerate(self._lumas):
            luma[:] = texture[:height, 2 * phase : 2 * phase + width]

    def paint(self) -> bytearray:
        """The next frame, i420, stamped with this instant; valid until `PHASES` frames later."""
        self.number += 1
        phase = self.number % PHASES
        bits = encode(Stamp(self.number, time.monotonic_ns() // 1000))
        pattern = np.array(
            [WHITE if bits >> bit & 1 else BLACK for bit in range(63, -1, -1)], np.uint8
        ).reshape(ROWS, COLUMNS)
        rows = np.repeat(np.repeat(pattern, self._block, axis=1), self._block, axis=0)
        self._lumas[phase][: rows.shape[0], : rows.shape[1]] = rows
        return self._frames[phase]
