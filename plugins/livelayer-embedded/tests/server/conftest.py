"""Servers to test against (embedded, and a real one where the environment names it) and clients."""

from __future__ import annotations

import asyncio
import datetime
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

import anyio
import numpy as np
import pytest
from livekit import api, rtc
from livelayer_embedded import EmbeddedServer

from livelayer_bus.rooms import keep
from livelayer_bus.testing import PATIENCE
from tests.support import every, lasting_port

LEAVE_SECONDS = 5.0
CONNECTIONS = ("one connection", "two connections")
either_mode = pytest.mark.parametrize("connections", CONNECTIONS, indirect=True)
"""Runs a test with clients that use one peer connection, and with clients that use two."""

EVENTS = (
    "participant_connected",
    "participant_disconnected",
    "participant_attributes_changed",
    "participant_metadata_changed",
    "participant_name_changed",
    "participant_permissions_changed",
    "track_published",
    "track_unpublished",
    "track_subscribed",
    "track_unsubscribed",
    "track_muted",
    "track_unmuted",
    "active_speakers_changed",
    "connection_quality_changed",
    "room_metadata_changed",
    "data_received",
    "data_track_published",
    "data_track_unpublished",
    "e2ee_state_changed",
    "disconnected",
    "reconnecting",
    "reconnected",
    "local_track_republished",
)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """The LiveKit SDK runs on asyncio."""
    return "asyncio", {}


class Server(Protocol):
    """What the behaviour tests need of a server, embedded or real."""

    url: str

    def token(self, identity: str, room: str, **options: Any) -> str: ...

    async def kick(self, room: str, identity: str) -> None: ...

    async def delete_room(self, room: str) -> None: ...

    async def mute(self, room: str, identity: str, sid: str) -> None: ...

    async def set_room_metadata(self, room: str, metadata: str) -> None: ...

    async def permit(self, room: str, identity: str, permission: Any) -> None: ...

    async def send(self, room: str, data: bytes, topic: str) -> None: ...


class Embedded:
    """The embedded server, its server-side operations called directly."""

    def __init__(self, server: EmbeddedServer) -> None:
        self.server = server
        self.url = server.url

    def token(self, identity: str, room: str, **options: Any) -> str:
        return self.server.token(identity, room, **options)

    async def kick(self, room: str, identity: str) -> None:
        self.server.rooms.remove_participant(room, identity)

    async def delete_room(self, room: str) -> None:
        self.server.rooms.delete_room(room)

    async def mute(self, room: str, identity: str, sid: str) -> None:
        self.server.rooms.mute_track(room, identity, sid, muted=True)

    async def set_room_metadata(self, room: str, metadata: str) -> None:
        self.server.rooms.update_room_metadata(room, metadata)

    async def permit(self, room: str, identity: str, permission: Any) -> None:
        self.server.rooms.update_participant(room, identity, permission=permission)

    async def send(self, room: str, data: bytes, topic: str) -> None:
        self.server.rooms.send_data(room, data, topic=topic)


class Real:
    """A real LiveKit server, its server-side operations through livekit-api."""

    def __init__(self) -> None:
        self.url = os.environ["LIVEKIT_URL"]
        self._key = os.environ["LIVEKIT_API_KEY"]
        self._secret = os.environ["LIVEKIT_API_SECRET"]

    def token(self, identity: str, room: str, **options: Any) -> str:
        token = api.AccessToken(self._key, self._secret).with_identity(identity)
        token = token.with_name(options.pop("name", "")).with_metadata(options.pop("metadata", ""))
        token = token.with_attributes(options.pop("attributes", {}))
        token = token.with_kind(options.pop("kind", "standard"))
        token = token.with_ttl(datetime.timedelta(seconds=options.pop("ttl", 600)))
        options.setdefault("room_join", bool(room))
        options.setdefault("can_update_own_metadata", True)
        return token.with_grants(api.VideoGrants(room=room, **options)).to_jwt()

    async def _call(self, work: Callable[[api.LiveKitAPI], Awaitable[Any]]) -> None:
        async with api.LiveKitAPI(self.url, self._key, self._secret) as client:
            await work(client)

    async def kick(self, room: str, identity: str) -> None:
        request = api.RoomParticipantIdentity(room=room, identity=identity)
        await self._call(lambda client: client.room.remove_participant(request))

    async def delete_room(self, room: str) -> None:
        await self._call(lambda client: client.room.delete_room(api.DeleteRoomRequest(room=room)))

    async def mute(self, room: str, identity: str, sid: str) -> None:
        request = api.MuteRoomTrackRequest(room=room, identity=identity, track_sid=sid, muted=True)
        await self._call(lambda client: client.room.mute_published_track(request))

    async def set_room_metadata(self, room: str, metadata: str) -> None:
        request = api.UpdateRoomMetadataRequest(room=room, metadata=metadata)
        await self._call(lambda client: client.room.update_room_metadata(request))

    async def permit(self, room: str, identity: str, permission: Any) -> None:
        request = api.UpdateParticipantRequest(room=room, identity=identity, permission=permission)
        await self._call(lambda client: client.room.update_participant(request))

    async def send(self, room: str, data: bytes, topic: str) -> None:
        request = api.SendDataRequest(room=room, data=data, topic=topic)
        await self._call(lambda client: client.room.send_data(request))


@pytest.fixture
async def embedded() -> AsyncIterator[EmbeddedServer]:
    """A running embedded server."""
    async with EmbeddedServer(port=lasting_port()) as server:
        yield server


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.livekit)])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    """The embedded server, and a real one if LIVEKIT_URL, _API_KEY and _API_SECRET are set."""
    if request.param == "real":
        if not os.environ.get("LIVEKIT_URL"):
            pytest.skip("need LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET")
        yield Real()
        return
    async with EmbeddedServer() as running:
        yield Embedded(running)


class Member:
    """A client in a room whose events can be waited for."""

    def __init__(self, name: str) -> None:
        self.room = rtc.Room()
        self._events: dict[str, asyncio.Queue[tuple[Any, ...]]] = {}
        for event in EVENTS:
            queue: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()
            self._events[event] = queue
            self.room.on(event, lambda *args, queue=queue: queue.put_nowait(args))  # type: ignore[arg-type]  # event is one of the SDK's literals
        self.name = name

    @property
    def me(self) -> rtc.LocalParticipant:
        return self.room.local_participant

    async def next(self, event: str) -> tuple[Any, ...]:
        """The arguments of the next event of this name."""
        with anyio.fail_after(PATIENCE):
            return await self._events[event].get()

    def seen(self, event: str) -> int:
        """How many events of this name have not been taken yet."""
        return self._events[event].qsize()

    async def sees(self, identity: str) -> rtc.RemoteParticipant:
        """Another participant, once it is there."""
        while identity not in self.room.remote_participants:
            await self.next("participant_connected")
        return self.room.remote_participants[identity]

    async def data(self) -> rtc.DataPacket:
        """The next data packet."""
        packet: rtc.DataPacket = (await self.next("data_received"))[0]
        return packet


Join = Callable[..., Awaitable[Member]]


@pytest.fixture
def connections(request: pytest.FixtureRequest) -> str:
    """How many peer connections clients use: one, their default, unless a test is parametrized."""
    return str(getattr(request, "param", CONNECTIONS[0]))


@pytest.fixture
async def join_at(connections: str) -> AsyncIterator[Callable[..., Awaitable[Member]]]:
    """Connects clients with a url and a token; all of them leave at the end."""
    members: list[Member] = []

    async def connect(url: str, token: str, name: str = "", **options: Any) -> Member:
        member = Member(name)
        options.setdefault("single_peer_connection", connections == "one connection")
        with anyio.fail_after(PATIENCE):
            await member.room.connect(url, token, rtc.RoomOptions(**options))
        keep(member.room)
        members.append(member)
        return member

    yield connect
    for member in members:
        with anyio.move_on_after(LEAVE_SECONDS):  # a server that is gone never answers it
            await member.room.disconnect()


@pytest.fixture
def room_name() -> str:
    """A name no other test uses."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def join(server: Server, join_at: Any, room_name: str) -> Join:
    """Joins this test's room: `await join("alice", can_publish=False)`."""

    async def joined(identity: str, options: dict[str, Any] | None = None, **grants: Any) -> Member:
        token = server.token(identity, room_name, **grants)
        member: Member = await join_at(server.url, token, identity, **(options or {}))
        return member

    return joined


@pytest.fixture
def enter(embedded: EmbeddedServer, join_at: Any, room_name: str) -> Join:
    """Joins this test's room on the embedded server."""

    async def entered(identity: str, **grants: Any) -> Member:
        token = embedded.token(identity, room_name, **grants)
        member: Member = await join_at(embedded.url, token, identity)
        return member

    return entered


class Camera:
    """A published video track that is fed a moving picture."""

    def __init__(self, width: int, height: int, fps: int = 30) -> None:
        self.source = rtc.VideoSource(width, height)
        self.track = rtc.LocalVideoTrack.create_video_track("camera", self.source)
        self.metadata: rtc.FrameMetadata | None = None
        self._size = (width, height)
        self._fps = fps
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Camera:
        self._task = asyncio.get_running_loop().create_task(self._feed())
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.source.aclose()

    async def _feed(self) -> None:
        width, height = self._size
        plane = np.tile(np.arange(width, dtype=np.uint8), (height, 1))
        chroma = np.full(width * height // 2, 128, np.uint8).tobytes()
        count = 0
        async for _ in every(1 / self._fps):
            luma = np.roll(plane, count * 4, axis=1).tobytes()
            frame = rtc.VideoFrame(width, height, rtc.VideoBufferType.I420, luma + chroma)
            self.source.capture_frame(frame, metadata=self.metadata)
            count += 1


class Microphone:
    """A published audio track that is fed a tone."""

    def __init__(self, name: str = "microphone") -> None:
        self.source = rtc.AudioSource(48000, 1)
        self.track = rtc.LocalAudioTrack.create_audio_track(name, self.source)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Microphone:
        self._task = asyncio.get_running_loop().create_task(self._feed())
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.source.aclose()

    async def _feed(self) -> None:
        tone = (np.sin(np.arange(480) * 2 * np.pi * 440 / 48000) * 12000).astype(np.int16)
        while True:
            await self.source.capture_frame(rtc.AudioFrame(tone.tobytes(), 48000, 1, 480))


async def frames(track: rtc.Track, count: int) -> list[Any]:
    """The next `count` video frame events of a track."""
    stream = rtc.VideoStream(track)
    taken: list[Any] = []
    try:
        with anyio.fail_after(PATIENCE):
            async for event in stream:
                taken.append(event)
                if len(taken) == count:
                    break
    finally:
        await stream.aclose()
    return taken


async def loud(track: rtc.Track) -> bool:
    """Wait until a track is audible; True."""
    stream = rtc.AudioStream(track)
    try:
        with anyio.fail_after(PATIENCE):
            async for event in stream:
                if np.abs(np.frombuffer(event.frame.data, np.int16)).max() > 2000:
                    return True
    finally:
        await stream.aclose()
    return False
