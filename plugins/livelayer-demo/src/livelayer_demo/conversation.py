"""What the agent says on its own account: greetings, remarks, and that it cannot hear words."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from livekit.agents import AgentSession

from livelayer_bus.messages import FormSubmitBlocked, FormSubmitted

from . import guide

REMIND_SECONDS: Final = 30.0
"""For how long a short reminder will do, once the agent said why it does not understand speech."""

Session: TypeAlias = AgentSession[Any]


class Conversation:
    """Lets one `AgentSession` say what nobody asked for. What it cannot say is counted."""

    def __init__(self, session: Session, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._session = session
        self._clock = clock
        self._reminded: float | None = None
        self.unsaid = 0

    def remark(self, text: str) -> None:
        """Say something when it fits; never waits."""
        try:
            self._session.say(text)
        except RuntimeError:
            # The session is closing: there is nobody left to say it.
            self.unsaid += 1

    def notice(self, message: FormSubmitted | FormSubmitBlocked, _sender: str) -> None:
        """Say what became of a form that the user sent."""
        self.remark(guide.notice_text(message))

    def speech_heard(self) -> None:
        """Admit that speech is heard but not understood: at length first, then in short."""
        now = self._clock()
        recently = self._reminded is not None and now - self._reminded < REMIND_SECONDS
        self._reminded = now
        self.remark(guide.PLEASE_TYPE if recently else guide.CANNOT_TRANSCRIBE)
