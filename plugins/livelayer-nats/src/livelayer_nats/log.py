"""One session in the stream: the owner's end, which writes, and everybody else's, which reads."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, final

import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

from livelayer_bus import ClosedError, Record
from livelayer_bus.errors import MalformedMessageError
from livelayer_bus.events import Event
from livelayer_bus.state import SessionState

from .connection import CALL_SECONDS, RETRY, Persistence, Report
from .errors import NatsError, NoSuchSessionError, OwnershipLostError
from .ownership import Lease
from .store import EXPECTED, WRONG_LAST, Limits, SessionStore, Stored, live
from .wire import (
    HEAD_ROOM,
    VERSION,
    Batch,
    End,
    Head,
    Snapshot,
    Timed,
    encode_events,
    encode_state,
    join,
    split,
)

QUIET: Final = 5.0  # seconds without a message, after which a reader asks whether it missed one
MAX_QUIET: Final = 60.0  # while it missed none, it waits twice as long each time, up to this
LOOK: Final = 0.25  # seconds between two looks at the connection
TRIES: Final = 6  # to read a live message's predecessor; then the message is ignored
MAX_LIVE: Final = 4096  # live messages that wait for a slow reader; it reads the others again
MAX_LIVE_BYTES: Final = 16 * 1024 * 1024


class HistoryLostError(NatsError):
    """The stream was deleted or emptied: what remotes need must be written again."""

    def __init__(self, session_id: str) -> None:
        super().__init__("writing the session", f"the stream has lost what it had of {session_id}")


class RestartedError(NatsError):
    """The stream has less than a reader has read: it was deleted or emptied."""

    def __init__(self, session_id: str) -> None:
        super().__init__("reading the session", f"the stream has lost what it had of {session_id}")


class NotCaughtUpError(NatsError):
    """An earlier owner wrote more than was read."""

    def __init__(self, session_id: str) -> None:
        super().__init__("claiming the session", f"there are more events of {session_id}")


@final
class LogWriter:
    """Writes a session's subject; every write names the message that it follows.

    Guarantee: what was acknowledged is in the stream once, in order. After another owner's first
    message nothing more is written, and the call raises `OwnershipLostError`. While NATS cannot
    take a message, the call goes on trying.
    """

    def __init__(
        self,
        store: SessionStore,
        session_id: str,
        lease: Lease,
        report: Report,
    ) -> None:
        self._store = store
        self._session_id: Final = session_id
        self._subject: Final = store.subjects.events(session_id)
        self._owner: Final = lease.record.owner
        self._term: Final = lease.record.term
        self._rival: Final = lease.rival
        self._persist = Persistence(store.link, report)
        self._last = 0
        self.claiming = False
        """What an earlier owner still writes is an error: it has to be read first."""
        self.snapshot = 0
        """The stream sequence of the newest whole snapshot."""

    async def open(self, last: int | None = None) -> None:
        """Go on after the session's last message, or after the one with the stream sequence `last`.

        Only its owner may do so. A snapshot has to be written next.
        """
        if last is None:
            stored = await self._persist(self.read_last)
            last = 0 if stored is None else stored.seq
        self._last, self.snapshot = last, 0

    async def make_stream(self, limits: Limits) -> None:
        """Make the stream again."""
        await self._persist(lambda: self._store.ensure(limits))

    async def write_events(self, records: Sequence[Record[Event]], offset_ns: int) -> bool:
        """Append events; False if one of them is too large for a message.

        Args:
            records: consecutive ones of one bus.
            offset_ns: from their times to those since 1970.
        """
        events: list[Timed] = [(one.time_ns + offset_ns, one.event) for one in records]
        body, zipped = encode_events(events)
        if len(body) > self._room:
            if len(records) == 1:
                return False
            middle = len(records) // 2
            return await self.write_events(records[:middle], offset_ns) and await self.write_events(
                records[middle:], offset_ns
            )
        first = records[0].sequence
        head = Batch(
            VERSION, self._session_id, self._term, self._owner, self.snapshot, first, zipped
        )
        await self._append(join(head, body))
        return True

    async def write_snapshot(self, state: SessionState) -> None:
        """Append a state, in as many parts as it takes."""
        body, room = encode_state(state), self._room
        parts = [body[at : at + room] for at in range(0, len(body), room)]
        start = 0
        for number, part in enumerate(parts):
            head = Snapshot(
                VERSION,
                self._session_id,
                self._term,
                self._owner,
                self.snapshot,
                state.sequence,
                number,
                len(parts),
                start,
            )
            await self._append(join(head, part))
            start = start or self._last
        self.snapshot = start

    async def write_end(self, sequence: int) -> None:
        """Append that the session was closed."""
        await self._append(
            join(End(VERSION, self._session_id, self._term, self._owner, self.snapshot, sequence))
        )

    @property
    def _room(self) -> int:
        return self._store.max_payload - HEAD_ROOM

    async def _append(self, data: bytes) -> None:
        """Store a message after the last one; return when the stream has it.

        Raises:
            OwnershipLostError: another owner has written.
            HistoryLostError: the stream is empty, or there is a new one.
        """
        self._last = await self._persist(
            lambda: self._try_append(data), HistoryLostError, NotCaughtUpError
        )

    async def _try_append(self, data: bytes) -> int:
        headers = {EXPECTED: str(self._last)}
        with self._store.link.translated("writing the session"):
            try:
                ack = await self._store.js.publish(self._subject, data, headers=headers)
            except nats.js.errors.APIError as exc:
                if exc.err_code not in WRONG_LAST:
                    raise
            except nats.js.errors.NoStreamResponseError as exc:
                if await self.read_last() is None and self._last:
                    raise HistoryLostError(self._session_id) from exc
                raise
            else:
                return ack.seq
        stored = await self.read_last()
        if stored is None:
            raise HistoryLostError(self._session_id)
        if stored.data == data and stored.seq > self._last:
            return stored.seq  # an earlier attempt arrived, but its acknowledgement did not
        head = _head_of(stored, self._session_id)
        foreign = head is not None and head.owner != self._owner and head.term >= self._term
        if foreign and (rival := await self._rival()) is not None:
            raise OwnershipLostError(self._session_id, rival)
        if self.claiming:
            raise NotCaughtUpError(self._session_id)
        self._last = stored.seq
        if head is not None and head.owner == self._owner:
            return await self._try_append(data)  # an earlier write, given up before its answer
        raise NatsError("writing the session", "something else was written in between")

    async def read_last(self) -> Stored | None:
        """The session's last message, as the stream's leader has it."""
        with self._store.link.translated("reading the session"):
            try:
                found = await self._store.js.get_last_msg(
                    self._store.subjects.stream, self._subject
                )
            except nats.js.errors.NotFoundError:
                return None
        return Stored(found.seq or 0, 0, found.data or b"")


@final
class LogReader:
    """Reads a session's subject from its newest snapshot on: every message once, in order.

    Live messages come as the server republishes them. What is missing between two of them, after
    a pause of the connection or because this reader was slow, is read from the stream. A reader
    that reads slowly costs the owner and other readers nothing.
    """

    def __init__(self, store: SessionStore, session_id: str) -> None:
        self._store = store
        self._session_id: Final = session_id
        self._live: deque[Stored] = deque()
        self._read: deque[Stored] = deque()
        self._arrived = asyncio.Event()
        self._subscription: NatsSubscription | None = None
        self._waiting = 0  # bytes of the live messages
        self._missed = False
        self._reconnects = 0
        self._heard = 0.0  # when a message came, or was asked for; on the event loop's clock
        self._quiet = QUIET
        self._looking: asyncio.TimerHandle | None = None
        self.position = 0
        """The stream sequence of the last message that was handed out."""
        self.newest = 0
        """The stream sequence of the session's last message when this reader attached."""
        self.catch_ups = 0
        """Times that it asked the stream for what it may have missed."""
        self.ignored = 0
        """Messages on the live subject that the server did not republish."""

    async def open(self) -> None:
        """Attach: the next message is the first part of the newest snapshot.

        Raises:
            NoSuchSessionError: the session does not exist.
            ClosedError: the session has ended.
            NatsError: the server does not answer.
        """
        subject = self._store.subjects.live(self._session_id)
        with self._store.link.translated("subscribing"):
            if self._subscription is None:
                self._subscription = await self._store.client.subscribe(subject, cb=self._take)
                self._heard = asyncio.get_running_loop().time()
                self._look()
            # Once this answer is there, so is the subscription.
            await self._store.client.flush(int(CALL_SECONDS))
        await self.rewind()

    async def rewind(self) -> None:
        """Go on at the newest whole snapshot; see `open`."""
        newest = await self._store.newest(self._session_id)
        if newest is not None and isinstance(_head_of(newest, self._session_id), End):
            raise ClosedError(f"session {self._session_id}", "its owner has closed it")
        start = None if newest is None else await self._snapshot_before(newest)
        if start is None:
            raise NoSuchSessionError(self._session_id, self._store.subjects.stream)
        self._read.clear()
        self._read.append(start)
        self.position = start.seq - 1
        self.newest = newest.seq if newest is not None else start.seq
        self._missed = True  # what follows the snapshot

    async def _snapshot_before(self, newest: Stored) -> Stored | None:
        head = _head_of(newest, self._session_id)
        if isinstance(head, Snapshot) and head.part == head.parts - 1:
            return newest if head.part == 0 else await self._store.at(head.start)
        return await self._store.at(head.snapshot) if head is not None and head.snapshot else None

    async def next(self) -> Stored:
        """Wait for the next message, however long NATS is away.

        Raises:
            RestartedError: the stream was emptied; `rewind` when there is something.
        """
        while True:
            if self._read:
                return self._hand_out(self._read.popleft())
            anew = False
            while self._live and self._live[0].seq <= self.position:
                anew |= not self._take_live().last  # the first of a stream: perhaps a new one
            if anew:
                await self._catch_up()
            elif self._live and self._live[0].last == self.position:
                return self._hand_out(self._take_live())
            elif self._live or not await self._wait():
                await self._catch_up()

    def _take_live(self) -> Stored:
        stored = self._live.popleft()
        self._waiting -= len(stored.data)
        return stored

    def _hand_out(self, stored: Stored) -> Stored:
        self.position = stored.seq
        return stored

    async def _wait(self) -> bool:
        """Wait for a live message; False when it is time to ask for what was missed."""
        while not self._live and not self._missed:
            self._arrived.clear()
            await self._arrived.wait()
        if self._live:
            return True
        self._missed = False
        return False

    def _look(self) -> None:
        """Have the reader ask for what it missed: after a reconnect, and when it is quiet."""
        client, loop = self._store.client, asyncio.get_running_loop()
        reconnects = client.stats["reconnects"]
        reconnected = client.is_connected and reconnects != self._reconnects
        if reconnected or loop.time() - self._heard >= self._quiet:
            if reconnected:
                self._reconnects = reconnects
            self._heard = loop.time()
            self._quiet = min(2 * self._quiet, MAX_QUIET)
            self._missed = True
            self._arrived.set()
        # A timer of its own: a time limit for each wait would cost as much as taking a message.
        self._looking = loop.call_later(LOOK, self._look)

    async def _catch_up(self) -> None:
        self.catch_ups += 1
        tries = 0
        for pause in RETRY.pauses():
            await self._store.link.wait_connected()
            try:
                found = await self._store.after(self._session_id, self.position)
                if not found and await self._has_restarted():
                    raise RestartedError(self._session_id)
            except RestartedError:
                raise
            except NatsError:
                await asyncio.sleep(pause)
                continue
            self._read.extend(found)
            self._missed |= bool(found)  # there may be more
            if found or not self._live or self._live[0].last == self.position:
                return
            tries += 1
            if tries == TRIES:
                self._take_live()
                self.ignored += 1
                return
            await asyncio.sleep(pause)  # a replica that has not stored it yet

    async def _has_restarted(self) -> bool:
        newest = await self._store.newest(self._session_id)
        if newest is not None and newest.seq >= self.position:
            return False
        self._live.clear()
        self._waiting = 0
        return True

    async def _take(self, message: Msg) -> None:
        self._heard, self._quiet = asyncio.get_running_loop().time(), QUIET
        stored = live(message, self._store.subjects.events(self._session_id))
        if stored is None:
            self.ignored += 1
        elif len(self._live) < MAX_LIVE and self._waiting + len(stored.data) <= MAX_LIVE_BYTES:
            self._live.append(stored)
            self._waiting += len(stored.data)
            self._arrived.set()
        else:
            self._missed = True

    async def aclose(self) -> None:
        """Read no more."""
        if self._looking is not None:
            self._looking.cancel()
        if self._subscription is not None:
            with suppress(nats.errors.Error):
                await self._subscription.unsubscribe()


def _head_of(stored: Stored, session_id: str) -> Head | None:
    try:
        return split(stored.data, session_id)[0]
    except MalformedMessageError:
        return None
