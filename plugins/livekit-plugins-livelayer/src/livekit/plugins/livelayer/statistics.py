"""What went through a bridge, counted: overload and hostile input are numbers to read."""

from __future__ import annotations

from collections import Counter
from typing import Literal, TypeAlias

import msgspec

Count: TypeAlias = Literal[
    "sent",
    "failed",
    "dropped",
    "received",
    "malformed",
    "oversized",
    "unexpected",
    "forged",
    "lines_dropped",
    "lines_unanswered",
    "notices_dropped",
    "handler_failures",
]
Counts: TypeAlias = Counter[Count]


class BridgeStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """What a bridge sent, took and turned away, since it was created."""

    sent: int = 0
    """Messages that the transport took."""
    failed: int = 0
    """Messages that the transport did not take."""
    dropped: int = 0
    """Messages that did not fit into the full outbox."""
    received: int = 0
    """Messages that were understood."""
    malformed: int = 0
    """Packets that were no message, or a known one in a wrong form."""
    oversized: int = 0
    """Packets over `MAX_PACKET` bytes; not even looked at."""
    unexpected: int = 0
    """Messages of somebody who is no surface, or that only an agent sends."""
    forged: int = 0
    """Answers to what their sender was not asked."""
    lines_dropped: int = 0
    """Typed lines that came while too many were waiting."""
    lines_unanswered: int = 0
    """Typed lines that the session could not reply to, because it was closing."""
    notices_dropped: int = 0
    """Messages that a handler was too slow for."""
    handler_failures: int = 0
    """Exceptions that handlers of the application raised."""
    waiting: int = 0
    """Commands whose answer is awaited now."""


def snapshot(counts: Counts, *, waiting: int) -> BridgeStatistics:
    """The counts as they are now."""
    return BridgeStatistics(**dict(counts), waiting=waiting)
