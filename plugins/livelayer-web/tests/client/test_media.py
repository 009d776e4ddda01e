"""One connection and one voice for a page, made anew when it ends; and what a page sends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest
from playwright.async_api import Browser, Page

from livelayer_bus import MicrophoneChanged
from livelayer_bus.testing import PATIENCE, grey_picture
from tests.support import every

pytestmark = [pytest.mark.anyio, pytest.mark.realtime]

COUNT = """
window.peers = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...given) { super(...given); window.peers.push(this); }
};
const plain = window.fetch;
window.fetch = async (url, options) => {
  const answer = await plain(url, options);
  if (String(url).endsWith("/whep")) window.whep = answer.headers.get("location");
  return answer;
};"""
END = """async () => {
  const authorization = `Bearer ${client.joined.key}`;
  await fetch(`/livelayer/${window.whep}`, { method: "DELETE", headers: { authorization } });
}"""
HOLD = """() => {
  const devices = navigator.mediaDevices;
  const plain = [devices.getUserMedia.bind(devices), window.fetch];
  devices.getUserMedia = async (wish) => (window.captured = await plain[0](wish));
  let go;
  const let_through = new Promise((resolve) => (go = resolve));
  window.fetch = async (url, options) => {
    if (options?.method === "PUT" && window.held === undefined) {
      window.held = go;
      await let_through;
    }
    return plain[1](url, options);
  };
  void client.take("microphone");
}"""
SHOW = """() => {
  for (const name of ["panel", "bubble"]) {
    const video = Object.assign(document.createElement("video"), {
      id: name, muted: true, autoplay: true, playsInline: true,
    });
    video.srcObject = client.media.stream;
    document.body.append(video);
  }
}"""
PLAYING = """Object.fromEntries([...document.querySelectorAll("video")]
  .map((video) => [video.id, video.getVideoPlaybackQuality().totalVideoFrames]))"""


@pytest.fixture(scope="module")
async def browser(launch: Any) -> Browser:
    found: Browser = await launch(
        "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", whole=True
    )
    return found


@pytest.fixture
async def seen(web: Any, page: Page, until: Any) -> AsyncGenerator[Page]:
    """A page with two pictures of an agent that moves."""
    await page.add_init_script(COUNT)
    await page.goto(web.url)
    room = await web.connected()
    room.track_starts("video")
    room.track_starts("audio")

    async def move() -> None:
        async for _ in every(1 / 30):
            room.push_video(grey_picture(320, 180))

    moving = asyncio.create_task(move())
    await until(page, "window.client?.link.phase === 'live'")
    await page.evaluate("client.retainVideo('panel', {height: 180})")
    await until(page, "client.media.phase === 'live' && client.media.stream !== null")
    await page.evaluate(SHOW)
    yield page
    moving.cancel()
    await asyncio.gather(moving, return_exceptions=True)


async def test_two_pictures_and_one_voice_come_over_one_connection(seen: Page, until: Any) -> None:
    await until(seen, f"(({{panel, bubble}}) => panel > 3 && bubble > 3)({PLAYING})")
    assert await seen.evaluate("peers.length") == 1
    assert await seen.evaluate("document.querySelectorAll('audio').length") == 1
    before = (await seen.evaluate(PLAYING))["bubble"]
    await seen.evaluate("document.getElementById('panel').remove()")
    await until(seen, f"{PLAYING}.bubble > {before} + 10")
    assert await seen.evaluate("[peers.length, document.querySelector('audio').paused]") == [
        *(1, False),
    ]


async def test_a_page_without_a_gesture_is_silent_and_the_first_one_turns_it_on(
    web: Any, page: Page, until: Any
) -> None:
    room = await web.connected()
    room.track_starts("audio")
    # Whatever Playwright evaluates counts as a gesture: the page itself has to say it.
    await page.add_init_script("""
document.addEventListener("livelayer-session-ready", ({ detail: { client } }) =>
  client.addEventListener("speaker", () => console.info("blocked", client.speaker.blocked)));""")
    async with page.expect_console_message(lambda message: message.text == "blocked true"):
        await page.goto(web.url)
    audio = "document.querySelector('audio')"
    assert await page.evaluate(f"{audio}.paused") is True
    await page.mouse.click(5, 5)
    await until(page, f"!client.speaker.blocked && !{audio}.muted && !{audio}.paused")
    await page.evaluate("client.setSpeakerMuted(true)")
    assert await page.evaluate(f"[{audio}.muted, client.speaker.muted]") == [True, True]
    await page.reload()
    await until(page, "window.client?.link.phase === 'live'")
    assert await page.evaluate("client.speaker.muted") is True


async def test_a_connection_that_ends_is_made_anew_behind_the_same_stream(
    seen: Page, until: Any
) -> None:
    await until(seen, f"{PLAYING}.panel > 3")
    await seen.evaluate("window.before = client.media.stream")
    await seen.evaluate(END)
    # A connection that just stops is noticed after some seconds.
    await until(seen, "peers.length === 2 && client.media.phase === 'live'")
    assert await seen.evaluate("client.media.stream === window.before") is True
    assert await seen.evaluate("client.media.stream.getTracks().length") == 1
    frames = await seen.evaluate(f"{PLAYING}.panel")
    await until(seen, f"{PLAYING}.panel > {frames} + 5 || {PLAYING}.panel < {frames}")
    assert await seen.evaluate("document.getElementById('panel').videoWidth") == 320
    assert await seen.evaluate("peers[0].connectionState") == "closed"


async def test_a_microphone_is_sent_when_asked_and_outlives_its_connection(
    web: Any, seen: Page, until: Any
) -> None:
    assert (web.session.state.microphone is None) is True
    await seen.evaluate("client.take('microphone')")
    await until(
        seen, "client.sources.microphone.phase === 'on' && client.state.microphone !== null"
    )
    owner = await seen.evaluate("client.sources.microphone.owner")
    assert web.session.state.microphone.owner == owner
    await seen.evaluate("client.setSourceMuted('microphone', true)")
    await until(seen, "client.state.microphone?.muted")
    # As if the lease had held for longer than it takes to be asked for again.
    await seen.evaluate("""() => {
      const now = performance.now.bind(performance);
      performance.now = () => now() + 2100;
    }""")
    await seen.evaluate(END)
    await until(seen, "peers.length === 2 && client.media.phase === 'live'")
    await until(seen, "client.state.microphone?.muted && client.sources.microphone.owner")
    assert await seen.evaluate("client.sources.microphone.phase") == "on"
    await seen.evaluate("client.release('microphone')")
    # A state that the lease passed through may come late, and is on the page for a moment.
    await until(
        seen, "client.state.microphone === null && client.sources.microphone.phase === 'off'"
    )


async def leased_and_given_back(web: Any, seen: Page) -> None:
    """Let the held request through: the session grants the lease, and sees it end again."""
    with anyio.fail_after(PATIENCE), web.session.subscribe(MicrophoneChanged) as changes:
        await seen.evaluate("held()")
        assert (await anext(changes)).owner is not None
        assert (await anext(changes)).owner is None


async def test_a_device_that_ends_while_its_lease_is_asked_for_is_given_back(
    web: Any, seen: Page, until: Any
) -> None:
    await seen.evaluate(HOLD)
    await until(seen, "window.held !== undefined")
    await seen.evaluate("captured.getTracks()[0].stop()")
    await leased_and_given_back(web, seen)
    await until(seen, "client.sources.microphone.phase === 'off'")


async def test_a_lease_that_comes_after_its_user_changed_their_mind_is_given_back(
    web: Any, seen: Page, until: Any
) -> None:
    await seen.evaluate(HOLD)
    await until(seen, "window.held !== undefined")
    await seen.evaluate("client.release('microphone')")
    assert await seen.evaluate("client.sources.microphone.phase") == "off"
    await leased_and_given_back(web, seen)
    assert await seen.evaluate("captured.getTracks()[0].readyState") == "ended"
    # The state that the lease passed through is on the page for a moment.
    await until(seen, "client.sources.microphone.phase === 'off'")


async def test_a_source_that_another_page_holds_is_busy_until_it_is_free(
    web: Any, seen: Page, until: Any
) -> None:
    other = await seen.context.new_page()
    await other.goto(web.url)
    await until(other, "window.client?.media.phase === 'live'")
    await seen.evaluate("client.take('microphone')")
    await until(other, "client.sources.microphone.phase === 'busy'")
    await other.evaluate("client.take('microphone')")
    assert await other.evaluate("client.sources.microphone.owner") == await seen.evaluate(
        "client.sources.microphone.owner"
    )
    await seen.close()
    await until(other, "client.sources.microphone.phase === 'off'")
