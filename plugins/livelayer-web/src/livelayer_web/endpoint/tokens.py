"""Tokens that the endpoint issues: for one room, for minutes, with the rights of a visitor."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from secrets import token_urlsafe
from typing import Final, final

import msgspec
from livekit.api import AccessToken, VideoGrants
from livekit.protocol.agent_dispatch import RoomAgentDispatch
from livekit.protocol.room import RoomConfiguration

from livelayer_bus.tokens import RESUMED_ATTRIBUTE, DispatchMetadata

from ..http import Problem
from .agents import ServedAgent

SOURCES: Final = ("camera", "microphone", "screen_share", "screen_share_audio")

MAX_TOKEN: Final = 7_000
"""Characters of a token: it travels in an HTTP header, for which many servers have 8 KiB."""

VIEWER_SECONDS: Final = 600.0
"""How long a viewer's token can be used to join; the LiveKit server renews it from then on."""

AGENT_ATTRIBUTE: Final = "livelayer.agent_id"
RESERVED: Final = ("lk.", "livelayer.")
"""Prefixes of attributes that a request must not set."""


class Participant(msgspec.Struct, frozen=True, kw_only=True):
    """The participant that a token is for, and its room."""

    room: str
    identity: str
    name: str | None = None
    metadata: str | None = None
    attributes: Mapping[str, str] = {}


@final
class TokenIssuer:
    """Signs tokens; its repr shows no secret.

    A token lets one participant join one room, publish camera, microphone and screen, subscribe,
    and send data. The participant cannot administer the room, and changes its own attributes and
    metadata only with `own_attributes`. The token also configures the room if this participant
    creates it: its agent, and how long it stays after the last person has left.
    """

    def __init__(
        self,
        key: str,
        secret: str,
        ttl: float,
        resume_window: float,
        *,
        own_attributes: bool = False,
    ) -> None:
        self._key = key
        self._secret = secret
        self._ttl = timedelta(seconds=ttl)
        self._own_attributes = own_attributes
        self._departure = max(1, round(resume_window))

    def sign(self, participant: Participant, agent: ServedAgent, job: DispatchMetadata) -> str:
        """The token of one participant, for a room with one agent.

        Raises:
            Problem: with what the request wants in it, the token is too long for a header.
        """
        grants = VideoGrants(
            room_join=True,
            room=participant.room,
            can_publish=True,
            can_publish_sources=list(SOURCES),
            can_subscribe=True,
            can_publish_data=True,
            can_update_own_metadata=self._own_attributes,
        )
        attributes = {**participant.attributes, AGENT_ATTRIBUTE: agent.id}
        if job.resumed:
            attributes[RESUMED_ATTRIBUTE] = "true"
        token = (
            AccessToken(self._key, self._secret)
            .with_identity(participant.identity)
            .with_ttl(self._ttl)
            .with_grants(grants)
            .with_attributes(attributes)
            .with_room_config(self._room(agent, job))
        )
        if participant.name:
            token.with_name(participant.name)
        if participant.metadata:
            token.with_metadata(participant.metadata)
        signed = token.to_jwt()
        if len(signed) > MAX_TOKEN:
            detail = "the token is too long for an HTTP header: shorten metadata and attributes"
            raise Problem(413, "size", detail)
        return signed

    def sign_viewer(self, room: str) -> str:
        """The token of a hidden participant that receives what the room has, and sends nothing."""
        grants = VideoGrants(
            room_join=True, room=room, hidden=True, can_publish=False, can_publish_data=False
        )
        token = AccessToken(self._key, self._secret).with_grants(grants)
        token.with_ttl(min(self._ttl, timedelta(seconds=VIEWER_SECONDS)))
        return token.with_identity(f"viewer-{token_urlsafe(9)}").to_jwt()

    def _room(self, agent: ServedAgent, job: DispatchMetadata) -> RoomConfiguration:
        return RoomConfiguration(
            departure_timeout=self._departure,
            # Every participant can read this: only the agent's id.
            metadata=DispatchMetadata(agent.id, job.resumed).encode(),
            agents=[RoomAgentDispatch(agent_name=agent.worker, metadata=job.encode())],
        )

    def __repr__(self) -> str:
        return "TokenIssuer(...)"
