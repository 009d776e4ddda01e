"""The route by which pages get access to the LiveKit room: who may, and what they get."""

from __future__ import annotations

import logging

import msgspec
import pytest
from livelayer_web import MediaSettings, ViewerTokens
from livelayer_web.bodies import RoomAnswer
from livelayer_web.network_policy import content_security_policy

from livelayer_bus import HandlerFailed, LocalKeys, MisuseError, RoomAccess
from livelayer_bus.errors import TokenRefusedError
from livelayer_bus.tokens import TokenRequest
from livelayer_bus.tokens.access import read_claims

from .scripted import Page, Serve, Web, code_of

pytestmark = pytest.mark.anyio

URL = "wss://rooms.example:7443"
KEYS = LocalKeys("ws://livekit:7880", "devkey", "secret" * 6)


async def connect(web: Web) -> None:
    await web.session.reconfigure(tokens=KEYS)
    await web.session.connect()


async def test_a_page_that_may_watch_gets_a_viewers_token_of_the_sessions_room(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with serve(media="sfu") as web:
        await connect(web)
        page = await web.page()
        answer = await page.ask("POST", "room", {})
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        body = answer.json()
        assert set(body) == {"url", "token", "room"}
        assert (body["url"], body["room"]) == ("ws://livekit:7880", web.session.room_name)
        claims = read_claims(body["token"])
        assert (claims.is_viewer, claims.room_name) == (True, body["room"])
        again = (await page.ask("POST", "room", {})).json()
        assert again["token"] != body["token"]
        assert not any(body["token"] in record.getMessage() for record in caplog.records)
        assert body["token"] not in repr(msgspec.convert(body, RoomAnswer))


async def test_the_address_that_pages_are_told_may_be_another_one(serve: Serve) -> None:
    async with serve(media={"mode": "sfu", "livekit_url": URL}) as web:
        await connect(web)
        page = await web.page()
        assert (await page.ask("POST", "room", {})).json()["url"] == URL


async def test_a_page_asks_whether_it_is_in_the_right_room_without_a_token(serve: Serve) -> None:
    async with serve(media="auto") as web:
        await connect(web)
        page = await web.page()
        assert (await page.ask("POST", "room", {"known": web.session.room_name})).status_code == 204
        assert code_of(await page.ask("POST", "room", {"known": "another"})) == (409, "moved")


async def test_without_a_key_the_grant_or_a_room_there_is_no_access(serve: Serve) -> None:
    tokens = ViewerTokens(b"a secret of at least thirty-two bytes")
    async with serve(media="sfu", tokens=tokens) as web:
        answer = await web.http.post("room", json={})
        assert code_of(answer) == (401, "viewer")
        headers = {"x-livelayer-key": "made-up"}
        assert code_of(await web.http.post("room", json={}, headers=headers)) == (401, "viewer")
        joined = await web.join(bearer=web.surface.token(["talk"]))
        blind = Page(web.http, joined.json())
        assert code_of(await blind.ask("POST", "room", {})) == (403, "grant")
        joined = await web.join(bearer=web.surface.token(["watch"]))
        assert joined.json()["media"] == "sfu"
        watcher = Page(web.http, joined.json())
        assert code_of(await watcher.ask("POST", "room", {})) == (409, "not_connected")
        await connect(web)
        assert (await watcher.ask("POST", "room", {})).status_code == 200


async def test_as_whep_there_is_no_such_access(web: Web) -> None:
    await connect(web)
    page = await web.page()
    assert code_of(await page.ask("POST", "room", {})) == (501, "unsupported")


async def test_a_source_without_viewers_is_reported_and_one_that_refuses_is_asked_again(
    serve: Serve,
) -> None:
    async def refusing(request: TokenRequest) -> RoomAccess:
        if request.role == "viewer":
            raise TokenRefusedError("https://tokens.example", 403, "check the key")
        return await KEYS(request)

    async with serve(media="sfu") as web:
        await web.connect()
        page = await web.page()
        with web.session.subscribe(HandlerFailed) as faults:
            assert code_of(await page.ask("POST", "room", {})) == (501, "unsupported")
            assert "does not support viewers" in (await anext(faults)).error
            await web.session.reconfigure(tokens=refusing)
            answer = await page.ask("POST", "room", {})
            assert code_of(answer) == (503, "room")
            assert "tokens.example" not in answer.text
            assert "tokens.example" in (await anext(faults)).error


def test_the_policy_names_the_servers_that_pages_may_connect_to() -> None:
    def connects(settings: MediaSettings) -> str:
        (found,) = [
            part.strip()
            for part in content_security_policy(settings).split(";")
            if part.strip().startswith("connect-src")
        ]
        return found

    assert connects(MediaSettings()) == "connect-src 'self'"
    assert connects(MediaSettings(mode="auto")) == "connect-src 'self' wss: https: ws: http:"
    named = MediaSettings(mode="sfu", livekit_url=URL)
    assert connects(named) == f"connect-src 'self' {URL} https://rooms.example:7443"
    with pytest.raises(MisuseError, match="livekit_url"):
        MediaSettings(livekit_url="rooms.example")
