"""A session as JSON lines: the one form of the `jsonl` surface, its reader and `livelayer tail`.

Three kinds of line, told apart by `line`: `snapshot` (the state as of a sequence), `event` (one
event and its place), `lagged` (events this reader lost). After a snapshot the next event is
`sequence + 1`; where that cannot hold there is a lagged line, and then a new snapshot.
"""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Self, TypeAlias, cast, final

import msgspec

from .bus import Subscription
from .clock import now_ns
from .contract import ControlledSession
from .errors import Lagged, MalformedMessageError
from .events import AnyEvent, Event
from .state import SessionState

CHUNK = 256  # lines handed out at once


class _Placed(msgspec.Struct, frozen=True, tag_field="line"):
    cursor: str
    """`<session id>:<sequence>`: where `tail` can go on."""
    sequence: int
    time_ns: int
    """When an event was published, or a snapshot made: `livelayer_bus.clock.now_ns()`."""
    time: str
    """The same instant in UTC, ISO 8601."""


class SnapshotLine(_Placed, frozen=True, tag="snapshot"):
    """The session's state, up to and including the event that `sequence` names."""

    state: SessionState

    @property
    def session_id(self) -> str:
        return self.state.id


class EventLine(_Placed, frozen=True, tag="event"):
    """One event of a session."""

    event: AnyEvent


class LaggedLine(msgspec.Struct, frozen=True, tag="lagged", tag_field="line"):
    """Events that were overwritten before this reader took them; a snapshot follows."""

    missed: int
    time: str


Line: TypeAlias = SnapshotLine | EventLine | LaggedLine

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)


def encode_line(line: Line) -> bytes:
    """The line as JSON, with the line break at its end and none inside."""
    data = _encoder.encode(line)
    # A line break inside can only be white space in a payload that travelled like that.
    if b"\n" in data or b"\r" in data:
        data = msgspec.json.format(data, indent=-1)
    return data + b"\n"


def decode_line(data: bytes | str) -> Line:
    """The line that `encode_line` wrote.

    Raises:
        MalformedMessageError: the line is not of this form, or was cut off.
    """
    try:
        return _decoder.decode(data)
    except (ValueError, RecursionError) as exc:  # msgspec.DecodeError is a ValueError, too
        problem = "is of a kind that this version does not know"
        if not isinstance(exc, msgspec.ValidationError):
            problem = "is not valid JSON (a line that was cut off?)"
        raise MalformedMessageError(None, f"the line {problem}") from exc


# One anchor a process: an event has the same time in every line, also after the clock was set.
_OFFSET_NS = time.time_ns() - now_ns()


def utc(time_ns: int) -> str:
    """A time of `now_ns` in this process as ISO 8601 in UTC, with microseconds."""
    seconds, nanoseconds = divmod(time_ns + _OFFSET_NS, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds // 1000:06}Z"


@final
class LineReader:
    """Reads a session as encoded lines: `with LineReader(session) as reader`, then `read()`.

    Guarantee: without `after`, a snapshot first; then every event once and in order. Events lost
    to a full ring are one lagged line and a new snapshot. A cancelled `read()` loses nothing.

    Args:
        session: what to read.
        after: the sequence, or cursor `<session id>:<sequence>`, to go on after.
        types: the events to read; all, if empty.

    Raises:
        StaleCursorError: on entry: `after` lies in the future or in another session.
    """

    def __init__(
        self,
        session: ControlledSession,
        *,
        after: int | str | None = None,
        types: tuple[type[Event], ...] = (),
    ) -> None:
        self._id = session.id
        self._subscription: Subscription[Event, SessionState] = session.subscribe(
            *types, after=after
        )
        self._resumes = after is not None
        self._ready: list[bytes] = []
        self._records = self._subscription.records()
        self.lost = 0
        """Events missed so far."""

    def __enter__(self) -> Self:
        self._subscription.__enter__()
        if not self._resumes:
            self._ready.append(self._snapshot(self._subscription.snapshot))
        return self

    def __exit__(self, *_: object) -> None:
        self._subscription.close()

    @property
    def waiting(self) -> int:
        """Lines that `read()` would give now without waiting for an event."""
        return len(self._ready) + self._subscription.lag

    async def read(self) -> bytes:
        """The next lines, at least one, as bytes; empty when the session has ended."""
        most = len(self._ready) or CHUNK
        with suppress(StopAsyncIteration):
            while not self._ready or (len(self._ready) < most and self._subscription.lag):
                try:
                    record = await anext(self._records)
                except Lagged as lagged:
                    self._recover(lagged.missed)
                    break
                # An application's own event is written alike; `decode_line` knows a closed set.
                event = cast("AnyEvent", record.event)
                place = self._place(record.sequence, record.time_ns)
                self._ready.append(encode_line(EventLine(*place, event)))
        lines, self._ready = self._ready, []
        return b"".join(lines)

    def _recover(self, missed: int) -> None:
        # The new snapshot stands at the head: what the ring still holds is passed over as well.
        missed += self._subscription.lag
        self.lost += missed
        self._ready.append(encode_line(LaggedLine(missed, utc(now_ns()))))
        self._ready.append(self._snapshot(self._subscription.resync()))

    def _snapshot(self, state: SessionState) -> bytes:
        return encode_line(SnapshotLine(*self._place(state.sequence, now_ns()), state))

    def _place(self, sequence: int, time_ns: int) -> tuple[str, int, int, str]:
        return f"{self._id}:{sequence}", sequence, time_ns, utc(time_ns)
