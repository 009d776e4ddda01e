"""The HTTP side: pages of any origin, refused tokens, and what the log says."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import aiohttp
import jwt
import pytest
from livelayer_embedded import EmbeddedServer

from livelayer_bus.testing import PATIENCE

pytestmark = pytest.mark.anyio

PAGE = {"Origin": "http://localhost:5173"}
FAR = 99_999_999_999  # seconds since 1970


def http(server: EmbeddedServer, path: str) -> str:
    return server.url.replace("ws", "http", 1) + path


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/rtc/validate", 401),
        ("/rtc", 401),
        ("/rtc/v1/validate", 401),
        ("/twirp/livekit.RoomService/ListRooms", 404),
        ("/nowhere", 404),
    ],
)
async def test_every_answer_may_be_read_by_a_page_of_another_origin(
    embedded: EmbeddedServer, path: str, status: int
) -> None:
    async with (
        aiohttp.ClientSession() as client,
        client.get(http(embedded, path), headers=PAGE) as answer,
    ):
        assert answer.status == status
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


async def test_a_preflight_allows_the_headers_it_asks_for(embedded: EmbeddedServer) -> None:
    headers = PAGE | {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    path = http(embedded, "/twirp/livekit.RoomService/ListRooms")
    async with aiohttp.ClientSession() as client, client.options(path, headers=headers) as answer:
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "POST" in answer.headers["Access-Control-Allow-Methods"]
        assert answer.headers["Access-Control-Allow-Headers"] == "authorization,content-type"


@pytest.mark.parametrize("path", ["/rtc/v1", "/rtc/v1/validate"])
async def test_a_valid_token_falls_back_and_an_expired_one_is_refused_at_once(
    embedded: EmbeddedServer, path: str
) -> None:
    tokens = [embedded.token("alice", "r"), embedded.token("alice", "r", ttl=-3600)]
    async with aiohttp.ClientSession() as client:
        answers = []
        for token in tokens:
            query = {"access_token": token, "join_request": "x" * 20_000}
            async with client.get(http(embedded, path), params=query) as answer:
                answers.append((answer.status, await answer.text()))
    assert answers == [
        (404, "single peer connection mode is not supported"),
        (401, "it has expired"),
    ]


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Version": "13",
}
JOIN: dict[str, Any] = {"roomJoin": True, "room": "r"}


@pytest.mark.parametrize(
    "claims",
    [
        {"video": JOIN | {"room": 5}},
        {"video": JOIN | {"roomJoin": "no"}},
        {"video": JOIN | {"canPublishSources": [1]}},
        {"video": JOIN | {"canPublish": {}}},
        {"video": [1]},
        {"video": JOIN | {"room": "\ud800"}},
        {"sub": 5},
        {"sub": "\ud800"},
        {"name": ["x"]},
        {"metadata": {"a": 1}},
        {"attributes": {"a": 1}},
        {"attributes": [1]},
        {"kind": 3},
        {"roomConfig": True},
        {"roomConfig": {"agents": 5}},
        {"roomConfig": "x"},
        {"exp": "soon"},
        {"nbf": []},
        {"iss": {}},
    ],
    ids=str,
)
async def test_malformed_claims_are_refused_like_a_wrong_token(
    embedded: EmbeddedServer, caplog: pytest.LogCaptureFixture, claims: dict[str, Any]
) -> None:
    whole = {"iss": embedded.key, "sub": "alice", "exp": FAR, "video": JOIN} | claims
    # `jwt.encode` checks some claims itself, so the payload is signed as plain bytes.
    payload = json.dumps(whole).encode()
    token = jwt.api_jws.encode(payload, embedded.secret, "HS256")
    headers = {"Authorization": f"Bearer {token}"}
    paths = ["/rtc", "/rtc/validate", "/agent", "/rtc/v1/validate"]
    async with aiohttp.ClientSession() as client:
        for path in paths:
            async with client.get(http(embedded, path), headers=headers | UPGRADE) as answer:
                assert answer.status == 401, path
        path = http(embedded, "/twirp/livekit.RoomService/ListRooms")
        binary = {"Content-Type": "application/protobuf"}
        async with client.post(path, headers=headers | binary) as answer:
            assert answer.status == 401
    assert [record for record in caplog.records if record.exc_info] == []


@pytest.mark.parametrize(
    "request_line",
    [
        "GET /rtc?access_token={token} HTTP/9.9 nonsense\r\n\r\n",
        "GET /rtc?access_token={token}{much} HTTP/1.1\r\n\r\n",
        "GET http://[/rtc?access_token={token} HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /rtc HTTP/1.1\r\nAuthorization : Bearer {token}\r\n\r\n",
        "GET /rtc HTTP/1.1\r\nAuthorization: Bearer {token}\0\r\n\r\n",
        "GET /rtc HTTP/1.1\r\nAuthorization: Bearer {token}{much}\r\n\r\n",
    ],
)
async def test_no_token_reaches_the_log(
    embedded: EmbeddedServer, caplog: pytest.LogCaptureFixture, request_line: str
) -> None:
    caplog.set_level(logging.DEBUG)
    token = embedded.token("alice", "r")
    reader, writer = await asyncio.open_connection("127.0.0.1", embedded.port)
    writer.write(request_line.format(token=token, much="x" * 70_000).encode())
    status = await asyncio.wait_for(reader.readline(), PATIENCE)
    writer.close()
    assert status.split()[1] == b"400"
    assert "Error handling request" in caplog.text
    assert token[:40] not in caplog.text
