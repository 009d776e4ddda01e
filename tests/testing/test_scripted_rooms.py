from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from livelayer_bus.errors import BrokenError, ConnectError
from livelayer_bus.events import AgentConfig, TranscriptEntry
from livelayer_bus.media import AudioWriter, VideoWriter
from livelayer_bus.messages import BotReady, UserMessage, encode
from livelayer_bus.rooms import (
    AgentPresence,
    AgentStateReported,
    MediaWriters,
    PacketReceived,
    RoomEvent,
    RoomFactory,
    RoomLost,
    RoomPort,
    TrackReported,
    UtteranceHeard,
)
from livelayer_bus.testing import (
    PATIENCE,
    ScriptedRoom,
    ScriptedRooms,
    ScriptError,
    settle,
    silence,
)
from livelayer_bus.tokens import RoomAccess, TokenRequest, TokenSource

pytestmark = pytest.mark.anyio
ACCESS = RoomAccess("ws://here", "token", "room")


class RecordingSink:
    """A RoomSink that records what is reported."""

    def __init__(self) -> None:
        self.events: list[RoomEvent] = []

    @property
    def entries(self) -> list[TranscriptEntry]:
        return [event.entry for event in self.events if isinstance(event, UtteranceHeard)]

    def report(self, event: RoomEvent) -> None:
        self.events.append(event)


def writers() -> MediaWriters:
    return MediaWriters(VideoWriter(), AudioWriter())


async def joined() -> tuple[ScriptedRoom, RecordingSink]:
    room, sink = ScriptedRoom(), RecordingSink()
    await room.connect(ACCESS, sink, writers())
    return room, sink


def test_the_scripted_parts_are_what_a_session_takes() -> None:
    rooms = ScriptedRooms()
    factory: RoomFactory = rooms
    port: RoomPort = factory()
    source: TokenSource = rooms.tokens
    assert port is rooms.rooms[0]
    assert source is rooms.tokens


async def test_an_agent_joins_speaks_and_leaves() -> None:
    room, sink = await joined()
    room.agent_joins(active=False)
    room.agent_activates()
    room.agent_says(BotReady())
    room.agent_state("thinking")
    room.agent_leaves()
    assert sink.events == [
        AgentPresence("agent", active=False),
        AgentPresence("agent", active=True),
        PacketReceived(encode(BotReady()), sender="agent", from_agent=True),
        AgentStateReported("thinking"),
        AgentPresence(None, active=False),
    ]


async def test_streams_are_numbered_at_their_opening_and_can_interleave() -> None:
    room, sink = await joined()
    first = room.open_stream("a")
    second = room.open_stream("b", "user")
    second.write("yes")
    first.write("Good ")
    first.write("day")
    second.close()
    assert [(e.id, e.role, e.text, e.final, e.opened) for e in sink.entries] == [
        ("b", "user", "yes", False, 2),
        ("a", "agent", "Good ", False, 1),
        ("a", "agent", "Good day", False, 1),
        ("b", "user", "yes", True, 2),
    ]


async def test_sent_packets_are_kept_and_taken_one_by_one() -> None:
    room, _ = await joined()
    await room.send(encode(UserMessage("one")), topic="t", to=["agent"])
    await room.send(encode(BotReady()))
    await room.send(encode(UserMessage("two")))
    assert [packet.type for packet in room.sent] == ["user_message", "bot_ready", "user_message"]
    first = await room.next_sent("user_message")
    assert (first.message, first.topic, first.to) == (UserMessage("one"), "t", ("agent",))
    assert (await room.next_sent("user_message")).json() == {"type": "user_message", "text": "two"}


async def test_a_held_send_waits_and_a_failing_one_is_not_taken() -> None:
    room, _ = await joined()
    room.sending.hold()
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(room.send, b"{}")
            await room.sending.wait_held()
            assert room.sent == ()
            room.sending.open()
    assert len(room.sent) == 1
    room.sending.fail(BrokenError("gone"), times=1)
    with pytest.raises(BrokenError, match="gone"):
        await room.send(b"{}")
    await room.send(b"{}")
    assert len(room.sent) == 2


async def test_nothing_is_taken_by_a_room_that_is_lost() -> None:
    room, sink = await joined()
    room.lose("the server went away", rejoin=False)
    assert sink.events == [RoomLost("the server went away", rejoin=False)]
    assert room.native is None
    with pytest.raises(BrokenError):
        await room.send(b"{}")
    with pytest.raises(BrokenError):
        await room.send_text("hello", topic="lk.chat")
    with pytest.raises(BrokenError):
        await room.open_track("microphone", silence())


async def test_frames_go_to_the_channels_until_the_room_is_closed() -> None:
    video, audio = VideoWriter(), AudioWriter()
    room, sink = ScriptedRoom(), RecordingSink()
    await room.connect(ACCESS, sink, MediaWriters(video, audio))
    room.track_starts("video", sid="TR_1", participant="avatar")
    room.track_stops("video")
    assert sink.events == [
        TrackReported("video", True, "TR_1", "avatar"),
        TrackReported("video", False),
    ]
    with video.channel.subscribe() as video_frames, audio.channel.subscribe() as audio_frames:
        picture, audio_frame = room.push_video(), room.push_audio()
        assert await anext(video_frames) is picture
        assert await anext(audio_frames) is audio_frame
        await room.aclose()
        room.push_video()
        assert video_frames.statistics().received == 1


async def test_a_microphone_keeps_its_frames_and_can_be_full() -> None:
    room, _ = await joined()
    track = await room.open_track("microphone", silence())
    (microphone,) = room.microphones
    assert track is microphone
    microphone.pushing.hold()
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(microphone.push, silence())
            await microphone.pushing.wait_held()
            assert microphone.frames == ()
            microphone.pushing.open()
            await microphone.wait_frames()
    microphone.set_muted(True)
    await microphone.aclose()
    assert (microphone.muted, microphone.closed, len(microphone.frames)) == (True, True, 1)


async def test_rooms_are_handed_out_in_the_order_they_were_joined() -> None:
    rooms = ScriptedRooms(agent="bot")
    rooms.joining.fail(ConnectError("ws://here", "no route"), times=1)
    refused, sink = rooms(), RecordingSink()
    with pytest.raises(ConnectError):
        await refused.connect(ACCESS, sink, writers())
    good = rooms()
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(good.connect, ACCESS, sink, writers())
            assert await rooms.next() is good
    assert sink.events == [AgentPresence("bot", active=True)]
    assert rooms.rooms == (refused, good)
    assert not refused.was_joined


async def test_a_slow_close_is_under_the_tests_control() -> None:
    room, _ = await joined()
    room.closing.hold()
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(room.aclose)
            await room.closing.wait_held()
            assert not room.closed
            room.closing.open()
            await room.wait_closed()
    assert room.closed


async def test_an_impossible_script_is_refused() -> None:
    with pytest.raises(ScriptError, match="connects"):
        ScriptedRoom().agent_joins()
    room, sink = await joined()
    with pytest.raises(ScriptError, match="twice"):
        await room.connect(ACCESS, sink, writers())
    with pytest.raises(ScriptError, match="agent_joins"):
        room.agent_activates()


async def test_tokens_are_numbered_and_return_to_a_prior_room() -> None:
    config = AgentConfig("Ada")
    rooms = ScriptedRooms(agent_config=config)
    first = await rooms.tokens(TokenRequest("agt"))
    second = await rooms.tokens(TokenRequest("agt", prior_room_name=first.room_name))
    assert (first.token, first.room_name, first.agent_config) == ("token-1", "room-1", config)
    assert (second.token, second.room_name) == ("token-2", "room-1")
    assert [request.prior_room_name for request in rooms.tokens.requests] == [None, "room-1"]


async def test_settle_lets_ready_tasks_run() -> None:
    steps: list[int] = []

    async def step() -> None:
        for number in range(10):
            steps.append(number)
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(step)
        await settle()
        assert len(steps) == 10
