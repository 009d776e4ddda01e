"""The event stream of one page: a snapshot, then everything that happens, for as long as it reads.

Nothing is queued for a page but commands, of which there is a bounded number: a page that reads
slowly leaves its events in the session's ring, and falls out of it at worst.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Final, TypeAlias, final

import anyio
import anyio.abc
from starlette.types import Receive, Scope, Send

from livelayer_bus import ClosedError, Lagged
from livelayer_bus.bus import Record, Subscription
from livelayer_bus.errors import StaleCursorError
from livelayer_bus.events import Event
from livelayer_bus.state import SessionState
from livelayer_bus.surfaces import SurfaceSession

from .events import (
    BEAT,
    Bye,
    Info,
    bye_frame,
    event_frame,
    info_frame,
    lagged_frame,
    snapshot_frame,
)
from .http import ABORT
from .viewers import Viewer

CHUNK: Final = 64  # events written at once
MAX_COMMANDS: Final = 256  # waiting to be written; as many as a session has under way at most
BYE_SECONDS: Final = 0.5
"""How long the last word may take to write."""

Reader: TypeAlias = Subscription[Event, SessionState]

_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store, no-transform"),
    (b"x-accel-buffering", b"no"),
]


@final
class EventStream:
    """An ASGI response: one page's events, once and in order.

    Guarantee: first a snapshot; after a cursor that can be resumed, the events since then; after
    that everything. Events that the ring lost for this page are one `lagged`, and a snapshot. It
    ends when it is told to, when its socket does, or with the session, and lets nobody wait.

    Args:
        session: what is read.
        viewer: whose stream it is.
        after: the cursor to resume, as the page had it; None: from now on.
        info: makes the page's place among the others.
        opened, closed: called when it can take commands, and when it cannot any more.
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
        self._told: Info | None = None
        self._beat_due = False
        self._wake: anyio.Event | None = None
        self._scope = anyio.CancelScope()
        self._bye: Bye | None = None
        self._gone = False
        self.ready = False
        """Whether it takes commands: the snapshot is written."""
        self.written = 0
        """Events written."""
        self.missed = 0
        """Events lost to this stream."""

    # What the surface tells it ------------------------------------------------------------------

    def command(self, frame: bytes) -> None:
        """Have a command written."""
        self._commands.append(frame)
        self.look()

    def look(self) -> None:
        """Something about the pages may have changed."""
        if self._wake is not None:
            self._wake.set()

    def beat(self) -> None:
        """Have a sign of life written."""
        self._beat_due = True
        self.look()

    def end(self, reason: Bye | None = None) -> None:
        """End it soon, with a last word if there is a reason; never waits."""
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
        # Of whoever does not read, what waits in the socket goes too: it would stay for minutes.
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
        """Write events until the session is closed; what else there is goes out beside them."""
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
        """An open reader, and the cursor that it goes on after, if that is possible."""
        if self._after is not None:
            try:
                return self._session.subscribe(after=self._after).__enter__(), self._after
            except StaleCursorError:
                pass
        return self._session.subscribe().__enter__(), None

    async def _go_on(
        self, writer: _Writer, reader: Reader, records: AsyncIterator[Record[Event]], after: str
    ) -> None:
        """Write the snapshot of a stream that was resumed, and the first event that it owes."""
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
        """Write what there is, at least one event; False when there will be no more."""
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
            # The new snapshot stands at the head: what the ring still holds is passed over too.
            missed += reader.lag
            self.missed += missed
            await writer.write(lagged_frame(missed) + snapshot_frame(reader.resync()))
        return more

    async def _write_rest(self, writer: _Writer) -> None:
        """Write commands, the page's place among the others, and signs of life."""
        while True:
            self._wake = anyio.Event()
            frames = [self._commands.popleft() for _ in range(len(self._commands))]
            info = self._info()
            if info != self._told:
                self._told = info
                frames.append(info_frame(info))
            if self._beat_due:
                self._beat_due = False
                frames.append(BEAT)
            if frames:
                await writer.write(b"".join(frames))
            await self._wake.wait()


@final
class _Writer:
    """Writes one response, whole frames only, one writer at a time."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._turn = anyio.Lock()
        self._begun = False

    async def write(self, data: bytes) -> None:
        """Return when the server took it: it waits while the socket is full."""
        async with self._turn:
            await self._begin()
            await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes) -> None:
        """Write the last of it."""
        async with self._turn:
            await self._begin()
            await self._send({"type": "http.response.body", "body": data, "more_body": False})

    async def _begin(self) -> None:
        if not self._begun:
            await self._send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            self._begun = True
