"""What the room tests are made of: a sink that remembers, a server of either kind, real peers."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

import anyio
from livekit import api, rtc
from livekit.rtc._ffi_client import FfiClient
from livekit.rtc.participant import UnpublishTrackError
from livelayer_embedded import EmbeddedServer

from livelayer_bus.events import TranscriptEntry
from livelayer_bus.media import AudioWriter, VideoWriter
from livelayer_bus.rooms import (
    AgentPresence,
    AgentStateReported,
    ConnectionInterrupted,
    ConnectionRestored,
    EventReplayed,
    LiveKitRoom,
    MediaWriters,
    PacketReceived,
    RoomEvent,
    RoomLost,
    TrackReported,
    UtteranceHeard,
    keep,
    prepare_sdk,
)
from livelayer_bus.testing import PATIENCE, polled
from livelayer_bus.testing.waiting import Signal
from livelayer_bus.tokens import RoomAccess
from tests.support import every

WIDTH, HEIGHT = 64, 48
ON_BEHALF = {"lk.publish_on_behalf": "agent"}


class Server(Protocol):
    """A LiveKit server, embedded or real."""

    @property
    def url(self) -> str: ...

    def token(
        self,
        identity: str,
        room: str = "",
        *,
        kind: Any = "standard",
        attributes: dict[str, str] | None = None,
        ttl: float = 3600,
        **grants: Any,
    ) -> str: ...


@dataclass
class RealServer:
    """The server that the environment names."""

    url: str
    key: str
    secret: str = field(repr=False)

    def token(
        self,
        identity: str,
        room: str = "",
        *,
        kind: Any = "standard",
        attributes: dict[str, str] | None = None,
        ttl: float = 3600,
        **grants: Any,
    ) -> str:
        """A token of this server, as `EmbeddedServer.token` mints them."""
        video: dict[str, Any] = {"room_join": bool(room), "can_update_own_metadata": True, **grants}
        token = api.AccessToken(self.key, self.secret).with_identity(identity).with_kind(kind)
        token = token.with_grants(api.VideoGrants(room=room, **video))
        token = token.with_attributes(attributes or {}).with_ttl(timedelta(seconds=ttl))
        return str(token.to_jwt())


@dataclass
class Stage:
    """One room of one server, and who is in it."""

    server: Server
    key: str
    secret: str = field(repr=False)
    room: str = field(default_factory=lambda: "t-" + secrets.token_hex(6))
    peers: list[rtc.Room] = field(default_factory=list)

    def access(self, identity: str = "user", **token: Any) -> RoomAccess:
        """What a session would get from its token source."""
        return RoomAccess(
            self.server.url, self.server.token(identity, self.room, **token), self.room
        )

    async def join(self, identity: str, *, room: rtc.Room | None = None, **token: Any) -> rtc.Room:
        """Join as a plain SDK client, with a room that has its handlers already or a new one."""
        room = room or rtc.Room()
        options = rtc.RoomOptions(single_peer_connection=False)
        jwt = self.server.token(identity, self.room, **token)
        await room.connect(self.server.url, jwt, options)
        keep(room)
        self.peers.append(room)
        return room

    async def agent(
        self, identity: str = "agent", state: str | None = "listening", **more: str
    ) -> rtc.Room:
        """Join as an agent."""
        attributes = {**({"lk.agent.state": state} if state else {}), **more}
        return await self.join(identity, kind="agent", attributes=attributes)

    async def worker(self, identity: str = "worker", agent: str = "agent") -> rtc.Room:
        """Join on behalf of an agent, as one whose attributes only the server can set."""
        attributes = {"lk.publish_on_behalf": agent}
        return await self.join(identity, attributes=attributes, can_update_own_metadata=False)

    def admin(self) -> api.LiveKitAPI:
        """The server's API."""
        return api.LiveKitAPI(self.server.url.replace("ws", "http", 1), self.key, self.secret)

    async def aclose(self) -> None:
        """Send everybody home."""
        for peer in self.peers:
            await peer.disconnect()


class RecordingSink:
    """A `RoomSink` that keeps what it is told and lets a test wait for more."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.entries: list[TranscriptEntry] = []
        self.losses: list[RoomLost] = []
        self.writers: tuple[VideoWriter, AudioWriter] | None = None
        self._signal = Signal()

    def report(self, event: RoomEvent) -> None:
        match event:
            case ConnectionInterrupted(reason):
                self.calls.append(("reconnecting", reason))
            case ConnectionRestored():
                self.calls.append(("reconnected",))
            case RoomLost():
                self.losses.append(event)
                self.calls.append(("lost", event))
            case AgentPresence(identity, active):
                self.calls.append(("agent", identity, active))
            case AgentStateReported(raw):
                self.calls.append(("agent_state", raw))
            case PacketReceived(data, sender, topic, from_agent):
                self.calls.append(("packet", data, sender, topic, from_agent))
            case UtteranceHeard(entry):
                self.entries.append(entry)
                self.calls.append(("transcription", entry))
            case TrackReported(kind, available, _, participant):
                if self.writers is not None:  # as a session does
                    self.writers[kind == "audio"].set_available(available)
                self.calls.append(("track", kind, available, participant))
            case EventReplayed(recorded):
                self.calls.append(("replayed", recorded))
        self._signal.notify()

    def named(self, name: str) -> list[tuple[Any, ...]]:
        """The arguments of every call of that name."""
        return [call[1:] for call in self.calls if call[0] == name]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once `condition()` is true after a call."""
        with anyio.fail_after(PATIENCE):
            await self._signal.wait_for(condition)

    async def saw(self, *call: Any) -> None:
        """Return once exactly this call was made."""
        await self.until(lambda: call in self.calls)


async def end_track(room: rtc.Room, sid: str) -> None:
    """Take one track out of the room, as a test's avatar does at its end.

    While the SDK restores a connection (1.1.21, on a busy machine) such a request fails or is never
    answered; the track ends with its participant then.
    """
    with anyio.move_on_after(PATIENCE), contextlib.suppress(UnpublishTrackError):
        await room.local_participant.unpublish_track(sid)


class Painter:
    """Publishes one video track of a single grey from a task of its own."""

    def __init__(self, room: rtc.Room, luma: int) -> None:
        self._room = room
        self._source = rtc.VideoSource(WIDTH, HEIGHT)
        self._data = bytearray([luma]) * (WIDTH * HEIGHT) + b"\x80" * (WIDTH * HEIGHT // 2)
        self.track = rtc.LocalVideoTrack.create_video_track("face", self._source)
        self._task: asyncio.Task[None] | None = None
        self._sid = ""
        self._number = 0
        self._painted = Signal()

    async def start(self, **options: Any) -> None:
        """Publish and paint until stopped."""
        defaults: dict[str, Any] = {"source": rtc.TrackSource.SOURCE_CAMERA, "simulcast": False}
        settings = rtc.TrackPublishOptions(**{**defaults, **options})
        published = await self._room.local_participant.publish_track(self.track, settings)
        self._sid = published.sid
        self._task = asyncio.create_task(self._paint())

    async def _paint(self) -> None:
        async for _ in every(1 / 30):
            self._number = number = self._number + 1
            frame = rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.I420, self._data)
            metadata = rtc.FrameMetadata(user_timestamp=1_000_000 + number, frame_id=number)
            self._source.capture_frame(
                frame, rotation=rtc.VideoRotation.VIDEO_ROTATION_90, metadata=metadata
            )
            self._painted.notify()

    async def sends(self, more: int) -> None:
        """Return when it has sent so many more pictures."""
        goal = self._number + more
        with anyio.fail_after(PATIENCE):
            await self._painted.wait_for(lambda: self._number >= goal)

    async def stop(self, *, unpublish: bool = True) -> None:
        """Stop painting and unpublish."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        if unpublish:
            await end_track(self._room, self._sid)


class Speaker:
    """Publishes one audio track of a constant level from a task of its own."""

    def __init__(self, room: rtc.Room) -> None:
        self._room = room
        self._source = rtc.AudioSource(48_000, 1, queue_size_ms=100)
        self.track = rtc.LocalAudioTrack.create_audio_track("voice", self._source)
        self._task: asyncio.Task[None] | None = None
        self._number = 0
        self._spoken = Signal()

    async def start(self) -> None:
        """Publish and speak until stopped."""
        settings = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self._room.local_participant.publish_track(self.track, settings)
        self._task = asyncio.create_task(self._speak())

    async def _speak(self) -> None:
        square = (b"\x00\x20" * 40 + b"\x00\xe0" * 40) * 6
        while True:
            await self._source.capture_frame(rtc.AudioFrame(square, 48_000, 1, 480))
            self._number += 1
            self._spoken.notify()

    async def sends(self, more: int) -> None:
        """Return when it has sent so many more stretches of 10 ms."""
        goal = self._number + more
        with anyio.fail_after(PATIENCE):
            await self._spoken.wait_for(lambda: self._number >= goal)

    async def stop(self) -> None:
        """Stop speaking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        await self._source.aclose()


@asynccontextmanager
async def nothing_left() -> AsyncGenerator[None]:
    """Fail if a task or an SDK queue of the block does not end after it; for fixtures.

    Unlike `no_leaked_tasks` it knows the runner's own task, which is another one at teardown.
    """
    prepare_sdk()  # its own reader stays
    before = asyncio.all_tasks()
    queues = FfiClient.instance.queue
    subscribed = len(queues._subscribers)
    yield

    def left() -> list[str]:
        names = [repr(task.get_coro()) for task in asyncio.all_tasks() - before]
        return [name for name in names if "_call_in_runner_task" not in name]

    # The SDK copies every event into each queue that is subscribed: one left behind grows for ever.
    # The end of a foreign task has no event.
    with contextlib.suppress(TimeoutError):
        await polled(lambda: not left() and len(queues._subscribers) <= subscribed)
    assert left() == []
    assert len(queues._subscribers) <= subscribed


def new_writers() -> tuple[VideoWriter, AudioWriter, MediaWriters]:
    """Channels as a session would make them."""
    video, audio = VideoWriter(), AudioWriter()
    return video, audio, MediaWriters(video, audio)


def embedded_stage(server: EmbeddedServer) -> Stage:
    """A room on an embedded server."""
    return Stage(server, server.key, server.secret)


@dataclass
class Joined:
    """A room adapter that has joined, and the channels it feeds."""

    room: LiveKitRoom
    video: VideoWriter
    audio: AudioWriter
