"""What a token source is asked for and gives, what endpoints answer, and addresses, checked."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Final, Literal, Protocol
from urllib.parse import SplitResult, urlsplit, urlunsplit

import msgspec

from ..errors import ConfigError, TokenSourceError
from ..events import AgentConfig

ROOM_SCHEMES = ("ws", "wss", "http", "https")
HTTP_SCHEMES = ("http", "https")


class RoomAccess(msgspec.Struct, frozen=True):
    """A room's address and the right to join it; its repr hides the token."""

    url: str
    token: str
    room_name: str | None = None
    agent_config: AgentConfig | None = None

    def __repr__(self) -> str:
        return f"RoomAccess(url={shown(self.url)!r}, room_name={self.room_name!r}, token=...)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("url", shown(self.url)), ("room_name", self.room_name)]


class TokenRequest(msgspec.Struct, frozen=True):
    """What a token is asked for."""

    agent_id: str
    base_url: str | None = None
    prior_room_name: str | None = None
    """The room to return to; None for a new one. For a viewer: the room to watch."""
    role: Literal["user", "viewer"] = "user"
    """A viewer is hidden, and may subscribe and nothing else."""


class TokenSource(Protocol):
    """Anything that gives access to a room: called anew for every connection."""

    async def __call__(self, request: TokenRequest, /) -> RoomAccess: ...


VIEWER_GRANTS: Final = {"roomJoin", "canSubscribe", "hidden"}
"""All that a viewer's token grants."""


class Claims(msgspec.Struct, frozen=True):
    """The parts of a token that a client may read; nothing here is verified."""

    room_name: str | None = None
    expires: float | None = None
    """Seconds since 1970, UTC."""
    is_viewer: bool = False
    """Whether it lets its bearer watch, and nothing else."""


class _Payload(msgspec.Struct):
    video: dict[str, Any] = {}
    exp: float | None = None


def read_claims(token: str) -> Claims:
    """What the token says of itself; empty when it is no JSON Web Token."""
    parts = token.split(".")
    if len(parts) != 3:
        return Claims()
    try:
        text = base64.b64decode(parts[1] + "=" * (-len(parts[1]) % 4), altchars=b"-_")
        payload = msgspec.json.decode(text, type=_Payload)
    except (ValueError, RecursionError):  # base64 and JSON errors are both ValueErrors
        return Claims()
    grants, room = payload.video, payload.video.get("room")
    # What a token does not say of publishing, it allows.
    silent = grants.get("canPublish") is False and grants.get("canPublishData") is False
    given = {name for name, value in grants.items() if value is True}
    is_viewer = silent and "hidden" in given and given <= VIEWER_GRANTS
    return Claims(room if isinstance(room, str) and room else None, payload.exp, is_viewer)


_URL = ("url", "server_url", "serverUrl")
_TOKEN = ("token", "participant_token", "participantToken")
_ROOM = ("roomName", "room_name")
_CONFIG = ("agentConfig", "agent_config")


def read_access(source: str, answer: Mapping[str, Any]) -> RoomAccess:
    """The access that an answer gives; the room's name may also come from the token itself.

    Raises TokenSourceError, which names the missing or unusable field and quotes nothing.
    """
    url, token = _text(source, answer, _URL), _text(source, answer, _TOKEN)
    if url is None or token is None:
        raise _unusable(source, f"has no {' or '.join(repr(n) for n in (_TOKEN if url else _URL))}")
    problem = address_problem(url, ROOM_SCHEMES)
    if problem is not None:
        raise _unusable(source, f"has an unusable {_name(answer, _URL)!r}: {problem}")
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise _unusable(source, f"has an unusable {_name(answer, _TOKEN)!r}: not printable ASCII")
    room_name = _text(source, answer, _ROOM) or read_claims(token).room_name
    return RoomAccess(url, token, room_name, _config(source, answer))


def _config(source: str, answer: Mapping[str, Any]) -> AgentConfig | None:
    name = _name(answer, _CONFIG)
    try:
        # Its error quotes none of the value.
        return msgspec.convert(answer[name], AgentConfig) if name else None
    except msgspec.ValidationError as exc:
        raise _unusable(source, f"has an unusable {name!r}: {exc}") from exc


def _text(source: str, answer: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    name = _name(answer, names)
    value = answer[name] if name else None
    if value is None or (isinstance(value, str) and value):
        return value
    raise _unusable(source, f"has an unusable {name!r}: it must be a text, not empty")


def _name(answer: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if answer.get(name) is not None), None)


def _unusable(source: str, problem: str) -> TokenSourceError:
    return TokenSourceError(source, f"its answer {problem}", retryable=False)


RESUMED_ATTRIBUTE = "livelayer.resumed"
"""Attribute of the user's participant; "true" tells an agent that stayed that the user is back."""


class DispatchMetadata(msgspec.Struct, frozen=True, rename="camel"):
    """What the session endpoint tells an agent's worker: the job's metadata, and the room's.

    One JSON object, read by `read_dispatch_metadata(ctx.job.metadata)`:

    {"agentId": "agt_abc123", "resumed": true, "caller": "web", "metadata": {}, "session": {}}
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
        return msgspec.json.encode(self).decode()


def read_dispatch_metadata(text: str) -> DispatchMetadata | None:
    """What a job's metadata says; None if it comes from elsewhere, as an empty one does."""
    try:
        return msgspec.json.decode(text, type=DispatchMetadata)
    except (msgspec.DecodeError, RecursionError):
        return None


def shown(url: str) -> str:
    """The address without user, password, query and fragment: what errors and reprs may say."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "(no address)"
    if ":" in host:
        host = f"[{host}]"
    netloc = host if port is None else f"{host}:{port}"
    return urlunsplit((parts.scheme, netloc, parts.path, "", ""))


def address_problem(url: object, schemes: tuple[str, ...]) -> str | None:
    """Return why the address is invalid, without quoting it; None if it is valid."""
    if not isinstance(url, str) or not url:
        return "it is empty"
    if not url.isprintable() or " " in url or "\\" in url:
        return "it holds spaces, backslashes or control characters"
    parts = _split(url)
    if parts is None:
        return "it is malformed"
    if parts.scheme not in schemes:
        return f"it must begin with {', '.join(f'{scheme}://' for scheme in schemes)}"
    return None if parts.hostname else "it names no host"


def check_address(where: str, url: str, schemes: tuple[str, ...]) -> str:
    """The address as it is.

    Raises:
        ConfigError: the address is invalid or has another scheme; `where` names the argument.
    """
    problem = address_problem(url, schemes)
    if problem is not None:
        raise ConfigError(where, f"invalid address: {problem}")
    return url


def check_base(where: str, url: str) -> str:
    """An http or https address without slashes at its end, or raises ConfigError."""
    check_address(where, url, HTTP_SCHEMES)
    if "?" in url or "#" in url:
        raise ConfigError(where, "it has a query or a fragment, so that no path can follow")
    return url.rstrip("/")


def is_local(url: str) -> bool:
    """Whether the address is one of this machine's loopback, which no proxy reaches."""
    parts = _split(url)
    host = parts.hostname or "" if parts is not None else ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def proxy_variables(*names: str) -> str:
    """Those of the environment's variables `names`, in either case, that are set: for errors."""
    either = [case for name in names for case in (name, name.upper())]
    return ", ".join(name for name in either if os.environ.get(name))


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # parsed, and refused, only when it is read
    except ValueError:
        return None
    return parts
