"""Back ends of both kinds of server, with the real client and with raw requests."""

from __future__ import annotations

import datetime
import io
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from google.protobuf.message import Message
from livekit import api
from livelayer_embedded import EmbeddedServer

from ..conftest import Embedded, Server

DAY = datetime.timedelta(days=1)


@dataclass
class BackEnd:
    """A back end with the server's keys."""

    url: str
    key: str
    secret: str = field(repr=False)
    client: api.LiveKitAPI

    def token(self, ttl: datetime.timedelta = DAY, **grants: Any) -> str:
        token = api.AccessToken(self.key, self.secret).with_identity("back end").with_ttl(ttl)
        return token.with_grants(api.VideoGrants(**grants)).to_jwt()

    async def post(
        self, method: str, token: str, body: bytes | Message = b"", **options: Any
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON of a raw request."""
        data = io.BytesIO(body.SerializeToString() if isinstance(body, Message) else body)
        headers = {"Content-Type": options.pop("kind", "application/protobuf")}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        url = f"{self.url.replace('ws', 'http', 1)}/twirp/livekit.{method}"
        verb = options.pop("verb", "POST")
        async with (
            aiohttp.ClientSession() as session,
            session.request(verb, url, data=data, headers=headers) as answer,
        ):
            text = answer.content_type == "application/json"
            return answer.status, await answer.json() if text else {}


@pytest.fixture
async def back_end(server: Server) -> AsyncIterator[BackEnd]:
    """A back end of either server."""
    if isinstance(server, Embedded):
        key, secret = server.server.key, server.server.secret
    else:
        key, secret = os.environ["LIVEKIT_API_KEY"], os.environ["LIVEKIT_API_SECRET"]
    async with api.LiveKitAPI(server.url, key, secret) as client:
        yield BackEnd(server.url, key, secret, client)


@pytest.fixture
async def own(embedded: EmbeddedServer) -> AsyncIterator[BackEnd]:
    """A back end of an embedded server."""
    async with api.LiveKitAPI(embedded.url, embedded.key, embedded.secret) as client:
        yield BackEnd(embedded.url, embedded.key, embedded.secret, client)


async def error_of(call: Any) -> api.TwirpError:
    """The error that a call ends in."""
    with pytest.raises(api.TwirpError) as caught:
        await call
    return caught.value
