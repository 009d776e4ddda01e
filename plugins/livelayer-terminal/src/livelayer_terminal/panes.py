"""One session on the screen: picture, transcript, data messages, fields, figures, prompt."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from operator import is_not
from typing import ClassVar, Final

import msgspec
from rich.console import Console
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Input, Label, Static, TabbedContent, TabPane

from livelayer_bus.errors import LivelayerError
from livelayer_bus.events import TranscriptEntry
from livelayer_bus.media import Timing
from livelayer_bus.state import SessionState
from livelayer_bus.transcript import place

from .cells import Colours
from .driver import Output
from .model import DataMessage, FieldKey, Rate, SessionModel
from .typed import hint
from .view import AGENT_STYLES, CONNECTION_STYLES, PROMPT, clean, decibels, loudness
from .widgets import Lines, Picture, Prompt

LABEL: Final = 7  # columns of the speaker's name
CAPTION_ROWS: Final = 2
METER: Final = 24  # columns, at most
EARLIER: Final = 100  # utterances fetched when a person scrolls to the first one
MOST_EARLIER: Final = 1000
_WRAPPER: Final = Console(width=80, color_system=None, highlight=False, markup=False)
_BLOCKS: Final = "▏▎▍▌▋▊▉█"

TABS: Final = {
    "transcript": "Said",
    "data": "Data",
    "fields": "Fields",
    "figures": "Figures",
    "log": "Log",
}
"""The parts of a session beside its picture, each with its title."""


class SessionPane(Vertical):
    """Everything of one session."""

    DEFAULT_CSS = """
    SessionPane { height: 1fr; }
    SessionPane .status, SessionPane .meter, SessionPane .notice { height: 1; padding: 0 1; }
    SessionPane .caption { height: 2; padding: 0 1; text-style: italic; }
    SessionPane .left { width: 1fr; }
    SessionPane .right { width: 1fr; }
    SessionPane .question { height: auto; max-height: 3; padding: 0 1; display: none; }
    SessionPane .question.shown, SessionPane .notice.shown { display: block; }
    SessionPane .question { color: $warning; text-style: bold; }
    SessionPane .notice { color: $error; display: none; }
    SessionPane .say { height: 1; }
    SessionPane .say Label { width: 2; color: $accent; }
    SessionPane Prompt { width: 1fr; }
    SessionPane TabPane { padding: 0; }
    SessionPane .detail { height: 40%; display: none; border-top: solid $primary; }
    SessionPane .detail.shown { display: block; }
    SessionPane .field { height: 1; }
    SessionPane .field Label { width: 16; padding: 0 1; }
    SessionPane .field Input { width: 1fr; }
    SessionPane .summary { height: auto; padding: 0 1; color: $success; display: none; }
    SessionPane .summary.shown { display: block; }
    SessionPane.zoomed .right { display: none; }
    SessionPane.no-picture .left Picture { display: none; }
    SessionPane.no-picture .left { height: 4; width: 100%; }
    SessionPane.no-picture .body { layout: vertical; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
    ]

    def __init__(
        self, model: SessionModel, output: Output, *, fps: float, colours: Colours, graphics: bool
    ) -> None:
        super().__init__()
        self.model = model
        self._output = output
        self.picture = Picture(model.video, output, fps=fps, colours=colours, graphics=graphics)
        self.prompt = Prompt(model)
        self.transcript = Lines(self._utterance, id="transcript-lines")
        self.inspector = Lines(_message_lines, selectable=True, id="data-lines")
        self.printed = Lines(_printed_lines, id="log-lines")
        self._began = time.monotonic()
        self._earlier: tuple[TranscriptEntry, ...] = ()
        self._shown: dict[str, object] = {}  # what each Static shows
        self._seen = -1, -1, -1, -1  # versions of what the lists show
        self._frames, self._events, self._bytes, self._drawn = Rate(), Rate(), Rate(), Rate()

    def compose(self) -> ComposeResult:
        yield Static(classes="status", markup=False)
        with Horizontal(classes="body"):
            with Vertical(classes="left"):
                yield self.picture
                yield Static(classes="caption", markup=False)
                yield Static(classes="meter", markup=False)
            with TabbedContent(classes="right", initial="transcript"):
                with TabPane(TABS["transcript"], id="transcript"):
                    yield self.transcript
                with TabPane(TABS["data"], id="data"):
                    yield Input(
                        placeholder="filter: words, in: or out:", compact=True, classes="filter"
                    )
                    yield self.inspector
                    with VerticalScroll(classes="detail"):
                        yield Static(markup=False, classes="detail-text")
                with TabPane(TABS["fields"], id="fields"):
                    yield VerticalScroll(Static(classes="summary", markup=False), classes="form")
                with TabPane(TABS["figures"], id="figures"), VerticalScroll():
                    yield Static(classes="numbers", markup=False)
                with TabPane(TABS["log"], id="log"):
                    yield self.printed
        yield Static(classes="question", markup=False)
        yield Static(classes="notice", markup=False)
        with Horizontal(classes="say"):
            yield Label(PROMPT, markup=False)
            yield self.prompt

    # Keys ---------------------------------------------------------------------------------------

    def action_page(self, pages: int) -> None:
        """Scroll what is beside the picture, also while a person types."""
        pane = self.query_one(TabbedContent).active_pane
        if pane is not None:
            for lines in pane.query("Lines, VerticalScroll"):
                if lines.display:
                    lines.scroll_relative(y=pages * lines.size.height, animate=False)
                    return

    def open_tab(self, name: str) -> None:
        """Show one of `TABS`."""
        self.remove_class("zoomed")
        self.prompt.focus()  # what has the focus would bring its own tab back
        self.query_one(TabbedContent).active = name

    @on(Input.Submitted, "Prompt")
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        line = event.value.strip()
        self.prompt.finish()
        self._send(line)

    @work(exclusive=False)
    async def _send(self, line: str) -> None:
        await self.model.enter(line)

    @work(exclusive=True, group="interrupt")
    async def interrupt(self) -> None:
        """Stop what the agent says."""
        await self.model.interrupt()

    @on(Input.Changed, ".filter")
    def _filtered(self) -> None:
        self._show_messages()

    @on(Lines.Selected, "#data-lines")
    def _selected(self, event: Lines.Selected) -> None:
        detail = self.query_one(".detail")
        detail.add_class("shown")
        self.query_one(".detail-text", Static).update(_detail(event.item))

    @on(Lines.Top, "#transcript-lines")
    def _at_first_line(self) -> None:
        self._fetch_earlier()

    @work(exclusive=True, group="earlier")
    async def _fetch_earlier(self) -> None:
        state = self.model.session.state
        known = (*self._earlier, *state.transcript)
        if not state.transcript_omitted or not known or len(self._earlier) >= MOST_EARLIER:
            return
        try:
            more = await self.model.session.earlier_transcript(known[0], limit=EARLIER)
        except LivelayerError as error:
            self.model.notice = str(error)
            return
        now = self.model.session.state.transcript
        self._earlier = _before(now, (*more, *known))
        self.transcript.show((*self._earlier, *now), keep=True)

    @on(Input.Changed, ".field Input")
    def _field_changed(self, event: Input.Changed) -> None:
        key = _field_of(event.input)
        if key in self.model.fields:
            self.model.set_field(key, event.value)

    # Drawing ------------------------------------------------------------------------------------

    def tick(self, printed: Sequence[str]) -> None:
        """Draw what has changed; called several times a second while it is visible."""
        model = self.model
        state = model.session.state
        self._show(".status", self._status(state))
        self._show(".caption", self._caption(state))
        self._show(".meter", self._meter())
        question = model.question
        asked = "" if question is None else f"asks  {question.question} {question.details or ''}"
        self._show(".question", clean(asked), hide=True)
        trouble = model.notice or state.error or ""
        if model.lost and not trouble:
            trouble = f"{model.lost} events were lost: too slow"
        self._show(".notice", clean(trouble), hide=True)
        words = hint(state, question)
        if self.prompt.placeholder != words:
            self.prompt.placeholder = words
        self._follow(state, printed)
        active = self.query_one(TabbedContent).active
        if active == "figures" and "zoomed" not in self.classes:
            self._show(".numbers", self._figures(state))

    def _follow(self, state: SessionState, printed: Sequence[str]) -> None:
        sequence, messages, fields, lines = self._seen
        self._seen = state.sequence, self.model.counted, self.model.fields_version, len(printed)
        if state.sequence != sequence:
            shown = self.transcript.items
            if self._earlier:
                self._earlier = _before(state.transcript, shown)[-MOST_EARLIER:]
            entries = (*self._earlier, *state.transcript)
            if len(entries) != len(shown) or any(map(is_not, entries, shown)):
                self.transcript.show(entries)
        if self.model.counted != messages:
            self._show_messages()
        if self.model.fields_version != fields:
            self._show_fields()
        if len(printed) != lines:
            self.printed.show(printed)

    def _show(self, which: str, content: str | Text, *, hide: bool = False) -> None:
        if self._shown.get(which) == content:
            return
        self._shown[which] = content
        widget = self.query_one(which, Static)
        widget.update(content)
        if hide:
            widget.set_class(bool(content), "shown")

    def _status(self, state: SessionState) -> Text:
        style = CONNECTION_STYLES[state.connection_state]
        words = "reconnecting" if state.reconnecting else state.connection_state
        line = Text.assemble(("● ", style), (words, style), "   ", no_wrap=True)
        if state.agent_active:
            agent = AGENT_STYLES[state.agent_state]
            line.append("● ", agent).append(f"{_agent_name(state)} ", "bold")
            line.append(state.agent_state if state.agent_ready else "not ready yet", agent)
        else:
            line.append("no agent", "dim")
        if state.tools:
            names = ", ".join(clean(call.name.replace("_", " ")) for call in state.tools)
            line.append(f"   uses {names}", "yellow")
        if state.recording:
            line.append("   ● recording", "red")
        if state.continued is False:
            line.append("   a new conversation", "dim")
        return line

    def _caption(self, state: SessionState) -> str:
        """The end of what the agent said last, as much as there is room for."""
        said = reversed(state.transcript)
        spoken = next((entry for entry in said if entry.role == "agent"), None)
        columns = self.picture.size.width - 2 or self.size.width // 2
        if spoken is None or columns < 1:
            return ""
        lines = Text(clean(spoken.text)).wrap(_WRAPPER, max(8, columns))
        return "\n".join(line.plain for line in lines[-CAPTION_ROWS:])

    def _meter(self) -> Text:
        audio = self.model.audio
        line = Text(no_wrap=True)
        if audio is None or not audio.available:
            return line.append("voice none", "dim")
        level = audio.level
        columns = min(METER, max(4, self.picture.size.width - 18))
        eighths = round(loudness(level) * columns * 8)
        bar = "█" * (eighths // 8) + (_BLOCKS[eighths % 8 - 1] if eighths % 8 else "")
        line.append("voice ", "dim").append(bar.ljust(columns), "green")
        return line.append(f" {decibels(level):4.0f} dB", "dim")

    def _utterance(self, entry: TranscriptEntry, columns: int) -> list[Text]:
        agent = entry.role == "agent"
        name = _agent_name(self.model.session.state)
        who = (name if len(name) < LABEL else "agent") if agent else "you"
        words = Text(clean(entry.text))
        if not entry.final or entry.delivery == "pending":
            words.stylize("italic")
            words.append("…", "dim")
        elif entry.delivery == "failed":
            words.append(" (not sent)", "red")
        return _labelled(who, "bold green" if agent else "bold cyan", words, columns)

    def _show_messages(self) -> None:
        words = self.query_one(".filter", Input).value.casefold().split()
        self.inspector.show([one for one in self.model.messages if one.matches(words)])

    @work(exclusive=True, group="fields")
    async def _show_fields(self) -> None:
        """Bring the form's inputs in line with the model; what a person types in stays."""
        model, form = self.model, self.query_one(".form", VerticalScroll)
        nothing = "" if model.fields else "the agent has collected nothing yet"
        self._show(".summary", clean(model.summary or nothing), hide=True)
        inputs = {_field_of(one): one for one in form.query(Input)}
        for key, widget in inputs.items():
            if key not in model.fields and widget.parent is not None:
                await widget.parent.remove()  # type: ignore[attr-defined]
        for key, field in list(model.fields.items()):
            known = inputs.get(key)
            if known is None:
                label = Label(clean(field.label), markup=False)
                widget = Input(clean(field.value), compact=True, name="\n".join(key))
                await form.mount(Horizontal(label, widget, classes="field"))
            elif known.value != clean(field.value) and field.source != "person":
                known.value = clean(field.value)
        focus, model.focus = model.focus, None
        if focus is not None:
            self.open_tab("fields")
            found = [one for one in form.query(Input) if _field_of(one) == focus]
            for one in found:
                one.focus()

    def _figures(self, state: SessionState) -> str:
        if self.model.video is None or self.model.audio is None:
            return "this session has no media"
        video, audio = self.model.video.statistics(), self.model.audio.statistics()
        facts, frames = self.picture.facts, self.picture.frames
        width, height = facts.size
        drawn = max(1, facts.drawn)
        paced = 1 / facts.interval if facts.interval else 0.0
        lines = [
            "PICTURE",
            f" source  {width}x{height}, {self._frames.count(video.pushed):.1f}/s",
            f" drawn   {self._drawn.count(facts.drawn):.1f}/s, at most {paced:.1f}/s",
            f" each    {1000 * facts.seconds / drawn:.2f} ms, {facts.cells // drawn} cells",
            f" output  {self._bytes.count(self._output.written) / 1000:.0f} kB/s",
            "FRAME PATH",
            f" frames  {video.pushed}, lost {video.dropped}",
            f" readers {video.demand}",
            f" transit {_timing(video.transit)}",
        ]
        if frames is not None:
            numbers = frames.statistics()
            lines += [
                f" latency {_timing(numbers.latency)}",
                f" skipped {numbers.dropped}",
            ]
        lines += [
            "VOICE",
            f" frames  {audio.pushed}, lost {audio.dropped}",
            "BUS",
            f" event   {state.sequence}, {self._events.count(state.sequence):.1f}/s",
            f" epoch   {state.epoch}",
            f" lost    {self.model.lost}",
            "SESSION",
            f" id      {state.id}",
            f" shown   {int(time.monotonic() - self._began)} s",
            f" on      {', '.join(map(clean, state.surfaces))}",
        ]
        return "\n".join(lines)


def _before(
    transcript: Sequence[TranscriptEntry], shown: Sequence[TranscriptEntry]
) -> tuple[TranscriptEntry, ...]:
    """Those of `shown` that come before `transcript`; none if they do not meet."""
    if not transcript:
        return ()
    first = transcript[0]
    meet = [number for number, one in enumerate(shown) if place(one) == place(first)]
    return tuple(shown[: meet[0]]) if meet else ()


def _agent_name(state: SessionState) -> str:
    name = state.agent_config.name if state.agent_config else state.agent_identity
    return clean(name or "") or "agent"


def _labelled(label: str, style: str, words: Text, columns: int) -> list[Text]:
    wrapped = words.wrap(_WRAPPER, max(8, columns - LABEL - 1))
    first = Text.assemble((label[:LABEL].ljust(LABEL), style), wrapped[0] if wrapped else "")
    return [first, *(Text.assemble(" " * LABEL, line) for line in wrapped[1:])]


def _message_lines(message: DataMessage, columns: int) -> list[Text]:
    incoming = message.direction == "in"
    at = time.strftime("%H:%M:%S", time.localtime(message.at))
    line = Text.assemble(
        (f"{at} ", "dim"),
        ("↓ " if incoming else "↑ ", "magenta" if incoming else "blue"),
        clean(message.type),
        (f" {message.size} B  {clean(message.text)}", "dim"),
    )
    line.truncate(columns, overflow="ellipsis")
    return [line]


def _printed_lines(line: str, columns: int) -> list[Text]:
    return list(Text(clean(line) or " ").wrap(_WRAPPER, columns))


def _detail(message: DataMessage) -> str:
    """All of a message, indented if it is JSON; control characters do not control the terminal."""
    text = message.data.decode("utf-8", "replace")
    with contextlib.suppress(msgspec.DecodeError):
        text = msgspec.json.format(text, indent=2)
    cut = "" if len(message.data) == message.size else f"\n… {message.size} bytes in all"
    return "\n".join(_kept_indent(line) for line in text.splitlines()) + cut


def _kept_indent(line: str) -> str:
    text = line.lstrip(" ")
    return " " * (len(line) - len(text)) + clean(text)


def _field_of(widget: Input) -> FieldKey:
    form, _, name = (widget.name or "").partition("\n")
    return form, name


def _timing(timing: Timing) -> str:
    if not timing.measured:
        return "not measured"
    return f"p50 {timing.p50_ns / 1e6:.1f}, p95 {timing.p95_ns / 1e6:.1f} ms"
