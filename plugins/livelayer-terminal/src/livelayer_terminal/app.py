"""The Textual application of the terminal surface: a tab for each session."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import ClassVar, Final

import anyio
from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content
from textual.widgets import Footer, Tab, Tabs
from textual.worker import WorkerFailed

from .cells import Colours
from .driver import Output, TerminalDriver, interrupt, leave_streams_alone
from .model import SessionModel
from .panes import TABS, SessionPane
from .view import clean

TICK: Final = 0.1  # seconds between two looks at what has changed
BEHIND: Final = 1 << 16  # characters: a terminal that has not taken these gets nothing new
PRINTED: Final = 500  # lines kept of what the application prints


class TerminalApp(App[None]):
    """Shows sessions on this process's terminal.

    Args:
        models: the sessions; `sessions_changed` says that there are others.
        fps: pictures a second, at most.
        picture: whether the avatar is drawn at first.
        graphics: draw pictures by the kitty graphics protocol.
        headless: there is no terminal.
        shown: set when everything is drawn for the first time.
    """

    CSS = """
    #sessions { height: 2; display: none; }
    #sessions.shown { display: block; }
    #panes { height: 1fr; }
    Screen.-narrow SessionPane .body { layout: vertical; }
    Screen.-narrow SessionPane .left { width: 100%; height: 45%; }
    Screen.-narrow SessionPane .right { width: 100%; }
    Screen.-narrow SessionPane.no-picture .left { height: 4; }
    Screen.-narrow SessionPane.zoomed .left { height: 1fr; }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (60, "-wide")]  # noqa: RUF012  # as Textual has it
    ENABLE_COMMAND_PALETTE = False
    TITLE = "livelayer"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "interrupt", "Stop", priority=True),
        *(
            Binding(f"f{number}", f"tab('{name}')", word, priority=True)
            for number, (name, word) in enumerate(TABS.items(), 1)
        ),
        Binding("f6", "zoom", "Zoom", priority=True),
        Binding("f7", "picture", "Picture", priority=True),
        Binding("f8", "next_session", "Next", priority=True),
        Binding("ctrl+d", "leave", "Leave"),
        Binding("ctrl+z", "suspend_process", show=False, priority=True),
        Binding("ctrl+q", "leave", show=False, priority=True),
    ]

    def __init__(
        self,
        models: Sequence[SessionModel],
        *,
        fps: float,
        picture: bool,
        graphics: bool,
        headless: bool,
        shown: anyio.Event,
    ) -> None:
        self.output = Output(self, self._on_terminal_gone)
        super().__init__(driver_class=None if headless else TerminalDriver)
        self._models = models
        self._fps = fps
        self._picture = picture
        self._graphics = graphics
        self.fault: Exception | None = None
        """What ended it."""
        self.gone = False
        """The terminal is gone."""
        self.printed: deque[str] = deque(maxlen=PRINTED)
        """What the application printed meanwhile, by lines."""
        self._panes: dict[int, SessionPane] = {}
        self._line = ""
        self._printing = threading.Lock()
        self._headless_only = headless
        self._shown = shown
        if headless:
            leave_streams_alone(self)

    @property
    def colours(self) -> Colours:
        """What the terminal shows."""
        if self.no_color:
            return "none"
        if self._headless_only:
            return "truecolor"
        system = self.console.color_system
        return "truecolor" if system == "truecolor" else "256" if system == "256" else "none"

    @property
    def pane(self) -> SessionPane | None:
        """The session that is shown."""
        return next((pane for pane in self._panes.values() if pane.display), None)

    def compose(self) -> ComposeResult:
        yield Tabs(id="sessions")
        yield Container(id="panes")
        yield Footer(show_command_palette=False, compact=True)

    async def on_mount(self) -> None:
        await self.sessions_changed()
        self.set_interval(TICK, self._tick)
        self._shown.set()

    async def sessions_changed(self) -> None:
        """Show a tab for each session that there is now."""
        tabs, panes = self.query_one(Tabs), self.query_one("#panes", Container)
        models = {id(model): model for model in self._models}
        for gone in [number for number in self._panes if number not in models]:
            await self._panes.pop(gone).remove()
            await tabs.remove_tab(f"session-{gone}")
        for number, model in models.items():
            if number not in self._panes:
                pane = SessionPane(
                    model,
                    self.output,
                    fps=self._fps,
                    colours=self.colours,
                    graphics=self._graphics and not self.no_color,
                )
                pane.display = not self._panes
                pane.set_class(not self._picture, "no-picture")
                self._panes[number] = pane
                await panes.mount(pane)
                title = clean(model.session.agent_id) or "session"
                await tabs.add_tab(Tab(Content(title), id=f"session-{number}"))
        tabs.set_class(len(self._panes) > 1, "shown")
        self.refresh_bindings()
        if self._panes and self.pane is None:
            self._show(next(iter(self._panes)))
        elif self.pane is not None and self.focused is None:
            self.pane.prompt.focus()

    def _show(self, number: int) -> None:
        for other, pane in self._panes.items():
            pane.display = other == number
        self._panes[number].prompt.focus()

    @on(Tabs.TabActivated, "#sessions")
    def _tab_activated(self, event: Tabs.TabActivated) -> None:
        number = int((event.tab.id or "").removeprefix("session-"))
        if number in self._panes:
            self._show(number)

    def _tick(self) -> None:
        pane = self.pane
        if pane is not None and self.output.waiting < BEHIND:
            pane.tick(self.printed)

    # Keys ---------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action != "next_session" or len(self._panes) > 1

    def action_interrupt(self) -> None:
        if self.pane is not None:
            self.pane.interrupt()

    def action_tab(self, name: str) -> None:
        if self.pane is not None:
            self.pane.open_tab(name)

    def action_zoom(self) -> None:
        if self.pane is not None:
            self.pane.toggle_class("zoomed")

    def action_picture(self) -> None:
        if self.pane is not None:
            self.pane.toggle_class("no-picture")

    def action_next_session(self) -> None:
        self.query_one(Tabs).action_next_tab()

    def action_leave(self) -> None:
        if self.pane is not None:
            self.pane.model.leave()

    def action_help_quit(self) -> None:
        interrupt()

    # What is printed ----------------------------------------------------------------------------

    def _print(self, text: str, stderr: bool = False) -> None:
        """Keep what the application prints, in any thread. Textual loses what comes last."""
        with self._printing:
            *lines, self._line = (self._line + text).split("\n")
            self.printed.extend(lines)

    def _on_terminal_gone(self) -> None:
        self.gone = True
        self.exit()

    def _handle_exception(self, error: Exception) -> None:
        """End, with the error for who runs this; Textual prints it with all local variables."""
        if self.fault is None:
            self.fault = error.error if isinstance(error, WorkerFailed) else error  # type: ignore[assignment]
        self._close_messages_no_wait()
