"""Bodies of the routes' requests and answers, and a query; docs/protocol.md describes them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from livelayer_bus.events import TranscriptEntry
from livelayer_bus.messages import AgentContext

from .media import MediaMode, PageIceServer
from .pages import Reason
from .session_view import Agent
from .viewers import PageInfo, Wants

_Key = Annotated[str, Meta(max_length=256)]
_Id = Annotated[str, Meta(min_length=1, max_length=256)]


class JoinBody(msgspec.Struct, frozen=True):
    """`POST viewers`."""

    previous: _Key | None = None
    instances: Annotated[list[_Key], Meta(max_length=16)] = []
    """Those that the page met at this address, oldest first."""
    page: PageInfo | None = None


class BeatBody(msgspec.Struct, frozen=True):
    """`POST viewers/me/beat`."""

    wants: Wants | None = None
    used: bool = False
    page: PageInfo | None = None


class PageBody(msgspec.Struct, frozen=True):
    """`PUT viewers/me/page`."""

    page: AgentContext | None


class EventsQuery(msgspec.Struct, frozen=True):
    """The query of `GET events`."""

    wait: Annotated[int, Meta(ge=0, le=20)] | None = None
    carrier: _Id | None = None


class MessageBody(msgspec.Struct, frozen=True):
    """`POST messages`."""

    id: Annotated[str, Meta(pattern=r"^[0-9A-Za-z-]{8,64}$")]
    message: dict[str, Any]


class RoomBody(msgspec.Struct, frozen=True):
    """`POST room`."""

    known: _Id | None = None
    """The room that the page is in, to ask whether the session still is; None: ask for access."""


class RoomAnswer(msgspec.Struct, frozen=True):
    """The answer to `POST room`: access to the session's room, for this page."""

    url: str
    token: str
    room: str

    def __repr__(self) -> str:
        return f"RoomAnswer(room={self.room!r})"


class AnswerBody(msgspec.Struct, frozen=True):
    """`POST commands/<number>`."""

    ok: bool
    reason: Reason | None = None
    replies: Annotated[list[dict[str, Any]], Meta(max_length=16)] = []


class AgentBody(msgspec.Struct, frozen=True):
    """`POST control/agent`, `POST sessions`."""

    agent_id: _Id


class EarlierBody(msgspec.Struct, frozen=True):
    """`POST transcript`: the place of an entry, whose predecessors are asked for."""

    id: Annotated[str, Meta(max_length=65_536)]
    opened: Annotated[int, Meta(ge=0, le=2**53)]
    sender: Annotated[str, Meta(max_length=65_536)] | None = None


class Earlier(msgspec.Struct, frozen=True):
    """The answer to `POST transcript`."""

    entries: tuple[TranscriptEntry, ...]
    """Oldest first; none at the beginning of what the session keeps."""


class MutedBody(msgspec.Struct, frozen=True):
    """`PATCH sources/<kind>`."""

    muted: bool


class ApprovalBody(msgspec.Struct, frozen=True):
    """`POST approvals/<number>`."""

    approved: bool


class ReplayBody(msgspec.Struct, frozen=True):
    """`POST control/replay`: what to change."""

    position: Annotated[float, Meta(ge=0)] | None = None
    speed: Annotated[float, Meta(gt=0, le=100)] | None = None
    paused: bool | None = None


class Joined(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `POST viewers`."""

    key: str
    viewer: str
    instance: str
    session: str
    cursor: str
    beat_seconds: float
    silence_seconds: float
    grants: list[str]
    capabilities: list[str]
    sources: list[str]
    typing: bool
    agents: list[Agent]
    max_message_bytes: int
    media: MediaMode
    """How the page gets the agent's picture and sound."""
    ice_servers: list[PageIceServer]
    """For the page's media connection."""
    share: str

    def __repr__(self) -> str:
        return f"Joined(viewer={self.viewer!r})"


class Opened(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to `POST sessions`."""

    base: str
    """Relative to the surface's own base: a proxy may serve that below a prefix of its own."""
    token: str | None = None

    def __repr__(self) -> str:
        return f"Opened(base={self.base!r})"


class Owner(msgspec.Struct, frozen=True):
    """The answer to `PUT sources/<kind>`."""

    owner: str
