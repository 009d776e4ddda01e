"""The token that the demo agent joins with."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from livekit import api

AGENT_IDENTITY: Final = "demo-agent"
AGENT_NAME: Final = "Lumi"


def demo_agent_grants(room: str) -> api.VideoGrants:
    """Return the grants that the agent needs in `room`.

    `can_update_own_metadata` lets other participants see its `lk.agent.state`. The token must also
    set the participant kind `agent` (`demo_agent_token` does).
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
    """Return a token with which the demo agent can join `room`.

    Args:
        key: An API key of the server.
        secret: The key's secret.
        room: The room's name.
        identity: The agent's identity.
        lifetime: How long the token is valid.
    """
    return (
        api.AccessToken(key, secret)
        .with_identity(identity)
        .with_name(AGENT_NAME)
        .with_kind("agent")
        .with_grants(demo_agent_grants(room))
        .with_ttl(lifetime)
        .to_jwt()
    )
