"""The console surface: pictures on a terminal, lines without one, and a keyboard."""

from __future__ import annotations

import io
import os
import pty
import sys
import termios
import threading
from collections.abc import Iterator

import anyio
import anyio.to_thread
import pytest
from livelayer_terminal import ConsoleSurface
from livelayer_terminal.keyboard import MAX_LINE, LineEditor, keys_one_by_one

from livelayer_bus import MisuseError, Session
from livelayer_bus.messages import (
    AgentToolCall,
    BotReady,
    CommandResult,
    Navigate,
    RequestApproval,
    UserMessage,
)
from livelayer_bus.testing import PATIENCE, ManualClock, ScriptedRooms, check_surface, settle

pytestmark = pytest.mark.anyio


class Terminal(io.StringIO):
    """A file that claims to be a terminal, and notifies of each write."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Condition()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        with self.written:
            count = super().write(text)
            self.written.notify_all()
        return count

    def shows(self, words: str) -> bool:
        """Wait, in a thread, until the words were written."""
        with self.written:
            return self.written.wait_for(lambda: words in self.getvalue(), timeout=PATIENCE)


class StuckTerminal(Terminal):
    """Accepts nothing until the test allows it."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def write(self, text: str) -> int:
        self.go_on.wait(10)
        return super().write(text)


def session_on(rooms: ScriptedRooms) -> Session:
    return Session("agt", tokens=rooms.tokens, room=rooms)


@pytest.mark.parametrize("file", [io.StringIO, Terminal])
async def test_it_keeps_the_contract_of_surfaces(
    file: type[io.StringIO], anyio_backend_name: str
) -> None:
    if anyio_backend_name == "trio":
        pytest.skip("run on asyncio alone (check_surface)")
    await check_surface(lambda: ConsoleSurface(file(), refresh=50))


async def test_without_a_terminal_every_change_is_a_plain_line(
    scripted_rooms: ScriptedRooms,
) -> None:
    file = Terminal()
    async with session_on(scripted_rooms) as session:
        surface = ConsoleSurface(file, plain=True)
        mounted = session.mount(surface, key="console", capabilities=["ask_approval"])
        await settle()
        await session.connect()
        room = await scripted_rooms.next()
        room.agent_joins("lumi")
        room.agent_says(BotReady())
        room.open_stream("1").write("Hel")
        room.transcribes("1", "Hello \x1b[31mthere")
        room.agent_state("speaking")
        room.agent_says(Navigate("/pricing"))
        room.agent_says(AgentToolCall(call_id="1", name="look_up", status="started"))
        room.agent_says(AgentToolCall(call_id="1", name="look_up", status="done"))
        room.agent_says(RequestApproval("Pay 20 euros?"))
        await session.answer_approval(1, approved=False, surface="console")
        await session.send_data({"type": "user_message", "text": "go on"})
        with anyio.fail_after(PATIENCE):
            assert await anyio.to_thread.run_sync(file.shows, "go on")
        await mounted.unmount()
    lines = [line.split("  ", 1)[1] for line in file.getvalue().splitlines()]
    assert lines[0] == f"session  {session.id} with agt is idle"
    for line in (
        "session  connected",
        "state    agent ready",
        "agent    Hello  [31mthere",
        "state    speaking",
        "data in  bot_ready",
        "refused  navigate: no mounted surface was given the capability 'navigate'",
        "you      go on",
        "tool     look_up started",
        "tool     look_up done",
        "asks     Pay 20 euros?",
        "asks     declined on console",
    ):
        assert line in lines
    assert not any("agent_tool_call" in line for line in lines)
    assert not any("Hel" in line and "Hello" not in line for line in lines)


async def test_on_a_terminal_a_panel_follows_the_session_and_is_erased_when_unmounted(
    scripted_rooms: ScriptedRooms,
) -> None:
    file = Terminal()
    async with session_on(scripted_rooms) as session:
        mounted = session.mount(ConsoleSurface(file, refresh=50), key="console")
        await session.connect()
        room = await scripted_rooms.next()
        room.agent_joins("lumi")
        room.transcribes("1", "These are the words.")
        room.track_starts("video")
        room.push_video()
        with anyio.fail_after(PATIENCE):
            for words in ("connected", "lumi", "These are the words.", "fps"):
                assert await anyio.to_thread.run_sync(file.shows, words)
        await mounted.unmount()
        assert session.video.demand == session.audio.demand == 0
        assert mounted.status == "unmounted"
    assert file.getvalue().rstrip().endswith("\x1b[2K")  # the picture's lines are erased


async def test_a_stuck_terminal_blocks_only_its_own_surface(
    scripted_rooms: ScriptedRooms,
) -> None:
    file = StuckTerminal()
    async with session_on(scripted_rooms) as session:
        mounted = session.mount(ConsoleSurface(file, refresh=50), key="console")
        await session.connect()
        room = await scripted_rooms.next()
        with anyio.fail_after(PATIENCE):
            for number in range(500):
                room.transcribes(f"u{number}", "words")
                await anyio.lowlevel.checkpoint()
            await mounted.unmount()
        assert mounted.status == "unmounted"
    file.go_on.set()


@pytest.mark.parametrize("refresh", [0, -1, 61])
async def test_an_invalid_rate_is_refused(refresh: float) -> None:
    with pytest.raises(MisuseError, match="at most 60 a second"):
        ConsoleSurface(refresh=refresh)


# The keyboard -------------------------------------------------------------------------------


@pytest.fixture
def typist(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """This process's standard input is a terminal; what is written to the result is typed."""
    master, slave = pty.openpty()
    with os.fdopen(slave, "r") as keyboard:
        monkeypatch.setattr(sys, "stdin", keyboard)
        yield master
    os.close(master)


async def test_what_is_typed_is_sent_to_the_agent_and_ctrl_d_ends_it(
    scripted_rooms: ScriptedRooms, typist: int
) -> None:
    file = Terminal()
    async with session_on(scripted_rooms) as session:
        await session.connect()
        room = await scripted_rooms.next()
        room.agent_joins()
        room.agent_says(BotReady())
        mounted = session.mount(ConsoleSurface(file, interactive=True, refresh=50), key="console")
        with anyio.fail_after(PATIENCE):
            assert await anyio.to_thread.run_sync(file.shows, "type to the agent")
            os.write(typist, "go too\x7f to pricing é\r".encode())
            packet = await room.next_sent("user_message")
            message = packet.message
            assert isinstance(message, UserMessage)
            assert message.text == "go to to pricing é"
            assert [line.text for line in session.transcript] == [message.text]
            os.write(typist, b"\x04")
            await mounted.wait()
        assert mounted.status == "ended"


async def test_enter_alone_interrupts_an_agent_that_speaks(
    scripted_rooms: ScriptedRooms, typist: int
) -> None:
    file = Terminal()
    async with session_on(scripted_rooms) as session:
        await session.connect()
        room = await scripted_rooms.next()
        room.agent_joins(confirms=True)
        session.mount(ConsoleSurface(file, interactive=True, refresh=50), key="console")
        with anyio.fail_after(PATIENCE):
            assert await anyio.to_thread.run_sync(file.shows, "type to the agent")
            os.write(typist, b"\r")  # nothing to interrupt
            room.agent_state("speaking")
            assert await anyio.to_thread.run_sync(file.shows, "Enter interrupts")
            os.write(typist, b"\r")
            packet = await room.next_sent()
            assert packet.type == "interrupt"
            room.agent_confirms(packet)


async def test_a_person_answers_what_the_agent_asks(
    scripted_rooms: ScriptedRooms, typist: int
) -> None:
    file = Terminal()
    async with session_on(scripted_rooms) as session:
        await session.connect()
        room = await scripted_rooms.next()
        room.agent_joins()
        room.agent_says(BotReady())
        surface = ConsoleSurface(file, interactive=True, refresh=50)
        session.mount(surface, key="console", capabilities=["ask_approval"])
        with anyio.fail_after(PATIENCE):
            assert await anyio.to_thread.run_sync(file.shows, "type to the agent")
            for number, typed in enumerate((b"y\r", b"No\r")):
                room.agent_says(RequestApproval(f"Order {number}?", request_id=str(number)))
                assert await anyio.to_thread.run_sync(file.shows, f"Order {number}?")
                assert await anyio.to_thread.run_sync(file.shows, "y approves, n refuses")
                os.write(typist, typed)
                answer = (await room.next_sent("command_result")).message
                assert isinstance(answer, CommandResult)
                assert (answer.ok, answer.request_id, answer.surface) == (
                    number == 0,
                    str(number),
                    "console",
                )
            # Without a question it is a line like any other.
            os.write(typist, b"y\r")
            assert (await room.next_sent("user_message")).json()["text"] == "y"


async def test_enter_alone_tries_another_room_when_no_agent_came(
    scripted_rooms: ScriptedRooms, typist: int, manual_clock: ManualClock
) -> None:
    file = Terminal()
    async with Session(
        "agt", tokens=scripted_rooms.tokens, room=scripted_rooms, clock=manual_clock
    ) as session:
        await session.connect()
        first = await scripted_rooms.next()
        session.mount(ConsoleSurface(file, interactive=True, refresh=50), key="console")
        with anyio.fail_after(PATIENCE):
            assert await anyio.to_thread.run_sync(file.shows, "type to the agent")
            await manual_clock.elapse(30)
            assert await anyio.to_thread.run_sync(file.shows, "no agent came within 30 s")
            assert await anyio.to_thread.run_sync(file.shows, "Enter connects again")
            os.write(typist, b"\r")
            second = await scripted_rooms.next()
            await session.connect()
        assert first.closed
        assert second.joined
        assert session.error is None


async def test_the_terminal_is_left_as_it_was_found(typist: int) -> None:
    before = termios.tcgetattr(sys.stdin.fileno())

    def fail_inside() -> None:
        with keys_one_by_one(sys.stdin.fileno()):
            assert termios.tcgetattr(sys.stdin.fileno()) != before
            raise KeyError

    with pytest.raises(KeyError):
        fail_inside()
    assert termios.tcgetattr(sys.stdin.fileno()) == before


@pytest.mark.parametrize(
    ("keys", "lines", "left"),
    [
        (b"hello\r", ["hello"], ""),
        (b"one\ntwo\nthr", ["one", "two"], "thr"),
        (b"  \r\r", ["", ""], ""),
        (b"ab\x7fc\r", ["ac"], ""),
        (b"one two\x17three\r", ["one three"], ""),
        (b"gone\x15here\r", ["here"], ""),
        (b"a\x1b[A\x1b[1;5Cb\x1bOPc\r", ["abc"], ""),
        (b"x" * (MAX_LINE + 50), [], "x" * MAX_LINE),
        (b"\xc3", [], ""),
        (b"\xff\xfe ok\r", ["\ufffd\ufffd ok"], ""),
        (b"ab\x04c\r", ["abc"], ""),
    ],
)
async def test_keys_become_lines(keys: bytes, lines: list[str], left: str) -> None:
    editor = LineEditor()
    assert editor.feed(keys) == lines
    assert editor.text == left
    assert not editor.ended


UP, DOWN = b"\x1b[A", b"\x1b[B"


async def test_the_arrows_bring_back_what_was_sent() -> None:
    editor = LineEditor()
    editor.feed(b"one\rtwo\rtwo\rdraft")
    seen: list[str] = []
    for key in (UP, UP, UP, DOWN, DOWN, DOWN):
        editor.feed(key)
        seen.append(editor.text)
    assert seen == ["two", "one", "one", "two", "draft", "draft"]
    editor.feed(b"\x15" + UP + b"\x1bOA")  # as a terminal in application mode sends it
    assert editor.feed(b" more\r") == ["one more"]
    assert editor.feed(UP[:1]) == editor.feed(UP[1:2]) == editor.feed(UP[2:]) == []
    assert editor.text == "one more"


async def test_a_character_may_come_in_two_reads_and_ctrl_d_ends_an_empty_line() -> None:
    editor = LineEditor()
    assert editor.feed("é".encode()[:1]) == []
    assert editor.feed("é".encode()[1:] + b"\r") == ["é"]
    editor.feed(b"\x04")
    assert editor.ended
