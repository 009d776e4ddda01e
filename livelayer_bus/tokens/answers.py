"""What token endpoints answer, in LiveLayer's form or LiveKit's, read into one `RoomAccess`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..errors import TokenSourceError
from ..events import AgentConfig
from .access import RoomAccess, read_claims
from .addresses import ROOM_SCHEMES, address_problem

_URL = ("url", "server_url", "serverUrl")
_TOKEN = ("token", "participant_token", "participantToken")
_ROOM = ("roomName", "room_name")
_CONFIG = ("agentConfig", "agent_config")


class HttpProblem(Exception):
    """Why a request failed. It stays inside this package: callers convert it to their own error."""

    def __init__(self, reason: str, *, retryable: bool, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retryable = retryable
        self.status = status

    @property
    def refused(self) -> bool:
        """The server said that this caller may not."""
        return self.status in (401, 403)


def read_access(source: str, answer: Mapping[str, Any]) -> RoomAccess:
    """The access that an answer gives; the room's name may also come from the token itself.

    Raises:
        TokenSourceError: a field is missing or unusable; the error names it and quotes nothing.
    """
    url, token = _text(source, answer, _URL), _text(source, answer, _TOKEN)
    if url is None or token is None:
        raise _unusable(source, f"has no {' or '.join(repr(n) for n in (_TOKEN if url else _URL))}")
    problem = address_problem(url, ROOM_SCHEMES)
    if problem is not None:
        raise _unusable(source, f"has an unusable {_name(answer, _URL)!r}: {problem}")
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise _unusable(source, f"has an unusable {_name(answer, _TOKEN)!r}: not printable ASCII")
    return RoomAccess(
        url=url,
        token=token,
        room_name=_text(source, answer, _ROOM) or read_claims(token).room_name,
        agent_config=_config(source, answer),
    )


def _config(source: str, answer: Mapping[str, Any]) -> AgentConfig | None:
    name = _name(answer, _CONFIG)
    if name is None:
        return None
    try:
        return msgspec.convert(answer[name], AgentConfig)  # its error quotes none of the value
    except msgspec.ValidationError as exc:
        raise _unusable(source, f"has an unusable {name!r}: {exc}") from exc


def _text(source: str, answer: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    name = _name(answer, names)
    if name is None:
        return None
    value = answer[name]
    if not isinstance(value, str) or not value:
        raise _unusable(source, f"has an unusable {name!r}: it must be a text, not empty")
    return value


def _name(answer: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if answer.get(name) is not None), None)


def _unusable(source: str, problem: str) -> TokenSourceError:
    return TokenSourceError(source, f"its answer {problem}", retryable=False)
