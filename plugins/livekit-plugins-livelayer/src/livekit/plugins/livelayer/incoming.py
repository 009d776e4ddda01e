"""The way in: packets become typed messages, or a count; nothing that arrives raises."""

from __future__ import annotations

from typing import Final, TypeAlias

from livekit import rtc

from livelayer_bus.errors import MalformedMessageError
from livelayer_bus.messages import RawMessage, SurfaceMessage, decode

from .statistics import Counts

MAX_PACKET: Final = 65_536
"""Bytes of a packet that are looked at; LiveKit itself allows 15 KiB for a reliable one."""

FromSurface: TypeAlias = SurfaceMessage | RawMessage


def is_person(participant: rtc.RemoteParticipant) -> bool:
    """Whether a participant may be somebody with a surface, and no agent or recorder."""
    return participant.kind not in (
        rtc.ParticipantKind.PARTICIPANT_KIND_AGENT,
        rtc.ParticipantKind.PARTICIPANT_KIND_EGRESS,
        rtc.ParticipantKind.PARTICIPANT_KIND_INGRESS,
    )


def read(packet: rtc.DataPacket, counts: Counts) -> FromSurface | None:
    """The surface's message that a packet holds; None, and a count, if it holds none."""
    if (packet.topic or "").startswith("lk."):
        return None
    if packet.participant is not None and not is_person(packet.participant):
        counts["unexpected"] += 1
        return None
    if len(packet.data) > MAX_PACKET:
        counts["oversized"] += 1
        return None
    try:
        message = decode(packet.data)
    except MalformedMessageError:
        counts["malformed"] += 1
        return None
    if not isinstance(message, SurfaceMessage | RawMessage):
        counts["unexpected"] += 1
        return None
    counts["received"] += 1
    return message
