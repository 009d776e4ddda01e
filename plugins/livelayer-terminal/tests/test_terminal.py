"""The terminal surface on a screen in memory, driven by Textual's pilot, on scripted sessions."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import numpy as np
import pytest
from livelayer_terminal import TerminalSurface
from livelayer_terminal.app import TerminalApp
from livelayer_terminal.model import HISTORY, KEPT_BYTES, MESSAGES
from livelayer_terminal.panes import SessionPane
from textual._context import active_app
from textual.drivers.headless_driver import HeadlessDriver
from textual.events import Key, Paste, Resize
from textual.geometry import Size
from textual.keys import _character_to_key
from textual.pilot import Pilot
from textual.widgets import Input, TabbedContent

from livelayer_bus import MisuseError, Session, VideoFrame
from livelayer_bus.events import SurfaceFailed
from livelayer_bus.messages import (
    AgentToolCall,
    BotReady,
    Capability,
    CommandResult,
    FillForm,
    FocusField,
    Navigate,
    RequestApproval,
    RequestPageContext,
    SubmitForm,
    TaskCompleted,
    TaskFieldUpdated,
    TaskResult,
    UserMessage,
)
from livelayer_bus.surfaces import MountedSurface
from livelayer_bus.testing import (
    PATIENCE,
    ScriptedRoom,
    ScriptedRooms,
    check_surface,
    grey_picture,
    polled,
    settle,
)

pytestmark = pytest.mark.anyio
ASYNCIO = pytest.param(("asyncio", {}), id="asyncio")
UVLOOP = pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop")
both_loops = pytest.mark.parametrize("anyio_backend", [ASYNCIO, UVLOOP])


@pytest.fixture
def anyio_backend() -> str:
    """Textual runs on asyncio."""
    return "asyncio"


EVIL = "\x1b[2J\x1b]0;owned\x07 [red]not markup[/red] \u202egnp [@click=app.bell]x[/]"


@dataclass
class Screen:
    """A surface on a screen in memory, and what it shows."""

    surface: TerminalSurface
    session: Session
    room: ScriptedRoom
    mounted: MountedSurface

    @property
    def app(self) -> TerminalApp:
        app = self.surface.app
        assert app is not None
        active_app.set(app)  # what the test calls is called as from within the app
        return app

    @property
    def pane(self) -> SessionPane:
        assert self.app.pane is not None
        return self.app.pane

    def text(self) -> str:
        """The characters of the screen, row by row."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join(strip.text for strip in strips)

    async def until(self, true: Callable[[], object]) -> None:
        """Wait until it is so."""
        await polled(true)

    async def shows(self, *words: str) -> None:
        try:
            await self.until(lambda: all(word in self.text() for word in words))
        except TimeoutError:
            pytest.fail(f"{words} is not in\n{self.text()}")

    async def rows(self, number: int) -> None:
        """Wait until it has that many."""
        await self.until(lambda: len(self.text().splitlines()) == number)

    async def press(self, *keys: str) -> None:
        """Type keys. Not by the pilot, which waits until the process needs no CPU."""
        for key in keys:
            character = " " if key == "space" else key if len(key) == 1 else None
            name = _character_to_key(key) if len(key) == 1 else key
            self.app.post_message(Key(name, character))
            await settle()

    async def resize(self, columns: int, rows: int) -> None:
        assert isinstance(self.app._driver, HeadlessDriver)
        self.app._driver._size = columns, rows
        self.app.post_message(Resize(Size(columns, rows), Size(columns, rows)))
        await settle()

    async def drawn(self) -> None:
        """Have it draw what has changed, without waiting for its timer."""
        self.app._tick()
        await settle()


@asynccontextmanager
async def shown(
    rooms: ScriptedRooms,
    capabilities: tuple[Capability, ...] = (),
    *,
    size: tuple[int, int] = (80, 24),
    ready: bool = True,
    confirms: bool = False,
) -> AsyncGenerator[Screen]:
    """A session with an agent, on a screen in memory."""
    surface = TerminalSurface(size=size, fps=60)
    async with Session("agt", tokens=rooms.tokens, room=rooms) as session:
        mounted = session.mount(surface, key="terminal", capabilities=capabilities)
        await session.connect()
        room = await rooms.next()
        room.agent_joins("lumi", confirms=confirms)
        if ready:
            room.agent_says(BotReady())
        with anyio.fail_after(PATIENCE):
            await surface.shown.wait()
        screen = Screen(surface, session, room, mounted)
        await screen.until(lambda: screen.app.pane and screen.app.focused is screen.pane.prompt)
        yield screen


def scene(width: int = 64, height: int = 36, seed: int = 0) -> VideoFrame:
    """A picture in which every cell differs."""
    random = np.random.default_rng(seed)
    size = width * height + 2 * ((width + 1) // 2) * ((height + 1) // 2)
    return VideoFrame(random.integers(16, 236, size).astype(np.uint8).tobytes(), width, height)


# What it is -------------------------------------------------------------------------------------


@both_loops
async def test_it_keeps_the_contract_of_surfaces() -> None:
    await check_surface(
        lambda: TerminalSurface(size=(80, 24)),
        capabilities=["collect_data", "fill_forms", "submit_forms", "read_page", "ask_approval"],
    )


@pytest.mark.parametrize("fps", [0, -1, 61])
async def test_an_invalid_rate_is_refused(fps: float) -> None:
    with pytest.raises(MisuseError, match="at most 60 a second"):
        TerminalSurface(fps=fps)


async def test_an_unknown_kind_of_picture_is_refused() -> None:
    with pytest.raises(MisuseError, match="one of auto, blocks, kitty, off"):
        TerminalSurface(picture="sixel")  # type: ignore[arg-type]


async def test_textual_is_imported_when_a_surface_runs() -> None:
    program = (
        "import sys, livelayer_terminal as t; t.TerminalSurface(); print('textual' in sys.modules)"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE
    )
    answer, _ = await process.communicate()
    assert answer == b"False\n"


@both_loops
async def test_unmounting_leaves_nothing(scripted_rooms: ScriptedRooms) -> None:
    loop = asyncio.get_running_loop()
    factory = loop.get_task_factory()
    streams = sys.stdout, sys.stderr
    before = asyncio.all_tasks()
    async with shown(scripted_rooms) as screen:
        screen.room.track_starts("video")
        screen.room.push_video(scene())
        await screen.until(lambda: screen.session.video.demand)
        await screen.mounted.unmount()
        assert screen.mounted.status == "unmounted"
        assert screen.surface.app is None
        assert screen.session.video.demand == screen.session.audio.demand == 0
        assert screen.session.connection_state == "connected"
    assert (sys.stdout, sys.stderr) == streams
    assert loop.get_task_factory() is factory
    assert asyncio.all_tasks() <= before


async def test_a_fault_of_the_screen_is_the_surfaces_alone(scripted_rooms: ScriptedRooms) -> None:
    async with shown(scripted_rooms) as screen:
        with screen.session.subscribe(SurfaceFailed) as failures:
            screen.app.call_later(raises, RuntimeError("a widget failed"))
            with anyio.fail_after(PATIENCE):
                failure = await anext(failures)
        assert "a widget failed" in failure.error
        assert screen.session.connection_state == "connected"


def raises(error: Exception) -> None:
    raise error


# What it shows ----------------------------------------------------------------------------------


async def test_everything_that_matters_is_there(scripted_rooms: ScriptedRooms) -> None:
    async with shown(scripted_rooms) as screen:
        room = screen.room
        room.transcribes("1", "Hello there.")
        room.transcribes("2", "What is a surface?", "user")
        room.open_stream("3").write("A surface is anything")
        room.agent_state("speaking")
        room.agent_says(AgentToolCall(call_id="1", name="look_up", status="started"))
        room.track_starts("audio")
        room.push_audio()
        await screen.shows(
            "connected", "lumi speaking", "Hello there.", "What is a surface?",
            "A surface is anything…", "uses look up", "-50 dB", "type to the agent",
        )  # fmt: skip
        assert "A surface is anything" in screen.pane._shown[".caption"]  # type: ignore[operator]


async def test_hostile_text_is_text(scripted_rooms: ScriptedRooms) -> None:
    async with shown(scripted_rooms, ("ask_approval", "fill_forms")) as screen:
        room = screen.room
        room.agent_joins(EVIL)
        room.agent_says(BotReady())
        room.transcribes("1", EVIL)
        room.agent_says({"type": "note", "text": EVIL})
        room.agent_says(RequestApproval(EVIL, request_id="1"))
        room.agent_says(FillForm("form", {EVIL: EVIL}))
        room.agent_says({"type": "navigate", "href": 5})  # malformed
        await screen.shows("[red]not markup[/red]", "[@click=app.bell]x[/]")
        for tab in ("data", "fields", "figures", "log", "transcript"):
            screen.pane.open_tab(tab)
            await screen.drawn()
            text = screen.text()
            assert not any(sign in text for sign in ("\x1b", "\x07", "\u202e"))
        screen.pane.open_tab("data")
        screen.pane.inspector.focus()
        await screen.until(lambda: len(screen.pane.inspector.items) >= 3)
        for _ in range(5):
            await screen.press("up")
        assert not any(sign in screen.text() for sign in ("\x1b", "\x07", "\u202e"))


@both_loops
async def test_the_picture_is_drawn_and_only_while_it_is_visible(
    scripted_rooms: ScriptedRooms,
) -> None:
    async with shown(scripted_rooms) as screen:
        room, facts = screen.room, screen.pane.picture.facts
        room.track_starts("video")
        await screen.until(lambda: screen.session.video.demand == 1)
        room.push_video(scene())
        await screen.until(lambda: facts.drawn == 1)
        await screen.until(lambda: screen.text().count("▀") > 300)
        await screen.press("f7")
        await screen.until(lambda: screen.session.video.demand == 0)
        assert "▀" not in screen.text()
        await screen.press("f7")
        await screen.until(lambda: screen.session.video.demand == 1)
        room.push_video(scene(seed=2))
        await screen.until(lambda: screen.text().count("▀") > 300)
        room.push_video(grey_picture(64, 36))
        await screen.until(lambda: facts.drawn >= 3)


async def test_the_picture_is_drawn_again_in_every_size(scripted_rooms: ScriptedRooms) -> None:
    async with shown(scripted_rooms) as screen:
        screen.room.track_starts("video")
        await screen.until(lambda: screen.session.video.demand == 1)
        screen.room.push_video(scene())  # the only one
        await screen.until(lambda: screen.text().count("▀") > 300)
        small = screen.text().count("▀")
        await screen.press("f6")
        await screen.until(lambda: screen.text().count("▀") > 1.5 * small)
        await screen.resize(160, 50)
        await screen.until(lambda: screen.text().count("▀") > 4 * small)
        await screen.resize(40, 12)
        await screen.until(lambda: 0 < screen.text().count("▀") < small)


async def test_it_lives_in_every_size(scripted_rooms: ScriptedRooms) -> None:
    async with shown(scripted_rooms) as screen:
        screen.room.transcribes("1", "Hello there. " * 30)
        screen.room.track_starts("video")
        screen.room.push_video(scene())
        for size in ((20, 6), (30, 10), (59, 20), (60, 24), (200, 60), (1, 1)):
            await screen.resize(*size)
            await screen.rows(size[1])
            for tab in ("data", "fields", "figures", "log", "transcript"):
                screen.pane.open_tab(tab)
                await screen.drawn()
                assert len(screen.text().splitlines()) == size[1]
        await screen.resize(80, 24)
        await screen.shows("Hello there.")
        assert screen.mounted.status == "running"


async def test_what_was_said_is_a_window_that_scrolls(scripted_rooms: ScriptedRooms) -> None:
    async with shown(scripted_rooms) as screen:
        for number in range(300):
            screen.room.transcribes(f"u{number}", f"line {number}.")
        await screen.shows("line 299.")
        lines = screen.pane.transcript
        lines.focus()
        await screen.until(lambda: lines.has_focus)
        await screen.press("home")
        await screen.until(lambda: lines.scroll_offset.y == 0)
        screen.room.transcribes("more", "one more.")
        await screen.until(lambda: len(lines.items) == len(screen.session.transcript))
        assert lines.scroll_offset.y == 0  # what a person reads stays
        await screen.press("end")
        await screen.shows("one more.")
        screen.room.transcribes("last", "the last one.")
        await screen.shows("the last one.")


async def test_a_person_scrolls_to_what_the_state_has_left_out(
    scripted_rooms: ScriptedRooms,
) -> None:
    async with shown(scripted_rooms) as screen:
        limit = screen.session.state.transcript_limit
        for number in range(limit + 50):
            screen.room.transcribes(f"u{number}", f"line {number}.")
        await screen.until(lambda: screen.session.state.transcript_omitted == 50)
        lines = screen.pane.transcript
        await screen.until(lambda: len(lines.items) == limit)
        await screen.until(lambda: lines.scroll_offset.y > 0)
        lines.focus()
        await screen.until(lambda: lines.has_focus)
        await screen.press("home")
        await screen.until(lambda: len(lines.items) == limit + 50)
        assert lines.scroll_offset.y > 0  # what a person reads stays
        await screen.press("home")
        await screen.shows("line 0.")
        screen.room.transcribes("more", "one more.")
        await screen.until(lambda: lines.items[-1].text == "one more.")
        assert [one.text for one in lines.items[:-1]] == [
            f"line {number}." for number in range(limit + 50)
        ]


# The prompt -------------------------------------------------------------------------------------


@both_loops
async def test_what_is_typed_is_sent_and_ctrl_d_leaves(scripted_rooms: ScriptedRooms) -> None:
    async with shown(scripted_rooms) as screen:
        await screen.press("g", "o", "space", "t", "o", "o", "backspace", "space", "x", "enter")
        packet = await screen.room.next_sent("user_message")
        assert isinstance(packet.message, UserMessage)
        assert packet.message.text == "go to x"
        await screen.shows("you    go to x")
        await screen.press("z", "ctrl+d")  # deletes to the right: there is a line
        await screen.press("backspace")
        assert screen.pane.prompt.value == ""
        await screen.press("ctrl+d")
        with anyio.fail_after(PATIENCE):
            await screen.mounted.wait()
        assert screen.mounted.status == "ended"
        assert screen.session.connection_state == "connected"


async def test_the_arrows_bring_back_what_was_sent(scripted_rooms: ScriptedRooms) -> None:
    async with shown(scripted_rooms) as screen:
        for line in ("one", "two", "two"):
            await screen.press(*line, "enter")
            await screen.room.next_sent("user_message")
        await screen.press(*"draft")
        seen = []
        for key in ("up", "up", "up", "down", "down", "down"):
            await screen.press(key)
            seen.append(screen.pane.prompt.value)
        assert seen == ["two", "one", "one", "two", "draft", "draft"]
        model = screen.pane.model
        model.history = [str(number) for number in range(HISTORY)]
        await model.enter("more")
        assert len(model.history) == HISTORY


async def test_wide_characters_are_typed_edited_and_sent_whole(
    scripted_rooms: ScriptedRooms,
) -> None:
    async with shown(scripted_rooms) as screen:
        prompt = screen.pane.prompt
        for text in ("日本語です", "né e\u0301", "👍🏽 ok", "👩\u200d🚀"):
            prompt.insert_text_at_cursor(text)
            assert prompt.cursor_position == len(text)
            await screen.press("home", "a", "end", "b")
            assert prompt.value == f"a{text}b"
            assert prompt.cursor_screen_offset.x <= screen.app.size.width
            await screen.press("enter")
            packet = await screen.room.next_sent("user_message")
            assert packet.json()["text"] == f"a{text}b"
            await screen.until(lambda: not prompt.value)


async def test_pasted_lines_are_one_line_without_control_characters(
    scripted_rooms: ScriptedRooms,
) -> None:
    async with shown(scripted_rooms) as screen:
        screen.pane.prompt.post_message(Paste("first\nsecond \x1b[31mred\r\nthird"))
        await screen.until(lambda: screen.pane.prompt.value == "first second  [31mred third")


async def test_escape_and_enter_interrupt_an_agent_that_speaks(
    scripted_rooms: ScriptedRooms,
) -> None:
    async with shown(scripted_rooms, confirms=True) as screen:
        screen.room.agent_state("speaking")
        await screen.shows("Enter interrupts")
        for key in ("enter", "escape"):
            await screen.press(key)
            packet = await screen.room.next_sent("interrupt")
            screen.room.agent_confirms(packet)


async def test_an_interruption_that_is_not_possible_is_a_notice(
    scripted_rooms: ScriptedRooms,
) -> None:
    async with shown(scripted_rooms) as screen:
        screen.room.agent_leaves()
        await screen.press("escape")
        await screen.shows("no agent")
        await screen.until(lambda: screen.pane.model.notice)
        assert screen.mounted.status == "running"


async def test_a_person_answers_what_the_agent_asks(scripted_rooms: ScriptedRooms) -> None:
    async with shown(scripted_rooms, ("ask_approval",)) as screen:
        for number, typed in enumerate(("y", "No")):
            screen.room.agent_says(RequestApproval(f"Order {number}?", request_id=str(number)))
            await screen.shows(f"Order {number}?", "y approves, n refuses")
            await screen.press(*typed, "enter")
            answer = (await screen.room.next_sent("command_result")).message
            assert isinstance(answer, CommandResult)
            assert (answer.ok, answer.request_id) == (number == 0, str(number))
        await screen.shows("type to the agent")


# Data messages ----------------------------------------------------------------------------------


async def test_data_messages_are_inspected_and_filtered(scripted_rooms: ScriptedRooms) -> None:
    async with shown(scripted_rooms) as screen:
        screen.room.agent_says({"type": "weather", "city": "Oslo", "wind": {"speed": 3}})
        screen.room.agent_says({"type": "route", "href": "/pricing"})
        await screen.session.send_data({"type": "score", "points": 7})
        await screen.press("f2")
        await screen.shows("weather", "route", "score", "bot_ready")
        filter_ = screen.pane.query_one(".filter", Input)
        found = screen.pane.inspector

        async def filtered(words: str, types: list[str]) -> None:
            filter_.value = words
            await screen.until(lambda: [one.type for one in found.items] == types)

        await filtered("OSLO", ["weather"])
        await filtered("in: route", ["route"])
        await filtered("out:", ["score"])
        await filtered("nothing like it", [])
        await filtered("weather", ["weather"])
        found.focus()
        await screen.until(lambda: found.has_focus)
        await screen.press("up")
        await screen.shows('"speed": 3')
        await filtered("", ["bot_ready", "weather", "route", "score"])


async def test_the_mouse_opens_a_tab_and_selects_a_message(scripted_rooms: ScriptedRooms) -> None:
    async with shown(scripted_rooms) as screen:
        screen.room.agent_says({"type": "weather", "wind": {"speed": 3}})
        await Pilot(screen.app).click("#--content-tab-data")
        await screen.shows("weather", "bot_ready")
        assert await Pilot(screen.app).click(screen.pane.inspector, offset=(2, 1))
        await screen.shows('"speed": 3')


async def test_the_inspector_is_bounded(scripted_rooms: ScriptedRooms) -> None:
    async with shown(scripted_rooms) as screen:
        model = screen.pane.model
        for number in range(MESSAGES + 20):
            screen.room.agent_says({"type": "n", "number": number})
            await anyio.lowlevel.checkpoint()
        screen.room.agent_says({"type": "large", "text": "x" * 2 * KEPT_BYTES})
        await screen.until(lambda: model.messages[-1].type == "large")
        assert len(model.messages) == MESSAGES
        assert len(model.messages[-1].data) == KEPT_BYTES
        assert model.messages[-1].size > 2 * KEPT_BYTES


# Fields -----------------------------------------------------------------------------------------


async def test_the_agent_collects_fields(scripted_rooms: ScriptedRooms) -> None:
    async with shown(scripted_rooms, ("collect_data",)) as screen:
        room = screen.room
        room.agent_says(
            TaskFieldUpdated(
                field_id="1", field_name="city", value=["Oslo", 5], kind="text", source="agent"
            )
        )
        await screen.press("f3")
        await screen.shows("city", '["Oslo",5]')
        result = TaskResult(
            session_id="s", started_at=1, ended_at=2, source="agent", results={"age": 41},
            summary="all is known",
        )  # fmt: skip
        room.agent_says(TaskCompleted(result))
        await screen.shows("all is known", "age", "41")


async def test_a_form_is_filled_by_both_and_submitted(scripted_rooms: ScriptedRooms) -> None:
    capabilities: tuple[Capability, ...] = ("fill_forms", "submit_forms", "read_page")
    async with shown(scripted_rooms, capabilities) as screen:
        room = screen.room
        room.agent_says(FillForm("signup", {"name": "Ada"}))
        assert (await room.next_sent("command_result")).json()["ok"] is True
        room.agent_says(FocusField("signup", "mail"))
        assert (await room.next_sent("command_result")).json()["ok"] is True
        await screen.shows("name", "Ada", "mail")
        room.agent_says(SubmitForm("signup", "1"))
        blocked = (await room.next_sent("form_submit_blocked")).json()
        assert blocked["invalidFields"] == ["mail: is empty"]
        await screen.until(
            lambda: isinstance(screen.app.focused, Input) and "mail" in str(screen.app.focused.name)
        )
        await screen.press(*"a@b.no")
        key = "signup", "mail"
        await screen.until(lambda: screen.pane.model.fields[key].value == "a@b.no")
        assert screen.pane.model.fields[key].source == "person"
        room.agent_says(RequestPageContext("2"))
        context = (await room.next_sent("page_context")).json()["context"]
        assert {one["id"]: one["value"] for one in context["elements"]} == {
            "name": "Ada",
            "mail": "a@b.no",
        }
        room.agent_says(SubmitForm("signup", "3"))
        assert (await room.next_sent("form_submitted")).json()["requestId"] == "3"
        await screen.until(lambda: '"a@b.no"' in room.attributes.get("agent.context", ""))


async def test_a_command_that_a_terminal_cannot_carry_out_has_failed(
    scripted_rooms: ScriptedRooms,
) -> None:
    async with shown(scripted_rooms, ("navigate",)) as screen:
        screen.room.agent_says(Navigate("/pricing"))
        answer = (await screen.room.next_sent("command_result")).json()
        assert (answer["ok"], answer["reason"]) == (False, "failed")


# Several sessions -------------------------------------------------------------------------------


@both_loops
async def test_several_sessions_are_tabs(scripted_rooms: ScriptedRooms) -> None:
    other_rooms = ScriptedRooms()
    async with (
        shown(scripted_rooms) as screen,
        Session("second", tokens=other_rooms.tokens, room=other_rooms) as second,
    ):
        screen.room.transcribes("1", "This is the first.")
        mounted = second.mount(screen.surface, key="terminal")
        await second.connect()
        room = await other_rooms.next()
        room.agent_joins("other")
        room.agent_says(BotReady())
        room.transcribes("1", "This is the second.")
        await screen.shows("This is the first.", "second")
        await screen.press("f8")
        await screen.shows("This is the second.")
        assert "This is the first." not in screen.text()
        await screen.press(*"hi", "enter")
        assert (await room.next_sent("user_message")).json()["text"] == "hi"

        await screen.mounted.unmount()  # it ran the app: the other one goes on
        await screen.until(lambda: screen.surface.app is not None and screen.app.pane is not None)
        await screen.shows("This is the second.", "other")
        assert mounted.status == "running"
        await screen.press("up")
        assert screen.pane.prompt.value == "hi"  # what was typed is kept
        await mounted.unmount()
        assert screen.surface.app is None


async def test_figures_of_the_frame_path_and_the_bus_are_live(
    scripted_rooms: ScriptedRooms,
) -> None:
    async with shown(scripted_rooms, size=(100, 40)) as screen:
        screen.room.track_starts("video")
        await screen.until(lambda: screen.session.video.demand == 1)
        screen.room.push_video(scene())
        await screen.press("f4")
        await screen.shows("source  64x36", "frames  1, lost 0", "readers 1", screen.session.id)
        before = screen.session.state.sequence
        screen.room.agent_state("thinking")
        await screen.shows(f"event   {before + 1}")
        assert screen.pane.query_one(TabbedContent).active == "figures"


def test_on_trio_an_error_says_what_to_do(scripted_rooms: ScriptedRooms) -> None:
    async def program() -> None:
        async with Session("agt", tokens=scripted_rooms.tokens, room=scripted_rooms) as session:
            with session.subscribe(SurfaceFailed) as failures:
                session.mount(TerminalSurface(size=(80, 24)), key="terminal", on_fault="unmount")
                failure = await anext(failures)
            assert "run on asyncio" in failure.error

    anyio.run(program, backend="trio")
