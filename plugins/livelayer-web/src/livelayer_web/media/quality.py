"""What a picture may be encoded as: the codecs, and the qualities that viewers are spread over."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from livelayer_bus.errors import MisuseError

CodecName: TypeAlias = Literal["VP8", "H264"]

# Of a quality's bitrate: so far down goes its encoder for the slowest viewer. A viewer who needs
# less gets the next quality, and the others keep theirs.
LEAST_SHARE = 0.6


class Quality(msgspec.Struct, frozen=True):
    """One encode of the picture, shared by every viewer that it suits.

    Args:
        name: what statistics call it.
        height: pixels; a smaller source is not enlarged.
        bitrate: bit/s at most.
        fps: frames a second at most, on average.

    Raises:
        MisuseError: a number that no encoder takes.
    """

    name: str
    height: int
    bitrate: int
    fps: float

    def __post_init__(self) -> None:
        if self.height < 2 or self.bitrate < 10_000 or not 0 < self.fps <= 240:
            raise MisuseError(
                f"quality {self.name!r}: give pixels >= 2, bit/s >= 10000 and 0 < fps <= 240"
            )


LADDER: tuple[Quality, ...] = (
    Quality("720p", 720, 1_800_000, 30.0),
    Quality("360p", 360, 600_000, 30.0),
    Quality("180p", 180, 200_000, 15.0),
)
