"""The tokens: one room, a few minutes, and no more than a visitor of a page needs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final, final

import msgspec
from livekit.api import AccessToken, VideoGrants
from livekit.protocol.agent_dispatch import RoomAgentDispatch
from livekit.protocol.room import RoomConfiguration

from livelayer_bus.tokens import DispatchMetadata

from ..http.problems import Problem
from .agents import ServedAgent

SOURCES: Final = ("camera", "microphone", "screen_share", "screen_share_audio")

MAX_TOKEN: Final = 7_000
"""Characters of a token: it travels in an HTTP header, for which many servers have 8 KiB."""

AGENT_ATTRIBUTE: Final = "livelayer.agent_id"
RESUMED_ATTRIBUTE: Final = "livelayer.resumed"
"""On the participant, "true": an agent that stayed in the room learns that somebody came back."""
RESERVED: Final = ("lk.", "livelayer.")
"""Beginnings of attributes that no request may set."""


class Guest(msgspec.Struct, frozen=True, kw_only=True):
    """For whom a token is, and where it leads."""

    room: str
    identity: str
    name: str | None = None
    metadata: str | None = None
    attributes: Mapping[str, str] = {}


@final
class Mint:
    """Signs tokens; its repr shows no secret.

    A token lets one participant join one room, publish camera, microphone and screen, subscribe,
    and send data; it may not change what the room knows of it, and administers nothing. It also
    says what the room is made with if this participant makes it: its agent, and how long it waits
    for people to come back.
    """

    def __init__(self, key: str, secret: str, ttl: float, resume_window: float) -> None:
        self._key = key
        self._secret = secret
        self._ttl = timedelta(seconds=ttl)
        self._departure = max(1, round(resume_window))

    def sign(self, guest: Guest, agent: ServedAgent, job: DispatchMetadata) -> str:
        """The token of one guest, for a room of one agent.

        Raises:
            Problem: what the request wants in it makes it too long to be sent.
        """
        grants = VideoGrants(
            room_join=True,
            room=guest.room,
            can_publish=True,
            can_publish_sources=list(SOURCES),
            can_subscribe=True,
            can_publish_data=True,
            can_update_own_metadata=False,
        )
        attributes = {**guest.attributes, AGENT_ATTRIBUTE: agent.id}
        if job.resumed:
            attributes[RESUMED_ATTRIBUTE] = "true"
        token = (
            AccessToken(self._key, self._secret)
            .with_identity(guest.identity)
            .with_ttl(self._ttl)
            .with_grants(grants)
            .with_attributes(attributes)
            .with_room_config(self._room(agent, job))
        )
        if guest.name:
            token.with_name(guest.name)
        if guest.metadata:
            token.with_metadata(guest.metadata)
        signed = token.to_jwt()
        if len(signed) > MAX_TOKEN:
            message = "the token would be too long for an HTTP header: ask for less in it"
            raise Problem(413, "too_large", message)
        return signed

    def _room(self, agent: ServedAgent, job: DispatchMetadata) -> RoomConfiguration:
        return RoomConfiguration(
            departure_timeout=self._departure,
            # Everybody in the room can read this: no more than the agent's id.
            metadata=DispatchMetadata(agent.id, job.resumed).encode(),
            agents=[RoomAgentDispatch(agent_name=agent.worker, metadata=job.encode())],
        )

    def __repr__(self) -> str:
        return "Mint(...)"
