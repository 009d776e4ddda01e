"""Counts of a bridge's traffic: overload and hostile input become numbers to read."""

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
    "repeated",
    "deferred",
    "handler_failures",
]
Counts: TypeAlias = Counter[Count]


class BridgeStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """What a bridge sent, received and rejected since it was created."""

    sent: int = 0
    """Messages that the transport accepted."""
    failed: int = 0
    """Messages that the transport did not accept."""
    dropped: int = 0
    """Messages that did not fit into the full send queue, or were unsent at the end."""
    received: int = 0
    """Messages that were decoded."""
    malformed: int = 0
    """Packets that are not a message, or are a known message in a wrong form."""
    oversized: int = 0
    """Packets over 64 KiB; they are not decoded."""
    unexpected: int = 0
    """Messages from a participant that is not a person, or of a type that only an agent sends."""
    forged: int = 0
    """Answers from a participant that was not asked."""
    lines_dropped: int = 0
    """Typed lines that arrived while too many were waiting."""
    lines_unanswered: int = 0
    """Typed lines that the session could not reply to, because it was closing."""
    notices_dropped: int = 0
    """Messages that a slow handler had no room for."""
    repeated: int = 0
    """Messages that came again because their confirmation was late, and were ignored."""
    deferred: int = 0
    """Messages to confirm that come again: a full queue had no room for them, or the server had not
    reported their sender yet."""
    handler_failures: int = 0
    """Exceptions that the application's handlers raised."""
    waiting: int = 0
    """Commands whose answer is awaited now."""


def snapshot(counts: Counts, *, waiting: int) -> BridgeStatistics:
    """Return the counts as they are now."""
    return BridgeStatistics(**dict(counts), waiting=waiting)
