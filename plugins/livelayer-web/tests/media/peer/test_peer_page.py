"""A real Chromium plays what a session's agent shows and says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest
from livelayer_web.media import Media, MediaConnection
from playwright.async_api import Page

from livelayer_bus.testing import PATIENCE, ManualClock

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("agent"), pytest.mark.realtime]

Play = Callable[..., Awaitable[MediaConnection]]

Until = Callable[[Callable[[], bool]], Awaitable[None]]
Serve = Callable[..., Awaitable[Media]]

SIZED = """async (height) => {
  while (picture.videoHeight !== height)
    await new Promise((done) => picture.requestVideoFrameCallback(done));
}"""
BROKEN = """async () => {
  const all = [...(await pc.getStats()).values()];
  const video = all.find((s) => s.type === 'inbound-rtp' && s.kind === 'video');
  return [video.packetsLost, video.pliCount];
}"""
"""What a page has missed, and how often it asked for a picture that needs none before it."""
PLAYED = """async () => {
  const stats = await pc.getStats();
  const video = [...stats.values()].find((s) => s.type === 'inbound-rtp' && s.kind === 'video');
  return stats.get(video.codecId).mimeType;
}"""
HEARD = """async () => {
  let audio;
  while (!(audio?.totalAudioEnergy > 0.001)) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    const stats = [...(await pc.getStats()).values()];
    audio = stats.find((s) => s.type === 'inbound-rtp' && s.kind === 'audio');
  }
}"""


async def test_a_page_that_closes_its_connection_or_goes_elsewhere_is_gone_at_once(
    page: Page, media: Media, play: Play, until: Until
) -> None:
    connection = await play(page, media)
    await page.evaluate("firstFrame")
    await page.evaluate("pc.close()")
    await until(lambda: connection.ended)
    assert media.statistics().connections == 0


async def test_a_page_that_plays_video_alone_is_plain_whep(
    page: Page, media: Media, play: Play
) -> None:
    connection = await play(page, media, sources=False)
    await page.evaluate("firstFrame")
    assert connection.statistics().sources == {}


async def test_the_picture_goes_on_through_a_change_of_quality(
    page: Page, serve: Serve, play: Play, until: Until
) -> None:
    clock = ManualClock()
    media = await serve(clock=clock)
    connection = await play(page, media)
    await page.evaluate("firstFrame")
    before = await page.evaluate(BROKEN)
    connection.want(video=True, audio=True, height=100)
    await clock.elapse(5)
    await page.evaluate(SIZED, 180)
    assert connection.quality is not None
    assert connection.quality.height == 180
    connection.want(video=True, audio=True, height=720)
    await clock.elapse(2)
    await page.evaluate(SIZED, 360)  # all that the agent has
    assert await page.evaluate(BROKEN) == before


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_a_page_plays_the_agents_picture_and_sound(
    page: Page, media: Media, play: Play, codec: str
) -> None:
    connection = await play(page, media, codec=f"video/{codec}")
    await page.evaluate("firstFrame")
    assert await page.evaluate("[picture.videoWidth, picture.videoHeight]") == [640, 360]
    with anyio.fail_after(PATIENCE):
        await page.evaluate(HEARD)
    assert connection.connected
    assert connection.quality is not None
    statistics = media.statistics()
    assert statistics.connected == 1
    assert [one.codec for one in statistics.video.streams if one.running] == [codec]
    assert await page.evaluate(PLAYED) == f"video/{codec}"
