"""A real Chromium plays what a session's agent shows and says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from livelayer_web.media import Media, MediaConnection
from playwright.async_api import Page

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("agent")]

Play = Callable[..., Awaitable[MediaConnection]]

HEARD = """async () => {
  const deadline = performance.now() + 8000;
  while (performance.now() < deadline) {
    const stats = [...(await pc.getStats()).values()];
    const sound = stats.find((s) => s.type === 'inbound-rtp' && s.kind === 'audio');
    if (sound && sound.totalAudioEnergy > 0.001) return sound.totalAudioEnergy;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return 0;
}"""


async def test_a_page_plays_the_agents_picture_and_sound(
    page: Page, media: Media, play: Play
) -> None:
    connection = await play(page, media)
    await page.evaluate("firstFrame")
    assert await page.evaluate("[picture.videoWidth, picture.videoHeight]") == [640, 360]
    assert await page.evaluate(HEARD) > 0
    assert connection.connected
    assert connection.quality is not None
    assert media.statistics().connected == 1
