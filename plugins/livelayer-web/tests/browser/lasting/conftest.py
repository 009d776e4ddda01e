"""What lasts: an agent that shows numbered pictures and beeps, and tabs that note what happens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import anyio
import pytest
from livekit import rtc
from livelayer_benchmarks.signals.beeps import Beeper
from livelayer_benchmarks.signals.publisher import beeping
from livelayer_benchmarks.signals.stamped_video import Painter, read_stamp
from playwright.async_api import BrowserContext, ConsoleMessage, Page, Response, async_playwright

from livelayer_bus.testing import PATIENCE, polled
from tests import browsers
from tests.support import every

HERE: Final = Path(__file__).parent
HEADLESS: Final = ("--headless", "--remote-debugging-port=0")
WIDTH, HEIGHT, FPS = 640, 384, 20
EVERY: Final = 0.02  # seconds from one numbered message to the next


class Picture:
    """What the agent shows: numbered, moving, for the length of the block."""

    def __init__(self) -> None:
        self.source = rtc.VideoSource(WIDTH, HEIGHT)
        self.painter = Painter(WIDTH, HEIGHT)
        self._shown = asyncio.Condition()

    async def paint(self) -> None:
        async for _ in every(1 / FPS):
            frame = rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.I420, self.painter.paint())
            self.source.capture_frame(frame)
            async with self._shown:
                self._shown.notify_all()

    async def shows(self, more: int) -> None:
        """Return when the agent has shown so many more pictures: time, as the agent has it."""
        goal = self.painter.number + more
        async with self._shown:
            await self._shown.wait_for(lambda: self.painter.number >= goal)


@asynccontextmanager
async def performing(room: rtc.Room) -> AsyncGenerator[Picture]:
    """Publishes pictures and beeps in a room."""
    picture = Picture()
    track = rtc.LocalVideoTrack.create_video_track("face", picture.source)
    options = rtc.TrackPublishOptions(
        source=rtc.TrackSource.SOURCE_CAMERA,
        simulcast=False,
        video_encoding=rtc.VideoEncoding(max_bitrate=1_500_000, max_framerate=FPS),
    )
    await room.local_participant.publish_track(track, options)
    painting = asyncio.create_task(picture.paint())
    try:
        async with beeping(Beeper(kept=100)) as sound:
            voice = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
            await room.local_participant.publish_track(sound, voice)
            yield picture
    finally:
        painting.cancel()
        await asyncio.wait([painting])
        await picture.source.aclose()


@asynccontextmanager
async def counting(agent: Any) -> AsyncGenerator[list[int]]:
    """The agent sends numbered messages, from 1 on; gives the list of those sent."""
    sent: list[int] = []

    async def count() -> None:
        async for _ in every(EVERY):
            await agent.send({"type": "numbered", "number": len(sent) + 1})
            sent.append(len(sent) + 1)

    task = asyncio.create_task(count())
    try:
        yield sent
    finally:
        task.cancel()
        await asyncio.wait([task])


class Stage:
    """A session on a site, with an agent that performs in its room."""

    def __init__(self, shown: Any, picture: Picture) -> None:
        self.shown = shown
        self.agent = shown.agent
        self.session = shown.session
        self.picture = picture
        self.counting: Final = counting

    @property
    def surface(self) -> Any:
        return self.shown.surface

    @property
    def url(self) -> str:
        return str(self.shown.url)

    def encoders(self) -> list[Any]:
        """The encodes that run now."""
        (media,) = self.surface.statistics().media
        return [stream for stream in media.video.streams if stream.running]

    def encoded(self) -> int:
        """Pictures encoded so far, in any quality."""
        (media,) = self.surface.statistics().media
        return sum(stream.frames for stream in media.video.streams)

    def typed(self) -> list[str]:
        """What people typed, as the agent got it."""
        return [message["text"] for message in self.agent.of("user_message")]

    async def received(self) -> int:
        """Packets of the agent's picture that its server has sent to the session."""
        (agent,) = self.session.room.remote_participants.values()
        tracks = [one.track for one in agent.track_publications.values() if one.track]
        (track,) = [one for one in tracks if one.kind == rtc.TrackKind.KIND_VIDEO]
        stats = await track.get_stats()
        (inbound,) = [one for one in stats if one.WhichOneof("stats") == "inbound_rtp"]
        return int(inbound.inbound_rtp.received.packets_received)

    async def eventually(self, condition: Callable[[], Any]) -> None:
        """Wait for something that is counted but not announced."""
        await polled(condition)


@pytest.fixture(scope="module")
def site() -> Path:
    """Pages with a panel and a bubble, and a router of their own."""
    return HERE / "site"


@pytest.fixture(scope="module")
async def stage(show: Any, site: Path) -> AsyncGenerator[Stage]:
    async with show(agent="puppet", site=site) as shown:
        await shown.connect()
        await shown.agent.send({"type": "bot_ready"})
        async with performing(shown.agent.room) as picture:
            with anyio.fail_after(PATIENCE):
                await shown.session.video.wait_available()
                await shown.session.audio.wait_available()
            yield Stage(shown, picture)


class Tab:
    """One page, and what is noted of it."""

    def __init__(self, page: Page, until: Any) -> None:
        self.page = page
        self._until = until

    async def until(self, expression: str) -> Any:
        """Wait until an expression is true there; `client` is the page's."""
        return await self._until(self.page, expression)

    async def kept(self, name: str) -> list[Any]:
        """What was noted over all of this tab's pages: numbers, links, violations."""
        return list(await self.page.evaluate("(name) => seen.kept(name)", name))

    async def peers(self) -> int:
        """RTCPeerConnections that the page ever made."""
        return int(await self.page.evaluate("seen.peers.length"))

    async def numbers(self, *ids: str) -> list[int | None]:
        """The number of the picture that each avatar shows at this instant."""
        found = await self.page.evaluate("(ids) => ids.map(seen.stamp)", list(ids))
        stamps = [read_stamp(bytes(one)) if one else None for one in found]
        return [stamp.number if stamp else None for stamp in stamps]

    async def decodes(self, *kinds: str) -> None:
        """Wait until its connection has decoded more samples of sound, or pictures."""
        before = await self.page.evaluate("seen.decoded()")
        for kind in kinds:
            await self.until(f"seen.decoded().then(({{ {kind} }}) => {kind} > {before[kind]})")

    async def playing(self, *ids: str) -> None:
        """Wait until these avatars show a picture, and then a newer one."""
        for avatar in ids:
            await self.until(f"seen.picture('{avatar}') !== undefined")
            time = f"seen.picture('{avatar}')?.currentTime"
            now = await self.page.evaluate(time)
            await self.until(f"{time} > {now or 0}")

    async def say(self, text: str) -> None:
        """Type a message; returns at once."""
        await self.page.evaluate(
            "(text) => void document.querySelector('livelayer-session').sendMessage(text)", text
        )


class Tabs:
    """Opens tabs, and holds them to the policy and to silence about secrets."""

    def __init__(self, until: Any) -> None:
        self._until = until
        self.told: list[str] = []
        self.asked: list[str] = []
        self.secrets: set[str] = set()
        self.faults: list[str] = []
        self.cut = False
        """Whether requests may fail in this test: the browser itself then says so."""

    async def open(self, context: BrowserContext, url: str, page: Page | None = None) -> Tab:
        """Open a page in a tab of its own."""
        page = page or await context.new_page()
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", self._console)
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("response", self._response)
        await page.add_init_script(path=HERE / "record.js")
        await page.goto(url)
        return Tab(page, self._until)

    async def look(self, tab: Tab) -> None:
        """What the policy forbade in this tab fails the test."""
        self.faults += await tab.kept("violations")

    def _console(self, message: ConsoleMessage) -> None:
        self.told.append(message.text)
        if message.type == "error" and not (self.cut and "Failed to load" in message.text):
            self.faults.append(message.text)

    async def _response(self, response: Response) -> None:
        if response.request.method == "POST" and response.url.endswith("/viewers") and response.ok:
            self.secrets.add((await response.json())["key"])


class Chromium:
    """A browser as people have it: tabs behind others are hidden, and can be frozen.

    Playwright's own keeps every page visible.
    """

    def __init__(self, process: asyncio.subprocess.Process, context: BrowserContext) -> None:
        self._process = process
        self.context = context

    async def kill(self) -> None:
        """End it as a crash does, without a word to anybody."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


@pytest.fixture
async def chromium(anyio_backend: str, tmp_path: Path) -> AsyncGenerator[Chromium]:
    async with async_playwright() as playwright:
        path = browsers.chromium(playwright, whole=True)
    process = await asyncio.create_subprocess_exec(
        path,
        *HEADLESS,
        *browsers.FLAGS,
        f"--user-data-dir={tmp_path / 'profile'}",
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        address = ""
        with anyio.fail_after(PATIENCE):
            while "DevTools listening on" not in address:
                address = (await process.stderr.readline()).decode()
        async with async_playwright() as playwright:
            browser = await playwright.chromium.connect_over_cdp(
                address.split()[-1], no_defaults=True
            )
            yield Chromium(process, browser.contexts[0])
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.fixture
async def tabs(until: Any, caplog: pytest.LogCaptureFixture) -> AsyncGenerator[Tabs]:
    caplog.set_level(logging.DEBUG, "livelayer_web")
    caplog.set_level(logging.DEBUG, "uvicorn")
    tabs = Tabs(until)
    yield tabs
    assert not tabs.faults, tabs.faults
    for place in (*tabs.told, *tabs.asked, caplog.text):
        assert not [secret for secret in tabs.secrets if secret in place]


@pytest.fixture
async def tab(stage: Stage, tabs: Tabs, context: BrowserContext) -> AsyncGenerator[Tab]:
    """The site's first page, with picture and sound."""
    tab = await tabs.open(context, stage.url)
    await tab.playing("panel", "bubble")
    yield tab
    await tabs.look(tab)
