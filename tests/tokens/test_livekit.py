"""A real LiveKit server takes the tokens that are minted here, and no others."""

from __future__ import annotations

import os

import httpx
import pytest

from livelayer_bus.tokens import LocalKeys, TokenRequest

NEEDED = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.livekit,
    pytest.mark.skipif(
        any(name not in os.environ for name in NEEDED),
        reason="need LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET",
    ),
]


@pytest.mark.parametrize(("flaw", "status"), [("", 200), ("-wrong", 401)])
async def test_the_server_judges_the_token(flaw: str, status: int) -> None:
    url, key, secret = (os.environ[name] for name in NEEDED)
    access = await LocalKeys(url, key, secret + flaw, dispatch="nobody")(TokenRequest("agt_1"))
    validate = f"http{access.url.removeprefix('ws')}/rtc/validate"
    async with httpx.AsyncClient() as client:
        answer = await client.get(validate, headers={"authorization": f"Bearer {access.token}"})
    assert answer.status_code == status
