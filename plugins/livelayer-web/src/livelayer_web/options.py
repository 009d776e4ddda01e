"""What every session of one surface is shown with, and what is remembered of its pages."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Final, final

import msgspec

from livelayer_bus.clock import Clock

from .media import MediaSettings
from .messages import MessageMemory
from .resume_store import Places
from .tokens import ViewerTokens


class Agent(msgspec.Struct, frozen=True, omit_defaults=True):
    """An agent that people may turn the session to."""

    id: str
    name: str
    role: str | None = None
    avatar_image_url: str | None = None


class ShowingOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What every session of one surface is shown with."""

    clock: Clock
    tokens: ViewerTokens | None
    name: str | None
    """What viewer tokens call the session; None: its id."""
    agents: Sequence[Agent]
    media: MediaSettings
    max_viewers: int
    max_message_bytes: int


@final
class Memory:
    """What is remembered of pages beyond a restart of the surface; all of it bounded."""

    def __init__(self, clock: Clock) -> None:
        self.places: Final = Places(clock)
        self.messages: Final = MessageMemory()
        self.numbers: Final = count(1)
        """Of commands on the wire."""
