"""livekit-client in Chromium, with its default options, on the embedded server and a real one."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from livekit.protocol.models import ParticipantPermission
from playwright.async_api import Browser, Page, async_playwright

from livelayer_bus.testing import PATIENCE
from tests import browsers

from .conftest import Server

pytestmark = pytest.mark.anyio

PAGES = Path(__file__).parent / "livekit_client"
LOW, MEDIUM, HIGH = 0, 1, 2


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        del code, size


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where the page is served: another origin than the LiveKit server."""
    handler = functools.partial(_Quiet, directory=str(PAGES))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/steps.html"
        server.shutdown()
        thread.join()


class Tab:
    """The page, in which any number of participants join this test's room."""

    def __init__(self, page: Page, server: Server, room: str) -> None:
        self._page = page
        self._server = server
        self._room = room

    async def join(self, *names: str, options: dict[str, Any] | None = None, **grants: Any) -> None:
        for name in names:
            token = self._server.token(name, self._room, **grants)
            await self._page.evaluate(
                "(given) => join(...given)", [name, self._server.url, token, options or {}]
            )

    async def run(self, expression: str) -> Any:
        return await self._page.evaluate(f"async () => {expression}")

    async def until(self, condition: str) -> None:
        look = f"while (!({condition})) await new Promise((next) => setTimeout(next, 50));"
        with anyio.fail_after(PATIENCE):
            await self._page.evaluate(f"async () => {{ {look} }}")

    async def shown(self, name: str, source: str = "camera") -> None:
        """Wait until a participant plays alice's track."""
        await self.until(f"Boolean(publication('{name}', 'alice', '{source}')?.track)")
        await self.run(f"show('{name}', 'alice', '{source}')")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One loop for the module, whose tests share a browser."""
    return "asyncio"


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> AsyncGenerator[Browser]:
    async with async_playwright() as playwright:
        browser = await browsers.launch(playwright, "--autoplay-policy=no-user-gesture-required")
        yield browser
        await browser.close()


@pytest.fixture
async def tab(
    browser: Browser, server: Server, room_name: str, address: str
) -> AsyncGenerator[Tab]:
    page = await browser.new_page()
    page.set_default_timeout(1000 * PATIENCE)
    await page.goto(address)
    yield Tab(page, server, room_name)
    await page.close()


async def test_a_page_joins_with_default_options(tab: Tab) -> None:
    await tab.join("alice", "bob")
    await tab.until("rooms.bob.remoteParticipants.has('alice')")
    await tab.until("rooms.alice.remoteParticipants.has('bob')")
    assert await tab.run("rooms.alice.engine.pcManager.mode") == "publisher-only"


async def test_pages_with_one_connection_and_with_two_meet(tab: Tab) -> None:
    await tab.join("alice")
    await tab.join("bob", options={"singlePeerConnection": False})
    assert await tab.run("rooms.bob.engine.pcManager.mode") == "subscriber-primary"
    for name, other in (("alice", "bob"), ("bob", "alice")):
        await tab.run(f"publishPicture('{name}', {{}})")
        await tab.until(f"Boolean(publication('{other}', '{name}', 'camera')?.track)")
        await tab.run(f"show('{other}', '{name}', 'camera')")
        await tab.until(f"(await received('{other}', '{name}', 'camera')).framesDecoded > 5")


async def test_tracks_come_and_go_on_one_connection(tab: Tab) -> None:
    await tab.join("alice", "bob")
    for _ in range(3):
        await tab.run("publishPicture('alice', {})")
        await tab.run("publishTone('alice', {})")
        await tab.shown("bob", "microphone")
        await tab.shown("bob")
        await tab.until("(await received('bob', 'alice', 'camera')).framesDecoded > 5")
        await tab.until("(await received('bob', 'alice', 'microphone')).totalAudioEnergy > 0")
        await tab.run("unpublish('alice')")
        await tab.until("rooms.bob.remoteParticipants.get('alice').trackPublications.size === 0")


async def test_a_page_outlives_its_token(tab: Tab, server: Server, room_name: str) -> None:
    # Servers allow for clocks that are 60 seconds off: this token is good for 10 seconds more.
    token = server.token("carol", room_name, ttl=-50)
    await tab.join("alice", ttl=-50)
    await tab.until(f"await validated('{server.url}', '{token}') === 401")
    await tab.run("rooms.alice.simulateScenario('signal-reconnect')")
    await tab.until("events.includes('alice reconnected')")


async def test_whoever_speaks_is_shown_until_it_is_silent(tab: Tab) -> None:
    await tab.join("alice", "bob")
    await tab.run("publishTone('alice', {})")
    speaking = "rooms.bob.activeSpeakers.map((one) => one.identity).join()"
    await tab.until(f"{speaking} === 'alice'")
    await tab.run("silence()")
    await tab.until(f"{speaking} === ''")


async def test_a_page_learns_why_it_may_not_join(tab: Tab, server: Server, room_name: str) -> None:
    expired = server.token("alice", room_name, ttl=-3600)
    assert await tab.run(f"refused('{server.url}', '{expired}')") == 401


async def test_quality_and_size_choose_the_simulcast_layer(tab: Tab) -> None:
    await tab.join("alice", "bob")
    await tab.run("publishPicture('alice', { videoCodec: 'vp8' })")
    await tab.shown("bob")
    camera = "publication('bob', 'alice', 'camera')"
    width = "(await received('bob', 'alice', 'camera')).frameWidth"
    for quality, expected in ((HIGH, 1280), (LOW, 320), (MEDIUM, 640), (HIGH, 1280)):
        await tab.run(f"{camera}.setVideoQuality({quality})")
        await tab.until(f"{width} === {expected}")
    for size, expected in (((300, 160), 320), ((1280, 720), 1280)):
        await tab.run(f"{camera}.setVideoDimensions({{ width: {size[0]}, height: {size[1]} }})")
        await tab.until(f"{width} === {expected}")


@pytest.mark.parametrize("codec", ["vp8", "h264", "vp9", "av1"])
async def test_a_picture_keeps_the_codec_of_its_publisher(tab: Tab, codec: str) -> None:
    await tab.join("alice", "bob")
    await tab.run(f"publishPicture('alice', {{ videoCodec: '{codec}' }})")
    await tab.shown("bob")
    await tab.until("(await received('bob', 'alice', 'camera')).framesDecoded > 5")
    assert (
        await tab.run("publication('bob', 'alice', 'camera').mimeType") == f"video/{codec.upper()}"
    )
    assert (await tab.run("received('bob', 'alice', 'camera')"))["mime"] == f"video/{codec.upper()}"


async def test_stereo_audio_stays_stereo_and_redundant(tab: Tab) -> None:
    await tab.join("alice", "bob")
    await tab.run("publishTone('alice', { forceStereo: true })")
    await tab.shown("bob", "microphone")
    await tab.until("(await received('bob', 'alice', 'microphone')).totalAudioEnergy > 0")
    assert await tab.run("publication('bob', 'alice', 'microphone').mimeType") == "audio/red"
    for side in ("sent('alice', 'microphone')", "received('bob', 'alice', 'microphone')"):
        assert "stereo=1" in (await tab.run(side))["fmtp"].split(";")


async def test_a_publisher_learns_once_that_a_visible_participant_subscribed(tab: Tab) -> None:
    await tab.join("alice")
    await tab.join("watcher", hidden=True)
    await tab.run("publishTone('alice', {})")
    count = "events.filter((event) => event === 'alice localTrackSubscribed').length"
    await tab.shown("watcher", "microphone")
    assert await tab.run(count) == 0
    for name in ("bob", "carol"):
        await tab.join(name)
        await tab.shown(name, "microphone")
        await tab.until(f"{count} === 1")


async def test_a_page_that_may_publish_no_more_unpublishes_and_can_publish_again(
    tab: Tab, server: Server, room_name: str
) -> None:
    await tab.join("alice", "bob")
    await tab.run("publishPicture('alice', {})")
    await tab.shown("bob")
    permission = ParticipantPermission(can_subscribe=True, can_publish_data=True)
    await server.permit(room_name, "alice", permission)
    await tab.until("events.includes('alice localTrackUnpublished')")
    await tab.until("!publication('bob', 'alice', 'camera')")
    permission.can_publish = True
    await server.permit(room_name, "alice", permission)
    await tab.until("rooms.alice.localParticipant.permissions.canPublish")
    await tab.run("publishPicture('alice', {})")
    await tab.shown("bob")
    await tab.until("(await received('bob', 'alice', 'camera')).framesDecoded > 5")


async def test_the_others_see_only_new_tracks_after_a_full_reconnect(
    tab: Tab, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A client that takes longer to come back is gone for a while, and a slow machine takes longer.
    monkeypatch.setattr("livelayer_embedded.session.GONE_AFTER", PATIENCE)
    await tab.join("alice", "bob")
    await tab.run("publishPicture('alice', {})")
    await tab.shown("bob")
    await tab.run("rooms.alice.simulateScenario('full-reconnect')")
    await tab.until("events.includes('alice reconnected')")
    await tab.until("events.filter((event) => event === 'bob trackSubscribed').length === 2")
    assert "bob participantDisconnected" not in await tab.run("events")
    await tab.shown("bob")
    await tab.until("(await received('bob', 'alice', 'camera')).framesDecoded > 5")


@pytest.mark.parametrize("scenario", ["signal-reconnect", "node-failure", "migration", "force-tcp"])
async def test_a_page_goes_on_publishing_after_a_fault(tab: Tab, scenario: str) -> None:
    await tab.join("alice", "bob")
    await tab.run("publishPicture('alice', {})")
    await tab.shown("bob")
    await tab.run(f"rooms.alice.simulateScenario('{scenario}')")
    await tab.until("events.includes('alice reconnected')")
    await tab.shown("bob")
    decoded = "(await received('bob', 'alice', 'camera')).framesDecoded"
    before = int(await tab.run(decoded) or 0)
    await tab.until(f"{decoded} > {before} + 5 || {decoded} < {before}")
