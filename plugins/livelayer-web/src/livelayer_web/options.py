"""Options of a surface's session views, and what outlives a restart of the surface."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Final, final

import msgspec

from livelayer_bus.clock import Clock

from .media import MediaSettings
from .messages import MessageMemory
from .resume_store import ResumeStore
from .tokens import ViewerTokens


class Agent(msgspec.Struct, frozen=True, omit_defaults=True):
    """An agent that pages may switch the session to."""

    id: str
    name: str
    role: str | None = None
    avatar_image_url: str | None = None


class ViewOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of every session view of one surface."""

    clock: Clock
    tokens: ViewerTokens | None
    name: str | None
    """The session's name in viewer tokens; None: its id."""
    agents: Sequence[Agent]
    media: MediaSettings
    max_viewers: int
    max_message_bytes: int


@final
class SurfaceMemory:
    """What outlives a restart of the surface; all of it bounded."""

    def __init__(self, clock: Clock) -> None:
        self.resume_store: Final = ResumeStore(clock)
        self.messages: Final = MessageMemory()
        self.numbers: Final = count(1)
        """Numbers of commands on the wire."""
