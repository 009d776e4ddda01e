"""Pages that watch through the LiveKit server: what they show, who may, and what it costs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from typing import Any

import anyio
import httpx
import pytest
from livekit import rtc
from livelayer_demo import DemoAgent, demo_agent_token
from livelayer_embedded import EmbeddedServer
from livelayer_web import MediaSettings, ViewerTokens, WebSurface
from playwright.async_api import Browser, BrowserContext, Page

from livelayer_bus import LocalKeys, RoomAccess, Session
from livelayer_bus.messages import ALL
from livelayer_bus.testing import PATIENCE, polled
from livelayer_bus.tokens import TokenRequest
from tests.rooms.kit import Painter, RealServer, Speaker, Stage, embedded_stage
from tests.support import every

from .conftest import CLIENT, PAGES

pytestmark = [pytest.mark.anyio, pytest.mark.realtime]

SERVERS = ["embedded", pytest.param("real", marks=pytest.mark.livekit)]
LIVE = "client.link.phase === 'live' && client.media.phase === 'live'"
AGENT, AVATAR, OTHER = 40, 120, 220  # brightness of their pictures
NEAR = 25  # by which a decoded picture may be off

WATCH = """() => {
  const client = document.querySelector('livelayer-session').client;
  const video = Object.assign(document.createElement('video'), { muted: true, playsInline: true });
  const paper = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  document.body.append(video);
  window.luma = () => {
    const { stream } = client.media;
    if (video.srcObject !== stream) video.srcObject = stream;
    if (video.paused) video.play().catch(() => {});
    if (stream === null || video.videoWidth === 0) return -1;
    paper.drawImage(video, 0, 0, 1, 1);
    return paper.getImageData(0, 0, 1, 1).data[1];
  };
  window.blank = () => video.videoWidth <= 16;
  const inbound = async (kind) => [...((await client.statistics()) ?? new Map()).values()]
    .find((one) => one.type === 'inbound-rtp' && one.kind === kind) ?? {};
  window.inbound = inbound;
  window.energy = async () => (await inbound('audio')).totalAudioEnergy ?? 0;
}"""
COUNT = """
window.peers = 0;
window.asked = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...given) { super(...given); window.peers += 1; }
};
const plain = window.fetch;
window.fetch = (url, options) => {
  window.asked.push(`${options?.method ?? "GET"} ${String(url).split("/livelayer/")[1]}`);
  return plain(url, options);
};"""


class Room:
    """A session that pages watch through a LiveKit server, and its agent."""

    def __init__(self, stage: Stage, stack: AsyncExitStack) -> None:
        self.stage = stage
        self.room = stage.room
        """Where the session's next join leads."""
        self.asked: list[TokenRequest] = []
        self.url = ""
        self.surface: Any = None
        self.session: Any = None
        self.agent: Any = None
        self.met: list[str] = []
        """Whom the agent met."""
        self._keys = LocalKeys(stage.server.url, stage.key, stage.secret)
        self._stack = stack

    async def tokens(self, request: TokenRequest) -> RoomAccess:
        self.asked.append(request)
        if request.role == "viewer":
            return await self._keys(request)
        token = self.stage.server.token("person", self.room)
        return RoomAccess(self.stage.server.url, token, self.room)

    async def open(
        self, media: Any = "sfu", tokens: Any = None, viewer_tokens: ViewerTokens | None = None
    ) -> None:
        """Mount the surface, and connect the session."""
        self.session = Session("agt", tokens=tokens or self.tokens)
        await self._stack.enter_async_context(self.session)
        self.surface = WebSurface(port=0, site=PAGES, media=media, tokens=viewer_tokens)
        self.session.mount(self.surface, key="web", capabilities=ALL)
        with anyio.fail_after(PATIENCE):
            self.url = await self.surface.wait_url()
        await self.session.connect()

    async def acts(self, luma: int = AGENT) -> None:
        """Let the agent in: it shows a face and speaks."""
        room = rtc.Room()
        room.on("participant_connected", lambda one: self.met.append(one.identity))
        room.on("track_published", lambda _, one: self.met.append(one.identity))
        self.stage.room = self.room
        self.agent = await self.stage.join(
            "agent", room=room, kind="agent", attributes={"lk.agent.state": "listening"}
        )
        await self.paints(self.agent, luma)
        await self.speaks(self.agent)

    async def paints(self, room: rtc.Room, luma: int) -> Painter:
        painter = Painter(room, luma)
        await painter.start()
        self._stack.push_async_callback(painter.stop, unpublish=False)
        return painter

    async def speaks(self, room: rtc.Room) -> None:
        speaker = Speaker(room)
        await speaker.start()
        self._stack.push_async_callback(speaker.stop)

    async def until(self, condition: Callable[[], bool]) -> None:
        with self.session.subscribe() as changes, anyio.fail_after(PATIENCE):
            while not condition():
                await anext(changes)

    def viewers(self) -> list[TokenRequest]:
        """The requests for access of pages."""
        return [request for request in self.asked if request.role == "viewer"]


@pytest.fixture(scope="module")
async def watching(launch: Any) -> Browser:
    """A browser that plays sound without a gesture."""
    browser: Browser = await launch(
        "--autoplay-policy=no-user-gesture-required",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
    )
    return browser


@pytest.fixture
async def context(watching: Browser, new_context: Any) -> BrowserContext:
    found: BrowserContext = await new_context(watching)
    await found.add_init_script(COUNT)
    return found


@pytest.fixture(params=SERVERS)
async def room(request: pytest.FixtureRequest) -> AsyncGenerator[Room]:
    async with AsyncExitStack() as stack:
        if request.param == "real":
            names = ("URL", "API_KEY", "API_SECRET")
            url, key, secret = (os.environ.get(f"LIVEKIT_{name}", "") for name in names)
            if not (url and key and secret):
                pytest.skip("need LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET")
            stage = Stage(RealServer(url, key, secret), key, secret)
        else:
            stage = embedded_stage(await stack.enter_async_context(EmbeddedServer()))
        stack.push_async_callback(stage.aclose)
        yield Room(stage, stack)


embedded_only = pytest.mark.parametrize("room", ["embedded"], indirect=True)


async def watch(context: BrowserContext, room: Room, until: Any) -> Page:
    page = await context.new_page()
    await page.goto(room.url)
    await until(page, LIVE)
    await page.evaluate(WATCH)
    return page


async def shows(page: Page, until: Any, luma: int) -> None:
    await until(page, f"Math.abs(luma() - {luma}) < {NEAR}")


async def test_a_page_shows_and_plays_the_agent_and_nobody_sees_it(
    room: Room, context: BrowserContext, until: Any
) -> None:
    await room.open()
    await room.acts()
    other = await room.stage.join("other")
    await room.paints(other, OTHER)

    page = await watch(context, room, until)

    await shows(page, until, AGENT)
    await until(page, "energy().then((energy) => energy > 0)")
    await until(page, "client.speaker.blocked === false && client.level >= 0")
    assert await page.evaluate("document.querySelectorAll('audio').length") == 1
    assert await page.evaluate("asked.some((one) => one === 'POST whep')") is False
    await room.until(lambda: room.session.state.agent_active)
    assert set(room.met) <= {"person", "other"}
    assert set(room.session.room.remote_participants) == {"agent", "other"}
    (asked,) = room.viewers()
    assert (asked.prior_room_name, asked.agent_id) == (room.room, "agt")


async def test_nothing_of_it_is_decoded_in_python(
    room: Room, context: BrowserContext, until: Any
) -> None:
    await room.open()
    await room.acts()
    page = await watch(context, room, until)
    await shows(page, until, AGENT)

    channel = room.session.video
    await polled(lambda: channel.statistics().pushed > 0)  # the one that shows that it delivers
    publications = room.session.room.remote_participants["agent"].track_publications.values()
    (track,) = [one.track for one in publications if one.kind == rtc.TrackKind.KIND_VIDEO]

    async def packets() -> int:
        stats = await track.get_stats()
        found = [one.inbound_rtp.received for one in stats if one.HasField("inbound_rtp")]
        return sum(received.packets_received for received in found)

    before: Any = None
    while before != (now := (channel.statistics().pushed, await packets())):
        before = now
        frames = (await page.evaluate("inbound('video')"))["framesDecoded"]
        await until(page, f"inbound('video').then((one) => one.framesDecoded > {frames} + 60)")
    assert channel.demand == 0
    statistics = room.surface.statistics().media[0]
    assert (statistics.connections, statistics.video.streams) == (0, ())


async def test_an_avatar_takes_over_and_its_renewal_keeps_the_last_picture(
    room: Room, context: BrowserContext, until: Any
) -> None:
    await room.open()
    await room.acts()
    page = await watch(context, room, until)
    await shows(page, until, AGENT)

    for number in range(2):
        worker = await room.stage.worker(f"avatar-{number}")
        painter = await room.paints(worker, AVATAR)
        await shows(page, until, AVATAR)
        await painter.stop()
        await worker.disconnect()
        await shows(page, until, AGENT)
    assert await page.evaluate(f"{CLIENT}.media.stream.getTracks().length") == 1


async def test_a_picture_stays_while_its_track_is_gone(
    room: Room, context: BrowserContext, until: Any
) -> None:
    await room.open()
    room.stage.room = room.room
    agent = await room.stage.agent()
    painter = await room.paints(agent, AVATAR)
    page = await watch(context, room, until)
    await shows(page, until, AVATAR)
    await painter.stop()
    await until(page, "inbound('video').then((one) => one.type === undefined)")
    # A real server may end a picture with black ones of 8 x 8, for which the portrait is shown.
    await until(page, f"Math.abs(luma() - {AVATAR}) < {NEAR} || blank()")
    await room.paints(agent, AGENT)
    await shows(page, until, AGENT)


async def test_another_agent_in_another_room_is_shown_instead(
    room: Room, context: BrowserContext, until: Any
) -> None:
    await room.open()
    await room.acts()
    page = await watch(context, room, until)
    await shows(page, until, AGENT)

    room.room += "-second"
    await room.session.switch_agent("agt_second")
    await room.acts(AVATAR)

    await shows(page, until, AVATAR)
    await until(page, "energy().then((energy) => energy > 0)")
    first, second = room.viewers()
    assert [first.agent_id, second.agent_id] == ["agt", "agt_second"]
    assert second.prior_room_name == room.room


async def test_a_hidden_page_is_sent_no_picture_and_goes_on_hearing(
    room: Room, context: BrowserContext, until: Any
) -> None:
    await room.open()
    await room.acts()
    page = await watch(context, room, until)
    await shows(page, until, AGENT)

    for state in ("hidden", "visible"):
        await page.evaluate(
            """(state) => {
              const shown = { value: state, configurable: true };
              Object.defineProperty(document, 'visibilityState', shown);
              document.dispatchEvent(new Event('visibilitychange'));
            }""",
            state,
        )
        if state == "hidden":
            before = -1
            while before != (now := (await page.evaluate("inbound('video')"))["packetsReceived"]):
                before = now
                energy = await page.evaluate("energy()")
                await until(page, f"energy().then((energy) => energy > {energy} + 0.05)")
    packets = (await page.evaluate("inbound('video')"))["packetsReceived"]
    await until(page, f"inbound('video').then((one) => one.packetsReceived > {packets} + 10)")


async def test_the_size_of_the_picture_chooses_the_servers_layer(
    room: Room, context: BrowserContext, until: Any
) -> None:
    await room.open()
    room.stage.room = room.room
    agent = await room.stage.agent()
    source = rtc.VideoSource(1280, 720)
    track = rtc.LocalVideoTrack.create_video_track("face", source)
    options = rtc.TrackPublishOptions(
        source=rtc.TrackSource.SOURCE_CAMERA, simulcast=True, video_codec=rtc.VideoCodec.VP8
    )
    await agent.local_participant.publish_track(track, options)
    data = bytearray(b"\x50") * (1280 * 720) + b"\x80" * (1280 * 360)

    async def paint() -> None:
        async for _ in every(1 / 10):
            source.capture_frame(rtc.VideoFrame(1280, 720, rtc.VideoBufferType.I420, data))

    painting = asyncio.create_task(paint())
    try:
        page = await watch(context, room, until)
        await page.evaluate(
            "for (const one of document.querySelectorAll('livelayer-avatar')) one.remove()"
        )
        for height, shown in ((150, "< 400"), (720, "=== 720"), (150, "< 400")):
            await page.evaluate(f"{CLIENT}.retainVideo('test', {{height: {height}}})")
            await until(page, f"inbound('video').then((one) => one.frameHeight {shown})")
    finally:
        painting.cancel()
        await asyncio.wait([painting])


async def test_a_reload_and_another_page_get_access_of_their_own(
    room: Room, context: BrowserContext, until: Any
) -> None:
    await room.open()
    await room.acts()
    page = await watch(context, room, until)
    await shows(page, until, AGENT)
    await page.reload()
    await until(page, LIVE)
    await page.evaluate(WATCH)
    await shows(page, until, AGENT)
    other = await watch(context, room, until)
    await shows(other, until, AGENT)
    assert len(room.viewers()) == 3
    assert set(room.met) <= {"person"}


@embedded_only
async def test_a_server_that_is_killed_is_watched_again_with_a_new_token(
    room: Room, context: BrowserContext, until: Any
) -> None:
    await room.open()
    await room.acts()
    page = await watch(context, room, until)
    await shows(page, until, AGENT)

    server: Any = room.stage.server
    await room.agent.disconnect()  # its SDK would come back by itself
    await server.restart()
    await room.until(lambda: not room.session.state.reconnecting)
    await room.acts(AVATAR)

    await shows(page, until, AVATAR)
    assert await page.evaluate("document.querySelectorAll('audio').length") == 1
    assert len(room.viewers()) >= 2


@embedded_only
async def test_a_cut_of_the_pages_socket_changes_nothing_for_it(
    room: Room, context: BrowserContext, until: Any
) -> None:
    await room.open()
    await room.acts()
    page = await watch(context, room, until)
    await shows(page, until, AGENT)
    server: Any = room.stage.server
    people = server.rooms.get_room(room.room).participants
    (viewer,) = [name for name, one in people.items() if one.hidden]
    server.faults.drop_socket(room.room, viewer)
    frames = (await page.evaluate("inbound('video')"))["framesDecoded"]
    await until(page, f"inbound('video').then((one) => one.framesDecoded > {frames} + 30)")
    assert await page.evaluate("peers") <= 2
    assert len(room.viewers()) == 1


@embedded_only
async def test_a_page_that_leaves_leaves_the_room(
    room: Room, context: BrowserContext, until: Any
) -> None:
    await room.open()
    await room.acts()
    server: Any = room.stage.server

    def hidden() -> int:
        people = server.rooms.get_room(room.room).participants.values()
        return sum(one.hidden for one in people)

    page = await watch(context, room, until)
    await shows(page, until, AGENT)
    assert hidden() == 1
    await page.goto("about:blank")
    await polled(lambda: hidden() == 0)


@embedded_only
async def test_a_page_that_is_revoked_leaves_the_room(
    room: Room, context: BrowserContext, until: Any
) -> None:
    tokens = ViewerTokens(b"a secret of at least thirty-two bytes")
    await room.open("sfu", None, tokens)
    await room.acts()
    page = await context.new_page()
    token = room.surface.token()
    await page.goto(room.url)
    await until(page, "client.link.phase === 'refused'")
    assert await page.evaluate("peers") == 0
    await page.evaluate(f"{CLIENT.replace('?', '')}.token = '{token}'")
    await until(page, LIVE)
    server: Any = room.stage.server
    people = server.rooms.get_room(room.room).participants
    await polled(lambda: any(one.hidden for one in people.values()))

    tokens.revoke(tokens.token_id(token))

    await until(page, "client.link.phase === 'refused' && client.media.phase === 'off'")
    await polled(lambda: not any(one.hidden for one in people.values()))


async def test_a_page_takes_the_microphone_as_ever_and_the_agent_hears_the_session(
    room: Room, context: BrowserContext, until: Any
) -> None:
    await room.open()
    await room.acts()
    page = await watch(context, room, until)
    await shows(page, until, AGENT)
    await page.evaluate(f"{CLIENT}.take('microphone')")
    await room.until(lambda: room.session.state.microphone is not None)
    await polled(lambda: bool(room.agent.remote_participants["person"].track_publications))
    await shows(page, until, AGENT)
    statistics = room.surface.statistics().media[0]
    assert (statistics.video.streams, statistics.audio.packets) == ((), 0)
    await page.evaluate(f"{CLIENT}.release('microphone')")
    await room.until(lambda: room.session.state.microphone is None)
    await polled(lambda: room.surface.statistics().media[0].connections == 0)


async def test_an_agent_of_livekits_framework_speaks_to_a_page_that_nobody_sees(
    room: Room, context: BrowserContext, until: Any
) -> None:
    await room.open()
    token = demo_agent_token(room.stage.key, room.stage.secret, room.room)
    page = await watch(context, room, until)
    async with DemoAgent(room.stage.server.url, token, thinking_seconds=0.0):
        await until(
            page, "client.state.transcript.some((one) => one.role === 'agent' && one.final)"
        )
        await until(page, "energy().then((energy) => energy > 0)")
        await until(page, "luma() >= 0")


# Who may -----------------------------------------------------------------------------------------


@embedded_only
async def test_auto_goes_on_as_whep_where_the_token_source_knows_no_viewers(
    room: Room, context: BrowserContext, until: Any
) -> None:
    async def tokens(_: TokenRequest) -> RoomAccess:
        return await room.tokens(TokenRequest("agt"))

    loaded: list[str] = []
    context.on("request", lambda request: loaded.append(request.url))
    await room.open("auto", tokens)
    await room.acts()
    page = await watch(context, room, until)
    await shows(page, until, AGENT)
    asked = await page.evaluate("asked.filter((one) => /room|whep/.test(one))")
    assert asked == ["POST room", "POST whep"]
    assert any(one.endswith("livelayer.js") for one in loaded)
    assert not any("livekit" in one for one in loaded)


@embedded_only
async def test_sfu_says_what_is_missing_where_the_token_source_knows_no_viewers(
    room: Room, context: BrowserContext, until: Any
) -> None:
    async def tokens(_: TokenRequest) -> RoomAccess:
        return await room.tokens(TokenRequest("agt"))

    await room.open("sfu", tokens)
    page = await context.new_page()
    with room.session.subscribe() as events:
        await page.goto(room.url)
        await until(page, "client.media.code === 'unsupported'")
        with anyio.fail_after(PATIENCE):
            while (event := await anext(events)).__class__.__name__ != "HandlerFailed":
                pass
    assert "does not support viewers" in event.error
    assert await page.evaluate("peers") == 0


@embedded_only
async def test_auto_uses_the_livekit_server_where_it_can_and_whep_where_a_page_cannot_reach_it(
    room: Room, context: BrowserContext, until: Any
) -> None:
    await room.open(MediaSettings(mode="auto"))
    await room.acts()
    page = await watch(context, room, until)
    await shows(page, until, AGENT)
    assert await page.evaluate("asked.filter((one) => one === 'POST whep').length") == 0
    await page.close()

    apart = await context.new_page()
    await apart.route_web_socket("**/rtc**", lambda socket: socket.close())
    await apart.goto(room.url)
    await until(apart, LIVE)
    await apart.evaluate(WATCH)
    await shows(apart, until, AGENT)
    assert await apart.evaluate("asked.filter((one) => one === 'POST whep').length") == 1


@embedded_only
async def test_pages_may_connect_to_the_livekit_server_that_is_named_and_to_no_other(
    room: Room, context: BrowserContext, until: Any
) -> None:
    url = room.stage.server.url
    await room.open(MediaSettings(mode="sfu", livekit_url=url))
    await room.acts()
    page = await watch(context, room, until)
    await shows(page, until, AGENT)
    async with httpx.AsyncClient() as client:
        answer = await client.get(room.url)
    policy = answer.headers["content-security-policy"]
    http = url.replace("ws://", "http://")
    assert f"connect-src 'self' {url} {http};" in policy
