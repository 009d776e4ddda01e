"""Tokens without a request: given ones, and ones minted here with no right too many."""

from __future__ import annotations

import io
import json
import time
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.pretty import pprint

from livelayer_bus.errors import (
    ConfigError,
    NotSupportedError,
    RefusedError,
    RoomRefusedError,
)
from livelayer_bus.tokens import LiteralToken, LocalKeys, RoomAccess, TokenRequest
from livelayer_bus.tokens.access import Claims, read_claims

SECRET = "hunter2-" * 5
URL = "wss://rooms.example"
REQUEST = TokenRequest("agt_1")


def _token(**claims: Any) -> str:
    return jwt.encode(claims, SECRET, algorithm="HS256")


@pytest.mark.anyio
async def test_a_given_token_is_passed_on_with_the_room_it_names() -> None:
    token = _token(video={"room": "lobby"}, exp=time.time() + 60)
    assert await LiteralToken(URL, token)(REQUEST) == RoomAccess(URL, token, "lobby")


@pytest.mark.anyio
async def test_what_is_no_token_is_left_to_the_server() -> None:
    assert await LiteralToken(URL, "garbage")(REQUEST) == RoomAccess(URL, "garbage")


@pytest.mark.anyio
async def test_an_expired_token_is_refused_before_anything_is_dialled() -> None:
    source = LiteralToken(f"{URL}/?key={SECRET}", _token(exp=time.time() - 90))
    with pytest.raises(
        RoomRefusedError, match=r"wss://rooms\.example/ .* it expired 9\d s ago"
    ) as e:
        await source(REQUEST)
    assert isinstance(e.value, RefusedError)
    assert SECRET not in str(e.value)


@pytest.mark.parametrize("url", ["", "rooms.example", "ftp://rooms.example", "ws://", "ws://a b"])
def test_a_room_address_is_checked_up_front(url: str) -> None:
    with pytest.raises(ConfigError, match=r"LiteralToken\.url"):
        LiteralToken(url, "token")
    with pytest.raises(ConfigError, match=r"LocalKeys\.url"):
        LocalKeys(url, "key", SECRET)


@pytest.mark.parametrize("url", ["ws://a", "wss://a:7880", "http://a/path", "https://[::1]:7880"])
def test_each_kind_of_room_address_is_taken(url: str) -> None:
    assert LiteralToken(url, "token").url == url


@pytest.mark.parametrize("token", ["", "hunter2\n", "hünter2", " "])
def test_a_token_that_cannot_be_sent_is_refused_without_repeating_it(token: str) -> None:
    with pytest.raises(ConfigError, match=r"LiteralToken\.token") as caught:
        LiteralToken(URL, token)
    assert "hunter2" not in str(caught.value)


@pytest.mark.anyio
async def test_a_minted_token_lets_one_participant_into_one_room_and_nothing_else() -> None:
    access = await LocalKeys(URL, "devkey", SECRET, ttl=60)(REQUEST)
    claims = jwt.decode(access.token, SECRET, algorithms=["HS256"], issuer="devkey")
    assert claims["video"] == {
        "roomJoin": True,
        "room": access.room_name,
        "canPublish": True,
        "canSubscribe": True,
        "canPublishData": True,
        "canUpdateOwnMetadata": True,
    }
    assert set(claims) == {"video", "sub", "iss", "nbf", "exp"}
    assert claims["exp"] - claims["nbf"] == 60
    assert access.url == URL


@pytest.mark.anyio
async def test_each_session_has_a_new_room_unless_it_returns_to_its_own() -> None:
    keys = LocalKeys(URL, "devkey", SECRET)
    first, second = await keys(REQUEST), await keys(REQUEST)
    assert first.room_name != second.room_name
    assert _claims(first)["sub"] != _claims(second)["sub"]
    back = await keys(TokenRequest("agt_1", prior_room_name=first.room_name))
    assert back.room_name == first.room_name
    assert _claims(back)["video"]["room"] == first.room_name


@pytest.mark.anyio
async def test_a_room_a_participant_and_an_agent_can_be_chosen() -> None:
    keys = LocalKeys(
        URL,
        "devkey",
        SECRET,
        room_name="lobby",
        identity="bo",
        name="Bo",
        attributes={"plan": "team"},
        dispatch=True,
    )
    access = await keys(TokenRequest("agt_1", prior_room_name="elsewhere"))
    claims = _claims(access)
    assert access.room_name == claims["video"]["room"] == "lobby"
    assert (claims["sub"], claims["name"]) == ("bo", "Bo")
    assert claims["attributes"] == {"plan": "team"}
    assert claims["roomConfig"] == {"agents": [{"agentName": "agt_1"}]}
    other = _claims(await LocalKeys(URL, "devkey", SECRET, dispatch="guide")(REQUEST))
    assert other["roomConfig"] == {"agents": [{"agentName": "guide"}]}


@pytest.mark.anyio
async def test_a_viewer_is_hidden_and_may_receive_and_nothing_else() -> None:
    keys = LocalKeys(
        URL, "devkey", SECRET, identity="bo", name="Bo", attributes={"a": "b"}, dispatch=True
    )
    request = TokenRequest("agt_1", prior_room_name="lobby", role="viewer")
    access, other = await keys(request), await keys(request)
    claims = _claims(access)
    assert claims["video"] == {
        "roomJoin": True,
        "room": "lobby",
        "hidden": True,
        "canSubscribe": True,
        "canPublish": False,
        "canPublishData": False,
    }
    assert set(claims) == {"video", "sub", "iss", "nbf", "exp"}
    assert claims["exp"] - claims["nbf"] == 600
    assert len({"bo", claims["sub"], _claims(other)["sub"]}) == 3
    assert read_claims(access.token).is_viewer


@pytest.mark.parametrize(
    "more",
    [
        {"hidden": False},
        {"canPublish": True},
        {"canPublish": None},
        {"canPublishData": True},
        {"canUpdateOwnMetadata": True},
        {"roomAdmin": True},
        {"agent": True},
    ],
)
def test_what_may_do_more_is_not_a_viewers_token(more: dict[str, Any]) -> None:
    video = {"room": "lobby", "roomJoin": True, "hidden": True, "canSubscribe": True}
    video |= {"canPublish": False, "canPublishData": False}
    assert read_claims(_token(video=video)).is_viewer
    assert not read_claims(_token(video=video | more)).is_viewer


@pytest.mark.anyio
async def test_a_given_token_is_not_given_to_viewers() -> None:
    with pytest.raises(NotSupportedError, match="LiteralToken does not support viewers"):
        await LiteralToken(URL, _token())(TokenRequest("agt_1", role="viewer"))


@pytest.mark.parametrize(
    ("key", "secret", "ttl"), [("", SECRET, 60), ("devkey", "", 60), ("devkey", SECRET, 0)]
)
def test_keys_and_lifetime_are_checked_up_front(
    monkeypatch: pytest.MonkeyPatch, key: str, secret: str, ttl: float
) -> None:
    monkeypatch.setenv("LIVEKIT_API_KEY", "from-the-environment")
    monkeypatch.setenv("LIVEKIT_API_SECRET", "from-the-environment")
    with pytest.raises(ConfigError):
        LocalKeys(URL, key, secret, ttl=ttl)


@pytest.mark.anyio
async def test_no_repr_shows_a_secret() -> None:
    keys = LocalKeys(f"{URL}/?key={SECRET}", "devkey", SECRET)
    access = await keys(REQUEST)
    literal = LiteralToken(access.url, access.token)
    rich = io.StringIO()
    with rich:
        pprint(access, console=Console(file=rich))
        shown = [repr(keys), repr(access), str(access), f"{access}", repr(literal), rich.getvalue()]
    for text in shown:
        assert access.token not in text
        assert SECRET not in text
        assert "rooms.example" in text


@given(st.text() | st.binary().map(lambda data: f"a.{data.hex()}.b"))
def test_anything_may_be_read_for_claims(token: str) -> None:
    assert isinstance(read_claims(token), Claims)


@pytest.mark.parametrize(
    ("payload", "room_name", "expires"),
    [
        ({"video": {"room": "lobby"}, "exp": 5}, "lobby", 5.0),
        ({"video": {"room": ""}}, None, None),
        ({"video": {}}, None, None),
        ({}, None, None),
        ({"exp": 10**400}, None, None),
        ({"exp": "soon"}, None, None),
        ({"video": 5}, None, None),
    ],
)
def test_claims_are_read_without_trust(
    payload: dict[str, Any], room_name: str | None, expires: float | None
) -> None:
    token = jwt.api_jws.encode(_json(payload), SECRET, algorithm="HS256")
    claims = read_claims(token)
    assert (claims.room_name, claims.expires) == (room_name, expires)


def _json(payload: dict[str, Any]) -> bytes:
    return json.dumps(payload).encode()


def _claims(access: RoomAccess) -> dict[str, Any]:
    return jwt.decode(access.token, SECRET, algorithms=["HS256"])
