"""A receiver of webhooks on this machine: a real HTTP server that answers as a test says."""

from __future__ import annotations

import json
import ssl
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import anyio
import anyio.abc
import pytest
from anyio.streams.tls import TLSListener
from livelayer_web.webhooks import WebhookSurface, new_webhook_secret

from livelayer_bus import Backoff, Session
from livelayer_bus.testing import PATIENCE, ManualClock, ScriptedRooms
from livelayer_bus.testing.waiting import Signal

LOOPBACK = ("127.0.0.1",)
EVEN = Backoff(initial=5, factor=4, maximum=100, jitter=0, attempts=3)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@dataclass
class Webhook:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def type(self) -> str:
        return str(self.json["type"])


class Receiver:
    """Answers 204 unless it is told otherwise."""

    def __init__(self) -> None:
        self.port = 0
        self.answers: deque[str] = deque()
        """The head of the next answers, as `500 No` and further header lines."""
        self.silent = False
        self.got: list[Webhook] = []
        self._taken = 0
        self._signal = Signal()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks/path-hunter2?key=query-hunter2"

    async def next(self) -> Webhook:
        """The next request that no earlier call returned."""
        with anyio.fail_after(PATIENCE):
            await self._signal.wait_for(lambda: len(self.got) > self._taken)
        self._taken += 1
        return self.got[self._taken - 1]

    async def serve(self, stream: anyio.abc.ByteStream) -> None:
        async with stream:
            data = b""
            try:
                while b"\r\n\r\n" not in data:
                    data += await stream.receive()
                head, _, body = data.partition(b"\r\n\r\n")
                first, *lines = head.decode().split("\r\n")
                pairs = (line.partition(":") for line in lines)
                headers = {name.lower(): value.strip() for name, _, value in pairs}
                while len(body) < int(headers["content-length"]):
                    body += await stream.receive()
                self.got.append(Webhook(first.split(" ")[1], headers, body))
                self._signal.notify()
                if self.silent:
                    await stream.receive()
                answer = self.answers.popleft() if self.answers else "204 No Content"
                await stream.send(f"HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n".encode())
            except (anyio.EndOfStream, anyio.BrokenResourceError, ssl.SSLError):
                return


@asynccontextmanager
async def receiving(tls: ssl.SSLContext | None = None) -> AsyncGenerator[Receiver]:
    receiver = Receiver()
    listener: Any = await anyio.create_tcp_listener(local_host="127.0.0.1")
    receiver.port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - anyio's
    served: Any = listener if tls is None else TLSListener(listener, tls, standard_compatible=False)
    async with served, anyio.create_task_group() as group:
        group.start_soon(served.serve, receiver.serve)
        yield receiver
        group.cancel_scope.cancel()


@pytest.fixture
async def receiver(anyio_backend: str) -> AsyncGenerator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def secret() -> str:
    return new_webhook_secret()


Make: TypeAlias = Callable[..., WebhookSurface]


@pytest.fixture
def make(receiver: Receiver, secret: str, clock: ManualClock) -> Make:
    """Makes a surface that posts to the receiver, on manual time and without jitter."""

    def made(**options: Any) -> WebhookSurface:
        given: dict[str, Any] = {
            "allow_private": LOOPBACK,
            "retries": EVEN,
            "clock": clock,
            "close_timeout": PATIENCE / 2,
        }
        return WebhookSurface(receiver.url, secret, **(given | options))

    return made


Open: TypeAlias = Callable[[], AbstractAsyncContextManager[tuple[Session, ScriptedRooms]]]


@pytest.fixture
def opened() -> Open:
    """Opens a session on scripted rooms with an agent."""

    @asynccontextmanager
    async def opening() -> AsyncGenerator[tuple[Session, ScriptedRooms]]:
        rooms = ScriptedRooms(agent="agent")
        session = Session("agt_1", tokens=rooms.tokens, room=rooms, close_timeout=2 * PATIENCE)
        async with session:
            yield session, rooms

    return opening
