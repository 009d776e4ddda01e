"""WHEP and sources over HTTP, with a real WebRTC peer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack

from livelayer_bus import Session
from livelayer_bus.errors import MicrophoneBusyError
from livelayer_bus.testing import PATIENCE, ScriptedRoom, polled, settle

from .scripted import Page, Serve, Web, code_of

pytestmark = pytest.mark.anyio

SDP = {"content-type": "application/sdp"}


@asynccontextmanager
async def peer(*, sources: bool = True) -> AsyncGenerator[RTCPeerConnection]:
    """A page's end of a media connection; it says silence into its microphone."""
    connection = RTCPeerConnection(RTCConfiguration([]))
    connection.addTransceiver("audio", direction="recvonly")
    connection.addTransceiver("video", direction="recvonly")
    if sources:
        connection.addTransceiver(AudioStreamTrack(), direction="sendonly")
        connection.addTransceiver("video", direction="sendonly")
        connection.addTransceiver("video", direction="sendonly")
    try:
        yield connection
    finally:
        await connection.close()


async def connect(web: Web, connection: RTCPeerConnection, page: Page | None = None) -> str:
    """Make the media connection; gives its path once media can flow."""
    await connection.setLocalDescription()
    headers = SDP | (page.headers if page is not None else {})
    answer = await web.http.post("whep", headers=headers, content=connection.localDescription.sdp)
    assert answer.status_code == 201, answer.text
    assert answer.headers["content-type"] == "application/sdp"
    await connection.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
    location: str = answer.headers["location"]
    assert location.startswith("whep/")
    await polled(lambda: connection.connectionState == "connected")
    return location


def connections(web: Web) -> int:
    return web.surface.statistics().media[0].connections


async def hold_open(session: Session, room: ScriptedRoom) -> None:
    """Wait until the room has a microphone of ours."""
    with anyio.fail_after(PATIENCE):
        await room.wait_until(lambda: bool(room.microphones))


async def test_a_page_has_one_media_connection_and_it_ends_with_it(web: Web) -> None:
    page = await web.page()
    async with peer() as first, peer() as second:
        await connect(web, first, page)
        assert [info.connected for info in web.surface.viewers()] == [True]
        location = await connect(web, second, page)
        await polled(lambda: connections(web) == 1)  # the earlier one ended
        assert (await page.ask("DELETE", location)).status_code == 204
        assert connections(web) == 0
        assert code_of(await page.ask("DELETE", location)) == (404, "connection")
        assert (await page.beat()).status_code == 204
        async with peer() as third:
            await connect(web, third, page)
            await page.leave()
            await polled(lambda: connections(web) == 0)


async def test_nobody_ends_another_pages_connection(web: Web) -> None:
    page, other = await web.page(), await web.page()
    async with peer() as connection:
        location = await connect(web, connection, page)
        assert code_of(await other.ask("DELETE", location)) == (403, "grant")
        assert code_of(await web.http.delete(location)) == (401, "viewer")
        assert connections(web) == 1


async def test_any_whep_player_is_a_viewer_for_as_long_as_it_is_connected(web: Web) -> None:
    page = await web.page()
    async with peer(sources=False) as connection, page.events() as events:
        location = await connect(web, connection)
        assert [info.connected for info in web.surface.viewers()] == [False, True]
        assert [info.active for info in web.surface.viewers()] == [True, False]
        for _ in range(4):  # it never says that it is there: its connection does
            await web.clock.elapse(2.0)
            await page.beat()
        assert len(web.surface.viewers()) == 2
        while (await events.next("info")).data["viewers"] != 2:
            pass
        assert (await web.http.delete(location)).status_code == 204
        await polled(lambda: len(web.surface.viewers()) == 1)


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"", SDP),
        (b"v=0", SDP),
        (b"\xff\xfe", SDP),
        (b"hello", SDP),
        (b"v=0\r\n", {"content-type": "application/json"}),
        (b"m=audio\r\n" * 1000, SDP),
    ],
)
async def test_an_offer_that_is_none_is_refused_and_leaves_nothing(
    web: Web, content: bytes, headers: dict[str, str]
) -> None:
    page = await web.page()
    for given in (headers, headers | page.headers):
        answer = await web.http.post("whep", headers=given, content=content)
        assert code_of(answer) == (400, "sdp")
    assert len(web.surface.viewers()) == 1
    assert connections(web) == 0


async def test_too_many_connections_are_refused(serve: Serve) -> None:
    async with serve(media={"max_connections": 1}) as web:
        page, other = await web.page(), await web.page()
        async with peer() as first, peer() as second:
            await connect(web, first, page)
            await second.setLocalDescription()
            answer = await web.http.post(
                "whep", headers=SDP | other.headers, content=second.localDescription.sdp
            )
            assert code_of(answer) == (503, "media")


async def test_a_stranger_ends_neither_a_connection_nor_its_microphone(web: Web) -> None:
    await web.connect()
    page = await web.page()
    async with peer() as connection:
        await connect(web, connection, page)
        assert (await page.ask("PUT", "sources/microphone")).status_code == 200
        lines = connection.remoteDescription.sdp.splitlines()
        listed = [line.split(" ") for line in lines if line.startswith("a=candidate:")]
        ports = {(words[4], int(words[5])) for words in listed}
        for host, port in ports:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as stranger:
                stranger.sendto(b"", (host, port))
        await polled(lambda: web.surface.statistics().media[0].ignored_datagrams == len(ports))
        assert (await page.beat()).status_code == 204
        assert connections(web) == 1
        assert web.session.microphone.owner == f"web/{page.id}"


@pytest.mark.parametrize("missing", ["a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=mid"])
async def test_an_offer_without_its_transport_lines_is_refused(web: Web, missing: str) -> None:
    await web.connect()
    page = await web.page()
    async with peer() as connection:
        await connection.setLocalDescription()
        head, section, rest = connection.localDescription.sdp.partition("m=video")
        kept = [line for line in rest.splitlines() if not line.startswith(missing)]
        text = head + section + "\r\n".join([*kept, ""])
        answer = await web.http.post("whep", headers=SDP | page.headers, content=text)
        assert code_of(answer) == (400, "sdp")


async def test_the_microphone_is_taken_fed_muted_and_given_back(web: Web) -> None:
    room = await web.connect()
    page, other = await web.page(), await web.page()
    assert code_of(await page.ask("PUT", "sources/microphone")) == (409, "no_media")
    async with peer() as connection, peer() as another:
        await connect(web, connection, page)
        await connect(web, another, other)
        owner = web.session.microphone.owner
        assert owner is None
        taken = await page.ask("PUT", "sources/microphone")
        assert (taken.status_code, taken.json()) == (200, {"owner": f"web/{page.id}"})
        owner = web.session.microphone.owner
        assert owner == f"web/{page.id}"
        again = await page.ask("PUT", "sources/microphone")
        assert (again.status_code, again.json()) == (200, taken.json())
        busy = await other.ask("PUT", "sources/microphone")
        assert code_of(busy) == (409, "busy")
        assert page.id in busy.json()["detail"]
        await hold_open(web.session, room)  # what the page says reaches the room
        muted = await page.ask("PATCH", "sources/microphone", {"muted": True})
        assert muted.status_code == 204
        assert web.session.state.microphone is not None
        assert web.session.state.microphone.muted
        refused = await other.ask("PATCH", "sources/microphone", {"muted": False})
        assert code_of(refused) == (404, "source")
        assert code_of(await other.ask("DELETE", "sources/microphone")) == (404, "source")
        assert (await page.ask("DELETE", "sources/microphone")).status_code == 204
        owner = web.session.microphone.owner
        assert owner is None
        assert (await other.ask("PUT", "sources/microphone")).status_code == 200


async def test_somebody_elses_lease_is_named(web: Web) -> None:
    await web.connect()
    page = await web.page()
    async with peer() as connection, web.session.microphone.acquire("the kiosk"):
        await connect(web, connection, page)
        busy = await page.ask("PUT", "sources/microphone")
        assert code_of(busy) == (409, "busy")
        assert "the kiosk" in busy.json()["detail"]


async def test_without_a_room_nothing_is_taken(web: Web) -> None:
    page = await web.page()
    async with peer() as connection:
        await connect(web, connection, page)
        assert code_of(await page.ask("PUT", "sources/camera")) == (409, "not_connected")
        assert web.session.camera.owner is None


@pytest.mark.parametrize("end", ["leave", "silence", "suspend", "connection", "unmount"])
async def test_a_lease_ends_with_its_page_its_connection_and_the_surface(
    web: Web, end: str
) -> None:
    await web.connect()
    page = await web.page()
    async with peer() as connection:
        location = await connect(web, connection, page)
        assert (await page.ask("PUT", "sources/microphone")).status_code == 200
        assert (await page.ask("PUT", "sources/screen")).status_code == 200
        match end:
            case "leave":
                await page.leave()
            case "silence":
                await web.clock.elapse(5.0)
            case "suspend":
                web.clock.suspend(8 * 3600)
                await web.clock.elapse(0)
            case "connection":
                await page.ask("DELETE", location)
            case _:
                await asyncio.wait_for(web.mounted.unmount(), PATIENCE)
        await polled(lambda: web.session.microphone.owner is None)
        assert web.session.screen.owner is None
        async with web.session.microphone.acquire("somebody else"):
            await settle()
        with pytest.raises(MicrophoneBusyError):
            async with (
                web.session.microphone.acquire("one"),
                web.session.microphone.acquire("two"),
            ):
                pass


async def test_two_that_ask_at_once_get_one_lease_and_one_refusal(web: Web) -> None:
    await web.connect()
    page, other = await web.page(), await web.page()
    async with peer() as connection, peer() as another:
        await connect(web, connection, page)
        await connect(web, another, other)
        asked = [page, page, other, other]
        answers = await asyncio.gather(*(p.ask("PUT", "sources/microphone") for p in asked))
        codes = sorted(answer.status_code for answer in answers)
        assert codes == [200, 200, 409, 409]
