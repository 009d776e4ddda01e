"""The kitty graphics protocol: the picture in pixels, where the terminal has it."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from typing import Final

from .cells import Pixels

CHUNK: Final = 4096  # bytes of base64 in one escape sequence, as the protocol demands
IMAGE: Final = 7133  # our one image: a new picture replaces the last
CELL: Final = 8, 16  # pixels sent for one cell, at most


def has_graphics(environ: Mapping[str, str]) -> bool:
    """Whether the terminal is known to have the protocol; not over SSH or in a multiplexer."""
    if any(environ.get(name) for name in ("SSH_CONNECTION", "SSH_TTY", "TMUX", "STY")):
        return False
    return (
        environ.get("TERM") in ("xterm-kitty", "xterm-ghostty")
        or "KITTY_WINDOW_ID" in environ
        or environ.get("TERM_PROGRAM") in ("ghostty", "WezTerm")
    )


def show(pixels: Pixels, left: int, top: int, columns: int, rows: int) -> str:
    """The text that shows `pixels` over a box of cells; the cursor is moved."""
    height, width, _ = pixels.shape
    data = base64.standard_b64encode(zlib.compress(pixels.tobytes(), 1)).decode("ascii")
    chunks = [data[at : at + CHUNK] for at in range(0, len(data), CHUNK)]
    parts = [f"\x1b[{top + 1};{left + 1}H"]
    for number, chunk in enumerate(chunks):
        more = f"m={int(number < len(chunks) - 1)}"
        keys = (
            f"a=T,i={IMAGE},p=1,f=24,s={width},v={height},c={columns},r={rows},o=z,C=1,q=2,{more}"
        )
        parts.append(f"\x1b_G{more if number else keys};{chunk}\x1b\\")
    return "".join(parts)


def remove() -> str:
    """The text that removes the picture."""
    return f"\x1b_Ga=d,d=I,i={IMAGE},q=2\x1b\\"
