"""What a page does where media are scarce: it says why, and uses the servers that it is given."""

from __future__ import annotations

import os
import socket
from typing import Any, Final

import pytest
from livelayer_web import IceServer
from livelayer_web.media.aiortc_private import host_addresses
from livelayer_web.media.network import MediaPorts
from playwright.async_api import Browser, Page

from livelayer_bus.testing import polled

pytestmark = [pytest.mark.anyio, pytest.mark.realtime]

PORT: Final = 15_000 + os.getpid() * 40 % 15_000 + 35
ROOT: Final = "document.querySelector('livelayer-avatar').shadowRoot"
NOTICES: Final = f"{ROOT}.textContent"
CLIENT: Final = "document.querySelector('livelayer-session').client"
REMEMBER: Final = """
window.made = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(given) { super(given); window.made.push(this.getConfiguration().iceServers); }
};
"""
FULL: Final = f"{NOTICES}.includes('Every place for picture and sound is taken')"
SILENCED: Final = f"{NOTICES}.includes('The system has muted your microphone')"
PRESSED: Final = f"{ROOT}.querySelector('[part~=microphone]').getAttribute('aria-pressed')"


@pytest.fixture(scope="module")
async def browser(launch: Any) -> Browser:
    found: Browser = await launch(
        "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", whole=True
    )
    return found


async def test_a_page_says_that_the_ports_are_taken_and_goes_on_when_one_is_free(
    make_web: Any, page: Page, until: Any
) -> None:
    taken: list[socket.socket] = MediaPorts(PORT).open(host_addresses())
    server = IceServer(urls="turn:127.0.0.1:9", username="someone", credential="secret-word")
    web = await make_web(media_ports=PORT, ice_servers=[server])
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    await page.add_init_script(REMEMBER)
    await page.goto(f"{web.url}/old")
    room = await web.connected()
    room.track_starts("video")
    await until(page, f"{CLIENT}.media.code === 'media_ports'")
    await until(page, FULL)
    for one in taken:
        one.close()
    await until(page, f"{CLIENT}.media.phase === 'live'")
    await until(page, f"!{FULL}")
    [first, *_] = await page.evaluate("made")
    assert [one["urls"] for one in first] == [["turn:127.0.0.1:9"]]
    assert first[0]["credential"] == "secret-word"
    assert not any("secret-word" in one for one in said)
    assert "secret-word" not in await page.evaluate(NOTICES)


async def test_a_microphone_that_the_system_mutes_is_shown_so_and_taken_back(
    web: Any, page: Page, until: Any
) -> None:
    """As a phone call does; the browser tells it by events of the track."""
    await page.goto(f"{web.url}/old")
    await web.connected()
    await until(page, f"{CLIENT}.state?.agent_active")
    await page.evaluate(f"void {CLIENT}.take('microphone')")
    await until(page, f"{CLIENT}.sources.microphone.phase === 'on'")
    await until(page, f"{PRESSED} === 'true'")
    mute = f"""(muted) => {{
      const [track] = {CLIENT}.sources.microphone.stream.getTracks();
      Object.defineProperty(track, "muted", {{ configurable: true, value: muted }});
      track.dispatchEvent(new Event(muted ? "mute" : "unmute"));
    }}"""
    await page.evaluate(mute, True)
    await until(page, f"{PRESSED} === 'false'")
    await until(page, SILENCED)
    await polled(lambda: web.session.state.microphone.muted)
    # The person's own choice is another thing, and stays.
    await page.evaluate(f"{CLIENT}.setSourceMuted('microphone', true)")
    await page.evaluate(mute, False)
    await until(page, f"!{SILENCED}")
    assert await page.evaluate(f"{CLIENT}.sources.microphone.muted")
    assert await page.evaluate(PRESSED) == "false"
    await page.evaluate(f"{CLIENT}.setSourceMuted('microphone', false)")
    await until(page, f"{PRESSED} === 'true'")
    await polled(lambda: not web.session.state.microphone.muted)
