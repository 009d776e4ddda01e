"""The recorder as a surface: what it writes and leaves out, and what happens without a disk."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import numpy as np
import pytest
from livelayer_recorder import RecorderSurface
from livelayer_recorder.event_log import read_events
from livelayer_recorder.manifest import read_manifest
from livelayer_recorder.media_reader import MediaReader
from livelayer_recorder.session_writer import MAX_WAITING_BYTES

from livelayer_bus import (
    AudioFrame,
    DataReceived,
    MisuseError,
    Session,
    TranscriptEntry,
    TranscriptUpdated,
    VideoFrame,
)
from livelayer_bus.clock import now_ns
from livelayer_bus.config import load_surface
from livelayer_bus.events import RecordingChanged
from livelayer_bus.jsonl import EventLine, SnapshotLine
from livelayer_bus.messages import FillForm
from livelayer_bus.testing import PATIENCE, ScriptedRooms, check_surface, settle

from .media_kit import beeps, durations, flashes, frames, picture, sound

pytestmark = pytest.mark.anyio


def events_of(folder: Path) -> list[object]:
    return [
        line.event for line in read_events(folder / "events.jsonl") if isinstance(line, EventLine)
    ]


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_it_keeps_the_contract_of_surfaces(tmp_path: Path) -> None:
    await check_surface(lambda: RecorderSurface(tmp_path / "recording"))


async def test_a_session_becomes_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "recording"
    rooms = ScriptedRooms(agent="agent")
    recorder = RecorderSurface(folder)
    async with Session("agt", tokens=rooms.tokens, room=rooms) as session:
        mounted = session.mount(recorder, key="recorder")
        with session.subscribe(RecordingChanged) as changes:
            await session.connect()
            room = await rooms.next()
            with anyio.fail_after(PATIENCE):
                assert await anext(changes) == RecordingChanged("recorder", active=True)
                assert "recorder" in session.state.recording
                told = await room.next_sent("recording_state")
                assert told.json()["active"] is True
            room.track_starts("video")
            room.track_starts("audio")
            room.agent_says(b'{"type": "from_the_future", "deep": [1,\n 2]} ')
            room.transcribes("1", "Good <day> & welcome", "agent")
            room.transcribes("2", "Hello", "user")
            for _ in range(5):
                await settle()
                room.push_video(picture(now_ns(), bright=True))
                room.push_audio(sound(now_ns()))
            await settle()
            await mounted.unmount()
            with anyio.fail_after(PATIENCE):
                assert await anext(changes) == RecordingChanged("recorder", active=False)
        assert not session.state.recording
        told = await room.next_sent("recording_state")
        assert told.json()["active"] is False
    manifest = read_manifest(folder)
    assert manifest.status == "finished"
    assert manifest.media == "media.mp4"
    assert manifest.agent_id == "agt"
    assert manifest.pictures > 0
    assert [track.codec for track in manifest.tracks] == ["h264", "aac"]
    first = next(iter(read_events(folder / "events.jsonl")))
    assert isinstance(first, SnapshotLine)
    packets = [one for one in events_of(folder) if isinstance(one, DataReceived)]
    assert packets[0].data == b'{"type": "from_the_future", "deep": [1,\n 2]} '
    captions = (folder / "captions.vtt").read_text()
    assert "<v Agent>Good &lt;day&gt; &amp; welcome\n" in captions
    assert "<v User>Hello\n" in captions
    ends = durations(folder / "media.mp4")
    last = captions.split("--> ")[-1].split()[0]
    minutes, seconds = last.split(":")[1:]
    assert abs(ends["video"] - ends["audio"]) < 0.1
    assert abs(int(minutes) * 60 + float(seconds) - ends["audio"]) < 0.1


async def test_own_microphone_and_camera_are_tracks_of_their_own(tmp_path: Path) -> None:
    folder = tmp_path / "recording"
    rooms = ScriptedRooms(agent="agent")
    recorder = RecorderSurface(folder, microphone=True, camera=True)
    async with Session("agt", tokens=rooms.tokens, room=rooms) as session:
        mounted = session.mount(recorder, key="recorder")
        with session.subscribe(RecordingChanged) as changes, anyio.fail_after(PATIENCE):
            await anext(changes)
        await session.connect()
        room = await rooms.next()
        room.track_starts("video")
        room.push_video(picture(now_ns()))
        await settle()
        async with (
            session.microphone.acquire("p") as microphone,
            session.camera.acquire("p") as camera,
        ):
            await microphone.push(sound(now_ns(), loud=True))
            await camera.push(picture(now_ns(), bright=True))
            await settle()
        await mounted.unmount()
    manifest = read_manifest(folder)
    assert [(track.kind, track.source) for track in manifest.tracks] == [
        ("video", "agent"),
        ("audio", "agent"),
        ("audio", "microphone"),
        ("video", "camera"),
    ]
    assert len(beeps(folder / "media.mp4", 1)) == 1
    [flash] = flashes(folder / "media.mp4", 1)
    bright = [
        bool(frame.to_ndarray(format="gray").mean() > 128)
        for frame in frames(folder / "media.mp4", "video", 1)
        if frame.time >= flash
    ]
    assert not bright[-1]  # the camera is off again
    reader = MediaReader(folder / "media.mp4", 0.0)
    kept = [frame for _, frame in reader.read(1e9)]
    reader.close()
    pictures = [frame for frame in kept if isinstance(frame, VideoFrame)]
    heard = [frame for frame in kept if isinstance(frame, AudioFrame)]
    assert all(one.to_ndarray("gray").mean() < 128 for one in pictures)
    assert not np.concatenate([one.to_ndarray() for one in heard]).any()


async def test_another_mount_gets_another_folder(tmp_path: Path) -> None:
    folder = tmp_path / "recording"
    rooms = ScriptedRooms()
    recorder = RecorderSurface(folder)
    async with Session("agt", tokens=rooms.tokens, room=rooms) as session:
        for expected in ("recording", "recording-2", "recording-3"):
            with session.subscribe(RecordingChanged) as changes:
                mounted = session.mount(recorder, key="recorder")
                with anyio.fail_after(PATIENCE):
                    await anext(changes)
                await mounted.unmount()
            assert recorder.directory == tmp_path / expected
            assert read_manifest(tmp_path / expected).status == "finished"


async def test_field_values_and_what_the_application_names_stay_out(tmp_path: Path) -> None:
    rooms = ScriptedRooms(agent="agent")

    def redact(event: object) -> object:
        match event:
            case TranscriptUpdated(entry) if "secret" in entry.text:
                return None
            case _:
                return event

    recorder = RecorderSurface(tmp_path / "a", redact=redact)  # type: ignore[arg-type]  # any event
    whole = RecorderSurface(tmp_path / "b", field_values=True)
    async with Session("agt", tokens=rooms.tokens, room=rooms) as session:
        session.mount(recorder, key="a")
        session.mount(whole, key="b")
        with session.subscribe(RecordingChanged) as changes, anyio.fail_after(PATIENCE):
            await anext(changes)
            await anext(changes)
        await session.connect()
        room = await rooms.next()
        room.agent_says(FillForm("order", {"card": "4111", "name": "Ada"}))
        room.agent_says(
            {"type": "task_field_updated", "fieldId": "1", "fieldName": "card", "value": "4111",
             "kind": "text", "source": "agent"}
        )  # fmt: skip
        room.agent_says({"type": "task_later", "results": {"card": ["4111"], "count": 3}})
        room.transcribes("1", "my secret is 4111", "user")
        room.transcribes("2", "all is well", "user")
    cleaned = (tmp_path / "a" / "events.jsonl").read_text()
    assert "4111" not in cleaned
    assert '"card":"[redacted]"' in cleaned
    assert "all is well" in cleaned
    assert "secret" not in (tmp_path / "a" / "captions.vtt").read_text()
    assert "4111" in (tmp_path / "b" / "events.jsonl").read_text()
    assert read_manifest(tmp_path / "a").redacted
    assert not read_manifest(tmp_path / "b").redacted


async def test_a_folder_that_cannot_be_made_is_an_event_and_the_session_goes_on(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("in the way")
    rooms = ScriptedRooms(agent="agent")
    recorder = RecorderSurface(tmp_path / "file" / "recording")
    async with Session("agt", tokens=rooms.tokens, room=rooms) as session:
        with session.subscribe(RecordingChanged) as changes:
            mounted = session.mount(recorder, key="recorder")
            with anyio.fail_after(PATIENCE):
                change = await anext(changes)
                await mounted.wait()
        assert not change.active
        assert "Not a directory" in (change.error or "")
        assert mounted.status == "ended"
        await session.connect()
        assert session.connection_state == "connected"


async def test_a_folder_that_is_deleted_is_an_event_and_the_session_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "recording"
    rooms = ScriptedRooms(agent="agent")
    recorder = RecorderSurface(folder)
    async with Session("agt", tokens=rooms.tokens, room=rooms) as session:
        with session.subscribe(RecordingChanged) as changes, anyio.fail_after(PATIENCE):
            mounted = session.mount(recorder, key="recorder")
            await anext(changes)
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()
            await session.connect()
            change = await anext(changes)
            await mounted.wait()
        assert not change.active
        assert change.error is not None
        assert recorder.problem == change.error
        assert session.connection_state == "connected"


async def test_a_disk_that_stands_still_drops_pictures_and_slows_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "recording"
    folder.mkdir()
    os.mkfifo(folder / "media.mp4")  # opening it for writing blocks until there is a reader
    rooms = ScriptedRooms(agent="agent")
    recorder = RecorderSurface(folder)
    try:
        async with Session("agt", tokens=rooms.tokens, room=rooms) as session:
            with session.subscribe(RecordingChanged) as changes, anyio.fail_after(PATIENCE):
                mounted = session.mount(recorder, key="recorder")
                await anext(changes)
            await session.connect()
            room = await rooms.next()
            room.track_starts("video")
            shown = picture(now_ns(), size=(1920, 1080))
            with session.video.subscribe() as pictures, anyio.fail_after(PATIENCE):
                # More than may wait for the encoder; another surface gets each of them.
                for _ in range(2 * MAX_WAITING_BYTES // shown.nbytes):
                    await settle(3)
                    sent = room.push_video(picture(now_ns(), size=(1920, 1080)))
                    assert await anext(pictures) is sent
                room.transcribes("1", "events are written all the same")
                await mounted.unmount()
            assert session.connection_state == "connected"
        assert recorder.manifest is not None
        assert recorder.manifest.drops.pictures > 0
        assert "were not finished within" in (recorder.problem or "")
        assert "all the same" in (folder / "events.jsonl").read_text()
    finally:
        reader = os.open(folder / "media.mp4", os.O_RDONLY | os.O_NONBLOCK)
        os.close(reader)


FULL_DISK = """
import resource, signal, sys
import anyio
from livelayer_bus import Session, VideoFrame
from livelayer_bus.clock import now_ns
from livelayer_bus.events import RecordingChanged
from livelayer_bus.testing import ScriptedRooms
from livelayer_recorder import RecorderSurface
import numpy as np

async def main():
    rooms = ScriptedRooms(agent="agent")
    recorder = RecorderSurface(sys.argv[1], quality=1)
    dice = np.random.default_rng(14)
    async with Session("agt", tokens=rooms.tokens, room=rooms) as session:
        session.mount(recorder, key="recorder")
        await session.connect()
        room = await rooms.next()
        room.track_starts("video")
        with session.subscribe(RecordingChanged) as changes:
            if not session.state.recording:
                await anext(changes)
            async with anyio.create_task_group() as tasks:
                async def show():
                    while True:
                        noise = dice.integers(16, 235, 160 * 120 * 3 // 2, np.uint8)
                        room.push_video(VideoFrame(noise.tobytes(), 160, 120, received_ns=now_ns()))
                        await anyio.sleep(0.05)
                tasks.start_soon(show)
                print((await anext(changes)).error, flush=True)
                tasks.cancel_scope.cancel()
        print(session.connection_state)

# No file may grow beyond this: the operating system refuses it as it does on a full disk.
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
anyio.run(main)
"""


async def test_a_full_disk_is_an_event_and_what_is_written_can_be_played(tmp_path: Path) -> None:
    folder = tmp_path / "recording"
    done = await anyio.to_thread.run_sync(
        lambda: subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-c", FULL_DISK, str(folder)],
            capture_output=True,
            text=True,
            check=False,
            timeout=2 * PATIENCE,
        )
    )
    assert done.returncode == 0, done.stderr
    error, state = done.stdout.splitlines()
    assert "File too large" in error
    assert state == "connected"
    manifest = read_manifest(folder)
    assert manifest.status == "broken"
    assert "File too large" in (manifest.problem or "")
    assert durations(folder / "media.mp4")["video"] > 0
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 200_000
    assert json.loads((folder / "manifest.json").read_text())["status"] == "broken"


def test_the_example_of_the_readme_leaves_out_what_it_says() -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text()
    [block] = [one for one in re.findall(r"```python\n(.*?)```", text, re.S) if "def redact" in one]
    names: dict[str, Any] = {}
    exec(block, names)  # noqa: S102 - our own example
    said = TranscriptUpdated(TranscriptEntry("1", "user", "hello", True))
    answered = TranscriptUpdated(TranscriptEntry("2", "agent", "hello", True))
    assert names["redact"](said) is None
    assert names["redact"](answered) is answered


def test_options_are_checked(tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match="format must be one of mp4, mkv, got 'avi'"):
        RecorderSurface(tmp_path, format="avi")  # type: ignore[arg-type]  # what a file may say
    with pytest.raises(MisuseError, match="size must be"):
        RecorderSurface(tmp_path, size=(1, 1))
    with pytest.raises(MisuseError, match="delete_after_days"):
        RecorderSurface(tmp_path, delete_after_days=0)


def test_the_name_in_livelayer_toml_finds_it() -> None:
    assert load_surface("recorder") is RecorderSurface
