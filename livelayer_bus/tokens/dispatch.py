"""What the session endpoint tells an agent's worker about the session it is called for.

The worker finds it in its job: `read_dispatch_metadata(ctx.job.metadata)`. Needs no extra.
"""

from __future__ import annotations

from typing import Any

import msgspec

RESUMED_ATTRIBUTE = "livelayer.resumed"
"""Attribute of the user's participant; "true" tells an agent that stayed that the user is back."""


class DispatchMetadata(msgspec.Struct, frozen=True, rename="camel"):
    """The job's metadata (`ctx.job.metadata`), and the room's: one JSON object.

    {"agentId": "agt_abc123", "resumed": true, "caller": "web", "metadata": {...},
     "session": {...}}
    """

    agent_id: str
    resumed: bool = False
    """The user came back within the resume window, to this room, where an agent has been before:
    replay the transcript's tail."""
    caller: str | None = None
    """Who was given the token, as the endpoint's auth names it."""
    metadata: dict[str, Any] = {}
    """The agent's own, from the endpoint's configuration."""
    session: dict[str, Any] = {}
    """The request's further fields (`session_body`): what the client claims, unchecked."""

    def encode(self) -> str:
        """The JSON text."""
        return _encoder.encode(self).decode()


_encoder = msgspec.json.Encoder()


def read_dispatch_metadata(text: str) -> DispatchMetadata | None:
    """What a job's metadata says; None if it comes from elsewhere, as an empty one does."""
    try:
        return msgspec.json.decode(text, type=DispatchMetadata)
    except (msgspec.DecodeError, RecursionError):
        return None
