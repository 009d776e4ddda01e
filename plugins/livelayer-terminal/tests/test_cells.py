"""The picture as cells: scaling, colours, and the text that turns one screen into the next."""

from __future__ import annotations

import base64
import re
import zlib
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from livelayer_terminal.cells import (
    HALF,
    SHADES,
    TOLERANCE,
    Cells,
    Colours,
    Pixels,
    changes,
    fit,
    row_text,
    shrink,
    steady,
    to_cells,
)
from livelayer_terminal.kitty import CHUNK, has_graphics, remove, show
from livelayer_terminal.pace import SLOWEST, Pace

from livelayer_bus.media import VideoFrame
from livelayer_bus.testing import grey_picture

_TOKEN = re.compile(r"\x1b\[(\d+);(\d+)H|\x1b\[([\d;]*)m|(.)", re.DOTALL)
LEFT, TOP = 3, 2

Shown = tuple[str, str | None, str | None]
"""What a cell of a terminal shows: a character, and the codes of its colours."""


class Terminal:
    """Understands what the picture writes: cursor positions, colours, characters."""

    def __init__(self, rows: int, columns: int) -> None:
        self.cells: list[list[Shown]] = [[("?", None, None)] * columns for _ in range(rows)]
        self.written = 0
        self._at = 0, 0
        self._fore: str | None = None
        self._back: str | None = None

    def write(self, text: str) -> None:
        for row, column, style, sign in _TOKEN.findall(text):
            if row:
                self._at = int(row) - 1, int(column) - 1
            elif sign:
                self.cells[self._at[0]][self._at[1]] = sign, self._fore, self._back
                self._at = self._at[0], self._at[1] + 1
                self.written += 1
            else:
                self._style(style)

    def _style(self, style: str) -> None:
        codes = style.split(";")
        while codes:
            first = codes.pop(0)
            if first == "0":
                self._fore = self._back = None
                continue
            count = 4 if codes[0] == "2" else 2
            colour, codes = ";".join(codes[:count]), codes[count:]
            if first == "38":
                self._fore = colour
            else:
                assert first == "48"
                self._back = colour


def expected(cell: int, colours: Colours) -> Shown:
    if colours == "none":
        return SHADES[cell], None, None

    def code(colour: int) -> str:
        if colours == "256":
            return f"5;{colour}"
        return f"2;{colour >> 16};{colour >> 8 & 255};{colour & 255}"

    return HALF, code(cell >> 24), code(cell & 0xFFFFFF)


def same(shown: Shown, wanted: Shown) -> bool:
    """A space shows its background alone, as a half-block of one colour does."""
    sign, fore, back = wanted
    if shown[0] == " " and sign == HALF:
        return fore == back == shown[2]
    return shown == wanted if sign == HALF else shown[0] == sign


def assert_shows(terminal: Terminal, cells: Cells, colours: Colours) -> None:
    for row, line in enumerate(cells.tolist()):
        for column, cell in enumerate(line):
            found = terminal.cells[TOP + row][LEFT + column]
            assert same(found, expected(cell, colours)), (row, column)


@st.composite
def screens(draw: st.DrawFn) -> tuple[Colours, list[Pixels]]:
    """Pictures of one size that follow each other; neighbours often share colours."""
    colours: Colours = draw(st.sampled_from(get_args(Colours)))
    rows, columns = draw(st.integers(1, 5)), draw(st.integers(1, 7))
    seed = draw(st.integers(0, 2**32 - 1))
    levels = draw(st.sampled_from([2, 3, 256]))
    random = np.random.default_rng(seed)
    shape = 2 * rows, columns, 3
    pictures: list[Pixels] = []
    for _ in range(draw(st.integers(1, 4))):
        fresh = (random.integers(0, levels, shape) * (255 // (levels - 1))).astype(np.uint8)
        kept = random.random((2 * rows, columns, 1)) < draw(st.sampled_from([0.0, 0.5, 0.95]))
        pictures.append(np.where(kept, pictures[-1], fresh) if pictures else fresh)
    return colours, pictures


@given(screens())
def test_the_changes_turn_each_screen_into_the_next(
    case: tuple[Colours, list[Pixels]],
) -> None:
    colours, pictures = case
    rows, columns = pictures[0].shape[0] // 2, pictures[0].shape[1]
    terminal = Terminal(TOP + rows + 1, LEFT + columns + 1)
    before: Cells | None = None
    for picture in pictures:
        cells = to_cells(picture, colours)
        written = terminal.written
        terminal.write(changes(before, cells, LEFT, TOP, colours))
        assert_shows(terminal, cells, colours)
        differ = cells.size if before is None else int((cells != before).sum())
        assert terminal.written - written == differ  # and nothing else
        before = cells
    blank = ("?", None, None)
    assert all(cell == blank for row in terminal.cells[:TOP] for cell in row)
    assert all(row[-1] == blank for row in terminal.cells)


@given(screens())
def test_a_row_as_text_is_what_the_changes_write(case: tuple[Colours, list[Pixels]]) -> None:
    colours, pictures = case
    cells = to_cells(pictures[-1], colours)
    terminal = Terminal(TOP + len(cells), LEFT + cells.shape[1])
    for number, row in enumerate(cells):
        terminal.write(f"\x1b[{TOP + number + 1};{LEFT + 1}H{row_text(row, colours)}")
    assert_shows(terminal, cells, colours)


def test_nothing_is_written_when_nothing_changed() -> None:
    cells = to_cells(np.zeros((4, 5, 3), np.uint8), "truecolor")
    assert changes(cells, cells.copy(), 0, 0, "truecolor") == ""


@given(screens())
def test_noise_below_the_tolerance_is_not_shown(case: tuple[Colours, list[Pixels]]) -> None:
    before = case[1][0]
    noise = np.random.default_rng(1).integers(-TOLERANCE, TOLERANCE + 1, before.shape)
    noisy = np.clip(before + noise, 0, 255).astype(np.uint8)
    assert (steady(before, noisy) == before).all()
    changed = np.clip(before.astype(int) + TOLERANCE + 1, 0, 255).astype(np.uint8)
    shown = steady(before, changed)
    assert int(np.abs(shown.astype(int) - changed).max()) <= TOLERANCE


def test_a_picture_of_another_size_is_shown_as_it_is() -> None:
    small, large = np.zeros((2, 2, 3), np.uint8), np.ones((4, 4, 3), np.uint8)
    assert steady(small, large) is large
    assert steady(None, small) is small


@pytest.mark.parametrize(
    ("width", "height", "box", "cells"),
    [
        (1280, 720, (80, 24), (80, 22)),
        (640, 480, (80, 24), (64, 24)),
        (100, 1000, (80, 24), (5, 24)),
        (16, 16, (1, 1), (1, 1)),
        (10_000, 1, (80, 24), (80, 1)),
    ],
)
def test_the_picture_keeps_its_proportions(
    width: int, height: int, box: tuple[int, int], cells: tuple[int, int]
) -> None:
    assert fit(width, height, *box) == cells


@given(
    st.integers(1, 70), st.integers(1, 70), st.integers(1, 40), st.integers(1, 40), st.integers()
)
def test_each_pixel_is_the_average_of_its_area(
    width: int, height: int, columns: int, lines: int, seed: int
) -> None:
    luma = np.random.default_rng(abs(seed)).integers(16, 236, (height, width)).astype(np.uint8)
    chroma = b"\x80" * (2 * ((width + 1) // 2) * ((height + 1) // 2))
    pixels = shrink(VideoFrame(luma.tobytes() + chroma, width, height), columns, lines)
    assert pixels.shape == (lines, columns, 3)
    for line in range(lines):
        top = line * height // lines
        bottom = max(top + 1, (line + 1) * height // lines)
        for column in range(columns):
            left = column * width // columns
            right = max(left + 1, (column + 1) * width // columns)
            grey = 1.164 * (luma[top:bottom, left:right].mean() - 16)
            assert abs(pixels[line, column].astype(float) - grey).max() <= 1.0


def test_a_tall_picture_is_averaged_as_a_flat_one() -> None:
    luma = np.full((2000, 4), 235, np.uint8)
    frame = VideoFrame(luma.tobytes() + b"\x80" * (2 * 2 * 1000), 4, 2000)
    assert (shrink(frame, 2, 2) >= 254).all()


def test_colours_are_those_of_the_frame() -> None:
    # BT.601: pure red is Y 81, U 90, V 240.
    frame = VideoFrame(bytes([81] * 16 + [90] * 4 + [240] * 4), 4, 4)
    red = shrink(frame, 2, 2)
    assert abs(red[0, 0].astype(int) - [255, 0, 0]).max() <= 3
    assert to_cells(red, "256").tolist() == [[(196 << 24) | 196] * 2]


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_turned_picture_is_upright(rotation: int) -> None:
    # One bright quarter of a quarter in the first row, and where it goes clockwise.
    places = {0: (0, 1), 90: (1, 3), 180: (3, 2), 270: (2, 0)}
    luma = np.full((64, 64), 40, dtype=np.uint8)
    luma[:16, 16:32] = 220
    frame = VideoFrame(luma.tobytes() + b"\x80" * 2048, 64, 64, rotation=rotation)
    pixels = shrink(frame, 16, 16)
    means = pixels[..., 0].reshape(4, 4, 4, 4).mean(axis=(1, 3))
    assert np.unravel_index(means.argmax(), means.shape) == places[rotation]


def test_the_palette_of_256_comes_near_every_colour() -> None:
    steps = np.arange(0, 256, 15, dtype=np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 1, 3)
    pixels = np.repeat(grid, 2, axis=0).reshape(-1, 1, 3)
    for cell, colour in zip(to_cells(pixels, "256")[:, 0].tolist(), grid[:, 0], strict=True):
        code = cell & 0xFFFFFF
        assert cell >> 24 == code
        assert 16 <= code <= 255
        if code >= 232:
            shown = [8 + 10 * (code - 232)] * 3
        else:
            levels = (0, 95, 135, 175, 215, 255)
            place = code - 16
            shown = [levels[place // 36], levels[place // 6 % 6], levels[place % 6]]
        assert np.abs(np.array(shown) - colour).max() <= 48


# How often --------------------------------------------------------------------------------------


def test_pictures_cost_at_most_their_share() -> None:
    pace = Pace(15, share=0.08)
    assert pace.drawn(0.002, 0.0) == pytest.approx(1 / 15)
    assert pace.drawn(0.016, 0.0) == pytest.approx(0.2)  # 16 ms at 8 %
    for _ in range(20):
        pace.drawn(0.002, 0.0)
    assert pace.interval == pytest.approx(1 / 15)


def test_a_busy_event_loop_gets_fewer_pictures_and_they_come_back() -> None:
    pace = Pace(15)
    intervals = [pace.drawn(0.001, late=10.0) for _ in range(8)]
    assert intervals == sorted(intervals)
    assert intervals[0] == pytest.approx(2 / 15)
    assert intervals[-1] == SLOWEST
    for _ in range(40):
        pace.drawn(0.001, late=0.0)
    assert pace.interval == pytest.approx(1 / 15)


# The kitty graphics protocol --------------------------------------------------------------------


def test_a_picture_in_pixels_comes_whole_through_the_protocol() -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    text = show(pixels, LEFT, TOP, 10, 5)
    assert text.startswith(f"\x1b[{TOP + 1};{LEFT + 1}H")
    chunks = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", text)
    keys: dict[str, Any] = dict(key.split("=") for key in chunks[0][0].split(","))
    assert (keys["s"], keys["v"], keys["c"], keys["r"], keys["f"]) == ("60", "40", "10", "5", "24")
    assert [keys["m"], *(key for key, _ in chunks[1:])] == [
        "1",
        *["m=1"] * (len(chunks) - 2),
        "m=0",
    ]
    assert all(len(data) <= CHUNK for _, data in chunks)
    data = zlib.decompress(base64.standard_b64decode("".join(data for _, data in chunks)))
    assert data == pixels.tobytes()
    assert f"i={keys['i']}," in remove()


@pytest.mark.parametrize(
    ("environ", "has"),
    [
        ({"TERM": "xterm-kitty"}, True),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, True),
        ({"TERM_PROGRAM": "ghostty"}, True),
        ({"TERM": "xterm-kitty", "SSH_TTY": "/dev/pts/1"}, False),
        ({"TERM": "xterm-kitty", "TMUX": "socket,1,0"}, False),
        ({"TERM": "xterm-256color"}, False),
        ({}, False),
    ],
)
def test_the_protocol_is_used_where_it_is_known(environ: dict[str, str], has: bool) -> None:
    assert has_graphics(environ) is has


def test_a_grey_picture_without_colours_is_one_shade() -> None:
    cells = to_cells(shrink(grey_picture(64, 64, 235), 4, 4), "none")
    assert cells.tolist() == [[len(SHADES) - 1] * 4] * 2
