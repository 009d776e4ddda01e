"""The endpoint without and with a network, before an embedded server that tokens are for."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest
from livekit import api
from livelayer_embedded import EmbeddedServer
from livelayer_web.endpoint import ApiKeys, Auth, EndpointSettings, Rate, ServedAgent, create_app
from starlette.types import ASGIApp

from livelayer_bus.events import AgentConfig
from livelayer_bus.testing import ManualClock

KEY = "key-of-the-shop-0123456789"
OTHER_KEY = "key-of-the-blog-0123456789"
ORIGIN = "https://shop.example.com"
SECRET = "secretsecretsecretsecretsecretsecret"
SESSION = "/api/widget/session"  # spelled out: clients have it built in
FREE = Rate(per_minute=1e6, burst=100_000)

LUMI = ServedAgent(
    id="agt_lumi",
    config=AgentConfig("Lumi", avatar_image_url="https://example.com/lumi.png"),
    dispatch="lumi",
    metadata={"voice": "calm"},
)
MOSS = ServedAgent(id="agt/moss", config=AgentConfig("Moss"))


@pytest.fixture(params=[pytest.param(("asyncio", {}), id="asyncio")])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    """livekit-api, uvicorn and the embedded server are asyncio's."""
    backend: tuple[str, dict[str, object]] = request.param
    return backend


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def server(anyio_backend: object) -> AsyncGenerator[EmbeddedServer, None]:
    async with EmbeddedServer(key="devkey", secret=SECRET) as server:
        yield server


Make = Callable[..., ASGIApp]


@pytest.fixture
def make(clock: ManualClock) -> Make:
    """Makes an endpoint; its LiveKit server does not answer, unless one is given."""

    def made(
        url: str = "ws://127.0.0.1:9",
        agents: tuple[ServedAgent, ...] = (LUMI, MOSS),
        auth: Auth | None = None,
        **settings: Any,
    ) -> ASGIApp:
        given: dict[str, Any] = {
            "url": url,
            "api_key": "devkey",
            "api_secret": SECRET,
            "origins": (ORIGIN,),
            "address_rate": FREE,
            "caller_rate": FREE,
        }
        return create_app(
            EndpointSettings(**given | settings),
            agents=agents,
            auth=auth or ApiKeys({"shop": KEY, "blog": OTHER_KEY}),
            clock=clock,
        )

    return made


Ask = Callable[[ASGIApp], AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def ask() -> Ask:
    """A client of an application, without a network, with the shop's key."""

    @asynccontextmanager
    async def asking(app: ASGIApp) -> AsyncGenerator[httpx.AsyncClient, None]:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://endpoint",
            headers={"x-api-key": KEY},
        ) as client:
            yield client

    return asking


@pytest.fixture
async def client(make: Make, ask: Ask) -> AsyncGenerator[httpx.AsyncClient, None]:
    async with ask(make()) as client:
        yield client


class Log:
    """The endpoint's log, a JSON object a request."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    @property
    def text(self) -> str:
        return "\n".join(
            record.getMessage()
            for record in self._caplog.records
            if record.name == "livelayer_web.endpoint"
        )

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[Log]:
    with caplog.at_level(logging.INFO, "livelayer_web.endpoint"):
        yield Log(caplog)


def claims(token: str) -> Any:
    """What LiveKit's server reads in a token of ours."""
    return api.TokenVerifier("devkey", SECRET).verify(token)


def error_of(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a problem."""
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert set(body) == {"type", "title", "status", "detail", "code"}
    assert body["status"] == answer.status_code
    assert body["detail"]
    return answer.status_code, body["code"]
