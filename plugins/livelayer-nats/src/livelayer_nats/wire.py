"""What travels through NATS: the subjects, and the form of each message.

    <stream>.events.<session>    in the stream: batches of events, and snapshots, in one order
    <stream>.live.<session>      the same messages, republished by the server once they are stored
    <stream>.requests.<session>  request and reply: remotes to the owner
    <stream>.remotes.<remote>    the owner to one remote: a command for it

A message of the first two is a line of JSON, its head, and a body: a JSON array of events, or
a part of a snapshot that was compressed with zlib.
"""

from __future__ import annotations

import re
import zlib
from typing import Any, Final, TypeAlias

import msgspec

from livelayer_bus import MisuseError
from livelayer_bus.errors import MalformedMessageError
from livelayer_bus.events import AnyEvent, Event
from livelayer_bus.state import SessionState

VERSION: Final = 1
COMPRESS: Final = 64 * 1024  # bytes of a body from which on it is compressed
MAX_BODY: Final = 64 * 1024 * 1024  # bytes that a body may have once it is inflated
HEAD_ROOM: Final = 4096  # bytes of a message that are left to its head and its NATS headers
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")


class UnknownEvent(Event, frozen=True):
    """An event that this version does not know, at its place; it does not change the state."""

    payload: msgspec.Raw
    """The event's JSON."""


class Batch(msgspec.Struct, frozen=True, tag="batch"):
    """The head of consecutive events."""

    v: int
    session: str
    term: int
    """Of the owner that wrote it; grows with each takeover."""
    owner: str
    snapshot: int
    """The stream sequence of the newest whole snapshot before this message."""
    first: int
    """The sequence of the first event."""
    zipped: bool = False


class Snapshot(msgspec.Struct, frozen=True, tag="snapshot"):
    """The head of one part of a session's state as of `sequence`."""

    v: int
    session: str
    term: int
    owner: str
    snapshot: int
    sequence: int
    part: int = 0
    parts: int = 1
    start: int = 0
    """The stream sequence of part 0; 0 in part 0 itself."""


class End(msgspec.Struct, frozen=True, tag="end"):
    """The session was closed: nothing follows."""

    v: int
    session: str
    term: int
    owner: str
    snapshot: int
    sequence: int


Head: TypeAlias = Batch | Snapshot | End
Timed: TypeAlias = tuple[int, Event]
"""When an event was published, in ns since 1970, and the event."""

_encoder: Final = msgspec.json.Encoder()
_heads: Final[msgspec.json.Decoder[Head]] = msgspec.json.Decoder(Head)
_events: Final[msgspec.json.Decoder[list[tuple[int, AnyEvent]]]] = msgspec.json.Decoder(
    list[tuple[int, AnyEvent]]
)
_raw_events: Final = msgspec.json.Decoder(list[tuple[int, msgspec.Raw]])
_event: Final[msgspec.json.Decoder[AnyEvent]] = msgspec.json.Decoder(AnyEvent)
_states: Final = msgspec.json.Decoder(SessionState)


class Subjects(msgspec.Struct, frozen=True):
    """The subjects and names that belong to one stream."""

    stream: str

    def __post_init__(self) -> None:
        check_name("the stream's name", self.stream)

    @property
    def bucket(self) -> str:
        """The key-value bucket of who owns which session."""
        return f"{self.stream}_OWNERS"

    def events(self, session_id: str) -> str:
        return f"{self._prefix}.events.{session_id}"

    def live(self, session_id: str) -> str:
        return f"{self._prefix}.live.{session_id}"

    def requests(self, session_id: str) -> str:
        return f"{self._prefix}.requests.{session_id}"

    def remote(self, remote_id: str) -> str:
        return f"{self._prefix}.remotes.{remote_id}"

    @property
    def _prefix(self) -> str:
        return self.stream.lower()


def check_name(what: str, name: str) -> str:
    """Return `name` if it can be part of a subject.

    Raises:
        MisuseError: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise MisuseError(f"{what} must be 1 to 128 of A-Z a-z 0-9 _ -, got {name[:100]!r}")
    return name


def join(head: Head, body: bytes = b"") -> bytes:
    """The message with this head and body."""
    return _encoder.encode(head) + b"\n" + body


def split(data: bytes, session_id: str) -> tuple[Head, bytes]:
    """The head and the body of a message.

    Raises:
        MalformedMessageError: it is no message of this version and this session.
    """
    head, _, body = data.partition(b"\n")
    try:
        decoded = _heads.decode(head)
    except (ValueError, RecursionError) as exc:
        raise MalformedMessageError("session event", "it has no head of a known form") from exc
    if decoded.v != VERSION:
        raise MalformedMessageError("session event", f"it has version {decoded.v}, not {VERSION}")
    if decoded.session != session_id:
        raise MalformedMessageError("session event", "it is another session's")
    return decoded, body


def encode_events(events: list[Timed]) -> tuple[bytes, bool]:
    """The events as a body, and whether it is compressed."""
    body = _encoder.encode(events)
    return (zlib.compress(body, 1), True) if len(body) > COMPRESS else (body, False)


def decode_events(head: Batch, body: bytes) -> list[Timed]:
    """The events of a batch; those that this version does not know as `UnknownEvent`.

    Raises:
        MalformedMessageError: the body does not have this form.
    """
    try:
        if head.zipped:
            body = inflate(body)
        try:
            found: Any = _events.decode(body)
        except msgspec.ValidationError:
            found = [(time_ns, _known(raw)) for time_ns, raw in _raw_events.decode(body)]
    except (ValueError, RecursionError) as exc:
        raise MalformedMessageError("batch of events", "its events cannot be read") from exc
    if not found:
        raise MalformedMessageError("batch of events", "it is empty")
    events: list[Timed] = found
    return events


def _known(raw: msgspec.Raw) -> Event:
    try:
        return _event.decode(raw)
    except msgspec.ValidationError:
        return UnknownEvent(msgspec.Raw(bytes(raw)))


def encode_state(state: SessionState) -> bytes:
    """A state as the body of a snapshot, in one part."""
    return zlib.compress(_encoder.encode(state), 1)


def decode_state(body: bytes) -> SessionState:
    """The state of a snapshot, all its parts joined.

    Raises:
        MalformedMessageError: it cannot be read.
    """
    try:
        return _states.decode(inflate(body))
    except (ValueError, RecursionError) as exc:
        raise MalformedMessageError("snapshot", "its state cannot be read") from exc


def inflate(body: bytes) -> bytes:
    """What was compressed, up to `MAX_BODY`.

    Raises:
        ValueError: it is not zlib's form, is cut off, or is larger.
    """
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(body, MAX_BODY)
    except zlib.error as exc:
        raise ValueError(str(exc)) from exc
    if not inflater.eof:
        raise ValueError("it is cut off, or too large")
    return data
