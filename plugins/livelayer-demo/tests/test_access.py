"""The agent's token."""

from __future__ import annotations

from livekit import api
from livelayer_demo import demo_agent_token

SECRET = "a-secret-that-is-long-enough-for-hs256"


def test_the_token_lets_an_agent_show_its_state() -> None:
    token = demo_agent_token("key", SECRET, "lobby", "lumi")
    claims = api.TokenVerifier("key", SECRET).verify(token)
    assert (claims.identity, claims.kind) == ("lumi", "agent")
    assert claims.video is not None
    assert claims.video.room == "lobby"
    assert claims.video.room_join
    assert claims.video.agent
    assert claims.video.can_update_own_metadata
