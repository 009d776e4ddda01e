"""What the console shows, as a pure function: a `ConsoleView` in, a rich renderable out."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Final, Literal, final

import msgspec
from rich.box import ASCII, ROUNDED
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from livelayer_bus.events import ApprovalRequested, TranscriptEntry
from livelayer_bus.state import SessionState

from .typed import hint

Direction = Literal["in", "out"]

NARROW: Final = 60  # columns below which labels and history are left out
MAX_HEIGHT: Final = 20  # rows; the rest of a tall terminal belongs to the application
MAX_WIDTH: Final = 110
QUIET_DB: Final = -50.0  # the level that is shown as silence
LABEL: Final = 7  # columns of the left labels
QUESTION_ROWS: Final = 3

_UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]+")
TIMES: Final = "\N{MULTIPLICATION SIGN}"
PROMPT: Final = "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} "
_BARS: Final = " ▁▂▃▄▅▆▇█"
_ASCII_BARS: Final = " .:-=+*#@"
CONNECTION_STYLES: Final = {
    "idle": "dim",
    "connecting": "yellow",
    "connected": "green",
    "disconnected": "dim",
    "error": "bold red",
}
AGENT_STYLES: Final = {
    "idle": "dim",
    "listening": "cyan",
    "thinking": "yellow",
    "speaking": "green",
}


class VideoFacts(msgspec.Struct, frozen=True):
    """The agent's video, in numbers."""

    available: bool = False
    width: int = 0
    height: int = 0
    fps: float = 0.0
    dropped: int = 0
    """Frames dropped because it was too slow."""


class AudioFacts(msgspec.Struct, frozen=True):
    """The agent's audio, in numbers."""

    available: bool = False
    level: float = 0.0
    """RMS from 0 to 1."""
    history: tuple[float, ...] = ()
    """Earlier levels, oldest first."""
    dropped: int = 0


class MessageFacts(msgspec.Struct, frozen=True):
    """One data message, shortened."""

    direction: Direction
    type: str
    text: str = ""


class ConsoleView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one redraw shows."""

    state: SessionState
    elapsed: float = 0.0
    """Seconds since the surface was mounted."""
    video: VideoFacts = VideoFacts()
    audio: AudioFacts = AudioFacts()
    messages: tuple[MessageFacts, ...] = ()
    """The newest last."""
    lost: int = 0
    """Events lost because this surface was too slow."""
    notice: str | None = None
    """The latest error."""
    prompt: str | None = None
    """What is being typed; None without a keyboard."""
    question: ApprovalRequested | None = None
    """What the agent asks, and the person at this terminal may answer."""


def clean(text: str) -> str:
    """Foreign text without control characters."""
    return _UNSAFE.sub(" ", text).strip()


def in_encoding(text: str, encoding: str) -> str:
    """The text with a question mark for each character that `encoding` lacks."""
    return text.encode(encoding, "replace").decode(encoding)


def decibels(level: float) -> float:
    """An RMS level as dB below full scale, at least `QUIET_DB`."""
    return max(QUIET_DB, 20 * math.log10(level)) if level > 0 else QUIET_DB


def panel_size(columns: int, rows: int) -> tuple[int, int]:
    """The columns and rows that a panel takes of a terminal's."""
    return max(20, min(columns, MAX_WIDTH)), max(8, min(rows, MAX_HEIGHT)) - 1


@final
class ConsoleScreen:
    """A rich renderable of a view that fits the width and height it is given."""

    def __init__(self, view: ConsoleView) -> None:
        self._view = view

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns, rows = panel_size(options.max_width, options.height or console.height)
        plain = not console.encoding.lower().startswith("utf")
        yield _Painter(self._view, console, columns, rows, plain).paint()


class _Painter:
    def __init__(
        self, view: ConsoleView, console: Console, width: int, height: int, plain: bool
    ) -> None:
        self._view = view
        self._state = view.state
        self._console = console
        self._width = width
        self._inner = width - 4
        self._rows = height - 2
        self._plain = plain
        self._narrow = width < NARROW

    def paint(self) -> RenderableType:
        head = [self._status()]
        tail = [*self._tools(), self._voice(), self._picture(), *self._notices()]
        tail += self._question()
        prompt = [self._prompt()] if self._view.prompt is not None else []
        spare = self._rows - len(head) - len(tail) - len(prompt)
        messages = self._messages(max(0, min(4, spare // 3)))
        spare -= len(messages) + 2
        body: list[RenderableType] = [*head, Text()] if spare > 2 else [*head]
        body += self._transcript(max(1, spare))
        body += [Text(), *messages, *tail, *prompt] if spare > 2 else [*messages, *tail, *prompt]
        return Panel(
            Group(*body),
            title=self._title(),
            title_align="left",
            subtitle=None if self._narrow else self._subtitle(),
            subtitle_align="right",
            border_style=CONNECTION_STYLES[self._state.connection_state],
            box=ASCII if self._plain else ROUNDED,
            width=self._width,
        )

    def _title(self) -> Text:
        name = self._clean(self._state.agent_id)
        return Text.assemble(
            ("livelayer", "bold"), (f" {self._dot} ", "dim"), name, overflow="fold"
        )

    def _subtitle(self) -> Text:
        minutes, seconds = divmod(int(self._view.elapsed), 60)
        return Text(
            f"session {self._state.id[:8]} {self._dot} event {self._state.sequence}"
            f" {self._dot} {minutes:02}:{seconds:02}",
            style="dim",
        )

    def _status(self) -> RenderableType:
        state = self._state
        bullet = "*" if self._plain else "●"
        style = CONNECTION_STYLES[state.connection_state]
        words = "reconnecting" if state.reconnecting else state.connection_state
        line = Text.assemble((f"{bullet} ", style), (words, style))
        line.append("   ")
        if state.agent_active:
            agent = AGENT_STYLES[state.agent_state]
            line.append(f"{bullet} ", agent)
            line.append(f"{self._agent_name()} ", "bold")
            line.append(state.agent_state if state.agent_ready else "not ready yet", agent)
        else:
            line.append("no agent", "dim")
        surfaces = f"{len(state.surfaces)} surface{'s' if len(state.surfaces) != 1 else ''}"
        if state.recording:
            line.append(f"   {bullet} recording", "red")
        if self._narrow:
            return self._cut(line)
        grid = Table.grid(expand=True)
        grid.add_column(ratio=1)
        grid.add_column(justify="right")
        grid.add_row(self._cut(line), Text(surfaces, "dim"))
        return grid

    def _transcript(self, rows: int) -> list[RenderableType]:
        lines: list[Text] = []
        for entry in reversed(self._state.transcript):
            lines = [*self._utterance(entry), *lines]
            if len(lines) >= rows:
                break
        if not lines:
            is_new = self._state.continued is False
            words = "this is a new conversation" if is_new else "nothing has been said yet"
            lines = [self._cut(Text(words, "dim italic"))]
        lines = lines[-rows:]
        return [*lines, *(Text() for _ in range(rows - len(lines)))]

    def _utterance(self, entry: TranscriptEntry) -> list[Text]:
        agent = entry.role == "agent"
        name = self._agent_name()
        who = (name if len(name) < LABEL else "agent") if agent else "you"
        label = Text(who.ljust(LABEL), "bold green" if agent else "bold cyan")
        is_open = not entry.final or entry.delivery == "pending"
        words = Text(self._clean(entry.text), "italic" if is_open else "")
        if is_open:
            words.append("..." if self._plain else "…", "dim")
        elif entry.delivery == "failed":
            words.append(" (not sent)", "dim")
        wrapped = words.wrap(self._console, max(8, self._inner - LABEL))
        first = Text.assemble(label, wrapped[0] if len(wrapped) else Text())
        return [first, *(Text.assemble(" " * LABEL, line) for line in wrapped[1:])]

    def _voice(self) -> Text:
        audio = self._view.audio
        line = self._label("voice")
        if not audio.available:
            return line.append("none", "dim")
        room = max(4, min(32, self._inner - LABEL - 12))
        if self._narrow:
            line.append(self._bar(audio.level, room), "green")
        else:
            line.append(self._spark((*audio.history, audio.level), room), "green")
        loud = decibels(audio.level)
        line.append(" silent" if loud <= QUIET_DB else f" {loud:4.0f} dB", "dim")
        return self._cut(self._with_drops(line, audio.dropped))

    def _picture(self) -> Text:
        video = self._view.video
        line = self._label("video")
        if not video.available or not video.width:
            return line.append("none", "dim")
        times = "x" if self._plain else TIMES
        line.append(f"{video.width}{times}{video.height}  {video.fps:4.1f} fps")
        return self._cut(self._with_drops(line, video.dropped))

    def _messages(self, rows: int) -> list[Text]:
        arrows = ("< ", "> ") if self._plain else ("↓ ", "↑ ")
        lines: list[Text] = []
        for number, message in enumerate(self._view.messages[-rows:] if rows else ()):
            line = self._label("data" if number == 0 else "")
            incoming = message.direction == "in"
            line.append(arrows[0 if incoming else 1], "magenta" if incoming else "blue")
            line.append(self._clean(message.type))
            line.append(f"  {self._clean(message.text)}", "dim")
            lines.append(self._cut(line))
        return lines

    def _tools(self) -> list[Text]:
        names = [self._clean(call.name.replace("_", " ")) for call in self._state.tools]
        return [self._cut(self._label("tools").append(", ".join(names), "dim"))] if names else []

    def _question(self) -> list[Text]:
        question = self._view.question
        if question is None:
            return []
        text = self._clean(" - ".join(filter(None, (question.question, question.details))))
        wrapped = Text(text, "bold").wrap(self._console, max(8, self._inner - LABEL))
        lines = [Text.assemble(" " * LABEL, line) for line in wrapped[:QUESTION_ROWS]]
        lines[0] = Text.assemble(("asks".ljust(LABEL), "bold yellow"), wrapped[0])
        return lines

    def _notices(self) -> list[Text]:
        lines: list[Text] = []
        if self._view.lost:
            lines.append(
                self._cut(self._label("lost").append(f"{self._view.lost} events", "yellow"))
            )
        trouble = self._view.notice or self._state.error
        if trouble:
            lines.append(self._cut(self._label("!").append(self._clean(trouble), "red")))
        return lines

    def _prompt(self) -> Text:
        typed = self._clean(self._view.prompt or "")
        mark, cursor = ("> ", "_") if self._plain else (PROMPT, "▌")
        room = self._inner - 4
        line = Text.assemble((mark, "bold cyan"), _tail(typed, room), (cursor, "blink"))
        if not typed:
            line.append(f" {hint(self._state, self._view.question)}", "dim")
        return self._cut(line)

    def _label(self, word: str) -> Text:
        return Text(word.ljust(LABEL), "dim")

    def _with_drops(self, line: Text, dropped: int) -> Text:
        # Not a fault: a display shows the newest frame, and the others it may leave out.
        return line.append(f"  {dropped} left out", "dim") if dropped else line

    def _agent_name(self) -> str:
        config = self._state.agent_config
        name = config.name if config else self._state.agent_identity
        return self._clean(name or "") or "agent"

    def _clean(self, text: str) -> str:
        text = clean(text)
        return in_encoding(text, self._console.encoding) if self._plain else text

    def _cut(self, line: Text) -> Text:
        line.no_wrap = True
        line.overflow = "crop" if self._plain else "ellipsis"
        return line

    @property
    def _dot(self) -> str:
        return "-" if self._plain else "·"

    def _bar(self, level: float, room: int) -> str:
        filled = round(loudness(level) * room)
        full, empty = ("#", ".") if self._plain else ("█", "░")
        return full * filled + empty * (room - filled)

    def _spark(self, levels: Iterable[float], room: int) -> str:
        bars = _ASCII_BARS if self._plain else _BARS
        steps = [bars[round(loudness(level) * (len(bars) - 1))] for level in levels]
        return "".join(steps)[-room:].rjust(room)


def _tail(text: str, columns: int) -> str:
    """The end of the text that fits: a character may take two columns, or none."""
    start = len(text)
    while start and cell_len(text[start - 1 :]) <= columns:
        start -= 1
    return text[start:]


def loudness(level: float) -> float:
    """An RMS level from 0 (silence) to 1 (full scale), as loud as it sounds."""
    return 1 - decibels(level) / QUIET_DB
