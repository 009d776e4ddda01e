"""The widgets of the terminal surface: the picture, lines that scroll, and the prompt."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final, NamedTuple

import anyio
import anyio.to_thread
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input
from textual.worker import Worker

from livelayer_bus.media import VideoChannel, VideoFrame, VideoSubscription

from . import kitty
from .cells import Cells, Colours, Pixels, changes, fit, shrink, steady, to_cells
from .driver import Output, PictureStrip
from .keyboard import MAX_LINE
from .model import SessionModel
from .pace import Pace
from .view import clean

SELECTED: Final = Style.parse("bold underline")


class PictureFacts:
    """What drawing the picture has cost so far."""

    def __init__(self) -> None:
        self.drawn = 0
        """Pictures drawn."""
        self.cells = 0
        """Cells that changed, over all pictures."""
        self.seconds = 0.0
        """CPU seconds."""
        self.interval = 0.0
        """Seconds between pictures, as they are paced now."""
        self.size: tuple[int, int] = (0, 0)
        """The frame's, in pixels."""


class _Drawing(NamedTuple):
    """One picture, ready to be written."""

    columns: int
    rows: int
    pixels: Pixels
    cells: Cells | None
    """None: it is written as pixels."""
    cost: float
    """CPU seconds."""


class Picture(Widget, can_focus=False):
    """The avatar's picture; reads frames only while a person can see it.

    Guarantee: it draws the newest frame, at most `fps` a second and as many as the pace allows, and
    none before the terminal took the one before. Only cells that changed are written.

    Args:
        video: what it shows; None: the session has no video.
        output: the terminal.
        fps: pictures a second, at most.
        colours: what the terminal shows.
        graphics: draw by the kitty graphics protocol.
    """

    DEFAULT_CSS = "Picture { width: 1fr; height: 1fr; }"
    ALLOW_SELECT = False

    def __init__(
        self,
        video: VideoChannel | None,
        output: Output,
        *,
        fps: float,
        colours: Colours,
        graphics: bool,
    ) -> None:
        super().__init__()
        self._video = video
        self._output = output
        self._fps = fps
        self._colours: Colours = colours
        self._graphics = graphics
        self._pace = Pace(fps)
        self._reader: Worker[None] | None = None
        self._frame: VideoFrame | None = None
        self._pixels: Pixels | None = None
        self._cells: Cells | None = None
        self._place: tuple[int, int, int, int] | None = None  # column, row, columns, rows
        self._strips: list[Strip] | None = None
        self.facts = PictureFacts()
        self.frames: VideoSubscription | None = None
        """The reader, while the picture is visible."""

    # Reading ------------------------------------------------------------------------------------

    def on_show(self) -> None:
        if self._reader is None and self._video is not None:
            self._reader = self.run_worker(self._read(self._video))

    def on_hide(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.cancel()

    def on_resize(self) -> None:
        self._strips = None
        if self._frame is not None:
            self.run_worker(self._draw_again(self._frame), group="resize", exclusive=True)

    async def _draw_again(self, frame: VideoFrame) -> None:
        """Draw the frame that is shown in the widget's new size."""
        width, height = self.size
        if width and height:
            self._write(await anyio.to_thread.run_sync(self._make, frame, width, height))

    async def _read(self, video: VideoChannel) -> None:
        with video.subscribe(max_fps=self._fps) as frames:
            self.frames = frames
            try:
                async for frame in frames:
                    await self._draw(frame)
            finally:
                if self.frames is frames:  # it was not shown again meanwhile
                    self.frames = None
                    self._erase()

    async def _draw(self, frame: VideoFrame) -> None:
        await self._output.drained()
        began = time.monotonic()
        self._frame = frame
        width, height = self.size
        if not width or not height:
            return
        drawing = await anyio.to_thread.run_sync(self._make, frame, width, height)
        started = time.thread_time()
        self._write(drawing)
        cost = drawing.cost + time.thread_time() - started
        facts = self.facts
        facts.drawn += 1
        facts.seconds += cost
        facts.size = frame.width, frame.height
        due = began + self._pace.interval - 0.5 / self._fps  # the next frame comes at its own time
        await anyio.sleep(max(0.0, due - time.monotonic()))
        late = max(0.0, time.monotonic() - max(due, began))
        facts.interval = self._pace.drawn(cost, late)

    # Drawing ------------------------------------------------------------------------------------

    def _make(self, frame: VideoFrame, width: int, height: int) -> _Drawing:
        """Called in a thread."""
        began = time.thread_time()
        across, down = frame.width, frame.height
        if frame.rotation in (90, 270):
            across, down = down, across
        columns, rows = fit(across, down, width, height)
        cells = None
        if self._graphics:
            wide, high = columns * kitty.CELL[0], rows * kitty.CELL[1]
            share = min(1.0, across / wide, down / high)  # not more pixels than the frame has
            pixels = shrink(frame, max(1, int(wide * share)), max(1, int(high * share)))
        else:
            pixels = steady(self._pixels, shrink(frame, columns, 2 * rows))
            cells = to_cells(pixels, self._colours)
        return _Drawing(columns, rows, pixels, cells, time.thread_time() - began)

    def _write(self, drawing: _Drawing) -> None:
        columns, rows, pixels, cells, _ = drawing
        width, height = self.size
        if columns > width or rows > height:
            return  # the widget was resized meanwhile
        place = (width - columns) // 2, (height - rows) // 2, columns, rows
        before = self._cells if place == self._place else None
        moved = place != self._place
        self._place, self._pixels, self._cells, self._strips = place, pixels, cells, None
        left, top = self.region.x + place[0], self.region.y + place[1]
        if moved:
            self.refresh()  # Textual writes it, and the margins
        if cells is None:
            self._output.write_over(self, kitty.show(pixels, left, top, columns, rows))
        elif before is None:
            self.facts.cells += cells.size
        else:
            self.facts.cells += int((before != cells).sum())
            text = changes(before, cells, left, top, self._colours)
            self._output.write_over(self, text)

    def _erase(self) -> None:
        if self._graphics and self._pixels is not None:
            self._output.write_over(self, kitty.remove())
        self._frame = self._pixels = self._cells = self._place = self._strips = None
        if self.is_attached:
            self.refresh()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Rows for Textual, which asks for them whenever something beside the picture changes."""
        if self._strips is None:
            self._strips = self._rows()
        strips = self._strips[crop.y : crop.bottom]
        if crop.x or crop.width != self.size.width:
            strips = [strip.crop(crop.x, crop.right) for strip in strips]
        return strips

    def _rows(self) -> list[Strip]:
        width, height = self.size
        back = self.visual_style.rich_style
        blank = Strip.blank(width, back)
        if self._cells is None or self._place is None:
            return [blank] * height
        left, top, columns, rows = self._place
        if left + columns > width or top + rows > height:
            return [blank] * height  # of another size: the next frame draws it
        right = width - left - columns
        shown = [PictureStrip(row, self._colours, left, right, back) for row in self._cells]
        return [*[blank] * top, *shown, *[blank] * (height - top - rows)]


DrawLines = Callable[[Any, int], list[Text]]
"""Makes the lines of an item, in that many columns."""


class Lines(ScrollView, can_focus=True):
    """Items, each of one or more lines; follows the newest unless a person scrolled up.

    Args:
        draw: makes an item's lines.
        selectable: the arrow keys and the mouse select an item.
    """

    DEFAULT_CSS = "Lines { width: 1fr; height: 1fr; overflow-x: hidden; }"

    class Selected(Message):
        """A person selected an item."""

        def __init__(self, lines: Lines, item: Any) -> None:
            super().__init__()
            self.lines = lines
            self.item = item

        @property
        def control(self) -> Lines:
            return self.lines

    class Top(Message):
        """A person scrolled to the first line."""

        def __init__(self, lines: Lines) -> None:
            super().__init__()
            self.lines = lines

        @property
        def control(self) -> Lines:
            return self.lines

    def __init__(self, draw: DrawLines, *, selectable: bool = False, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._draw = draw
        self._selectable = selectable
        self._items: list[tuple[Any, list[Strip]]] = []
        self._rows: list[tuple[int, Strip]] = []  # each line, with its item's position
        self._columns = 0
        self._follows = True
        self.selected: int | None = None
        """The position of the selected item."""

    @property
    def items(self) -> list[Any]:
        """What is shown, the newest last."""
        return [item for item, _ in self._items]

    def show(self, items: Sequence[Any], *, keep: bool = False) -> None:
        """Show these items; those that it has already are not drawn again.

        Args:
            items: what to show.
            keep: more was put before: what a person reads stays where it is.
        """
        chosen = None if self.selected is None else self._items[self.selected][0]
        columns = self.scrollable_content_region.width or self.size.width
        known = {}
        if columns == self._columns:
            known = {id(item): strips for item, strips in self._items}
        self._columns = columns
        self._items = [(item, known.get(id(item)) or self._make(item)) for item in items]
        before = len(self._rows)
        self._rows = [
            (number, strip) for number, (_, strips) in enumerate(self._items) for strip in strips
        ]
        self.selected = next((n for n, (item, _) in enumerate(self._items) if item is chosen), None)
        self.virtual_size = Size(columns, len(self._rows))
        # By force: there is no scroll bar before the next refresh.
        if keep:
            more = len(self._rows) - before
            self.scroll_to(y=self.scroll_offset.y + more, animate=False, force=True)
        elif self._follows and self.selected is None:
            self.scroll_end(animate=False, immediate=True, force=True)
        self.refresh()

    def _make(self, item: Any) -> list[Strip]:
        columns = max(8, self._columns)
        return [Strip(list(line.render(self.app.console))) for line in self._draw(item, columns)]

    def render_line(self, y: int) -> Strip:
        back = self.visual_style.rich_style
        row = y + self.scroll_offset.y
        if row >= len(self._rows):
            return Strip.blank(self.size.width, back)
        number, strip = self._rows[row]
        strip = strip.crop_extend(0, self.size.width, back).apply_style(back)
        if number == self.selected:
            strip = strip.apply_style(SELECTED)
        return strip

    def on_resize(self) -> None:
        self.show(self.items)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self._follows = new_value >= self.max_scroll_y - 1
        if new_value <= 0 < old_value:
            self.post_message(self.Top(self))

    def on_key(self, event: events.Key) -> None:
        steps = {"up": -1, "down": 1}
        if self._selectable and event.key in steps and self._items:
            at = len(self._items) if self.selected is None else self.selected
            self._select(at + steps[event.key])
            event.stop()
            event.prevent_default()

    def on_click(self, event: events.Click) -> None:
        row = event.y + self.scroll_offset.y
        if self._selectable and row < len(self._rows):
            self._select(self._rows[row][0])

    def _select(self, number: int) -> None:
        self.selected = max(0, min(number, len(self._items) - 1))
        row = next(row for row, (item, _) in enumerate(self._rows) if item == self.selected)
        height = len(self._items[self.selected][1])
        self.scroll_to_region(Region(0, row, 1, height), animate=False)
        self.refresh()
        self.post_message(self.Selected(self, self._items[self.selected][0]))


class Prompt(Input):
    """A line that a person types to the agent, with the lines before it on the arrow keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "recall(1)", "earlier line", show=False),
        Binding("down", "recall(-1)", "later line", show=False),
        Binding("ctrl+d", "leave", "Leave", priority=True),
    ]
    DEFAULT_CSS = "Prompt { height: 1; }"

    def __init__(self, model: SessionModel) -> None:
        super().__init__(compact=True, max_length=MAX_LINE, select_on_focus=False)
        self._model = model
        self._back = 0  # how far back in the history
        self._draft = ""
        self.value = model.draft

    def finish(self) -> None:
        """The line was taken."""
        self.value = ""
        self._back = 0

    def action_recall(self, step: int) -> None:
        history, back = self._model.history, self._back + step
        if not 0 <= back <= len(history):
            return
        if self._back == 0:
            self._draft = self.value
        self._back = back
        self.value = history[-back] if back else self._draft
        self.cursor_position = len(self.value)

    def action_leave(self) -> None:
        if self.value:
            self.action_delete_right()
        else:
            self._model.leave()

    def _on_paste(self, event: events.Paste) -> None:
        # All its lines, on one: Textual keeps the first alone.
        event.stop()
        event.prevent_default()
        text = clean(" ".join(event.text.splitlines()))
        if text:
            self.replace(text, *self.selection)
