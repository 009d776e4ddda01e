"""A session whose agent shows stamped pictures and says a tone, its media, and pages to play it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Protocol

import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpTransceiver, RTCSessionDescription
from aiortc.rtcconfiguration import RTCBundlePolicy
from aiortc.rtp import RtcpPsfbPacket, RtcpReceiverInfo, RtcpRrPacket, RtpPacket
from aiortc.sdp import SessionDescription
from livelayer_benchmarks.signals.stamped_video import Painter
from livelayer_web import MediaSettings
from livelayer_web.media import Media, MediaConnection
from livelayer_web.media.aiortc_private import close_peer
from playwright.async_api import Page, Route

from livelayer_bus import Session
from livelayer_bus.media import AudioFrame, VideoFrame
from livelayer_bus.surfaces import MountedSurface, SurfaceSession
from livelayer_bus.testing import ScriptedRoom, ScriptedRooms, polled
from tests.support import every

ADDRESS = "http://localhost/"  # a secure context, answered by the test itself
SAMPLE_RATE = 48_000
TONE = 440.0  # Hz
FRAME_MS = 20
SECTIONS = (
    ("audio", "recvonly"),
    ("video", "recvonly"),
    ("audio", "sendonly"),
    ("video", "sendonly"),
    ("video", "sendonly"),
)

PAGE = """<!doctype html><title>peer</title>
<video id=picture muted autoplay playsinline></video><audio id=audio autoplay></audio>"""

SCRIPT = """
window.offer = async (pc) => {
  await pc.setLocalDescription();
  return pc.localDescription.sdp;
};
window.play = async (sources, codec) => {
  const pc = window.pc = new RTCPeerConnection({bundlePolicy: 'max-bundle'});
  const codecs = RTCRtpReceiver.getCapabilities('video').codecs;
  const prefer = (transceiver) => transceiver.setCodecPreferences(
    [...codecs].sort((one, other) => (other.mimeType === codec) - (one.mimeType === codec)));
  pc.addTransceiver('audio', {direction: 'recvonly'});
  prefer(pc.addTransceiver('video', {direction: 'recvonly'}));
  if (sources) for (const kind of ['audio', 'video', 'video'])
    pc.addTransceiver(kind, {direction: 'sendonly'});
  pc.ontrack = ({track, streams}) => {
    const element = document.querySelector(track.kind === 'video' ? '#picture' : '#audio');
    element.srcObject = new MediaStream([track]);
  };
  const video = document.querySelector('#picture');
  window.firstFrame = new Promise((resolve) =>
    video.requestVideoFrameCallback(() => resolve(performance.now() - started)));
  const started = performance.now();
  const answer = await window.whep(await window.offer(pc));
  window.answered = performance.now() - started;
  await pc.setRemoteDescription({type: 'answer', sdp: answer});
};
"""


class Agent:
    """Feeds a scripted room: a stamped picture 30 times a second, and a tone."""

    def __init__(self, room: ScriptedRoom, width: int = 640, height: int = 360) -> None:
        self.room = room
        self._painter = Painter(width, height)
        self._tasks: list[asyncio.Task[None]] = []
        samples = np.arange(SAMPLE_RATE // 10) * (2 * math.pi * TONE / SAMPLE_RATE)
        self._tone = (np.sin(samples) * 8000).astype(np.int16)

    def start(self) -> None:
        self.room.track_starts("video")
        self.room.track_starts("audio")
        self._tasks = [
            asyncio.create_task(self._show(), name="agent's picture"),
            asyncio.create_task(self._speak(), name="agent's voice"),
        ]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    async def _show(self) -> None:
        async for _ in every(1 / 30):
            picture = bytes(self._painter.paint())
            frame = VideoFrame(picture, self._painter.width, self._painter.height)
            self.room.push_video(frame)

    async def _speak(self) -> None:
        length = SAMPLE_RATE * FRAME_MS // 1000
        position = 0
        async for _ in every(FRAME_MS / 1000):
            data = self._tone[position : position + length].tobytes()
            position = (position + length) % len(self._tone)
            self.room.push_audio(AudioFrame(data, SAMPLE_RATE, 1, length))


@pytest.fixture
def rooms() -> ScriptedRooms:
    return ScriptedRooms(agent="agent")


@pytest.fixture
async def session(anyio_backend: object, rooms: ScriptedRooms) -> AsyncGenerator[Session]:
    async with Session("agt", tokens=rooms.tokens, room=rooms) as session:
        await session.connect()
        yield session


@pytest.fixture
async def room(session: Session, rooms: ScriptedRooms) -> ScriptedRoom:
    """The room that the session is in."""
    return await rooms.next()


@pytest.fixture
async def agent(room: ScriptedRoom) -> AsyncGenerator[Agent]:
    agent = Agent(room)
    agent.start()
    yield agent
    await agent.stop()


class Serve:
    """Mounts media on the session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._mounted: list[MountedSurface] = []

    async def __call__(self, settings: MediaSettings | None = None, **options: Any) -> Media:
        """Mount it with settings of one's own; returns once it runs."""
        ready: asyncio.Future[Media] = asyncio.get_running_loop().create_future()

        async def surface(session: SurfaceSession) -> None:
            media = Media(session, settings, **options)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(media.run())
                tasks.create_task(report(media))

        async def report(media: Media) -> None:
            ready.set_result(media)

        key = f"media-{len(self._mounted)}"
        self._mounted.append(self._session.mount(surface, key=key))
        return await ready

    async def unmount(self) -> None:
        """End all that was mounted."""
        for surface in self._mounted:
            await surface.unmount()
        self._mounted.clear()


@pytest.fixture
async def serve(session: Session) -> AsyncGenerator[Serve]:
    """Starts media on the session; all end with the test."""
    serve = Serve(session)
    yield serve
    await serve.unmount()


@pytest.fixture
async def offer(anyio_backend: object) -> str:
    """A page's offer, with its sources."""
    peer = RTCPeerConnection(RTCConfiguration([], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
    for kind, direction in SECTIONS:
        peer.addTransceiver(kind, direction=direction)
    description = await peer.createOffer()
    await peer.close()
    return description.sdp


class Viewer:
    """A page without a browser: aiortc plays the media, decoding nothing."""

    def __init__(self, connection: MediaConnection, peer: RTCPeerConnection) -> None:
        self.connection = connection
        self.peer = peer
        self.packets: dict[str, int] = {"audio": 0, "video": 0}
        self.on_packet: Callable[[RtpPacket], None] | None = None

    @property
    def picture(self) -> Any:
        """The receiver of the picture, private parts included."""
        return next(one.receiver for one in self.peer.getTransceivers() if one.kind == "video")

    def count(self, transceiver: RTCRtpTransceiver) -> None:
        """Count the packets of a track in place of decoding them."""
        receiver: Any = transceiver.receiver

        async def counted(packet: RtpPacket, arrival_time_ms: int) -> None:
            self.packets[transceiver.kind] += 1
            if self.on_packet is not None and transceiver.kind == "video":
                self.on_packet(packet)

        receiver._handle_rtp_packet = counted

    async def aclose(self) -> None:
        """Leave."""
        await close_peer(self.peer)

    async def send_feedback(self, fmt: int, fci: bytes = b"") -> None:
        """Send what a receiver says of the picture."""
        media_ssrc = 0 if fci else self.ssrc
        packet = RtcpPsfbPacket(fmt=fmt, ssrc=1, media_ssrc=media_ssrc, fci=fci)
        await self.picture.transport._send_rtp(bytes(packet))

    async def send_loss(self, fraction: float) -> None:
        """Say that a part of the picture's packets was lost."""
        report = RtcpReceiverInfo(
            ssrc=self.ssrc,
            fraction_lost=round(fraction * 256),
            packets_lost=1,
            highest_sequence=1,
            jitter=0,
            lsr=0,
            dlsr=0,
        )
        await self.picture.transport._send_rtp(bytes(RtcpRrPacket(ssrc=1, reports=[report])))

    @property
    def ssrc(self) -> int:
        """Of the picture, as the answer says."""
        answer = SessionDescription.parse(self.peer.remoteDescription.sdp)
        return next(item.ssrc[0].ssrc for item in answer.media if item.kind == "video")


class View(Protocol):
    """Connects a viewer."""

    async def __call__(self, media: Media) -> Viewer: ...


@pytest.fixture
async def view() -> AsyncGenerator[View]:
    """Connects viewers without a browser; all are closed with the test."""
    viewers: list[Viewer] = []

    async def start(media: Media) -> Viewer:
        configuration = RTCConfiguration([], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        peer = RTCPeerConnection(configuration)
        for kind in ("audio", "video"):
            peer.addTransceiver(kind, direction="recvonly")
        await peer.setLocalDescription()
        connection = await media.connect(peer.localDescription.sdp)
        viewer = Viewer(connection, peer)
        viewers.append(viewer)
        for transceiver in peer.getTransceivers():
            viewer.count(transceiver)
        await peer.setRemoteDescription(RTCSessionDescription(connection.answer, "answer"))
        return viewer

    yield start
    for viewer in viewers:
        await viewer.aclose()


@pytest.fixture
async def media(serve: Serve) -> Media:
    return await serve()


class Play(Protocol):
    """Has a page play the media; returns the server's side of the connection."""

    async def __call__(self, page: Page, media: Media, **options: Any) -> MediaConnection: ...


@pytest.fixture
def play() -> Play:
    async def start(page: Page, media: Media, **options: Any) -> MediaConnection:
        made: list[MediaConnection] = []

        async def whep(offer: str) -> str:
            connection = await media.connect(offer)
            made.append(connection)
            return connection.answer

        async def answer(route: Route) -> None:
            await route.fulfill(body=PAGE, content_type="text/html")

        await page.expose_function("whep", whep)
        await page.route(f"{ADDRESS}**", answer)
        await page.goto(ADDRESS)
        await page.add_script_tag(content=SCRIPT)
        wanted = [options.get("sources", True), options.get("codec", "video/VP8")]
        await page.evaluate("(wanted) => window.play(...wanted)", wanted)
        return made[0]

    return start


Until = Callable[[Callable[[], bool]], Awaitable[None]]


@pytest.fixture
def until() -> Until:
    """Waits for what has no event; a test that waits for ever fails by its time limit."""

    async def wait(condition: Callable[[], bool]) -> None:
        await polled(condition)

    return wait
