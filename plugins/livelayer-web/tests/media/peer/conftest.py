"""A session whose agent shows stamped pictures and says a tone, its media, and pages to play it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Protocol

import numpy as np
import pytest
from livelayer_web.media import Media, MediaConnection, MediaSettings
from playwright.async_api import Page, Route

from livelayer_bus import Session
from livelayer_bus.bench.picture import Painter
from livelayer_bus.media import AudioFrame, VideoFrame
from livelayer_bus.surface import SurfaceSession
from livelayer_bus.testing import ScriptedRoom, ScriptedRooms

ADDRESS = "http://localhost/"  # a secure context, answered by the test itself
SAMPLE_RATE = 48_000
TONE = 440.0  # Hz
FRAME_MS = 20

PAGE = """<!doctype html><title>peer</title>
<video id=picture muted autoplay playsinline></video><audio id=sound autoplay></audio>"""

SCRIPT = """
window.offer = async (pc) => {
  await pc.setLocalDescription();
  return pc.localDescription.sdp;
};
window.play = async (sources = true) => {
  const pc = window.pc = new RTCPeerConnection({bundlePolicy: 'max-bundle'});
  pc.addTransceiver('audio', {direction: 'recvonly'});
  pc.addTransceiver('video', {direction: 'recvonly'});
  if (sources) for (const kind of ['audio', 'video', 'video'])
    pc.addTransceiver(kind, {direction: 'sendonly'});
  pc.ontrack = ({track, streams}) => {
    const element = document.querySelector(track.kind === 'video' ? '#picture' : '#sound');
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
        async for _ in _beats(1 / 30):
            picture = bytes(self._painter.paint())
            frame = VideoFrame(picture, self._painter.width, self._painter.height)
            self.room.push_video(frame)

    async def _speak(self) -> None:
        length = SAMPLE_RATE * FRAME_MS // 1000
        position = 0
        async for _ in _beats(FRAME_MS / 1000):
            data = self._tone[position : position + length].tobytes()
            position = (position + length) % len(self._tone)
            self.room.push_audio(AudioFrame(data, SAMPLE_RATE, 1, length))


async def _beats(interval: float) -> AsyncGenerator[None]:
    due = time.monotonic()
    while True:
        yield
        due = max(due + interval, time.monotonic() - 0.1)
        await asyncio.sleep(due - time.monotonic())


class Served(Protocol):
    """Mounts media with settings of one's own."""

    async def __call__(self, settings: MediaSettings | None = None, **options: Any) -> Media: ...


@pytest.fixture
async def session(anyio_backend: object) -> AsyncGenerator[Session]:
    rooms = ScriptedRooms(agent="agent")
    async with Session("agt", tokens=rooms.tokens, room=rooms) as session:
        await session.connect()
        session.scripted = await rooms.next()  # type: ignore[attr-defined]
        yield session


@pytest.fixture
async def room(session: Session) -> ScriptedRoom:
    return session.scripted  # type: ignore[attr-defined,no-any-return]


@pytest.fixture
async def agent(room: ScriptedRoom) -> AsyncGenerator[Agent]:
    agent = Agent(room)
    agent.start()
    yield agent
    await agent.stop()


@pytest.fixture
async def serve(session: Session) -> AsyncGenerator[Served]:
    """Starts a media hub on the session; all end with the test."""
    mounted: list[Any] = []

    async def start(settings: MediaSettings | None = None, **options: Any) -> Media:
        ready: asyncio.Future[Media] = asyncio.get_running_loop().create_future()

        async def surface(session: SurfaceSession) -> None:
            media = Media(session, settings or MediaSettings(), **options)
            running = asyncio.ensure_future(media.run())
            await asyncio.sleep(0)
            ready.set_result(media)
            try:
                await running
            finally:
                running.cancel()
                await asyncio.wait([running])

        mounted.append(session.mount(surface, key=f"media-{len(mounted)}"))
        return await ready

    yield start
    for surface in mounted:
        await surface.unmount()


@pytest.fixture
async def media(serve: Served) -> Media:
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
        await page.evaluate("(sources) => window.play(sources)", options.get("sources", True))
        return made[0]

    return start


Until = Callable[[Callable[[], bool]], Awaitable[None]]


@pytest.fixture
def until() -> Until:
    """Waits for what nobody announces; a test that waits for ever fails by its time limit."""

    async def wait(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - nobody announces it
                await asyncio.sleep(0.01)

    return wait
