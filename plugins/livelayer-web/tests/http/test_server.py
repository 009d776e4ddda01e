"""Clients that send half a request, too many, or without end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.abc
import httpx
import pytest
from livelayer_web.http import Guard, Origins, Problem, json_app, serving
from livelayer_web.http.rates import RateLimiter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Scope

pytestmark = pytest.mark.anyio

PATIENCE = 30.0  # seconds until something that should have happened counts as missing
PIECE = b"x" * 65_536


class NoLimits:
    def __len__(self) -> int:
        return 0

    def buckets(self, scope: Scope) -> Iterator[tuple[RateLimiter, str]]:
        return iter(())


async def hello(request: Request) -> Response:
    return PlainTextResponse("hello")


async def echo(request: Request) -> Response:
    return Response(await request.body())


async def refuse(request: Request) -> Response:
    raise Problem(401, "unauthorized", "who are you")


def app(**options: Any) -> Guard:
    routes = [
        Route("/hello", hello),
        Route("/echo", echo, methods=["POST"]),
        Route("/refuse", refuse, methods=["POST"]),
    ]
    return Guard(json_app(routes), origins=Origins(), limits=NoLimits(), **options)


async def connect(base: str) -> anyio.abc.SocketStream:
    address = urlsplit(base)
    return await anyio.connect_tcp(str(address.hostname), int(address.port or 0))


async def receive(stream: anyio.abc.SocketStream) -> bytes:
    """What the server sends next; empty when it closed the connection."""
    try:
        return await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return b""


async def read_all(stream: anyio.abc.SocketStream) -> bytes:
    """What the server sends until it closes the connection."""
    data = b""
    with anyio.fail_after(PATIENCE):
        while piece := await receive(stream):
            data += piece
    return data


async def pour(stream: anyio.abc.SocketStream, piece: bytes) -> int:
    """Send the piece until the server closes the connection; the bytes that were sent."""
    sent = 0
    with anyio.fail_after(PATIENCE):
        try:
            while True:
                await stream.send(piece)
                sent += len(piece)
        except anyio.BrokenResourceError:
            return sent


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /hello HT", b"GET /hello HTTP/1.1\r\nhost: a\r\n"],
    ids=["nothing", "half-a-line", "no-end"],
)
@pytest.mark.parametrize("first", [b"", b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n"])
async def test_a_connection_without_headers_is_closed(first: bytes, sent: bytes) -> None:
    async with serving(app(), header_seconds=1.0) as base, await connect(base) as stream:
        await stream.send(first + sent)
        answer = await read_all(stream)
        assert answer.count(b"hello") == bool(first)


async def test_trickling_headers_does_not_keep_a_connection() -> None:
    async with serving(app(), header_seconds=0.3) as base, await connect(base) as stream:
        await stream.send(b"GET /hello HTTP/1.1\r\n")
        answer = b"none yet"
        with anyio.fail_after(PATIENCE):
            while answer:
                await stream.send(b"x: y\r\n")
                with anyio.move_on_after(0.01):  # the client's pace
                    answer = await receive(stream)
        assert answer == b""


async def test_half_open_connections_leave_room_for_others() -> None:
    async with serving(app(), max_connections=4) as base, AsyncExitStack() as stack:
        half_open = [await stack.enter_async_context(await connect(base)) for _ in range(20)]
        for stream in half_open[:16]:
            assert await read_all(stream) == b""
        async with httpx.AsyncClient(base_url=base) as client:
            for _ in range(5):
                assert (await client.get("/hello")).status_code == 200


async def test_keep_alive_survives_a_body_that_nobody_read() -> None:
    async with serving(app()) as base, httpx.AsyncClient(base_url=base) as client:
        answers = [await client.post("/refuse", json={"a": 1}) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [401] * 3
        assert all("connection" not in answer.headers for answer in answers)


@pytest.mark.parametrize("path", ["/refuse", "/echo", "/nowhere"])
@pytest.mark.parametrize("framing", [b"content-length: 10000000000", b"transfer-encoding: chunked"])
async def test_an_endless_body_ends_with_its_answer(path: str, framing: bytes) -> None:
    """It was read for as long as it came."""
    async with serving(app()) as base, await connect(base) as stream:
        head = b"POST %b HTTP/1.1\r\nhost: a\r\n%b\r\n\r\n" % (path.encode(), framing)
        await stream.send(head)
        piece = b"%x\r\n%b\r\n" % (len(PIECE), PIECE) if b"chunked" in framing else PIECE
        assert await pour(stream, piece) < 64 * 1024 * 1024


async def test_a_client_that_sends_too_much_reads_why() -> None:
    async with serving(app(max_body=1000)) as base, await connect(base) as stream:
        await stream.send(b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 200000\r\n\r\n")
        await stream.send(b"x" * 200_000)
        answer = await read_all(stream)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in head.lower()
    assert b'"code":"size"' in body


async def test_a_client_that_waits_for_a_go_ahead_sends_no_body() -> None:
    async with serving(app()) as base, await connect(base) as stream:
        await stream.send(
            b"POST /refuse HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n"
            b"content-length: 60000\r\n\r\n"
        )
        answer = await read_all(stream)
    assert answer.startswith(b"HTTP/1.1 401")


async def test_a_body_that_stops_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livelayer_web.http.guard.BODY_SECONDS", 0.2)
    async with serving(app()) as base, await connect(base) as stream:
        await stream.send(b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nx")
        answer = await read_all(stream)
    assert answer.startswith(b"HTTP/1.1 408")
