"""What is said to the agent, taken in order: typed lines interrupt and are answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from livekit import rtc
from livekit.agents import AgentSession

from livelayer_bus.demo import guide
from livelayer_bus.demo.wire import Message

INBOX_LIMIT: Final = 32
REMIND_SECONDS: Final = 30.0
"""For how long a short reminder will do, once the agent said why it does not understand speech."""

Session: TypeAlias = AgentSession[Any]


@dataclass(frozen=True, slots=True)
class _Line:
    text: str


@dataclass(frozen=True, slots=True)
class _Remark:
    text: str


class Conversation:
    """Feeds one `AgentSession` with what people type, and with remarks of the agent's own.

    Lines are answered one after the other, each interrupting what is being said. At most
    `INBOX_LIMIT` wait; what comes beyond that is dropped and counted.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._inbox: asyncio.Queue[_Line | _Remark] = asyncio.Queue(INBOX_LIMIT)
        self._clock = clock
        self._reminded: float | None = None
        self.dropped = 0

    def user_said(self, text: str) -> None:
        """Answer a typed line; never waits."""
        self._put(_Line(text))

    def remark(self, text: str) -> None:
        """Say something when it fits; never waits."""
        self._put(_Remark(text))

    def notice(self, message: Message) -> None:
        """Say what a message that nobody asked for means, if it means anything to the guide."""
        if (text := guide.notice_text(message)) is not None:
            self.remark(text)

    def speech_heard(self) -> None:
        """Admit that speech is heard but not understood: at length first, then in short."""
        now = self._clock()
        recently = self._reminded is not None and now - self._reminded < REMIND_SECONDS
        self._reminded = now
        self.remark(guide.PLEASE_TYPE if recently else guide.CANNOT_TRANSCRIBE)

    async def run(self, session: Session) -> None:
        """Pass everything on to `session`, until cancelled."""
        while True:
            item = await self._inbox.get()
            if isinstance(item, _Remark):
                session.say(item.text)
                continue
            await session.interrupt()
            session.generate_reply(user_input=item.text)

    def _put(self, item: _Line | _Remark) -> None:
        try:
            self._inbox.put_nowait(item)
        except asyncio.QueueFull:
            self.dropped += 1


def is_person(participant: rtc.RemoteParticipant) -> bool:
    """Whether a participant may be somebody to talk to, and no agent or recorder."""
    return participant.kind not in (
        rtc.ParticipantKind.PARTICIPANT_KIND_AGENT,
        rtc.ParticipantKind.PARTICIPANT_KIND_EGRESS,
        rtc.ParticipantKind.PARTICIPANT_KIND_INGRESS,
    )
