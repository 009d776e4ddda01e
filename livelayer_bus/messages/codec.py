"""Messages to JSON bytes and back; hostile bytes end in one typed error, never in another."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from types import ModuleType
from typing import Any, Final, TypeAlias, TypeGuard, TypeVar, cast, get_args

import msgspec

from ..errors import MalformedMessageError
from . import from_agent, to_agent
from .base import Capability, Command, FromAgent, RawMessage, ToAgent, WireMessage

MAX_DEPTH = 100  # levels of arrays and objects; far below any decoder's own limit

_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
_STEPS = {"[": 1, "{": 1, "]": -1, "}": -1}

M = TypeVar("M", FromAgent, ToAgent)

Message: TypeAlias = FromAgent | ToAgent | RawMessage
"""Anything that travels: a known message, or any other one, whole."""


class Decoded(msgspec.Struct, frozen=True):
    """What foreign bytes hold."""

    message: Message | None
    """None when they are not a well-formed message; `problem` says why."""
    type: str | None
    """None when they are not a JSON object with a text `type`."""
    request_id: str | None = None
    """Any message may carry one, also those whose form does not name it."""
    problem: str | None = None


def _declared(module: ModuleType, base: type[M]) -> tuple[type[M], ...]:
    return tuple(
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, base) and kind not in (base, Command)
    )


FROM_AGENT: Final[tuple[type[FromAgent], ...]] = _declared(from_agent, FromAgent)
"""Every known message from the agent to a surface."""
TO_AGENT: Final[tuple[type[ToAgent], ...]] = _declared(to_agent, ToAgent)
"""Every known message from a surface to the agent."""
COMMANDS: Final[tuple[type[Command], ...]] = tuple(
    kind for kind in FROM_AGENT if issubclass(kind, Command)
)
"""The messages among `FROM_AGENT` that need a capability."""


class _Head(msgspec.Struct, gc=False):
    type: str
    request_id: object = msgspec.field(default=None, name="requestId")


_KNOWN: tuple[type[FromAgent | ToAgent], ...] = (*FROM_AGENT, *TO_AGENT)
_CLASSES: dict[str, type[FromAgent | ToAgent]] = {kind.wire_type(): kind for kind in _KNOWN}
_head_decoder = msgspec.json.Decoder(_Head)
_object_decoder = msgspec.json.Decoder(dict[str, Any])
_decoders: dict[str, msgspec.json.Decoder[FromAgent | ToAgent]] = {
    name: msgspec.json.Decoder(cls) for name, cls in _CLASSES.items()
}
_NAME = 64  # characters of a type that an error repeats
_TOO_DEEP = f"it nests deeper than {MAX_DEPTH} levels"


def encode(message: Message | Mapping[str, object]) -> bytes:
    """The message as one UTF-8 JSON object.

    A known message is checked against its form; a mapping and a `RawMessage` are taken as they
    are, so that an application may send types of its own.

    Raises:
        MalformedMessageError: it is not an object with a text `type`, a field has a wrong value, or
            something in it has no JSON form (NaN, an object, more than 100 levels).
    """
    if not isinstance(cast(object, message), WireMessage | RawMessage | Mapping):
        raise MalformedMessageError(None, f"a {type(message).__name__} is not a JSON object")
    name = message.get("type") if isinstance(message, Mapping) else type_of(message)
    if not isinstance(name, str):
        raise MalformedMessageError(None, "it needs a text under 'type'")
    try:
        fields = _fields(message)
        text = json.dumps(
            fields, default=_plain, allow_nan=False, ensure_ascii=False, separators=(",", ":")
        )
        data = text.encode()
    except RecursionError as exc:
        raise MalformedMessageError(name[:_NAME], _TOO_DEEP) from exc
    except (TypeError, ValueError) as exc:
        problem = "a value that JSON cannot (NaN, an infinity, a cycle, or a Python object)"
        if isinstance(exc, UnicodeEncodeError):
            problem = "half of a surrogate pair, which UTF-8 cannot carry"
        raise MalformedMessageError(name[:_NAME], f"it holds {problem}") from exc
    if nests_too_deeply(text):
        raise MalformedMessageError(name[:_NAME], _TOO_DEEP)
    if isinstance(message, WireMessage):
        _decode_known(name, text, strict=True)
    return data


def read(data: bytes) -> Decoded:
    """What these bytes hold, decoded once; whatever they are, it never raises.

    A message of an unknown type is a `RawMessage`. Fields that a known message does not have are
    ignored; null means that an optional one is not set, and a whole number is taken as an id.
    """
    name = request = None
    try:
        text = _text(data)
        head = _head(text)
        name, request = head.type, _id_text(head.request_id)
        return Decoded(_message(name, text), name, request)
    except MalformedMessageError as error:
        return Decoded(None, name, request, error.problem)


def decode(data: bytes) -> Message:
    """The message these bytes hold, as `read` finds it.

    Raises:
        MalformedMessageError: not a JSON object with a text `type`, or a known type in a wrong
            form. The error quotes nothing of the message but its type.
    """
    text = _text(data)
    return _message(_head(text).type, text)


def message_type(data: bytes) -> str | None:
    """The `type` of these bytes; None when they are not a JSON object that has one."""
    with suppress(MalformedMessageError):
        return _head(_text(data)).type
    return None


def type_of(message: WireMessage | RawMessage | Mapping[str, object]) -> str:
    """The `type` of a message that `encode` takes."""
    if isinstance(message, WireMessage):
        return message.wire_type()
    return message.type if isinstance(message, RawMessage) else str(message["type"])


def request_id(message: Message | Mapping[str, object]) -> str | None:
    """The `requestId` of a message; None when it has none."""
    if isinstance(message, RawMessage):
        message = message.fields
    value = (
        message.get("requestId")
        if isinstance(message, Mapping)
        else getattr(message, "request_id", None)
    )
    return _id_text(value)


def by_type(name: str) -> type[FromAgent | ToAgent] | None:
    """The class of a known `type`; None for any other."""
    return _CLASSES.get(name)


def is_command(message: object) -> TypeGuard[Command]:
    """Whether the message is one that a surface carries out only with a capability."""
    return isinstance(message, Command)


def capability_of(message: WireMessage | RawMessage | str) -> Capability | None:
    """The capability that a message, or a message of this `type`, needs; None if it needs none.

    Every type that begins with `task_` collects data, also one of a later version of the protocol.
    """
    name = message if isinstance(message, str) else type_of(message)
    if name.startswith("task_"):
        return "collect_data"
    capability: Capability | None = getattr(by_type(name), "capability", None)
    return capability


def nests_too_deeply(text: str, limit: int = MAX_DEPTH) -> bool:
    """Whether the text opens more than `limit` arrays and objects inside each other.

    Found without recursion, so that hostile text costs no stack. The text need not be valid JSON;
    brackets inside its strings do not count.
    """
    if text.count("[") + text.count("{") <= limit:
        return False
    depth = 0
    for token in _TOKEN.finditer(text):
        depth += _STEPS.get(text[token.start()], 0)
        if depth > limit:
            return True
    return False


def _fields(message: WireMessage | RawMessage | Mapping[str, object]) -> dict[str, object]:
    if isinstance(message, WireMessage):
        fields: dict[str, object] = msgspec.to_builtins(message, str_keys=True, enc_hook=_plain)
        return fields
    if isinstance(message, RawMessage):
        return {"type": message.type, **message.fields}
    return {**message}


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value)
    raise TypeError


def _text(data: bytes) -> str:
    try:
        text = bytes(data).decode()
    except UnicodeDecodeError as exc:
        raise MalformedMessageError(None, "it is not UTF-8") from exc
    if nests_too_deeply(text):
        raise MalformedMessageError(None, _TOO_DEEP)
    return text


def _head(text: str) -> _Head:
    try:
        return _head_decoder.decode(text)
    except msgspec.DecodeError as exc:
        raise MalformedMessageError(None, _problem(exc, _Head)) from exc


def _message(name: str, text: str) -> Message:
    if name in _decoders:
        return _decode_known(name, text)
    try:
        fields = _object_decoder.decode(text)
    except msgspec.DecodeError as exc:
        raise MalformedMessageError(name[:_NAME], _problem(exc, None)) from exc
    del fields["type"]
    return RawMessage(name, fields)


def _decode_known(name: str, text: str, *, strict: bool = False) -> FromAgent | ToAgent:
    try:
        return _decoders[name].decode(text)
    except msgspec.DecodeError as exc:
        kind = _CLASSES[name]
        # A second `type` stays an error: readers would differ on which one counts.
        if not (strict or "`$.type`" in str(exc)) and isinstance(exc, msgspec.ValidationError):
            with suppress(msgspec.DecodeError):
                return msgspec.convert(_tolerated(kind, _object_decoder.decode(text)), kind)
        raise MalformedMessageError(name[:_NAME], _problem(exc, kind)) from exc


def _tolerated(kind: type[WireMessage], fields: dict[str, Any]) -> dict[str, Any]:
    for field in msgspec.structs.fields(kind):
        name = field.encode_name
        value = fields.get(name)
        if value is None and not field.required:
            fields.pop(name, None)
        elif name.endswith(("id", "Id")):
            fields[name] = _id_text(value) or value
    return fields


def _id_text(value: object) -> str | None:
    """The text of an id, which some agents count: 7 is "7"; None if the value is not an id."""
    return value if isinstance(value, str) else str(value) if type(value) is int else None


def _problem(exc: msgspec.DecodeError, cls: type[msgspec.Struct] | None) -> str:
    """What is wrong, in msgspec's words unless those quote a value."""
    if not isinstance(exc, msgspec.ValidationError):
        return "it is not valid JSON"
    words, _, path = str(exc).rpartition(" - at ")
    if not words or words.startswith(("Expected ", "Object missing ")):
        return str(exc)
    field = path.strip("`").removeprefix("$.")
    allowed = _allowed(cls).get(field) if cls else None
    if allowed:
        return f"{field} must be one of {', '.join(allowed)}"
    if words.endswith("out of range"):
        return "it holds a number out of range"
    return f"{field} has a value that is not allowed"


@cache
def _allowed(cls: type[msgspec.Struct]) -> dict[str, tuple[str, ...]]:
    """The words each field of a few words may hold, by its name on the wire."""
    return {
        field.encode_name: words
        for field in msgspec.structs.fields(cls)
        for option in (field.type, *get_args(field.type))
        if (words := get_args(option)) and all(isinstance(word, str) for word in words)
    }
