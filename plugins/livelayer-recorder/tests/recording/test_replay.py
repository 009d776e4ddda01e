"""A replay publishes what was recorded: the same events, in the same order, at the same times."""

from __future__ import annotations

import itertools
import random
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from anyio.abc import TaskGroup
from hypothesis import given, settings
from hypothesis import strategies as st
from livelayer_recorder import NotARecordingError, RecorderSurface, ReplayRoom, event_log
from livelayer_recorder.replay import _OF_THE_SESSION_ITSELF as OF_SURFACES

from livelayer_bus import (
    ConnectionStateChanged,
    Event,
    LivelayerError,
    MisuseError,
    MountedSurface,
    Record,
    Session,
    SessionState,
    TranscriptEntry,
    TranscriptUpdated,
)
from livelayer_bus.clock import Backoff
from livelayer_bus.events import ApprovalRequested, RecordingChanged, Role, ToolCallChanged
from livelayer_bus.messages import (
    AgentCaption,
    AgentError,
    AgentStateMessage,
    AgentToolCall,
    BotReady,
    Navigate,
    RequestApproval,
    ToolStatus,
)
from livelayer_bus.surfaces.jsonl import JsonlSurface
from livelayer_bus.testing import (
    PATIENCE,
    ManualClock,
    ScriptedRoom,
    ScriptedRooms,
    grey_picture,
    settle,
    silence,
)
from tests.support import EXAMPLES

pytestmark = pytest.mark.anyio

ACTIONS = (
    "joins", "leaves", "activates", "state", "failed", "says", "caption", "ready", "error", "raw",
    "malformed", "stranger", "grows", "closes", "user", "types", "video", "audio", "stops",
    "drops", "restores", "lost", "disconnects", "connects", "switches", "time", "asks", "uses",
)  # fmt: skip


class Course:
    """One random course of a session, on a clock of its own."""

    def __init__(self, seed: int, tasks: TaskGroup) -> None:
        self._tasks = tasks
        self.dice = random.Random(seed)
        self.clock = ManualClock()
        self.rooms = ScriptedRooms()
        self.streams: list[Any] = []
        self.numbers = itertools.count(1)

    def begin(self, call: Callable[[], Awaitable[None]]) -> None:
        """Call the session without waiting: some calls wait for what comes later."""

        async def work() -> None:
            with suppress(LivelayerError):
                await call()

        self._tasks.start_soon(work)

    async def act(self, session: Session, name: str) -> None:
        room = next((one for one in reversed(self.rooms.rooms) if one.joined), None)
        dice, number = self.dice, next(self.numbers)
        match name:
            case "time":
                await self.clock.elapse(dice.choice([0.5, 5.0, 40.0]))
            case "connects":
                self.begin(session.connect)
            case "disconnects":
                self.begin(session.disconnect)
                self.streams.clear()
            case "switches":
                self.begin(partial(session.switch_agent, f"agt_{number}"))
                self.streams.clear()
            case _ if room is not None:
                await self.in_room(session, room, name, number)
            case _:
                pass
        await settle(20)

    async def in_room(self, session: Session, room: ScriptedRoom, name: str, number: int) -> None:
        dice = self.dice
        match name:
            case "joins":
                active, confirms = dice.random() < 0.7, dice.random() < 0.3
                room.agent_joins(dice.choice(["ada", "bob"]), active=active, confirms=confirms)
            case "leaves":
                room.agent_leaves()
            case "activates" if session.state.agent_identity is not None:
                room.agent_joins(session.state.agent_identity)
            case "state":
                room.agent_state(dice.choice(["initializing", "listening", "thinking", "odd"]))
            case "failed":
                room.agent_state("failed")
            case "says":
                room.agent_says(AgentStateMessage(dice.choice(["idle", "speaking"])))
            case "caption":
                room.agent_says(
                    AgentCaption(f"caption {number}", final=True, id=str(dice.randrange(3)))
                )
            case "ready":
                room.agent_says(BotReady())
            case "asks":
                room.agent_says(RequestApproval("Go?", request_id=f"q{number}"))
            case "uses":
                status: ToolStatus = dice.choice(["started", "done"])
                room.agent_says(AgentToolCall(call_id="c", name="look_up", status=status))
            case "error":
                room.agent_says(AgentError("it broke"))
            case "raw":
                room.agent_says(b' {"type": "from_the_future",\r\n "a": [1, {"b": 2}]}\n')
                room.packet(bytes([0, 255, number % 256]), sender="x", topic="binary")
            case "malformed":
                room.agent_says({"type": "navigate", "href": number})
            case "stranger":
                room.packet(Navigate("/away"), sender="mallory")
            case "grows":
                if not self.streams or dice.random() < 0.5:
                    role: Role = dice.choice(["agent", "user"])
                    self.streams.append(room.open_stream(str(dice.randrange(9)), role))
                self.streams[-1].write(f"word{number} ")
            case "closes" if self.streams:
                self.streams.pop().close()
            case "user":
                room.transcribes(
                    f"u{number}", f"said {number}", "user", replayed=dice.random() < 0.3
                )
            case "types" if session.state.agent_active:
                message = {"type": "user_message", "text": f"typed {number}"}
                self.begin(partial(session.send_data, message))
            case "video" | "audio":
                room.track_starts(name)
            case "stops":
                room.track_stops(dice.choice(["video", "audio"]))
            case "drops":
                room.reconnecting()
            case "restores":
                room.reconnected()
            case "lost":
                room.lose(rejoin=dice.random() < 0.7, fault=dice.random() < 0.8)
                self.streams.clear()
            case _:
                pass


async def record(folder: Path, seed: int, names: list[str], mount_at: int) -> list[Event]:
    """Play a course with a recorder; returns the events of the session from its mounting on."""
    events: list[Event] = []
    mounted: MountedSurface | None = None
    recorder = RecorderSurface(folder, field_values=True, announce=False, video=False, audio=False)
    async with anyio.create_task_group() as tasks:
        course = Course(seed, tasks)
        async with Session(
            "agt",
            tokens=course.rooms.tokens,
            room=course.rooms,
            clock=course.clock,
            reconnect=Backoff(initial=0.1, jitter=0.0),
        ) as session:
            with session.subscribe() as reader:
                for number, name in enumerate(["connects", *names]):
                    if number == mount_at:
                        asked = ["ask_approval"] if seed % 2 else []
                        mounted = session.mount(recorder, key="recorder", capabilities=asked)
                        await settle()
                        while reader.lag:
                            await anext(reader)
                    await course.act(session, name)
                assert mounted is not None
                await mounted.unmount()
                while reader.lag:
                    events.append(await anext(reader))
        tasks.cancel_scope.cancel()
    return events


async def replay(folder: Path, **options: Any) -> tuple[list[Event], list[int], SessionState]:
    """Play a recording into a session without surfaces, to its end."""
    clock = ManualClock()
    room = ReplayRoom(folder, clock=clock, **options)
    async with Session(room.agent_id, room=room, clock=clock) as session:
        with session.subscribe() as reader:
            connecting = reader.snapshot.sequence
            await session.connect()
            await settle()
            while room.position < room.duration:
                await clock.elapse(min(0.5, room.duration - room.position) + 0.001)
            await settle()
            state = session.state
            events: list[Event] = []
            sequences: list[int] = []
            records = reader.records()
            while reader.lag:
                one = await anext(records)
                events.append(one.event)
                sequences.append(one.sequence - connecting)
            return events, sequences, state


def of_the_agent(events: list[Event], *, joined: bool) -> list[Event]:
    """Without what belongs to surfaces, and what leads to the first join."""
    kept = [event for event in events if not isinstance(event, OF_SURFACES)]
    if not joined:
        return kept
    return kept[kept.index(ConnectionStateChanged("connected")) + 1 :]


@settings(max_examples=40 * EXAMPLES)
@given(
    seed=st.integers(0, 2**32),
    names=st.lists(st.sampled_from(ACTIONS), max_size=40),
)
def test_the_events_of_a_replay_are_those_that_were_recorded(seed: int, names: list[str]) -> None:
    async def check() -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "recording"
            recorded = await record(path, seed, names, 0)
            events, sequences, state = await replay(path)
            again = await replay(path)
        assert of_the_agent(events, joined=True) == of_the_agent(recorded, joined=True)
        assert (events, sequences, state.transcript) == (*again[:2], again[2].transcript)
        assert sequences == list(range(1, len(sequences) + 1))

    anyio.run(check)


@settings(max_examples=25 * EXAMPLES)
@given(
    seed=st.integers(0, 2**32),
    names=st.lists(st.sampled_from(ACTIONS), min_size=2, max_size=30),
    share=st.floats(0.1, 0.9),
)
def test_a_recording_that_began_later_replays_from_what_was_known_then(
    seed: int, names: list[str], share: float
) -> None:
    async def check() -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "recording"
            begin = 1 + int(share * len(names))
            recorded = await record(path, seed, names, begin)
            room = ReplayRoom(path)
            last = room.recording.state_at(room.duration)
            joined = room.recording.first.connection_state != "connected"
            events, _, state = await replay(path)
        expected = of_the_agent(recorded, joined=False)
        if joined:
            skipped = [m.event for m in room.recording.moments[: room.recording.joined_at()]]
            expected = expected[len(of_the_agent(skipped, joined=False)) :]
        assert events[len(events) - len(expected) :] == expected
        left_out = {"id", "agent_id", "base_url", "epoch", "sequence", "surfaces", "recording"}
        if "switches" not in names and room.recording.joined_at() < len(room.recording.moments):
            for name in SessionState.__struct_fields__:
                if name not in left_out | {"can_resume", "continued", "error", "error_code"}:
                    assert getattr(state, name) == getattr(last, name), name

    anyio.run(check)


async def made(folder: Path, *more: Event) -> Path:
    """A recording of a short conversation, with an utterance each second of its ten, and more."""
    await record(folder, 1, ["joins", "ready", "video"], 0)
    lines = (folder / "events.jsonl").read_bytes().splitlines()
    last = msgspec.json.decode(lines[-1])
    manifest = msgspec.json.decode((folder / "manifest.json").read_bytes())
    with (folder / "events.jsonl").open("ab") as file:
        entries = [
            TranscriptEntry(str(number), "agent", f"line {number}", True, number, number)
            for number in range(1, 11)
        ]
        for number, event in enumerate([*map(TranscriptUpdated, entries), *more], 1):
            time_ns = manifest["start_ns"] + number * 1_000_000_000
            record_: Record[Event] = Record(last["sequence"] + number, time_ns, event)
            file.write(event_log.event_line(manifest["session_id"], record_, event))
    manifest["seconds"] = 11.0 + len(more)
    (folder / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    return folder


def said(session: Session) -> list[str]:
    return [entry.text for entry in session.transcript]


async def test_what_runs_and_waits_is_that_of_the_time_that_is_shown(tmp_path: Path) -> None:
    clock = ManualClock()
    tool = ToolCallChanged("c", "look_up", "started")
    asked = ApprovalRequested(1, "Go?", None, 60.0, "q")
    room = ReplayRoom(await made(tmp_path / "r", tool, asked), clock=clock)
    async with Session("agt", room=room, clock=clock) as session:
        await session.connect()
        room.seek(room.duration)
        await settle()
        assert (session.state.tools, session.state.approvals) == ((tool,), (asked,))
        room.seek(1.5)
        await settle()
        assert (session.state.tools, session.state.approvals) == ((), ())
        assert session.state.agent_active


async def test_it_plays_at_its_speed_pauses_and_seeks(tmp_path: Path) -> None:
    clock = ManualClock()
    room = ReplayRoom(await made(tmp_path / "r"), clock=clock)
    async with Session("agt", room=room, clock=clock) as session:
        await session.connect()
        await clock.elapse(2.5)
        assert said(session) == ["line 1", "line 2"]
        assert room.position == pytest.approx(2.5)
        room.pause()
        await clock.elapse(60.0)
        assert said(session) == ["line 1", "line 2"]
        room.resume()
        room.speed = 4.0
        await clock.elapse(0.5)
        assert said(session) == [f"line {number}" for number in range(1, 5)]
        room.seek(8.5)
        await settle()
        assert said(session) == [f"line {number}" for number in range(1, 9)]
        assert session.state.agent_active
        room.seek(1.5)
        await settle()
        assert said(session) == ["line 1"]
        room.pause()
        room.seek(0.0)
        await settle()
        assert said(session) == []
        state = session.state
        assert not state.agent_active
        assert state.connection_state == "connected"
        room.resume()
        room.speed = 1.0
        await clock.elapse(20.0)
        assert said(session) == [f"line {number}" for number in range(1, 11)]
        with anyio.fail_after(PATIENCE):
            await room.wait_finished()
        assert session.state.error is None  # no agent timed out meanwhile
        room.seek(9.5)
        await clock.elapse(1.0)
        assert len(said(session)) == 10


async def test_it_begins_anew_at_the_end_when_it_is_looped(tmp_path: Path) -> None:
    clock = ManualClock()
    room = ReplayRoom(await made(tmp_path / "r"), clock=clock, loop=True, start=9.5)
    async with Session("agt", room=room, clock=clock) as session:
        await session.connect()
        await clock.elapse(1.0)
        assert len(said(session)) == 10
        await clock.elapse(3.0)
        assert said(session) == ["line 1", "line 2"]


async def test_a_command_goes_to_the_surface_that_is_mounted_now(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    rooms = ScriptedRooms()
    async with Session("agt", tokens=rooms.tokens, room=rooms) as session:
        session.mount(RecorderSurface(folder, announce=False), key="recorder")
        await session.connect()
        room = await rooms.next()
        room.agent_joins()
        room.agent_says(Navigate("/pricing"))
        await settle()
    replayed = ReplayRoom(folder, paused=True)  # it lasts milliseconds
    hrefs: list[object] = []
    came = anyio.Event()

    async def browser(view: Any) -> None:
        async for command in view.commands():
            hrefs.append(command)
            came.set()

    async with Session("agt", room=replayed) as session:
        session.mount(browser, key="browser", capabilities=["navigate"])
        await session.connect()
        replayed.resume()
        with anyio.fail_after(PATIENCE):
            await came.wait()
    assert hrefs == [Navigate("/pricing")]


async def test_pictures_and_sound_come_back(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    rooms = ScriptedRooms(agent="agent")
    async with Session("agt", tokens=rooms.tokens, room=rooms) as session:
        session.mount(RecorderSurface(folder), key="recorder")
        with session.subscribe(RecordingChanged) as changes, anyio.fail_after(PATIENCE):
            await anext(changes)
        await session.connect()
        room = await rooms.next()
        room.track_starts("video")
        room.track_starts("audio")
        for _ in range(10):
            await settle()
            room.push_video(grey_picture())
            room.push_audio(silence())
        await settle()
    replayed = ReplayRoom(folder)
    async with Session("agt", room=replayed) as session:
        with session.video.subscribe() as pictures, session.audio.subscribe() as sound:
            await session.connect()
            with anyio.fail_after(PATIENCE):
                picture = await anext(pictures)
                assert (await anext(sound)).sample_rate == 48_000
            assert (picture.width, picture.height) == (grey_picture().width, grey_picture().height)
            with anyio.fail_after(PATIENCE):
                await replayed.wait_finished()
                replayed.seek(0.0)
                await anext(pictures)


async def test_other_surfaces_show_a_replay(tmp_path: Path) -> None:
    clock = ManualClock()
    room = ReplayRoom(await made(tmp_path / "r"), clock=clock)
    async with Session("agt", room=room, clock=clock) as session:
        session.mount(JsonlSurface(tmp_path / "again.jsonl"), key="jsonl")
        await session.connect()
        await clock.elapse(12.0)
    text = (tmp_path / "again.jsonl").read_text()
    assert all(f'"line {number}"' in text for number in range(1, 11))


def test_what_is_not_a_recording_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotARecordingError, match=r"it has no manifest.json"):
        ReplayRoom(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(NotARecordingError, match=r"its manifest.json cannot be read"):
        ReplayRoom(tmp_path)


async def test_options_are_checked(tmp_path: Path) -> None:
    folder = await made(tmp_path / "r")
    with pytest.raises(MisuseError, match="speed must be more than 0"):
        ReplayRoom(folder, speed=0)
    with pytest.raises(MisuseError, match="at least 0 seconds"):
        ReplayRoom(folder, start=-1)
