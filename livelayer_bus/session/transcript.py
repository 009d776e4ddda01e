"""The transcript as a session writes it: what rooms report, and what people type."""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final, final
from uuid import uuid4

import msgspec
from msgspec.structs import replace

from .. import events
from ..contract import Outgoing
from ..errors import SendTimeoutError
from ..events import Delivery, Event, TranscriptEntry, TranscriptUpdated
from ..messages import AgentCaption, RawMessage, UserMessage
from ..transcript import Key, join, key_of, place
from .echoes import Echoes, words_of
from .store import Store

KEPT_LINES: Final = 20_000  # utterances that can be read again, those of the state included
KEPT_CHARS: Final = 8 * 1024 * 1024  # of them together
TAIL: Final = 20  # utterances that come back with a resumed conversation
GAP: Final = 2**24
"""From the number of one stream to that of the next: a line that is typed meanwhile takes one
between. A browser counts exactly to 2**53."""


class _Tail(msgspec.Struct):
    """What was said last before a disconnect, and by which agent."""

    agent: str | None
    entries: tuple[TranscriptEntry, ...]
    same_room: bool | None = None  # whether that room was joined again; None: no room was


@final
class TranscriptWriter:
    """Publishes every change of the transcript.

    Guarantee: a line that a person types is an entry of the user from the moment it is sent. An
    agent that repeats it as a transcription does not make a second one; nor does one that sends its
    own words both as captions and as a transcription (see `Echoes`).
    """

    def __init__(self, store: Store, limit: int) -> None:
        self._store = store
        self._limit = max(KEPT_LINES, limit)
        self._kept: OrderedDict[Key, TranscriptEntry] = OrderedDict()
        self._chars = 0
        self._echoes = Echoes(store.clock, self._next)
        self.agent: str | None = None
        """The identity of the conversation's agent, also when it has left."""
        self._tail: _Tail | None = None
        self._restored: frozenset[Key] = frozenset()
        self.last = 0  # the highest number given so far, to a stream or to a typed line

    def hear(self, entry: TranscriptEntry, *, after: int, replayed: bool) -> None:
        """Take in an utterance that a room reports, `replayed` if the agent repeats it.

        The numbers of its streams are the room's own; `after` is what `last` was before the join.
        """
        opened, stream = after + GAP * entry.opened, after + GAP * entry.stream
        self.last = max(self.last, opened, stream)
        if replayed and self._restored:
            if self._kept.keys() <= self._restored:
                # The agent knows better than this session what was said, and under which ids.
                self._clear()
            elif any(
                (one.role, words_of(one.text)) == (entry.role, words_of(entry.text))
                for key in self._restored
                if (one := self._kept.get(key)) is not None
            ):
                return  # the conversation has gone on: what was brought back stays in its place
        self._hear(replace(entry, opened=opened, stream=stream))

    def caption(self, caption: AgentCaption, sender: str | None) -> None:
        number, name = self._next(), caption.id or uuid4().hex
        entry = TranscriptEntry(name, "agent", caption.text, caption.final, number, number, sender)
        self._hear(entry, is_caption=True)

    def _hear(self, entry: TranscriptEntry, *, is_caption: bool = False) -> None:
        is_known = key_of(entry) in self._kept
        for new in self._echoes.hear(entry, is_known=is_known, is_caption=is_caption):
            self._publish(new)

    def repeat(self, event: Event) -> None:
        match event:
            case TranscriptUpdated(entry):
                self._publish(entry)
            case events.TranscriptCleared():
                self._clear()
            case _:
                self._store.publish(event)

    def adopt(self, entries: tuple[TranscriptEntry, ...]) -> None:
        """Take in what the state has already: this session continues another process's."""
        for entry in entries:
            self._keep(entry)

    def _publish(self, entry: TranscriptEntry) -> None:
        self._store.publish(TranscriptUpdated(entry))
        self._keep(entry)

    def _keep(self, entry: TranscriptEntry) -> None:
        self.last = max(self.last, entry.opened, entry.stream)
        key = key_of(entry)
        known = self._kept.get(key)
        self._kept[key] = entry = entry if known is None else join(known, entry)
        self._chars += len(entry.text) - (0 if known is None else len(known.text))
        while len(self._kept) > self._limit or (self._chars > KEPT_CHARS and len(self._kept) > 1):
            _, oldest = self._kept.popitem(last=False)
            self._chars -= len(oldest.text)

    @contextmanager
    def typing(self, text: str, line_id: str | None = None) -> Generator[str]:
        """Send a typed line inside this block: the line is pending, then sent, or failed.

        A failed line is sent again under its `line_id`. Without a room there is no line.
        """
        known = self._kept.get((None, line_id or ""))
        if line_id is None or (known is not None and known.delivery != "failed"):
            line_id = uuid4().hex
        if self._store.state.connection_state not in ("connecting", "connected"):
            yield line_id
            return
        self._show(line_id, text, "pending")
        try:
            yield line_id
        except BaseException as error:
            late = error if isinstance(error, SendTimeoutError) else None
            is_sent = late is not None and late.handed_over and not late.confirming
            self._settle(line_id, text, "sent" if is_sent else "failed")
            raise
        self._settle(line_id, text, "sent")

    def has_sent(self, text: str, line_id: str | None) -> bool:
        known = self._kept.get((None, line_id or ""))
        return known is not None and (known.delivery, known.text) == ("sent", text)

    def sending(self, message: Outgoing) -> AbstractContextManager[object]:
        """Send a message inside this block; one of what a person typed is a typed line."""
        match message:
            case UserMessage(text=str(text), id=line_id):
                return self.typing(text, line_id)
            case {"type": "user_message", "text": str(text)} | RawMessage(
                type="user_message", fields={"text": str(text)}
            ):
                return self.typing(text)
            case _:
                return nullcontext()

    def _settle(self, line_id: str, text: str, delivery: Delivery) -> None:
        # Unless the transcript was cleared meanwhile, or the session closed.
        if (None, line_id) in self._kept and not self._store.bus.closed:
            self._show(line_id, text, delivery)

    def _show(self, line_id: str, text: str, delivery: Delivery) -> None:
        number = self._next()  # newer than what was known of it
        entry = TranscriptEntry(line_id, "user", text, True, number, number, delivery=delivery)
        if delivery == "pending":
            self._echoes.type(entry)
        self._publish(entry)

    def _next(self) -> int:
        self.last += 1
        return self.last

    def earlier(self, before: TranscriptEntry, limit: int) -> tuple[TranscriptEntry, ...]:
        entries = sorted(self._kept.values(), key=place)
        end = bisect_left(entries, place(before), key=place)
        return tuple(entries[max(0, end - limit) : end])

    def forget(self) -> None:
        self._kept.clear()
        self._echoes.forget()
        self._chars = 0
        self._restored = frozenset()

    def _clear(self) -> None:
        self.forget()
        self._store.publish(events.TranscriptCleared())

    def leave(self) -> None:
        """Clear the transcript, and keep its tail for a conversation that is resumed."""
        entries = sorted(self._kept.values(), key=place)[-TAIL:]
        self._tail = _Tail(self.agent, tuple(entries))
        self._clear()

    def forget_tail(self) -> None:
        self._tail = self.agent = None

    def returned(self, *, same_room: bool) -> None:
        """A room was joined; after `leave`, the next agent decides what becomes of the tail."""
        if self._tail is not None:
            self._tail.same_room = same_room

    def agent_seen(self, identity: str) -> None:
        """An agent is in the room: the conversation continues if it is the one that was left."""
        self.agent, tail = identity, self._tail
        if tail is None or tail.same_room is None:
            return
        self._tail = None
        continued = tail.same_room and identity == tail.agent
        self._store.publish(events.ConversationResumed(continued))
        if continued:
            self._restored = frozenset(map(key_of, tail.entries))
            for entry in tail.entries:
                self._publish(entry)
                if entry.delivery is not None:
                    self._echoes.type(entry)
