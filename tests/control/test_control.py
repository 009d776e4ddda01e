"""The control socket: who may use it, what it answers, and that a bad client harms only itself."""

from __future__ import annotations

import os
import random
import socket
import stat
import struct
import sys
from pathlib import Path

import anyio
import msgspec
import pytest
from anyio.abc import SocketAttribute
from anyio.streams.buffered import BufferedByteReceiveStream

from livelayer_bus import MisuseError, RawMessage, RefusedError, Session, control
from livelayer_bus.control import protocol as place
from livelayer_bus.control.protocol import MAX_REQUEST
from livelayer_bus.control.server import MAX_CLIENTS
from livelayer_bus.errors import ControlError, MessageTooLargeError, NotConnectedError
from livelayer_bus.jsonl import EventLine, LaggedLine, Line, SnapshotLine
from livelayer_bus.testing import PATIENCE, ScriptedRoom, ScriptedRooms, settle

pytestmark = pytest.mark.anyio


async def read(lines: control.Tail, number: int) -> list[Line]:
    with anyio.fail_after(PATIENCE):
        return [await anext(lines) for _ in range(number)]


# Who may use it -----------------------------------------------------------------------------


async def test_directory_and_socket_are_this_users_alone(session: Session, runtime: Path) -> None:
    async with control.serve_control(session) as path:
        assert path.parent.parent == runtime
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == []


async def test_a_directory_that_others_can_enter_is_not_used(
    session: Session, runtime: Path
) -> None:
    (runtime / "livelayer").mkdir(mode=0o755)
    with pytest.raises(ControlError, match="not a directory that is yours alone"):
        async with control.serve_control(session):
            pass
    with pytest.raises(ControlError, match="yours alone"):
        await control.list_sessions()


async def test_a_link_in_place_of_the_directory_is_not_followed(
    session: Session, runtime: Path
) -> None:
    (runtime / "elsewhere").mkdir(mode=0o700)
    (runtime / "livelayer").symlink_to(runtime / "elsewhere")
    with pytest.raises(ControlError, match="yours alone"):
        async with control.serve_control(session):
            pass


@pytest.mark.skipif(sys.platform != "linux", reason="SO_PEERCRED is Linux's")
async def test_another_users_process_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        place.check_peer(one)
        owner = os.getuid()
        # To this process the other end now seems to belong to another user.
        monkeypatch.setattr(os, "getuid", lambda: owner + 1)
        with pytest.raises(RefusedError, match=f"user {owner} may not control"):
            place.check_peer(one)


async def test_a_path_that_is_too_long_says_what_to_set(
    session: Session, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = runtime / ("d" * 90)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    with pytest.raises(ControlError, match="set XDG_RUNTIME_DIR to a short one"):
        async with control.serve_control(session):
            pass


# Finding sessions ---------------------------------------------------------------------------


async def test_running_sessions_are_listed_with_what_they_are(session: Session) -> None:
    async with control.serve_control(session):
        [status] = await control.list_sessions()
        assert status.id == session.id == await control.find_session(session.id[:4])
        assert (status.pid, status.agent_id) == (os.getpid(), "agt")
        assert (status.connection_state, status.sequence) == ("connected", session.state.sequence)
    assert await control.list_sessions() == ()


async def test_a_socket_that_a_crash_left_behind_is_removed(
    session: Session, runtime: Path
) -> None:
    async with control.serve_control(session) as path:
        left = path.with_name("crashed.sock")
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(left))
        assert [status.id for status in await control.list_sessions()] == [session.id]
        assert not left.exists()


async def test_no_session_and_several_sessions_say_what_to_do(session: Session) -> None:
    with pytest.raises(ControlError, match="start one with 'livelayer run'"):
        await control.find_session()
    rooms = ScriptedRooms()
    async with (
        Session("other", tokens=rooms.tokens, room=rooms) as other,
        control.serve_control(session),
        control.serve_control(other),
    ):
        with pytest.raises(MisuseError, match="2 sessions are running") as caught:
            await control.find_session()
        assert session.id in str(caught.value)
        with pytest.raises(ControlError, match="no session 'zzz'"):
            await control.find_session("zzz")


@pytest.mark.parametrize("name", ["../etc/passwd", "", "a/b", ".hidden"])
async def test_an_id_cannot_name_a_file_elsewhere(runtime: Path, name: str) -> None:
    with pytest.raises(ControlError, match="no such session is running"):
        await control.send_message(name, {"type": "user_message"})


# Sending ------------------------------------------------------------------------------------


async def test_a_message_goes_out_into_the_sessions_room(
    session: Session, room: ScriptedRoom
) -> None:
    async with control.serve_control(session):
        await control.send_message(session.id, {"type": "quiz_response", "answer": 42})
    packet = await room.next_sent("quiz_response")
    assert msgspec.json.decode(packet.data) == {"type": "quiz_response", "answer": 42}


async def test_a_refused_message_is_an_error_of_the_same_kind_and_text(session: Session) -> None:
    async with control.serve_control(session):
        with pytest.raises(MisuseError) as caught:
            await control.send_message(session.id, {"type": "big", "text": "x" * 20_000})
        assert str(caught.value).startswith(str(MessageTooLargeError(20_000, 15_360))[:15])
        assert "the limit is 15360" in str(caught.value)
        with pytest.raises(MisuseError, match="type"):
            await control.send_message(session.id, {"text": "no type"})
        await session.disconnect()
        with pytest.raises(MisuseError) as left:
            await control.send_message(session.id, {"type": "x"})
        assert str(left.value) == str(NotConnectedError("disconnected", session.error))


async def test_a_request_over_the_limit_is_not_even_sent(session: Session) -> None:
    async with control.serve_control(session):
        with pytest.raises(MisuseError, match=f"the limit is {MAX_REQUEST}"):
            await control.send_message(session.id, {"type": "x", "text": "x" * MAX_REQUEST})


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"nonsense\n", "not valid JSON"),
        (b'{"request": "explode"}\n', "Invalid value"),
        (b'{"request": "status", "more": 1}\n', "unknown field"),
        (b'{"request": "send", "message": 3}\n', "Expected `object`"),
        (b'{"request": "send", "message": {"type": "x"}, "timeout": 1e9}\n', "at most 60"),
        (b'{"request": "tail", "types": ["Transcript"]}\n', "did you mean 'TranscriptUpdated'?"),
        (b"x" * (MAX_REQUEST + 10) + b"\n", "longer than"),
        (b"[" * 50_000 + b"\n", "not"),
    ],
)
async def test_a_bad_request_is_answered_with_what_is_wrong(
    session: Session, line: bytes, problem: str
) -> None:
    async with control.serve_control(session) as path:
        async with await anyio.connect_unix(path) as stream:
            await stream.send(line)
            with anyio.fail_after(PATIENCE):
                answer = await BufferedByteReceiveStream(stream).receive_until(b"\n", 10_000)
        assert msgspec.json.decode(answer)["reply"] == "problem"
        assert problem in msgspec.json.decode(answer)["message"]
        assert await control.find_session() == session.id


# Following ----------------------------------------------------------------------------------


async def test_a_tail_begins_with_a_snapshot_and_goes_on_without_a_gap(
    session: Session, room: ScriptedRoom
) -> None:
    async with control.serve_control(session), control.tail(session.id) as lines:
        [snapshot] = await read(lines, 1)
        assert isinstance(snapshot, SnapshotLine)
        assert snapshot.state == session.state
        for number in range(3):
            room.transcribes(f"u{number}", "words")
        following = await read(lines, 3)
    assert [line.sequence for line in following if isinstance(line, EventLine)] == [
        snapshot.sequence + 1,
        snapshot.sequence + 2,
        snapshot.sequence + 3,
    ]
    assert following[0].cursor == f"{session.id}:{snapshot.sequence + 1}"  # type: ignore[union-attr] # shown above


async def test_a_tail_goes_on_after_a_cursor_without_a_snapshot(
    session: Session, room: ScriptedRoom
) -> None:
    seen = session.state.sequence
    for number in range(4):
        room.transcribes(f"u{number}", "words")
    async with (
        control.serve_control(session),
        control.tail(session.id, after=f"{session.id}:{seen + 1}") as lines,
    ):
        [first] = await read(lines, 1)
    assert isinstance(first, EventLine)
    assert first.sequence == seen + 2


async def test_only_the_wanted_events_are_told(session: Session, room: ScriptedRoom) -> None:
    async with (
        control.serve_control(session),
        control.tail(session.id, types=("AgentStateChanged",)) as lines,
    ):
        await read(lines, 1)
        room.transcribes("u", "words")
        room.agent_state("speaking")
        [line] = await read(lines, 1)
    assert isinstance(line, EventLine)
    assert type(line.event).__name__ == "AgentStateChanged"


@pytest.mark.parametrize("cursor", ["other:1", "nonsense", "{id}:999999", "{id}:-1", "{id}:x"])
async def test_a_cursor_of_elsewhere_is_refused(session: Session, cursor: str) -> None:
    after = cursor.replace("{id}", session.id)
    async with control.serve_control(session), control.tail(session.id, after=after) as lines:
        with pytest.raises(MisuseError, match="cursor"):
            await read(lines, 1)


async def test_a_cursor_that_fell_out_of_the_ring_is_lagged_and_then_a_snapshot(
    session: Session, room: ScriptedRoom
) -> None:
    seen = session.state.sequence
    for number in range(200):
        room.transcribes(f"u{number}", "words")
    async with (
        control.serve_control(session),
        control.tail(session.id, after=f"{session.id}:{seen}") as lines,
    ):
        lagged, snapshot = await read(lines, 2)
    assert isinstance(lagged, LaggedLine)
    assert isinstance(snapshot, SnapshotLine)
    assert lagged.missed == snapshot.sequence - seen


async def test_a_client_that_does_not_read_holds_nobody_up(
    session: Session, room: ScriptedRoom
) -> None:
    async with (
        control.serve_control(session) as path,
        await anyio.connect_unix(path) as sleeper,
    ):
        await sleeper.send(b'{"request": "tail"}\n')
        async with control.tail(session.id) as lines:
            await read(lines, 1)
            with anyio.fail_after(PATIENCE):
                for _ in range(30):
                    for _ in range(10):
                        room.agent_says(RawMessage("news", {"text": "x" * 10_000}))
                    sequence = 0
                    while sequence < session.state.sequence:
                        line = await anext(lines)
                        assert isinstance(line, EventLine)
                        sequence = line.sequence
        await session.send_data({"type": "still_here"})
        stream = BufferedByteReceiveStream(sleeper)
        kinds: list[str] = []
        with anyio.fail_after(PATIENCE):
            while "lagged" not in kinds:
                told = await stream.receive_until(b"\n", 64_000_000)
                kinds.append(msgspec.json.decode(told)["line"])
    assert kinds[0] == "snapshot"


async def test_clients_are_bounded_and_places_become_free(session: Session) -> None:
    async with control.serve_control(session) as path:
        streams = [await anyio.connect_unix(path) for _ in range(MAX_CLIENTS)]
        await settle()
        with pytest.raises(ControlError):
            await control.send_message("unknown", {"type": "user_message"})
        answer = b""
        async with await anyio.connect_unix(path) as one_more:
            with anyio.fail_after(PATIENCE):
                answer = await BufferedByteReceiveStream(one_more).receive_until(b"\n", 10_000)
        assert msgspec.json.decode(answer)["kind"] == "busy"
        for stream in streams:
            await stream.aclose()
        with anyio.fail_after(PATIENCE):
            while not (found := await control.list_sessions()):
                pass  # busy until the server noticed that they left
        assert found[0].tails == 0


async def test_a_tail_that_leaves_is_forgotten_though_nothing_happens(session: Session) -> None:
    async with control.serve_control(session):
        async with control.tail(session.id) as lines:
            await read(lines, 1)
            assert (await control.list_sessions())[0].tails == 1
        with anyio.fail_after(PATIENCE):
            while (await control.list_sessions())[0].tails:
                pass


async def test_the_end_of_the_session_ends_its_tails_and_removes_the_socket(
    session: Session, runtime: Path
) -> None:
    seen: list[Line] = []
    async with anyio.create_task_group() as group:
        following = anyio.Event()

        async def follow() -> None:
            async with control.tail(session.id) as lines:
                async for line in lines:
                    seen.append(line)
                    following.set()

        with anyio.fail_after(PATIENCE):
            async with control.serve_control(session) as path:
                group.start_soon(follow)
                await following.wait()
                assert path.exists()
    assert isinstance(seen[0], SnapshotLine)
    assert not list((runtime / "livelayer").iterdir())
    with pytest.raises(ControlError, match="no such session"):
        await control.send_message(session.id, {"type": "user_message"})


async def test_an_error_in_the_block_comes_out_as_it_is(session: Session) -> None:
    with pytest.raises(ValueError, match="mine"):
        async with control.serve_control(session):
            raise ValueError("mine")


# Hostile clients ----------------------------------------------------------------------------

HOSTILE = (
    b'{"request":"tail","after":"\xff"}\n',
    b'{"request":"send","message":{"type":"\xc3("}}\n',
    b'{"request":"tail","after":"SESSION:' + b"9" * 5000 + b'"}\n',
    b'{"request":"tail","after":"' + b"9" * 5000 + b'"}\n',
    b'{"request":"send","timeout":1e999}\n',
    b'{"request":"send","timeout":' + b"9" * 400 + b"}\n",
    b"[" * 10_000 + b"\n",
    b'{"request":"status","request":"status"}\n',
    b"\x00\n",
    b"\n",
)


@pytest.mark.parametrize("line", HOSTILE, ids=range(len(HOSTILE)))
async def test_a_malformed_request_ends_its_own_connection_alone(
    session: Session, line: bytes
) -> None:
    async with control.serve_control(session) as path, control.tail(session.id) as lines:
        await read(lines, 1)
        async with await anyio.connect_unix(path) as client:
            await client.send(line.replace(b"SESSION", session.id.encode()))
            with anyio.fail_after(PATIENCE):
                answer = await BufferedByteReceiveStream(client).receive_until(b"\n", 10_000)
        assert msgspec.json.decode(answer)["reply"] in ("problem", "status")
        session.subscribe_to_data_messages(lambda _: None)
        await control.send_message(session.id, {"type": "still_there"})
        await read(lines, 1)


async def test_seeded_random_requests_change_nothing_for_other_clients(session: Session) -> None:
    dice = random.Random(11)
    alphabet = b'{}[]":,0123456789eE+-.\\u \xff\x00requsttailfnd'
    async with control.serve_control(session) as path, control.tail(session.id) as lines:
        await read(lines, 1)
        for _ in range(300):
            async with await anyio.connect_unix(path) as client:
                noise = bytes(dice.choice(alphabet) for _ in range(dice.randrange(200)))
                await client.send(noise + b"\n")
                if dice.random() < 0.5:
                    with anyio.fail_after(PATIENCE):
                        await BufferedByteReceiveStream(client).receive_until(b"\n", 10_000)
        assert await control.find_session() == session.id
        await control.send_message(session.id, {"type": "still_there"})
        await read(lines, 1)


async def test_a_tail_that_resets_its_connection_harms_no_other_client(
    session: Session, room: ScriptedRoom
) -> None:
    async with control.serve_control(session) as path, control.tail(session.id) as lines:
        await read(lines, 1)
        for _ in range(20):
            client = await anyio.connect_unix(path)
            await client.send(b'{"request":"tail"}\n')
            await control.send_message(session.id, {"type": "news", "text": "x" * 10_000})
            raw = client.extra(SocketAttribute.raw_socket)  # noqa: S610 - no Django here
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await client.aclose()
        assert await control.find_session() == session.id
        await read(lines, 20)
