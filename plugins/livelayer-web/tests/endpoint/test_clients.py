"""Over real HTTP: our own token sources, and a thousand requests at once."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator

import anyio
import pytest
from livelayer_web.http.server import serving

from livelayer_bus import BrokenError, TokenRequest
from livelayer_bus.errors import TokenRefusedError, TokenSourceError
from livelayer_bus.testing import PATIENCE
from livelayer_bus.tokens import (
    WIDGET_AGENT_PATH,
    SessionEndpoint,
    TokenEndpoint,
    fetch_agent_config,
)
from livelayer_bus.tokens.access import read_claims

from .conftest import KEY, LUMI, SESSION, Make

pytestmark = pytest.mark.anyio
ASK = TokenRequest(LUMI.id)


class Barrier:
    """Lets everybody go on once all have come."""

    def __init__(self, parties: int) -> None:
        self._missing = parties
        self._complete = anyio.Event()

    async def wait(self) -> None:
        self._missing -= 1
        if not self._missing:
            self._complete.set()
        await self._complete.wait()


@pytest.fixture
async def base(make: Make) -> AsyncGenerator[str, None]:
    async with serving(make()) as base:
        yield base


async def test_session_endpoint_gets_access_and_the_agents_face(base: str) -> None:
    source = SessionEndpoint.at(base, KEY, body={"plan": "gold"})
    access = await source(ASK)
    assert access.url == "ws://127.0.0.1:9"
    assert access.agent_config == LUMI.config
    assert access.room_name == read_claims(access.token).room_name


async def test_token_endpoint_gets_access_by_the_workers_name_or_the_agents_id(base: str) -> None:
    headers = {"x-api-key": KEY}
    for dispatch in (True, "lumi"):
        source = TokenEndpoint(f"{base}/api/token", headers, dispatch=dispatch)
        access = await source(ASK)
        assert access.room_name
        assert access.room_name == read_claims(access.token).room_name


async def test_the_published_configuration_is_found(base: str) -> None:
    assert await fetch_agent_config(base, LUMI.id) == LUMI.config
    assert (await fetch_agent_config(base, "agt/moss")).name == "Moss"
    assert await fetch_agent_config(base, LUMI.id, path=WIDGET_AGENT_PATH) == LUMI.config
    with pytest.raises(BrokenError, match="404"):
        await fetch_agent_config(base, "agt_nobody")


async def test_a_wrong_key_is_the_clients_refusal(base: str) -> None:
    with pytest.raises(TokenRefusedError):
        await SessionEndpoint.at(base, "wrong")(ASK)


async def test_a_server_that_is_away_is_worth_another_try(base: str) -> None:
    source = SessionEndpoint.at(base, KEY)
    room = (await source(ASK)).room_name
    with pytest.raises(TokenSourceError) as caught:
        await source(TokenRequest(LUMI.id, prior_room_name=room))
    assert caught.value.retryable


async def test_of_a_thousand_requests_at_once_none_is_lost(base: str) -> None:
    rooms: set[str] = set()
    barrier = Barrier(1000)

    async def one() -> None:
        port = int(base.rpartition(":")[2])
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            body = json.dumps({"agentId": LUMI.id}).encode()
            head = f"POST {SESSION} HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\n"
            head += f"connection: close\r\ncontent-length: {len(body)}\r\n\r\n"
            await stream.send(head.encode() + body[:-1])
            await barrier.wait()  # all are under way: none is answered before its last byte
            await stream.send(body[-1:])
            answer = b"".join([chunk async for chunk in stream])
        status, _, rest = answer.partition(b"\r\n")
        assert status == b"HTTP/1.1 200 OK"
        rooms.add(json.loads(rest.partition(b"\r\n\r\n")[2])["roomName"])

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            for _ in range(1000):
                group.start_soon(one)
    assert len(rooms) == 1000


async def test_who_hangs_up_in_the_middle_harms_nobody(base: str) -> None:
    port = int(base.rpartition(":")[2])
    head = f"POST {SESSION} HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\ncontent-length: 99\r\n\r\n"
    for sent in ("", "POST", head, head + '{"agentId"'):
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            if sent:
                await stream.send(sent.encode())
    assert (await SessionEndpoint.at(base, KEY)(ASK)).room_name


async def test_a_taken_port_is_an_error_of_ours(base: str, make: Make) -> None:
    port = int(base.rpartition(":")[2])
    with pytest.raises(BrokenError, match=str(port)):
        async with serving(make(), port=port):
            pass
