"""Both kinds of endpoint ask what their service expects, and every bad answer is a typed error."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import Protocol

import anyio
import jwt
import pytest

from livelayer_bus import AgentConfigChanged, Session
from livelayer_bus.errors import (
    BrokenError,
    ConfigError,
    MisuseError,
    NotSupportedError,
    RefusedError,
    TokenRefusedError,
    TokenSourceError,
)
from livelayer_bus.events import AgentConfig
from livelayer_bus.testing import PATIENCE, polled
from livelayer_bus.tokens import (
    WIDGET_AGENT_PATH,
    RoomAccess,
    SessionEndpoint,
    TokenEndpoint,
    TokenRequest,
    TokenSource,
    fetch_agent_config,
)

from .conftest import Answer, Endpoint

REQUEST = TokenRequest("agt_1")
KEY = "key-hunter2"
TOKEN = jwt.encode({"video": {"room": "from-the-token"}}, "k" * 32, algorithm="HS256")


class Kind(Protocol):
    def __call__(self, url: str, /, *, timeout: float = 10.0) -> TokenSource: ...


KINDS: list[Kind] = [SessionEndpoint, TokenEndpoint]
pytestmark = pytest.mark.anyio


async def test_the_session_endpoint_is_asked_as_livelayer_expects(endpoint: Endpoint) -> None:
    endpoint.answers(
        {
            "url": "wss://rooms.example",
            "token": TOKEN,
            "roomName": "room-7",
            "agentConfig": {"name": "Ada", "avatarImageUrl": "/ada.png", "theme": "dark"},
            "later": [1],
        }
    )
    source = SessionEndpoint.at(
        f"{endpoint.base}/app/",
        KEY,
        headers={"X-Tenant": "t1"},
        body={"visitor": {"name": "Bo"}},
    )
    access = await source(TokenRequest("agt_1", prior_room_name="room-6"))
    assert access == RoomAccess(
        "wss://rooms.example", TOKEN, "room-7", AgentConfig("Ada", avatar_image_url="/ada.png")
    )
    (asked,) = endpoint.asked
    assert (asked.method, asked.path) == ("POST", "/app/api/widget/session")
    assert asked.headers["x-api-key"] == KEY
    assert asked.headers["x-tenant"] == "t1"
    assert asked.headers["content-type"] == "application/json"
    assert asked.json() == {
        "agentId": "agt_1",
        "visitor": {"name": "Bo"},
        "priorRoomName": "room-6",
    }


async def test_a_viewer_is_asked_for_by_its_role_and_only_where_there_is_one(
    endpoint: Endpoint,
) -> None:
    endpoint.answers({"url": "ws://rooms.example", "token": TOKEN})
    request = TokenRequest("agt_1", prior_room_name="room-6", role="viewer")
    await SessionEndpoint(f"{endpoint.base}/own", body={"role": "a field of mine"})(request)
    with pytest.raises(NotSupportedError):
        await TokenEndpoint(f"{endpoint.base}/standard")(request)
    (asked,) = endpoint.asked
    assert asked.json() == {"agentId": "agt_1", "priorRoomName": "room-6", "role": "viewer"}


async def test_a_first_session_names_no_prior_room_and_sends_no_key(endpoint: Endpoint) -> None:
    endpoint.answers({"url": "ws://rooms.example", "token": TOKEN})
    access = await SessionEndpoint(f"{endpoint.base}/own?x=1")(REQUEST)
    assert access.room_name == "from-the-token"
    assert access.agent_config is None
    (asked,) = endpoint.asked
    assert asked.path == "/own?x=1"
    assert asked.json() == {"agentId": "agt_1"}
    assert "x-api-key" not in asked.headers


async def test_the_token_endpoint_is_asked_as_livekit_expects(endpoint: Endpoint) -> None:
    endpoint.answers({"server_url": "wss://rooms.example", "participant_token": TOKEN}, 201)
    source = TokenEndpoint(
        f"{endpoint.base}/token",
        {"Authorization": f"Bearer {KEY}"},
        {"participant_name": "Bo"},
        identity="bo-1",
        dispatch=True,
    )
    access = await source(TokenRequest("agt_1", prior_room_name="room-6"))
    assert access == RoomAccess("wss://rooms.example", TOKEN, "from-the-token")
    (asked,) = endpoint.asked
    assert (asked.method, asked.path) == ("POST", "/token")
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.json() == {
        "room_name": "room-6",
        "participant_identity": "bo-1",
        "room_config": {"agents": [{"agent_name": "agt_1"}]},
        "participant_name": "Bo",
    }


async def test_the_token_endpoint_asks_for_nothing_it_was_not_told(endpoint: Endpoint) -> None:
    endpoint.answers({"serverUrl": "ws://rooms.example", "participantToken": TOKEN})
    await TokenEndpoint(f"{endpoint.base}/token")(REQUEST)
    await TokenEndpoint(f"{endpoint.base}/token", room_name="lobby", dispatch="guide")(REQUEST)
    assert [asked.json() for asked in endpoint.asked] == [
        {},
        {"room_name": "lobby", "room_config": {"agents": [{"agent_name": "guide"}]}},
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "answer",
    [
        {"url": "wss://rooms.example", "token": TOKEN},
        {"server_url": "wss://rooms.example", "participant_token": TOKEN},
        {"serverUrl": "wss://rooms.example", "participantToken": TOKEN},
        {"url": "wss://rooms.example", "token": TOKEN, "agentConfig": None, "roomName": None},
    ],
)
async def test_each_shape_of_answer_is_understood_by_both(
    endpoint: Endpoint, kind: Kind, answer: dict[str, object]
) -> None:
    endpoint.answers(answer)
    access = await kind(f"{endpoint.base}/t")(REQUEST)
    assert access == RoomAccess("wss://rooms.example", TOKEN, "from-the-token")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [401, 403])
async def test_a_refusal_is_told_apart(endpoint: Endpoint, kind: Kind, status: int) -> None:
    endpoint.answers({"error": KEY}, status)
    with pytest.raises(TokenRefusedError, match=str(status)) as caught:
        await kind(f"{endpoint.base}/t?key={KEY}")(REQUEST)
    assert caught.value.status == status
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "retryable"),
    [
        (400, False),
        (404, False),
        (408, True),
        (418, False),
        (422, False),
        (429, True),
        (500, True),
        (503, True),
        (599, True),
    ],
)
async def test_a_status_says_whether_to_try_again(
    endpoint: Endpoint, kind: Kind, status: int, retryable: bool
) -> None:
    endpoint.answers({"error": KEY}, status)
    with pytest.raises(TokenSourceError, match=f"answered {status}") as caught:
        await kind(f"{endpoint.base}/t?key={KEY}")(REQUEST)
    assert caught.value.retryable is retryable
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(endpoint: Endpoint, kind: Kind, status: int) -> None:
    endpoint.answers({}, status, location=f"{endpoint.base}/elsewhere?key={KEY}")
    with pytest.raises(TokenSourceError, match="redirects") as caught:
        await kind(f"{endpoint.base}/t")(REQUEST)
    assert not caught.value.retryable
    assert KEY not in str(caught.value)
    assert len(endpoint.asked) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("answer", "field"),
    [
        ({}, "'url' or 'server_url'"),
        ({"url": "wss://rooms.example"}, "'token' or 'participant_token'"),
        ({"token": TOKEN}, "'url'"),
        ({"url": 5, "token": TOKEN}, "'url'"),
        ({"url": "", "token": TOKEN}, "'url'"),
        ({"server_url": "ftp://hunter2.example", "token": TOKEN}, "'server_url'"),
        ({"url": "wss://", "token": TOKEN}, "'url'"),
        ({"url": "wss://rooms.example", "token": ["hunter2"]}, "'token'"),
        ({"url": "wss://rooms.example", "participantToken": "hunter2\n"}, "'participantToken'"),
        ({"url": "wss://rooms.example", "token": TOKEN, "roomName": 5}, "'roomName'"),
        ({"url": "wss://rooms.example", "token": TOKEN, "agentConfig": 5}, "'agentConfig'"),
        (
            {"url": "wss://rooms.example", "token": TOKEN, "agentConfig": {"name": 5}},
            "'agentConfig': Expected `str`, got `int` - at `$.name`",
        ),
    ],
)
async def test_an_unusable_answer_is_refused_by_the_name_of_its_field(
    endpoint: Endpoint, kind: Kind, answer: dict[str, object], field: str
) -> None:
    endpoint.answers(answer)
    with pytest.raises(TokenSourceError) as caught:
        await kind(f"{endpoint.base}/t")(REQUEST)
    assert field in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"<html>", "not a JSON object"),
        (b"", "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b'{"url":"\xff"}', "not a JSON object"),
        (b"[" * 60_000, "nests too deeply"),
        (b" " * 70_000 + b"{}", "longer than 65536 bytes"),
    ],
    ids=["html", "empty", "array", "latin", "deep", "long"],
)
async def test_a_hostile_answer_is_refused(endpoint: Endpoint, body: bytes, problem: str) -> None:
    endpoint.answer = Answer(body=body)
    with pytest.raises(TokenSourceError, match=problem) as caught:
        await SessionEndpoint(f"{endpoint.base}/t")(REQUEST)
    assert not caught.value.retryable


async def test_an_endless_answer_is_cut_off(endpoint: Endpoint) -> None:
    endpoint.answer = Answer(body=b" " * 10_000, endless=True)
    with pytest.raises(TokenSourceError, match="longer than 65536 bytes"):
        await SessionEndpoint(f"{endpoint.base}/t", timeout=20)(REQUEST)


async def test_a_compressed_answer_is_neither_asked_for_nor_unpacked(endpoint: Endpoint) -> None:
    endpoint.answer = Answer(body=b"\x1f\x8b\x08", headers={"content-encoding": "gzip"})
    with pytest.raises(TokenSourceError, match="not a JSON object"):
        await SessionEndpoint(f"{endpoint.base}/t")(REQUEST)
    assert endpoint.asked[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("kind", KINDS)
async def test_an_endpoint_that_never_answers_is_given_up(endpoint: Endpoint, kind: Kind) -> None:
    endpoint.answer = Answer(silent=True)
    with pytest.raises(TokenSourceError, match=r"no answer within 0\.2 s") as caught:
        await kind(f"{endpoint.base}/t", timeout=0.2)(REQUEST)
    assert caught.value.retryable


@pytest.mark.parametrize("kind", KINDS)
async def test_a_dead_endpoint_can_be_tried_again(kind: Kind) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(TokenSourceError, match="cannot connect") as caught:
        await kind(f"http://127.0.0.1:{port}/t?key={KEY}")(REQUEST)
    assert caught.value.retryable
    assert caught.value.source == f"http://127.0.0.1:{port}/t"
    assert KEY not in str(caught.value)


async def test_no_log_line_shows_a_query_a_password_a_key_or_a_token(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint.answers({"url": "wss://rooms.example", "token": TOKEN})
    url = f"http://user:{KEY}@127.0.0.1:{endpoint.port}/t?key={KEY}"
    with caplog.at_level(logging.DEBUG):
        await SessionEndpoint(url, KEY, {"authorization": KEY})(REQUEST)
    assert endpoint.asked[0].path == f"/t?key={KEY}"
    assert "HTTP Request" in caplog.text
    assert KEY not in caplog.text
    assert TOKEN not in caplog.text


def _session(url: str) -> object:
    return SessionEndpoint(url)


def _based(url: str) -> object:
    return SessionEndpoint.at(url)


def _token(url: str) -> object:
    return TokenEndpoint(url)


@pytest.mark.parametrize("make", [_session, _based, _token])
@pytest.mark.parametrize(
    "url",
    [
        "",
        "rooms.example",
        "ws://rooms.example",
        "file:///etc/passwd",
        "http://",
        "http://[::1",
        "http://rooms.example:99999",
        "http://rooms .example",
        "http://rooms.example\\@evil.example",
        "http://rooms.example/\n",
    ],
)
async def test_an_address_is_checked_up_front(make: Callable[[str], object], url: str) -> None:
    with pytest.raises(ConfigError, match="invalid address"):
        make(url)


@pytest.mark.parametrize("url", ["http://rooms.example/?a=b", "http://rooms.example/#a"])
async def test_a_base_address_has_no_query(url: str) -> None:
    with pytest.raises(ConfigError, match="query"):
        SessionEndpoint.at(url)


@pytest.mark.parametrize(
    "value", ["", "hunter2\r\nx-evil: 1", "hünter2", " hunter2", "\x7fhunter2"]
)
async def test_a_header_that_cannot_be_sent_is_refused_without_repeating_it(value: str) -> None:
    with pytest.raises(ConfigError) as key:
        SessionEndpoint("http://x.example", value)
    with pytest.raises(ConfigError) as header:
        TokenEndpoint("http://x.example", {"x-a": value})
    for caught in (key, header):
        assert not value or value not in str(caught.value)


async def test_a_header_name_and_a_body_are_checked() -> None:
    with pytest.raises(ConfigError, match="not a valid header name"):
        TokenEndpoint("http://x.example", {"x evil": "1"})
    with pytest.raises(ConfigError, match="no JSON form"):
        SessionEndpoint("http://x.example", body={"at": object()})
    with pytest.raises(MisuseError, match="no JSON form"):
        SessionEndpoint("http://x.example", body={"at": float("nan")})


async def test_no_repr_shows_a_secret() -> None:
    url = f"https://user:{KEY}@x.example:8443/path?key={KEY}#{KEY}"
    for source in (
        SessionEndpoint(url, KEY, {"authorization": KEY}, {"secret": KEY}),
        TokenEndpoint(url, {"authorization": KEY}, {"secret": KEY}),
    ):
        assert KEY not in repr(source)
        assert KEY not in str(source)
        assert "https://x.example:8443/path" in repr(source)


async def test_an_agents_configuration_is_fetched(endpoint: Endpoint) -> None:
    endpoint.answers({"name": "Ada", "idleLoopUrl": "/idle.mp4", "id": "agt/1"})
    config = await fetch_agent_config(f"{endpoint.base}/", "agt/1?x")
    assert config == AgentConfig("Ada", idle_loop_url="/idle.mp4")
    (asked,) = endpoint.asked
    assert (asked.method, asked.path) == ("GET", "/api/agents/agt%2F1%3Fx/config")
    assert asked.body == b""


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        (403, {}, RefusedError, "refused"),
        (404, {}, BrokenError, "check the address and the agent id"),
        (200, {"name": None}, BrokenError, "unusable: Expected `str`, got `null`"),
    ],
)
async def test_a_configuration_that_cannot_be_had_is_a_typed_error(
    endpoint: Endpoint, status: int, body: object, error: type[Exception], words: str
) -> None:
    endpoint.answers(body, status)
    with pytest.raises(error, match=words):
        await fetch_agent_config(endpoint.base, "agt_1")


async def test_what_is_published_for_widgets_is_fetched(endpoint: Endpoint) -> None:
    published = {"id": "agt/1", "name": "Ada", "avatarImageUrl": None, "idleLoopUrl": "/idle.mp4"}
    endpoint.answers({**published, "capabilities": ["click"], "pageVision": {"every": 2}})
    agent = await fetch_agent_config(endpoint.base, "agt/1", path=WIDGET_AGENT_PATH)
    assert agent == AgentConfig("Ada", idle_loop_url="/idle.mp4")
    assert endpoint.asked[0].path == "/api/widget/agent/agt%2F1"


async def test_a_session_knows_its_agent_before_it_connects(endpoint: Endpoint) -> None:
    endpoint.answers({"id": "agt_1", "name": "Ada", "avatarImageUrl": "https://x.example/a.png"})
    async with Session("agt_1", base_url=endpoint.base) as session:
        with session.subscribe(AgentConfigChanged) as changes, anyio.fail_after(PATIENCE):
            changed = await anext(changes)
            assert changed.config == AgentConfig("Ada", "https://x.example/a.png")
            endpoint.answers({"id": "agt_2", "name": "Grace"})
            await session.switch_agent("agt_2")
            assert session.agent_config is None
            assert (await anext(changes)).config == AgentConfig("Grace")
        assert session.connection_state == "idle"
    assert [asked.path for asked in endpoint.asked] == [
        "/api/widget/agent/agt_1",
        "/api/widget/agent/agt_2",
    ]


async def test_a_session_without_a_published_agent_goes_on(endpoint: Endpoint) -> None:
    endpoint.answers({}, 404)
    async with Session("agt_1", tokens=SessionEndpoint.at(endpoint.base)) as session:
        await session.switch_agent("agt_2")
        await polled(lambda: len(endpoint.asked) >= 1)
        assert session.error is None
        assert session.agent_config is None


@pytest.mark.parametrize("agent_id", ["", ".", ".."])
async def test_an_agent_id_cannot_climb_out_of_its_place(agent_id: str) -> None:
    with pytest.raises(ConfigError, match="names no agent"):
        await fetch_agent_config("http://x.example", agent_id)
