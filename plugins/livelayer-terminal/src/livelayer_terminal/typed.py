"""What a line that a person typed does: it answers, interrupts, connects again, or is sent."""

from __future__ import annotations

from typing import Final

from livelayer_bus.contract import ControlledSession
from livelayer_bus.errors import NotSupportedError
from livelayer_bus.events import ApprovalRequested
from livelayer_bus.messages import UserMessage
from livelayer_bus.state import SessionState

ANSWERS: Final = {"y": True, "yes": True, "n": False, "no": False}


def can_interrupt(state: SessionState) -> bool:
    """The agent speaks, and can be told to stop."""
    return state.agent_state == "speaking" and state.agent_confirms


def is_over(state: SessionState) -> bool:
    """There is no conversation, or no agent came to it: a person can connect again."""
    return state.error_code is not None or state.connection_state in ("disconnected", "error")


def hint(state: SessionState, question: ApprovalRequested | None) -> str:
    """What Enter does now."""
    if question is not None:
        return "y approves, n refuses"
    if is_over(state):
        return "Enter connects again"
    if can_interrupt(state):
        return "Enter interrupts, or type to the agent"
    return "type to the agent, Enter sends"


async def enter(session: ControlledSession, line: str, question: ApprovalRequested | None) -> None:
    """Do what Enter does with `line`; `question`: what the person is asked.

    Raises:
        LivelayerError: as the session raises it.
    """
    if question is not None and line.lower() in ANSWERS:
        await session.answer_approval(question.number, approved=ANSWERS[line.lower()])
    elif line:
        try:
            await session.send_text(line)
        except NotSupportedError:
            await session.send_data(UserMessage(line))
    elif is_over(session.state):
        await session.connect()
    elif can_interrupt(session.state):
        await session.interrupt()
