"""`livelayer token`: an access token on stdout, and nothing else."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated
from uuid import uuid4

import typer
from livekit import api


def command(
    room: Annotated[str, typer.Option("--room", "-r", help="The room to join.")],
    key: Annotated[str, typer.Option(help="API key.", envvar="LIVEKIT_API_KEY")],
    secret: Annotated[
        str, typer.Option(help="API secret.", envvar="LIVEKIT_API_SECRET", show_default=False)
    ],
    identity: Annotated[
        str | None, typer.Option("--identity", "-i", help="Who joins; random by default.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The name that others see.")] = None,
    agent: Annotated[bool, typer.Option("--agent", help="Join as an agent.")] = False,
    minutes: Annotated[float, typer.Option(help="How long it is valid for joining.", min=0.1)] = 60,
) -> None:
    """Make a LiveKit access token that lets one participant join one room.

    Key and secret come from LIVEKIT_API_KEY and LIVEKIT_API_SECRET (livelayer dev-server prints
    both); other users of the machine can see options on the command line.

    Examples:

    \b
      livelayer token --room kitchen --identity ada
      livelayer token --room kitchen --identity robot --agent --minutes 5
    """
    grants = api.VideoGrants(room_join=True, room=room, can_update_own_metadata=True)
    grants.agent = agent or None
    token = api.AccessToken(key, secret).with_grants(grants).with_ttl(timedelta(minutes=minutes))
    token.with_identity(identity or f"guest-{uuid4().hex[:8]}")
    if name:
        token.with_name(name)
    if agent:
        token.with_kind("agent")
    typer.echo(token.to_jwt())
