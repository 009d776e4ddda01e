"""The token the demo agent joins with."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from livekit import api

AGENT_IDENTITY: Final = "demo-agent"
AGENT_NAME: Final = "Lumi"


def demo_agent_grants(room: str) -> api.VideoGrants:
    """What the agent must be allowed in `room`.

    Its participant kind must be `agent` besides (the token says so), and without
    `can_update_own_metadata` nobody else sees its `lk.agent.state`.
    """
    return api.VideoGrants(
        room_join=True,
        room=room,
        agent=True,
        can_publish=True,
        can_subscribe=True,
        can_publish_data=True,
        can_update_own_metadata=True,
    )


def demo_agent_token(
    key: str,
    secret: str,
    room: str,
    identity: str = AGENT_IDENTITY,
    *,
    lifetime: timedelta = timedelta(hours=1),
) -> str:
    """A signed token with which the demo agent can join `room` on a server that knows the key."""
    return (
        api.AccessToken(key, secret)
        .with_identity(identity)
        .with_name(AGENT_NAME)
        .with_kind("agent")
        .with_grants(demo_agent_grants(room))
        .with_ttl(lifetime)
        .to_jwt()
    )
