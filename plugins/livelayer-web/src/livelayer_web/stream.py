"""The event stream of one page: a snapshot, then every event; or a part of it, as a long poll.

Only commands, of which there is a bounded number, and the end are queued for a page. Events stay in
the session's ring: a page that reads too slowly loses them, and gets a new snapshot.
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
from .viewers import BEAT_SECONDS, Info, Viewer

CHUNK: Final = 64  # events written at once
MAX_FRAMES: Final = 256  # waiting to be written; as many as a session has commands under way
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
    ends on `end`, with its socket or with the session; it blocks no other stream. Frames of the
    pages that `viewer` carries are in it too, as `other`.

    A long poll is a part of such a stream, written at once: the first one begins as the stream
    does and ends where nothing more is there; a later one goes on behind an answer that arrived,
    ends likewise, and waits until there is something.

    Args:
        session: the session to read.
        viewer: the page.
        after: the cursor to resume; None: from now on.
        wait: None: a stream; 0: a first long poll; else the seconds that a later one may wait, to
            the next heartbeat.
        info: returns a page's `Info`.
        opened: called when the stream accepts commands.
        closed: called when it no longer does.
    """

    def __init__(
        self,
        session: SurfaceSession,
        viewer: Viewer,
        after: str | None,
        wait: float | None = None,
        *,
        info: Callable[[Viewer], Info],
        opened: Callable[[EventStream], None],
        closed: Callable[[EventStream], None],
    ) -> None:
        self.viewer: Final = viewer
        self._session = session
        self._after = after
        self._info = info
        self._opened = opened
        self._closed = closed
        self._begins = not wait
        self._wait = wait
        self._frames: deque[bytes] = deque(maxlen=MAX_FRAMES)
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

    @property
    def is_poll(self) -> bool:
        """Whether it is a long poll."""
        return self._wait is not None

    def command(self, viewer: Viewer, number: int, message: bytes) -> None:
        """Write a command for the page, or one that it carries."""
        if number in viewer.told:
            return
        if self.is_poll:
            viewer.told.append(number)
        self._frames.append(command_frame(number, message, self._other(viewer)))
        self.look()

    def bye(self, viewer: Viewer, reason: Bye) -> None:
        """Write the end of a page that it carries."""
        self._frames.append(bye_frame(reason, self._other(viewer)))
        self.look()

    def _other(self, viewer: Viewer) -> str | None:
        return None if viewer is self.viewer else viewer.id

    def look(self) -> None:
        """Write `Info` if it has changed."""
        if self._wake is not None:
            self._wake.set()

    def beat(self) -> None:
        """Write a heartbeat, which ends a long poll when it is time: every `BEAT_SECONDS`."""
        if self._wait is not None:
            self._wait -= BEAT_SECONDS
            if self._wait > 0:
                return
        self._beat_due = True
        self.look()

    def end(self, reason: Bye | None = None) -> None:
        """End it soon, with a `bye` frame if there is a reason; never waits."""
        self._bye = self._bye or reason
        self._scope.cancel()

    # What the server runs -----------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write until either side ends it."""
        writer = _Writer(send, hold=self.is_poll)
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
                if self._begins:
                    self.viewer.info = None
                    self.viewer.told.clear()
                if resumed is None:
                    await writer.write(snapshot_frame(reader.snapshot))
                elif self._begins:
                    await self._go_on(writer, reader, records, resumed)
                self.ready = True
                self._opened(self)
                if self.is_poll:
                    if await self._poll(writer, reader, records):
                        await writer.end(b"")
                        return
                else:
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

    async def _poll(
        self, writer: _Writer, reader: Reader, records: AsyncIterator[Record[Event]]
    ) -> bool:
        """Write what there is, or what comes first. Returns False at the end of the session."""
        more, rest = True, self._rest()
        if not (writer.held or reader.lag or rest):
            async with anyio.create_task_group() as group:
                group.start_soon(self._write_rest, writer, group.cancel_scope)
                more = await self._write_events(writer, reader, records)
                group.cancel_scope.cancel()
        while more and reader.lag:
            more = await self._write_events(writer, reader, records)
        await writer.write(rest + self._rest())
        return more

    async def _write_rest(self, writer: _Writer, until: anyio.CancelScope | None = None) -> None:
        """Write commands, `Info` and heartbeats; the first of them cancels `until`."""
        while True:
            self._wake = anyio.Event()
            if rest := self._rest():
                await writer.write(rest)
                if until is not None:
                    until.cancel()
            await self._wake.wait()

    def _rest(self) -> bytes:
        """The commands, `Info` and heartbeats to write now."""
        frames = [self._frames.popleft() for _ in range(len(self._frames))]
        for viewer in (self.viewer, *self.viewer.carried):
            info = self._info(viewer)
            if info != viewer.info:
                viewer.info = info
                frames.append(info_frame(info, self._other(viewer)))
        if self._beat_due:
            self._beat_due = False
            frames.append(BEAT)
        return b"".join(frames)


@final
class _Writer:
    """Writes one response: whole frames, from one task at a time.

    Args:
        send: the ASGI server's.
        hold: write nothing before the end.
    """

    def __init__(self, send: Send, *, hold: bool) -> None:
        self._send = send
        self._hold = hold
        self._turn = anyio.Lock()
        self._begun = False
        self._ended = False
        self.held = b""

    async def write(self, data: bytes) -> None:
        """Return when the server accepted the data; waits while the socket is full."""
        if self._hold:
            self.held += data
            return
        async with self._turn:
            await self._begin()
            await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes) -> None:
        """Write what was held, and the last frame. Idempotent."""
        async with self._turn:
            if self._ended:
                return
            await self._begin()
            body = self.held + data
            await self._send({"type": "http.response.body", "body": body, "more_body": False})
            self._ended = True

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


def command_frame(number: int, message: bytes, other: str | None = None) -> bytes:
    """A command for the page to carry out; `other`: the page that it is for, if it is another."""
    return _frame("command", {"number": number, "message": msgspec.Raw(message)}, other=other)


def info_frame(info: Info, other: str | None = None) -> bytes:
    """The number of pages, whether this one is active, and its quality."""
    return _frame("info", info, other=other)


def bye_frame(reason: Bye, other: str | None = None) -> bytes:
    """The stream ends."""
    return _frame("bye", {"reason": reason}, other=other)


def _frame(
    event: str, data: object, cursor: str | None = None, *, other: str | None = None
) -> bytes:
    if other is not None:
        event, data = "other", {"viewer": other, "event": event, "data": data}
    text = _encoder.encode(data)
    # A line break can only be white space of a raw payload.
    if b"\n" in text or b"\r" in text:
        text = msgspec.json.format(text, indent=-1)
    head = f"event: {event}\n" if cursor is None else f"event: {event}\nid: {cursor}\n"
    return head.encode() + b"data: " + text + b"\n\n"
