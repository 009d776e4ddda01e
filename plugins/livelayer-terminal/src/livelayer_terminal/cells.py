"""The picture as cells of a terminal, and the text that turns one screen of cells into the next."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from livelayer_bus.media import VideoFrame

Colours: TypeAlias = Literal["truecolor", "256", "none"]
"""What the terminal shows: 24-bit colour, its palette of 256, or characters of different weight."""
Pixels: TypeAlias = npt.NDArray[np.uint8]
"""Shape (lines, columns, 3): RGB. A cell shows two lines, one above the other."""
Cells: TypeAlias = npt.NDArray[np.int64]
"""Shape (rows, columns). The colour of the upper half times 2**24, plus that of the lower half; or
the position in `SHADES`, without colours."""

SHADES: Final = " ░▒▓█"
HALF: Final = "▀"
RESET: Final = "\x1b[0m"
TOLERANCE: Final = 4  # of 255: noise below it is not visible, and costs writing
_HALF_BITS: Final = 24
_LOWER: Final = (1 << _HALF_BITS) - 1
_SUM_ROWS: Final = 257  # the most rows of bytes whose sum fits into 16 bits
GREY_SPREAD: Final = 24  # of 255: between the channels of what is shown as a grey
_DECIMAL: Final = tuple(str(number) for number in range(256))
_CUBE: Final = np.array([0, 95, 135, 175, 215, 255], dtype=np.int32)  # xterm's 6 x 6 x 6 colours
_CUBE_AT: Final = np.abs(np.arange(256)[:, None] - _CUBE).argmin(axis=1)
_GREY_AT: Final = np.clip((np.arange(256) - 3) // 10, 0, 23)  # xterm's 24 greys: 8, 18, ... 238


def fit(width: int, height: int, columns: int, rows: int) -> tuple[int, int]:
    """The largest box of cells in `columns` x `rows` with a picture's proportions.

    A cell is taken to be twice as high as it is wide.
    """
    scale = min(columns / width, 2 * rows / height)
    return max(1, min(columns, round(width * scale))), max(1, min(rows, round(height * scale / 2)))


def shrink(frame: VideoFrame, columns: int, lines: int) -> Pixels:
    """The picture upright in `columns` x `lines`, each pixel the average of the area it covers."""
    turned = frame.rotation in (90, 270)
    across, down = (lines, columns) if turned else (columns, lines)
    width, height = frame.width, frame.height
    chroma = (height + 1) // 2, (width + 1) // 2
    y, u, v = (
        _averages(np.frombuffer(plane, np.uint8).reshape(shape), across, down)
        for plane, shape in zip(frame.planes, ((height, width), chroma, chroma), strict=True)
    )
    # BT.601, video range.
    bright, u, v = 1.164 * (y - 16), u - 128, v - 128
    rgb = np.stack(
        (bright + 1.596 * v, bright - 0.392 * u - 0.813 * v, bright + 2.017 * u), axis=-1
    )
    pixels = np.clip(rgb + 0.5, 0, 255).astype(np.uint8)
    return np.rot90(pixels, -frame.rotation // 90) if frame.rotation else pixels


def _averages(plane: Pixels, columns: int, lines: int) -> npt.NDArray[np.float32]:
    height, width = plane.shape
    tops, lefts = np.arange(lines) * height // lines, np.arange(columns) * width // columns
    heights = np.maximum(np.append(tops[1:], height) - tops, 1)
    widths = np.maximum(np.append(lefts[1:], width) - lefts, 1)
    # Sums in 16 bits are several times faster than in any wider type.
    kind = np.uint16 if heights.max() <= _SUM_ROWS else np.uint32
    sums = np.empty((lines, width), kind)
    for line, (top, rows) in enumerate(zip(tops.tolist(), heights.tolist(), strict=True)):
        plane[top : top + rows].sum(axis=0, dtype=kind, out=sums[line])
    totals = np.add.reduceat(sums, lefts, axis=1, dtype=np.uint32)
    averages: npt.NDArray[np.float32] = (totals / (heights[:, None] * widths)).astype(np.float32)
    return averages


def steady(before: Pixels | None, pixels: Pixels, tolerance: int = TOLERANCE) -> Pixels:
    """`pixels`, but `before` where no channel of a pixel changed by more than `tolerance`."""
    if before is None or before.shape != pixels.shape:
        return pixels
    far = np.abs(pixels.astype(np.int16) - before).max(axis=2, keepdims=True) > tolerance
    return np.where(far, pixels, before)


def to_cells(pixels: Pixels, colours: Colours) -> Cells:
    """The cells of an even number of lines."""
    if colours == "none":
        lightness = pixels @ np.array([0.299, 0.587, 0.114])
        pairs = lightness.reshape(-1, 2, pixels.shape[1]).mean(axis=1)
        shades: Cells = (pairs * len(SHADES) / 256).astype(np.int64)
        return shades
    codes = _indexed(pixels) if colours == "256" else _packed(pixels)
    return (codes[::2] << _HALF_BITS) | codes[1::2]


def _packed(pixels: Pixels) -> Cells:
    wide: Cells = pixels.astype(np.int64)
    return (wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]


def _indexed(pixels: Pixels) -> Cells:
    """The nearest of xterm's colours 16 to 255."""
    wide = pixels.astype(np.int32)
    steps = _CUBE_AT[pixels]
    cube_far = np.abs(_CUBE[steps] - wide).sum(axis=-1)
    greys = _GREY_AT[wide.sum(axis=-1) // 3]
    grey_far = np.abs((8 + 10 * greys)[..., None] - wide).sum(axis=-1)
    cube = 16 + steps @ np.array([36, 6, 1])
    spread = wide.max(axis=-1) - wide.min(axis=-1)  # a grey in place of a colour is seen
    grey = (grey_far < cube_far) & (spread <= GREY_SPREAD)
    nearest: Cells = np.where(grey, 232 + greys, cube).astype(np.int64)
    return nearest


def changes(before: Cells | None, after: Cells, left: int, top: int, colours: Colours) -> str:
    """The text that turns a screen with `before` at (left, top) into one with `after`.

    Only cells that differ are written. It moves the cursor, and ends with the default style.

    Args:
        before: what the terminal shows there; None, or another shape: unknown.
        after: what it is to show.
        left, top: the screen's column and row of the first cell, from 0.
        colours: those that the cells were made for.
    """
    if before is None or before.shape != after.shape:
        differ = np.ones(after.shape, dtype=bool)
    else:
        differ = after != before
    rows, columns = np.nonzero(differ)
    if not rows.size:
        return ""
    parts: list[str] = []
    pen = _Pen(colours)
    at_row = at_column = -1
    for row, column, cell in zip(
        rows.tolist(), columns.tolist(), after[differ].tolist(), strict=True
    ):
        if column != at_column or row != at_row:
            parts.append(f"\x1b[{top + row + 1};{left + column + 1}H")
            at_row = row
        at_column = column + 1
        parts.append(pen.cell(cell))
    parts.append(RESET)
    return "".join(parts)


def row_text(cells: Cells, colours: Colours) -> str:
    """One row of cells as text, from the cursor on."""
    pen = _Pen(colours)
    return "".join([*map(pen.cell, cells.tolist()), RESET])


class _Pen:
    """Writes cells one after the other; a colour that is set already is not set again."""

    def __init__(self, colours: Colours) -> None:
        self._colours = colours
        self._fore = self._back = -1

    def cell(self, cell: int) -> str:
        if self._colours == "none":
            return SHADES[cell]
        upper, lower = cell >> _HALF_BITS, cell & _LOWER
        back = "" if lower == self._back else f"48;{self._code(lower)}"
        self._back = lower
        if upper == lower:  # a space needs no foreground
            return f"\x1b[{back}m " if back else " "
        fore = "" if upper == self._fore else f"38;{self._code(upper)}"
        self._fore = upper
        both = f"{fore};{back}" if fore and back else fore or back
        return f"\x1b[{both}m{HALF}" if both else HALF

    def _code(self, colour: int) -> str:
        if self._colours == "256":
            return f"5;{_DECIMAL[colour]}"
        red, green, blue = colour >> 16, colour >> 8 & 255, colour & 255
        return f"2;{_DECIMAL[red]};{_DECIMAL[green]};{_DECIMAL[blue]}"


def halves(cell: int) -> tuple[int, int]:
    """The codes of a cell's upper and lower half: 24-bit colours, or places in the palette."""
    return cell >> _HALF_BITS, cell & _LOWER
