"""The bodies of requests and answers, and how a request's is read: bounded, and never trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta
from starlette.requests import Request

from livelayer_bus.events import AgentConfig
from livelayer_bus.messages import nests_too_deeply

from ..http.problems import bad_request, too_large

MAX_DEPTH: Final = 32  # levels of arrays and objects; a token's metadata needs no more

Id = Annotated[str, Meta(min_length=1, max_length=256)]
Name = Annotated[str, Meta(max_length=256)]
Attributes = dict[
    Annotated[str, Meta(min_length=1, max_length=128)], Annotated[str, Meta(max_length=1024)]
]

T = TypeVar("T")


class SessionRequest(msgspec.Struct, frozen=True, rename="camel"):
    """LiveLayer's request; any further fields (`session_body`) are passed on to the agent."""

    agent_id: Id
    prior_room_name: Annotated[str, Meta(max_length=256)] | None = None
    """The room to return to."""


class SessionAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """LiveLayer's answer."""

    url: str
    token: str
    room_name: str
    agent_config: dict[str, str]


class AgentWish(msgspec.Struct, frozen=True):
    """An agent that LiveKit's request asks for."""

    agent_name: Id
    """An agent's id, or the name of its worker."""
    metadata: Annotated[str, Meta(max_length=2048)] = ""


class RoomWish(msgspec.Struct, frozen=True):
    """LiveKit's room configuration; of it only `agents` is honoured."""

    agents: Annotated[list[AgentWish], Meta(max_length=1)] = []


class TokenBody(msgspec.Struct, frozen=True):
    """LiveKit's standard request; what is not here is ignored."""

    room_name: Annotated[str, Meta(max_length=256)] | None = None
    participant_identity: Annotated[str, Meta(max_length=128)] | None = None
    participant_name: Name | None = None
    participant_metadata: Annotated[str, Meta(max_length=2048)] | None = None
    participant_attributes: Annotated[Attributes, Meta(max_length=32)] | None = None
    room_config: RoomWish | None = None


class TokenAnswer(msgspec.Struct, frozen=True):
    """LiveKit's standard answer."""

    server_url: str
    participant_token: str


async def read_object(request: Request, limit: int) -> dict[str, Any]:
    """The request's JSON object.

    Raises:
        Problem: it is longer than `limit` bytes, or no JSON object.
    """
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length[:20]) > limit:
        raise too_large(limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise too_large(limit)
    try:
        text = body.decode()
        if nests_too_deeply(text, MAX_DEPTH):
            raise bad_request(f"the body nests deeper than {MAX_DEPTH} levels")
        return msgspec.json.decode(text, type=dict[str, Any])
    except ValueError as exc:
        raise bad_request("the body is no JSON object") from exc


def convert(body: Mapping[str, Any], kind: type[T]) -> T:
    """The body as a record.

    Raises:
        Problem: a field is missing or cannot be used; it is named, its value is not.
    """
    try:
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as exc:
        raise bad_request(f"the body cannot be used: {exc}") from exc


def session_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """What LiveLayer's request carries beyond its own fields."""
    own = {field.encode_name for field in msgspec.structs.fields(SessionRequest)}
    return {name: value for name, value in body.items() if name not in own}


def config_body(config: AgentConfig) -> dict[str, str]:
    """The published configuration; what is not set is left out."""
    fields: dict[str, str | None] = msgspec.to_builtins(config)
    return {name: value for name, value in fields.items() if value is not None}
