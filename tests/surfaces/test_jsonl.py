"""The recorder: every event once and in order, also when it is unmounted, slow, or cut off."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from tempfile import NamedTemporaryFile

import anyio
import anyio.to_thread
import msgspec
import pytest

from livelayer_bus import MisuseError, Session, TranscriptUpdated
from livelayer_bus.errors import ConfigError
from livelayer_bus.events import Event
from livelayer_bus.jsonl import EventLine, LaggedLine, Line, SnapshotLine
from livelayer_bus.surfaces import jsonl
from livelayer_bus.surfaces.jsonl import JsonlSurface, UnreadableLine, read_jsonl
from livelayer_bus.testing import PATIENCE, ScriptedRooms, check_surface, settle

pytestmark = pytest.mark.anyio


def told(event: Event) -> bytes:
    return msgspec.json.format(msgspec.json.encode(event), indent=-1)


def session_on(rooms: ScriptedRooms, capacity: int = 4096) -> Session:
    return Session("agt", tokens=rooms.tokens, room=rooms, capacity=capacity)


def gapless(lines: list[Line | UnreadableLine]) -> None:
    """After each snapshot every event, until a lagged line or the next snapshot."""
    expected = None
    for line in lines:
        match line:
            case SnapshotLine():
                expected = line.sequence + 1
            case EventLine():
                assert line.sequence == expected
                expected = line.sequence + 1
            case LaggedLine():
                expected = None
            case UnreadableLine():
                pytest.fail(f"unreadable: {line}")


class SlowFile(io.RawIOBase):
    """A file whose first write waits until the test lets it go on."""

    def __init__(self) -> None:
        self.data = b""
        self.writing = threading.Event()
        self.go_on = threading.Event()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.writing.set()
        self.go_on.wait(10)
        piece = bytes(data)[:1000]  # type: ignore[call-overload] # whatever a buffer is
        self.data += piece
        return len(piece)


async def test_it_keeps_the_contract_of_surfaces(tmp_path: Path, anyio_backend_name: str) -> None:
    if anyio_backend_name == "trio":
        pytest.skip("run on asyncio alone (check_surface)")
    names = iter(range(1000))
    await check_surface(lambda: JsonlSurface(tmp_path / f"{next(names)}.jsonl"))


async def test_every_event_is_recorded_and_a_second_mount_appends(
    tmp_path: Path, scripted_rooms: ScriptedRooms
) -> None:
    path = tmp_path / "new" / "session.jsonl"
    surface = JsonlSurface(path)
    async with session_on(scripted_rooms) as session:
        with session.subscribe() as everything:
            first = session.mount(surface, key="rec")
            await session.connect()
            room = await scripted_rooms.next()
            room.transcribes("1", "one\u2028line\nstill")
            room.packet(b'{\n  "type": "spread",\r\n  "over": "lines"\n}', sender="agent")
            await first.unmount()
            room.transcribes("2", "while it is away")
            second = session.mount(surface, key="rec")
            await settle()
            room.transcribes("3", "back again")
            await second.unmount()
            published = session.state.sequence
            events = [await anext(everything) for _ in range(everything.lag)]
    lines = list(read_jsonl(path))
    gapless(lines)
    snapshots = [line for line in lines if isinstance(line, SnapshotLine)]
    assert [snapshot.state.id for snapshot in snapshots] == [session.id, session.id]
    assert [entry.text for entry in snapshots[1].state.transcript] == [
        "one\u2028line\nstill",
        "while it is away",
    ]
    recorded = [line for line in lines if isinstance(line, EventLine)]
    by_sequence = dict(zip(range(published - len(events) + 1, published + 1), events, strict=True))
    # As lines: white space between the tokens of a payload does not survive.
    assert all(told(by_sequence[line.sequence]) == told(line.event) for line in recorded)
    assert {"one\u2028line\nstill", "back again"} <= {
        line.event.entry.text for line in recorded if isinstance(line.event, TranscriptUpdated)
    }
    assert surface.bytes_written == path.stat().st_size
    assert surface.lost == 0


async def test_times_are_monotonic_and_in_utc(
    tmp_path: Path, scripted_rooms: ScriptedRooms
) -> None:
    path = tmp_path / "s.jsonl"
    async with session_on(scripted_rooms) as session:
        surface = session.mount(JsonlSurface(path), key="rec")
        await session.connect()
        await surface.unmount()
    events = [line for line in read_jsonl(path) if isinstance(line, EventLine)]
    assert [line.time_ns for line in events] == sorted(line.time_ns for line in events)
    assert all(line.time.endswith("Z") and line.time.startswith("20") for line in events)
    assert all(line.cursor == f"{session.id}:{line.sequence}" for line in events)


async def test_a_slow_disk_loses_events_that_are_counted_and_blocks_no_other_task(
    scripted_rooms: ScriptedRooms,
) -> None:
    file = SlowFile()
    surface = JsonlSurface(file)  # type: ignore[arg-type] # a raw file is binary too
    async with session_on(scripted_rooms, capacity=32) as session:
        mounted = session.mount(surface, key="rec")
        await session.connect()
        room = await scripted_rooms.next()
        with anyio.fail_after(PATIENCE):
            await anyio.to_thread.run_sync(file.writing.wait)
            for number in range(200):
                room.transcribes(f"u{number}", "words")
                await anyio.lowlevel.checkpoint()
        file.go_on.set()
        await mounted.unmount()
    lines = [*read_lines(file.data)]
    gapless(lines)
    lagged = [line for line in lines if isinstance(line, LaggedLine)]
    assert surface.lost == sum(line.missed for line in lagged) > 0
    kept = sum(isinstance(line, EventLine) for line in lines)
    [first, *_] = [line for line in lines if isinstance(line, SnapshotLine)]
    # Every event after the first snapshot and before the unmount is in the file or was counted.
    assert kept + surface.lost == 200 + (session_joined(lines, first))


def read_lines(data: bytes) -> list[Line | UnreadableLine]:
    with NamedTemporaryFile() as copy:
        copy.write(data)
        copy.flush()
        return list(read_jsonl(copy.name))


def session_joined(lines: list[Line | UnreadableLine], first: SnapshotLine) -> int:
    """Events other than the 200 that were published after the first snapshot."""
    last = max(line.sequence for line in lines if isinstance(line, EventLine | SnapshotLine))
    return last - first.sequence - 200


async def test_a_file_that_cannot_be_opened_is_a_fault_that_says_so(
    tmp_path: Path, scripted_rooms: ScriptedRooms
) -> None:
    (tmp_path / "file").write_text("")
    async with session_on(scripted_rooms) as session:
        mounted = session.mount(
            JsonlSurface(tmp_path / "file" / "s.jsonl"), key="rec", on_fault="unmount"
        )
        with anyio.fail_after(PATIENCE):
            await mounted.wait()
        assert mounted.status == "failed"


async def test_a_line_that_a_crash_cut_off_is_reported_and_the_rest_is_read(
    tmp_path: Path, scripted_rooms: ScriptedRooms
) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(b'{"line":"event","cursor":"x:1","seq')
    async with session_on(scripted_rooms) as session:
        await session.mount(JsonlSurface(path), key="rec").unmount()
        mounted = session.mount(JsonlSurface(path), key="rec")
        await settle()
        await session.connect()
        await mounted.unmount()
    first, *rest = read_jsonl(path)
    assert first == UnreadableLine(1, "the line is not valid JSON (a line that was cut off?)")
    assert not any(isinstance(line, UnreadableLine) for line in rest)
    assert any(isinstance(line, EventLine) for line in rest)


async def test_a_line_of_a_later_version_is_reported_and_skipped(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(b'\n{"line":"hologram"}\n[1]\n' + b"[" * 100_000 + b"\n\xff\xfe\n")
    lines = list(read_jsonl(path))
    assert [line.number for line in lines if isinstance(line, UnreadableLine)] == [2, 3, 4, 5]
    assert len(lines) == 4


@pytest.mark.parametrize("file", [3, io.StringIO(), None])
async def test_what_is_no_binary_file_is_refused_when_it_is_given(file: object) -> None:
    with pytest.raises(MisuseError, match="a path or an open binary file"):
        JsonlSurface(file)  # type: ignore[arg-type] # on purpose


async def test_a_configuration_error_names_the_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be opened for writing") as caught:
        jsonl._open(tmp_path)
    assert str(tmp_path) in str(caught.value)
