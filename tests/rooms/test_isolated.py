"""A room in a thread of its own: the same for its session, on whatever loop, blocked or not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextvars import Context
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
import pytest
from livekit import api
from livelayer_embedded import EmbeddedServer

from livelayer_bus.clock import now_ns
from livelayer_bus.errors import BrokenError, ClosedError, ConnectError, MisuseError
from livelayer_bus.events import TranscriptUpdated
from livelayer_bus.media import AudioFrame, AudioWriter, VideoFrame, VideoWriter
from livelayer_bus.rooms import (
    AgentStateReported,
    IsolatedRoom,
    LiveKitRoom,
    RoomEvent,
    RoomFactory,
)
from livelayer_bus.session import Session
from livelayer_bus.testing import PATIENCE, grey_picture, polled, silence
from livelayer_bus.tokens import LiteralToken, RoomAccess
from tests.rooms.kit import (
    Painter,
    RecordingSink,
    Stage,
    embedded_stage,
    new_writers,
)

pytestmark = [pytest.mark.anyio, pytest.mark.realtime]

T = TypeVar("T")
THREAD = "livelayer room"


class Isolated:
    """A room that has joined, and the channels it feeds."""

    def __init__(self, room: IsolatedRoom, video: VideoWriter, audio: AudioWriter) -> None:
        self.room = room
        self.video = video
        self.audio = audio


@pytest.fixture
async def joined(stage: Stage, sink: RecordingSink) -> AsyncIterator[Isolated]:
    """A user of ours whose SDK has a thread of its own, which ends with the room."""
    video, audio, writers = new_writers()
    sink.writers = video, audio
    room = IsolatedRoom()
    await room.connect(stage.access(), sink, writers)
    yield Isolated(room, video, audio)
    await room.aclose()
    await polled(lambda: THREAD not in {thread.name for thread in threading.enumerate()})


async def test_attributes_are_set_through_the_thread(stage: Stage, joined: Isolated) -> None:
    guest = await stage.join("guest")
    await polled(lambda: "user" in guest.remote_participants)
    await joined.room.set_attributes({"mood": "good"})
    await polled(lambda: guest.remote_participants["user"].attributes == {"mood": "good"})


async def test_data_agent_and_states_are_reported_in_order_at_home(
    stage: Stage, joined: Isolated, sink: RecordingSink
) -> None:
    agent = await stage.agent(state="thinking")
    await sink.saw("agent", "agent", True)
    await sink.saw("agent_state", "thinking")
    sent = [str(number).encode() for number in range(200)]
    for data in sent:
        await agent.local_participant.publish_data(data)
    await sink.until(lambda: len(sink.named("packet")) == len(sent))
    assert [call[0] for call in sink.named("packet")] == sent
    got: asyncio.Queue[bytes] = asyncio.Queue()
    agent.on("data_received", lambda packet: got.put_nowait(packet.data))
    await joined.room.send(b"hello")
    with anyio.fail_after(PATIENCE):
        assert await got.get() == b"hello"


async def test_a_sink_that_raises_loses_nothing_else(
    stage: Stage, joined: Isolated, sink: RecordingSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = sink.report

    def fail(event: RoomEvent) -> None:
        if isinstance(event, AgentStateReported):
            raise ValueError("a fault of the sink's")
        report(event)

    monkeypatch.setattr(sink, "report", fail)
    agent = await stage.agent(state="thinking")
    await agent.local_participant.publish_data(b"after it")
    await sink.until(lambda: any(call[0] == b"after it" for call in sink.named("packet")))


async def test_words_are_numbered_as_their_streams_open(
    stage: Stage, joined: Isolated, sink: RecordingSink
) -> None:
    agent = await stage.agent()
    await sink.saw("agent", "agent", True)
    for words in ("one", "two"):
        await agent.local_participant.send_text(words, topic="lk.transcription")
    await sink.until(lambda: {entry.text for entry in sink.entries} >= {"one", "two"})
    assert {entry.text: entry.opened for entry in sink.entries} == {"one": 1, "two": 2}


async def test_our_sound_and_pictures_reach_the_room(
    stage: Stage, joined: Isolated, sink: RecordingSink
) -> None:
    agent = await stage.agent()
    kinds: asyncio.Queue[int] = asyncio.Queue()
    agent.on("track_subscribed", lambda track, *_: kinds.put_nowait(track.kind))
    gone = asyncio.Event()
    agent.on("track_unpublished", lambda *_: gone.set())
    microphone = await joined.room.open_track("microphone", silence())
    camera = await joined.room.open_track("camera", grey_picture(64, 48))
    with anyio.fail_after(PATIENCE):
        assert {await kinds.get(), await kinds.get()} == {1, 2}
        microphone.set_muted(True)
        microphone.set_muted(False)
        await microphone.push(AudioFrame(bytes(960), 48_000, 1, 480))
        await camera.push(VideoFrame(bytes(64 * 48 * 3 // 2), 64, 48))
        with pytest.raises(MisuseError):
            await microphone.push(AudioFrame(bytes(960), 24_000, 1, 480))
        await camera.aclose()
        await camera.aclose()
        await gone.wait()
    with pytest.raises(ClosedError):
        await camera.push(VideoFrame(bytes(64 * 48 * 3 // 2), 64, 48))


async def test_a_room_that_cannot_be_joined_ends_its_thread(sink: RecordingSink) -> None:
    room = IsolatedRoom()
    with pytest.raises(ConnectError):
        await room.connect(RoomAccess("ws://127.0.0.1:1", "none"), sink, new_writers()[2])
    await room.aclose()
    await room.aclose()
    await polled(lambda: THREAD not in {thread.name for thread in threading.enumerate()})
    with pytest.raises(ClosedError):
        await room.connect(RoomAccess("ws://127.0.0.1:1", "none"), sink, new_writers()[2])
    with pytest.raises(BrokenError):
        await room.send(b"too late")


async def test_a_lost_room_is_reported(stage: Stage, joined: Isolated, sink: RecordingSink) -> None:
    async with stage.admin() as admin:
        await admin.room.delete_room(api.DeleteRoomRequest(room=stage.room))
    await sink.until(lambda: bool(sink.losses))
    with pytest.raises(BrokenError):
        await joined.room.send(b"too late")


# On loops that are not the SDK's -------------------------------------------------------------


class Elsewhere:
    """An embedded server, an agent and its picture on a loop of their own."""

    painter: Painter

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` there and return its result."""
        # In a context of its own: the caller's says which kind of loop the caller runs on.
        return Context().run(asyncio.run_coroutine_threadsafe, work, self.loop).result(2 * PATIENCE)

    def stop(self) -> None:
        """End the loop."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    """A loop in another thread."""
    there = Elsewhere()
    yield there
    there.stop()


@pytest.fixture
def far_stage(elsewhere: Elsewhere) -> Iterator[Stage]:
    """A room with an agent and its picture on a server elsewhere."""
    server = EmbeddedServer()

    async def begin() -> tuple[Stage, Painter]:
        await server.__aenter__()
        stage = embedded_stage(server)
        painter = Painter(await stage.agent(), 90)
        await painter.start()
        return stage, painter

    async def end() -> None:
        await painter.stop()
        await stage.aclose()
        await server.__aexit__(None, None, None)

    stage, painter = elsewhere.do(begin())
    elsewhere.painter = painter
    yield stage
    elsewhere.do(end())


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_session_on_any_loop_has_a_real_room(
    backend: str, far_stage: Stage, elsewhere: Elsewhere
) -> None:
    async def main() -> None:
        access = far_stage.access()
        tokens = LiteralToken(access.url, access.token)
        async with Session("agt", tokens=tokens, room=IsolatedRoom) as session:
            with anyio.fail_after(PATIENCE), session.subscribe(TranscriptUpdated) as words:
                await session.connect()
                assert session.room is None
                with session.video.subscribe() as frames:
                    assert (await anext(frames)).nbytes
                agent = far_stage.peers[0].local_participant
                saying = agent.send_text("Good day", topic="lk.transcription")
                asyncio.run_coroutine_threadsafe(saying, elsewhere.loop)
                assert (await anext(words)).entry.text == "Good day"
                await session.send_data({"type": "hello"})

    anyio.run(main, backend=backend)
    for thread in threading.enumerate():
        if thread.name == THREAD:
            thread.join(PATIENCE)  # its last step comes after the room is closed
            assert not thread.is_alive()


@pytest.mark.parametrize("room", [LiveKitRoom, IsolatedRoom])
def test_all_that_is_said_while_the_loop_is_blocked_is_in_the_transcript(
    room: RoomFactory, far_stage: Stage, elsewhere: Elsewhere
) -> None:
    said = [f"utterance {number}" for number in range(300)]

    async def say_all() -> None:
        agent = far_stage.peers[0].local_participant
        for text in said:
            await agent.send_text(text, topic="lk.transcription")

    async def main() -> None:
        access = far_stage.access()
        tokens = LiteralToken(access.url, access.token)
        async with Session("agt", tokens=tokens, room=room) as session:
            await session.connect()
            elsewhere.do(say_all())  # this loop does not run meanwhile
            with anyio.fail_after(PATIENCE), session.subscribe(TranscriptUpdated) as words:
                while len(session.transcript) < len(said):
                    await anext(words)
            assert [entry.text for entry in session.transcript] == said

    anyio.run(main)


@pytest.mark.parametrize("factory", [LiveKitRoom, IsolatedRoom])
def test_pictures_that_a_blocked_loop_misses_are_counted(
    factory: type[LiveKitRoom | IsolatedRoom], far_stage: Stage, elsewhere: Elsewhere
) -> None:
    async def main() -> None:
        video, audio, writers = new_writers()
        sink = RecordingSink()
        sink.writers = video, audio
        room = factory()
        await room.connect(far_stage.access(), sink, writers)
        with anyio.fail_after(PATIENCE), video.channel.subscribe() as frames:
            await anext(frames)
            while not video.channel.statistics().dropped:
                elsewhere.do(elsewhere.painter.sends(30))  # this loop does not run meanwhile
                await anext(frames)
        await room.aclose()

    anyio.run(main)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_blocked_loop_piles_nothing_up_and_goes_on_with_the_newest_picture(
    backend: str, far_stage: Stage, elsewhere: Elsewhere
) -> None:
    async def main() -> None:
        video, audio, writers = new_writers()
        sink = RecordingSink()
        sink.writers = video, audio
        room = IsolatedRoom()
        await room.connect(far_stage.access(), sink, writers)

        def block_until_dropped(more: int) -> None:
            goal = room.statistics().video_dropped + more

            async def until_dropped() -> None:
                with anyio.fail_after(PATIENCE):
                    while room.statistics().video_dropped < goal:
                        await elsewhere.painter.sends(1)

            elsewhere.do(until_dropped())

        with anyio.fail_after(PATIENCE), video.channel.subscribe() as frames:
            await anext(frames)
            pushed = video.channel.statistics().pushed
            # The fault that is shown: this loop stands still, while pictures come and go.
            block_until_dropped(20)
            before_ns = now_ns()
            block_until_dropped(1)
            await anyio.lowlevel.checkpoint()
            await anext(frames)  # at best the one that waited here before
            frame = await anext(frames)
            assert frame.received_ns > before_ns
            assert video.channel.statistics().pushed - pushed <= 10
        await room.aclose()

    anyio.run(main, backend=backend)
