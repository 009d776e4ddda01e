"""The event stream of one page: a snapshot, then every event.

Only commands, of which there is a bounded number, are queued for a page. Events stay in the
session's ring: a page that reads too slowly loses them, and gets a new snapshot.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Final, Literal, TypeAlias, final

import anyio
import anyio.abc
import msgspec
from starlette.types import Receive, Scope, Send

from livelayer_bus import ClosedError, Lagged
from livelayer_bus.bus import Record, Subscription
from livelayer_bus.clock import now_ns
from livelayer_bus.errors import StaleCursorError
from livelayer_bus.events import Event
from livelayer_bus.jsonl import utc
from livelayer_bus.state import SessionState
from livelayer_bus.surfaces import SurfaceSession

from .http import ABORT
from .viewers import Viewer

CHUNK: Final = 64  # events written at once
MAX_COMMANDS: Final = 256  # waiting to be written; as many as a session has under way at most
BYE_SECONDS: Final = 0.5
"""How long the last frame may take to write."""

Bye: TypeAlias = Literal["unmounted", "revoked", "closed"]
"""Why a stream ends. After `unmounted` the page tries again."""

BEAT: Final = b": beat\n\n"
"""A comment that shows that the server is alive."""

_encoder = msgspec.json.Encoder()

Reader: TypeAlias = Subscription[Event, SessionState]

_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store, no-transform"),
    (b"x-accel-buffering", b"no"),
]


@final
class EventStream:
    """An ASGI response: one page's events, once and in order.

    Guarantee: first a snapshot; for a cursor that can be resumed, the events since then; after that
    every event. Events that this page lost are reported as one `lagged`, and a snapshot. The stream
    ends on `end`, with its socket or with the session; it blocks no other stream.

    Args:
        session: the session to read.
        viewer: the page.
        after: the cursor to resume; None: from now on.
        info: returns the page's `Info`.
        opened: called when the stream accepts commands.
        closed: called when it no longer does.
    """

    def __init__(
        self,
        session: SurfaceSession,
        viewer: Viewer,
        after: str | None,
        *,
        info: Callable[[], Info],
        opened: Callable[[EventStream], None],
        closed: Callable[[EventStream], None],
    ) -> None:
        self.viewer: Final = viewer
        self._session = session
        self._after = after
        self._info = info
        self._opened = opened
        self._closed = closed
        self._commands: deque[bytes] = deque(maxlen=MAX_COMMANDS)
        self._sent_info: Info | None = None
        self._beat_due = False
        self._wake: anyio.Event | None = None
        self._scope = anyio.CancelScope()
        self._bye: Bye | None = None
        self._gone = False
        self.ready = False
        """Whether it accepts commands: the snapshot is written."""
        self.written = 0
        """Events written."""
        self.missed = 0
        """Events lost to this stream."""

    # What the surface tells it ------------------------------------------------------------------

    def command(self, frame: bytes) -> None:
        """Write a command."""
        self._commands.append(frame)
        self.look()

    def look(self) -> None:
        """Write `Info` if it has changed."""
        if self._wake is not None:
            self._wake.set()

    def beat(self) -> None:
        """Write a heartbeat."""
        self._beat_due = True
        self.look()

    def end(self, reason: Bye | None = None) -> None:
        """End it soon, with a `bye` frame if there is a reason; never waits."""
        self._bye = self._bye or reason
        self._scope.cancel()

    # What the server runs -----------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write until either side ends it."""
        writer = _Writer(send)
        self.viewer.streams += 1
        try:
            with self._scope:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._watch_socket, receive)
                    await self._write(writer, group)
                    self._scope.cancel()
        finally:
            self.ready = False
            self.viewer.streams -= 1
            self._closed(self)
        if not self._gone:
            await self._say_bye(writer, scope, receive)

    async def _say_bye(self, writer: _Writer, scope: Scope, receive: Receive) -> None:
        with anyio.move_on_after(BYE_SECONDS, shield=True):
            await writer.end(bye_frame(self._bye) if self._bye else b"")
            return
        # The client does not read: without this, what waits in the socket would stay for minutes.
        abort: Callable[[], None] | None = scope.get("extensions", {}).get(ABORT)
        if abort is not None:
            abort()
            with anyio.move_on_after(BYE_SECONDS, shield=True):
                while (await receive())["type"] != "http.disconnect":
                    pass

    async def _watch_socket(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        self._scope.cancel()

    async def _write(self, writer: _Writer, group: anyio.abc.TaskGroup) -> None:
        """Write events until the session is closed, and commands and `Info` beside them."""
        try:
            reader, resumed = self._attach()
            try:
                records = reader.records()
                if resumed is not None:
                    await self._go_on(writer, reader, records, resumed)
                else:
                    await writer.write(snapshot_frame(reader.snapshot))
                self.ready = True
                self._opened(self)
                group.start_soon(self._write_rest, writer)
                while await self._write_events(writer, reader, records):
                    pass
            finally:
                reader.__exit__(None, None, None)
        except ClosedError:
            pass
        self._bye = self._bye or "closed"

    def _attach(self) -> tuple[Reader, str | None]:
        """An open reader, and the cursor that it resumes, if that is possible."""
        if self._after is not None:
            try:
                return self._session.subscribe(after=self._after).__enter__(), self._after
            except StaleCursorError:
                pass
        return self._session.subscribe().__enter__(), None

    async def _go_on(
        self, writer: _Writer, reader: Reader, records: AsyncIterator[Record[Event]], after: str
    ) -> None:
        """Write the snapshot of a resumed stream, and the first event that it owes."""
        first = b""
        try:
            if reader.lag:
                first = event_frame(self._session.id, await anext(records))
                self.written += 1
        except Lagged:  # the cursor is too old
            await writer.write(snapshot_frame(reader.resync()))
            return
        await writer.write(snapshot_frame(self._session.state, after) + first)

    async def _write_events(
        self, writer: _Writer, reader: Reader, records: AsyncIterator[Record[Event]]
    ) -> bool:
        """Write the events that wait, at least one. Returns False at the end."""
        chunk: list[bytes] = []
        missed = 0
        more = True
        try:
            chunk.append(event_frame(self._session.id, await anext(records)))
            while reader.lag and len(chunk) < CHUNK:
                chunk.append(event_frame(self._session.id, await anext(records)))
        except Lagged as lagged:
            missed = lagged.missed
        except StopAsyncIteration:
            more = False
        if chunk:
            await writer.write(b"".join(chunk))
            self.written += len(chunk)
        if missed:
            # The new snapshot is the newest state: what the ring still holds is skipped, too.
            missed += reader.lag
            self.missed += missed
            await writer.write(lagged_frame(missed) + snapshot_frame(reader.resync()))
        return more

    async def _write_rest(self, writer: _Writer) -> None:
        """Write commands, `Info` and heartbeats."""
        while True:
            self._wake = anyio.Event()
            frames = [self._commands.popleft() for _ in range(len(self._commands))]
            info = self._info()
            if info != self._sent_info:
                self._sent_info = info
                frames.append(info_frame(info))
            if self._beat_due:
                self._beat_due = False
                frames.append(BEAT)
            if frames:
                await writer.write(b"".join(frames))
            await self._wake.wait()


@final
class _Writer:
    """Writes one response: whole frames, from one task at a time."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._turn = anyio.Lock()
        self._begun = False

    async def write(self, data: bytes) -> None:
        """Return when the server accepted the data; waits while the socket is full."""
        async with self._turn:
            await self._begin()
            await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes) -> None:
        """Write the last frame."""
        async with self._turn:
            await self._begin()
            await self._send({"type": "http.response.body", "body": data, "more_body": False})

    async def _begin(self) -> None:
        if not self._begun:
            await self._send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            self._begun = True


# Frames -----------------------------------------------------------------------------------------


class _Snapshot(msgspec.Struct, frozen=True, tag="snapshot", tag_field="line"):
    cursor: str
    sequence: int
    time: str
    state: SessionState
    resumed: bool


class _Event(msgspec.Struct, frozen=True, tag="event", tag_field="line"):
    cursor: str
    sequence: int
    time: str
    event: Event


class ShownQuality(msgspec.Struct, frozen=True):
    """The quality that a page is sent."""

    height: int
    bitrate: int
    """bit/s"""


class Replay(msgspec.Struct, frozen=True):
    """A recording that is played, and where it is; times are seconds of it."""

    duration: float
    position: float
    speed: float
    paused: bool


class Info(msgspec.Struct, frozen=True):
    """The number of pages, whether this one is active, its quality, and a recording's position."""

    viewers: int
    active: bool
    quality: ShownQuality | None
    replay: Replay | None = None


def snapshot_frame(state: SessionState, resumed_after: str | None = None) -> bytes:
    """The state as of its sequence.

    Its `id` is the cursor to resume after a cut: the snapshot's own, or, while a resumed stream
    still owes events, the cursor that was resumed.
    """
    cursor = f"{state.id}:{state.sequence}"
    now = utc(now_ns())
    data = _Snapshot(cursor, state.sequence, now, state, resumed_after is not None)
    return _frame("snapshot", data, resumed_after or cursor)


def event_frame(session_id: str, record: Record[Event]) -> bytes:
    """One event."""
    cursor = f"{session_id}:{record.sequence}"
    return _frame(
        "event", _Event(cursor, record.sequence, utc(record.time_ns), record.event), cursor
    )


def lagged_frame(missed: int) -> bytes:
    """Events that this stream lost; a snapshot follows."""
    return _frame("lagged", {"line": "lagged", "missed": missed})


def command_frame(number: int, message: bytes) -> bytes:
    """A command for the page to carry out."""
    return _frame("command", {"number": number, "message": msgspec.Raw(message)})


def info_frame(info: Info) -> bytes:
    """The number of pages, whether this one is active, and its quality."""
    return _frame("info", info)


def bye_frame(reason: Bye) -> bytes:
    """The stream ends."""
    return _frame("bye", {"reason": reason})


def _frame(event: str, data: object, cursor: str | None = None) -> bytes:
    text = _encoder.encode(data)
    # A line break can only be white space of a raw payload.
    if b"\n" in text or b"\r" in text:
        text = msgspec.json.format(text, indent=-1)
    head = f"event: {event}\n" if cursor is None else f"event: {event}\nid: {cursor}\n"
    return head.encode() + b"data: " + text + b"\n\n"
