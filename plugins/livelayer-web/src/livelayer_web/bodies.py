"""What requests and answers of the routes hold, as docs/protocol.md writes them."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from .options import Agent
from .pages import Reason
from .problems import Problem, malformed_body, too_large
from .viewers import PageInfo, Wants

T = TypeVar("T")

MAX_OFFER = 65_536  # bytes of an SDP offer

_Key = Annotated[str, Meta(max_length=256)]
_Id = Annotated[str, Meta(min_length=1, max_length=256)]


class PageBody(msgspec.Struct, frozen=True):
    """What a page says of itself."""

    url: Annotated[str, Meta(max_length=4096)] = ""
    title: Annotated[str, Meta(max_length=1024)] = ""

    def info(self) -> PageInfo:
        """The same, for the application."""
        return PageInfo(self.url, self.title)


class JoinBody(msgspec.Struct, frozen=True):
    """`POST viewers`."""

    previous: _Key | None = None
    page: PageBody | None = None


class BeatBody(msgspec.Struct, frozen=True):
    """`POST viewers/me/beat`."""

    wants: Wants | None = None
    used: bool = False
    page: PageBody | None = None


class MessageBody(msgspec.Struct, frozen=True):
    """`POST messages`."""

    id: Annotated[str, Meta(pattern=r"^[0-9A-Za-z-]{8,64}$")]
    message: dict[str, Any]


class AnswerBody(msgspec.Struct, frozen=True):
    """`POST commands/<number>`."""

    ok: bool
    reason: Reason | None = None
    replies: Annotated[list[dict[str, Any]], Meta(max_length=16)] = []


class AgentBody(msgspec.Struct, frozen=True):
    """`POST control/agent`, `POST sessions`."""

    agent_id: _Id


class MutedBody(msgspec.Struct, frozen=True):
    """`PATCH sources/<kind>`."""

    muted: bool


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
    agents: list[Agent]
    max_message_bytes: int

    def __repr__(self) -> str:
        return f"Joined(viewer={self.viewer!r})"


class Opened(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to `POST sessions`."""

    base: str
    token: str | None = None

    def __repr__(self) -> str:
        return f"Opened(base={self.base!r})"


class Owner(msgspec.Struct, frozen=True):
    """The answer to `PUT sources/<kind>`."""

    owner: str


async def read_json(request: Request, kind: type[T], code: str = "body") -> T:
    """The request's body.

    Raises:
        Problem: it is not what the route takes; the answer quotes none of its values.
    """
    data = await request.body()
    try:
        return msgspec.json.decode(data or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        problem = "it is no JSON"
        if isinstance(exc, msgspec.ValidationError):
            words = str(exc)
            safe = words.startswith(("Expected", "Object missing"))
            problem = words if safe else "it has a value that is not allowed"
        elif isinstance(exc, RecursionError):
            problem = "it nests too deeply"
        if code != "body":
            raise Problem(400, code, problem) from exc
        raise malformed_body(problem) from exc


async def read_offer(request: Request) -> str:
    """The SDP offer that the request's body is.

    Raises:
        Problem: it is no text.
    """
    data = await request.body()
    if len(data) > MAX_OFFER:
        raise too_large(MAX_OFFER)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        offer = data.decode()
    except UnicodeDecodeError:
        offer = ""
    if kind != "application/sdp" or not offer:
        raise Problem(400, "sdp", "send the offer as application/sdp")
    return offer


def answer_json(body: msgspec.Struct, status: int = 200) -> Response:
    """An answer with a JSON body."""
    return Response(msgspec.json.encode(body), status, media_type="application/json")
