"""Which messages a sender wants confirmed, and which messages and typed lines are here already."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final, TypeVar, final

from livekit import rtc

from livelayer_bus.rooms import names
from livelayer_bus.tasks import RootTask, TaskOwner

MAX_SESSIONS: Final = 512
"""Sessions whose messages are remembered."""
MAX_OWN: Final = 8
"""Sessions of one participant among them: pages that one after the other had its identity."""
MAX_LINES: Final = 4096
"""Typed lines that are remembered."""
MAX_OWN_LINES: Final = 256
"""Typed lines of one participant among them; a page lets 50 wait."""
ANNOUNCE_PAUSE: Final = 1.0  # seconds until an announcement that failed is repeated

_ID: Final = re.compile(r"([0-9a-f]{32})\.([1-9][0-9]{0,14})")
_ALL: Final = (1 << names.CONFIRM_WINDOW) - 1

logger = logging.getLogger(__name__)


def confirmed_id(topic: str | None) -> str | None:
    """The id of a message that is to be confirmed; None if this one is not."""
    if topic is None or not topic.startswith(names.CONFIRM_TOPIC):
        return None
    message_id = topic.removeprefix(names.CONFIRM_TOPIC)
    return message_id if _ID.fullmatch(message_id) else None


class _Sent:
    """Something that is remembered for its sender."""

    def __init__(self, sender: str) -> None:
        self.sender = sender


class _Seen(_Sent):
    """The newest number of one session, and a bit for each of the window before it."""

    def __init__(self, sender: str) -> None:
        super().__init__(sender)
        self.newest = 0
        self.bits = 0

    def add(self, number: int) -> bool:
        ahead = number - self.newest
        if ahead > 0:
            kept = self.bits << ahead if ahead < names.CONFIRM_WINDOW else 0
            self.newest, self.bits = number, (kept | 1) & _ALL
            return True
        bit = 1 << -ahead if -ahead < names.CONFIRM_WINDOW else 0
        new = bool(bit & ~self.bits)
        self.bits |= bit
        return new


@final
class Receipts:
    """Tells a repeated message from a new one.

    A session sends none again that lies 1024 behind its newest, so a bit for each of those is
    enough; the memory is bounded, and one participant cannot displace what others sent.
    """

    def __init__(self) -> None:
        self._sessions: dict[str, _Seen] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def add(self, message_id: str, sender: str) -> bool:
        """Remember a message; False if it is known."""
        session, _, number = message_id.partition(".")
        seen = self._sessions.pop(session, None)
        if seen is None:
            _make_room(self._sessions, sender, MAX_OWN, MAX_SESSIONS)
            seen = _Seen(sender)
        self._sessions[session] = seen  # the last used is the last one
        seen.sender = sender
        return seen.add(int(number))

    def forget(self, message_id: str) -> None:
        """The message was not taken after all."""
        session, _, number = message_id.partition(".")
        seen = self._sessions.get(session)
        behind = seen.newest - int(number) if seen is not None else -1
        if seen is not None and 0 <= behind < names.CONFIRM_WINDOW:
            seen.bits &= ~(1 << behind)


@final
class TypedLines:
    """Tells a typed line that is sent anew from another one, by its id and its text.

    A page that does not know what became of a line posts it again: its session then sends another
    message, or a server that was restarted does so in another session. The memory is bounded, and
    one participant cannot displace what others sent.
    """

    def __init__(self) -> None:
        self._lines: dict[bytes, _Sent] = {}

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, line_id: str, text: str, sender: str) -> bool:
        """Remember a line; False if it is known."""
        line = blake2b(f"{line_id}\0{text}".encode(errors="surrogatepass"), digest_size=16).digest()
        if line in self._lines:
            return False
        _make_room(self._lines, sender, MAX_OWN_LINES, MAX_LINES)
        self._lines[line] = _Sent(sender)
        return True


K = TypeVar("K")
L = TypeVar("L", bound=_Sent)


def _make_room(kept: dict[K, L], sender: str, most_own: int, most: int) -> None:
    """Forget one of them, if there are too many of this sender, or in all."""
    own = [key for key, one in kept.items() if one.sender == sender]
    if len(own) >= most_own:
        del kept[own[0]]
    elif len(kept) >= most:
        del kept[next(iter(kept))]


@final
class Announcement:
    """Says by a participant attribute that the bridge confirms messages.

    Again after each reconnect, since a server that was restarted has forgotten it; and to each
    participant who comes, since the SDK does not report an update that was lost.
    """

    def __init__(self, room: rtc.Room, tasks: TaskOwner) -> None:
        self._room = room
        self._tasks = tasks
        self._task: RootTask | None = None

    def start(self) -> None:
        """Announce it now, or as soon as the room is connected."""
        self._each(self._room.on)
        self._announce()

    def stop(self) -> None:
        """Announce nothing more."""
        self._each(self._room.off)

    def _each(self, change: Callable[[Any, Callable[..., Any]], Any]) -> None:
        change("connection_state_changed", self._announce)
        change("reconnected", self._announce)
        change("participant_active", self._announce)

    def _announce(self) -> None:
        if self._task is not None:
            self._task.cancel()  # sent to a connection that is gone, it waits for seconds
        self._task = self._tasks.start(self._run, "bridge announcement")

    async def _run(self) -> None:
        while self._room.connection_state == rtc.ConnectionState.CONN_CONNECTED:
            try:
                await self._room.local_participant.set_attributes({names.CONFIRMS: "true"})
            except Exception:  # noqa: BLE001 - outside a room the SDK raises any kind of error
                logger.warning("the bridge could not announce that it confirms messages")
                await asyncio.sleep(ANNOUNCE_PAUSE)
            else:
                return
