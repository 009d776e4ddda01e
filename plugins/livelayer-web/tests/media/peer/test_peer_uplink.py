"""A real Chromium's microphone, camera and screen arrive in the session's leases, when fed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import numpy as np
import pytest
from livelayer_web.media import Media, MediaConnection
from playwright.async_api import Browser, Page

from livelayer_bus import Session
from livelayer_bus.errors import BusyError, ClosedError
from livelayer_bus.media import AudioFrame
from livelayer_bus.testing import PATIENCE, ScriptedRoom

pytestmark = pytest.mark.anyio

Play = Callable[..., Awaitable[MediaConnection]]
Until = Callable[[Callable[[], bool]], Awaitable[None]]

FAKE_DEVICES = (
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--auto-select-desktop-capture-source=Entire screen",
)
SEND = """async ([kind, place]) => {
  const media = navigator.mediaDevices;
  const stream = await (kind === 'microphone' ? media.getUserMedia({audio: true})
    : media.getUserMedia({video: {width: 320, height: 240}}));
  await pc.getTransceivers()[place].sender.replaceTrack(stream.getTracks()[0]);
}"""
PASSED = """async (packets) => {
  const sent = async () => [...(await pc.getStats()).values()]
    .filter((s) => s.type === 'outbound-rtp').reduce((sum, s) => sum + s.packetsSent, 0);
  const before = await sent();
  while (await sent() < before + packets) await new Promise((done) => setTimeout(done, 20));
}"""


@pytest.fixture(scope="module")
async def devices(launch: Callable[..., Awaitable[Browser]]) -> Browser:
    """A browser whose microphone beeps and whose camera shows a test picture."""
    return await launch(*FAKE_DEVICES, whole=True)


@pytest.fixture
async def page(devices: Browser, new_context: Any) -> Page:
    page: Page = await (await new_context(devices)).new_page()
    return page


@asynccontextmanager
async def fed(connection: MediaConnection, source: Any, lease: Any) -> AsyncGenerator[None]:
    """A source is fed into a lease for the length of the block."""
    task = asyncio.create_task(connection.feed(source, lease))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def passed(page: Page, packets: int) -> None:
    """Return once the page has sent so many packets more."""
    await page.evaluate(PASSED, packets)


async def mutes(page: Page, lease: Any, until: Until) -> None:
    """Muted, nothing new is pushed; unmuted, it goes on."""
    lease.mute()
    muted = -1
    with anyio.fail_after(PATIENCE):
        while muted != (muted := lease.statistics().pushed):  # what was on its way comes first
            await passed(page, 60)
    lease.unmute()
    await until(lambda: bool(lease.statistics().pushed > muted + 20))


def loudest(frames: Sequence[AudioFrame]) -> int:
    """The largest deflection, of 32,767."""
    heard = np.concatenate([np.frombuffer(frame.data, np.int16) for frame in frames])
    return int(np.abs(heard.astype(np.int32)).max())


async def test_the_microphone_is_heard_while_it_is_fed(
    page: Page, media: Media, play: Play, session: Session, room: ScriptedRoom, until: Until
) -> None:
    connection = await play(page, media)
    await page.evaluate(SEND, ["microphone", 2])
    async with session.microphone.acquire("test") as lease, fed(connection, "microphone", lease):
        await room.wait_until(lambda: bool(room.microphones))
        track = room.microphones[0]
        await track.wait_frames(100)
        frame = track.frames[-1]
        assert (frame.sample_rate, frame.num_channels) == (48_000, 1)
        assert frame.samples_per_channel in (480, 960)
        await until(lambda: loudest(track.frames) > 1000)  # the device beeps once a second
        await mutes(page, lease, until)
    before = len(track.frames)
    await passed(page, 20)
    assert len(track.frames) == before


@pytest.mark.parametrize(("kind", "place"), [("camera", 3), ("screen", 4)])
async def test_pictures_are_seen_while_they_are_fed(
    page: Page,
    media: Media,
    play: Play,
    session: Session,
    room: ScriptedRoom,
    until: Until,
    kind: str,
    place: int,
) -> None:
    connection = await play(page, media)
    await page.evaluate(SEND, [kind, place])
    publisher = getattr(session, kind)
    for number in (1, 2):  # a second lease gets a key frame of its own
        async with publisher.acquire("test") as lease, fed(connection, kind, lease):
            await room.wait_until(partial(lambda least: len(room.video_tracks) >= least, number))
            track = room.video_tracks[number - 1]
            await track.wait_frames(10)
            frame = track.frames[-1]
            assert (frame.width, frame.height) == (320, 240)
            luma = np.frombuffer(frame.planes[0], np.uint8)
            assert luma.std() > 10  # a test picture, not grey
            if number == 1:
                await mutes(page, lease, until)


async def test_what_is_sent_again_finds_its_track(
    page: Page, media: Media, play: Play, session: Session, room: ScriptedRoom
) -> None:
    connection = await play(page, media)
    async with (
        session.camera.acquire("test") as camera,
        session.screen.acquire("test") as screen,
        fed(connection, "camera", camera),
        fed(connection, "screen", screen),
    ):
        await page.evaluate(SEND, ["camera", 3])
        await page.evaluate(SEND, ["screen", 4])
        await room.wait_until(lambda: len(room.video_tracks) >= 2)
        # aiortc keeps no account of packets sent again; its routing table is all there is.
        peer: Any = vars(connection)["_peer"]
        receivers = [one.receiver for one in peer.getTransceivers()][3:]
        table = receivers[0].transport._rtp_router.ssrc_table
        groups = re.findall(r"a=ssrc-group:FID (\d+) (\d+)", peer.remoteDescription.sdp)
        assert len(groups) == 2
        for receiver, (first, again) in zip(receivers, groups, strict=True):
            assert table[int(first)] is table[int(again)] is receiver


async def test_nothing_is_decoded_before_it_is_fed(
    page: Page, media: Media, play: Play, room: ScriptedRoom, until: Until
) -> None:
    connection = await play(page, media)
    await page.evaluate(SEND, ["microphone", 2])
    await page.evaluate(SEND, ["camera", 3])
    await passed(page, 60)
    await until(lambda: connection.statistics().sources["microphone"].left_out > 0)
    assert (room.microphones, room.video_tracks) == ((), ())
    assert [one.decoded for one in connection.statistics().sources.values()] == [0, 0, 0]


async def test_a_feed_ends_with_its_connection(
    page: Page, media: Media, play: Play, session: Session
) -> None:
    connection = await play(page, media)
    async with session.camera.acquire("test") as camera, session.screen.acquire("test") as screen:
        feeds = [
            asyncio.create_task(connection.feed("camera", camera)),
            asyncio.create_task(connection.feed("screen", screen)),
        ]
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await connection.feed("camera", camera)
        await connection.aclose()
        await asyncio.gather(*feeds)
        with pytest.raises(ClosedError):
            await connection.feed("camera", camera)


async def test_a_page_that_may_only_watch_has_no_sources(
    media: Media, offer: str, session: Session
) -> None:
    connection = await media.connect(offer, allow_sources=())
    async with session.microphone.acquire("test") as lease:
        with pytest.raises(ClosedError):
            await connection.feed("microphone", lease)
