"""What the agent is doing, for the surfaces: tool calls, ends of turns, interruptions, usage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias, final

from livekit import rtc
from livekit.agents import (
    AgentFalseInterruptionEvent,
    AgentSession,
    ConversationItemAddedEvent,
    SessionUsageUpdatedEvent,
    ToolExecutionUpdatedEvent,
)

from livelayer_bus.messages import (
    AgentFalseInterruption,
    AgentToolCall,
    AgentTurnEnded,
    AgentUsage,
    FromAgent,
    ModelUsage,
)

from .data_channel import is_person

ToolSharing: TypeAlias = Literal["nothing", "names", "details"]
"""What the surfaces get of tool calls: nothing; that one runs, and its name; or also its
arguments, progress, result and error."""

NAME_CHARACTERS: Final = 100
DETAIL_CHARACTERS: Final = 1_000
"""Of the arguments and of the message of a tool call, each."""
MODELS_LIMIT: Final = 16
RUNNING_LIMIT: Final = 256  # tool calls that are followed at once


@final
class ActivityReporter:
    """Turns events of an `AgentSession` into messages to the surfaces.

    A participant who joins is told which tools run. What a tool keeps from the user (a silent
    update) is never sent.
    """

    def __init__(
        self,
        session: AgentSession[Any],
        room: rtc.Room,
        send: Callable[[FromAgent, str | None], object],
        share: ToolSharing,
    ) -> None:
        self._session = session
        self._room = room
        self._send = send
        self._share = share
        self._running: dict[str, AgentToolCall] = {}
        self._used: AgentUsage | None = None

    def start(self) -> None:
        """Report from now on."""
        self._each(self._session.on)
        self._room.on("participant_active", self._on_active)

    def stop(self) -> None:
        """Report no more."""
        self._each(self._session.off)
        self._room.off("participant_active", self._on_active)

    def _each(self, session: Callable[[Any, Any], Any]) -> None:
        session("tool_execution_updated", self._on_tool)
        session("conversation_item_added", self._on_item)
        session("agent_false_interruption", self._on_false_interruption)
        session("session_usage_updated", self._on_usage)

    def _on_tool(self, event: ToolExecutionUpdatedEvent) -> None:
        update = event.update
        if self._share == "nothing" or update.type == "tool_reply_updated":
            return
        if update.type == "tool_call_started":
            called = update.function_call
            report = AgentToolCall(
                call_id=_cut(called.call_id, NAME_CHARACTERS),
                name=_cut(called.name, NAME_CHARACTERS),
                status="started",
                arguments=self._detail(called.arguments),
            )
            if len(self._running) >= RUNNING_LIMIT:
                return
            self._running[called.call_id] = report
        else:
            known = self._running.get(update.call_id)
            if known is None or (update.type == "tool_call_updated" and update.silent):
                return
            if update.type == "tool_call_ended":
                del self._running[update.call_id]
            report = AgentToolCall(
                call_id=known.call_id,
                name=known.name,
                status="updated" if update.type == "tool_call_updated" else update.status,
                arguments=known.arguments,
                message=self._detail(update.message),
            )
            if report.status == "updated":
                self._running[update.call_id] = report
        self._send(report, None)

    def _detail(self, text: str | None) -> str | None:
        if text is None or self._share != "details":
            return None
        return _cut(text, DETAIL_CHARACTERS)

    def _on_item(self, event: ConversationItemAddedEvent) -> None:
        item = event.item
        if item.type == "message" and item.role in ("user", "assistant"):
            role: Literal["agent", "user"] = "user" if item.role == "user" else "agent"
            self._send(AgentTurnEnded(role, item.interrupted), None)

    def _on_false_interruption(self, event: AgentFalseInterruptionEvent) -> None:
        self._send(AgentFalseInterruption(event.resumed), None)

    def _on_usage(self, event: SessionUsageUpdatedEvent) -> None:
        models: list[ModelUsage] = []
        for used in event.usage.model_usage:
            fields = used.model_dump()
            texts = (str(fields.pop(name)) for name in ("type", "provider", "model"))
            kind, provider, model = (_cut(text, NAME_CHARACTERS) for text in texts)
            counts = {name: count for name, count in fields.items() if count}
            if counts:
                models.append(ModelUsage(kind.removesuffix("_usage"), provider, model, counts))
        usage = AgentUsage(tuple(models[:MODELS_LIMIT]))
        # Each metric of each model is an event, also one that changes nothing.
        if models and usage != self._used:
            self._used = usage
            self._send(usage, None)

    def _on_active(self, participant: rtc.RemoteParticipant) -> None:
        if is_person(participant):
            for report in self._running.values():
                self._send(report, participant.identity)


def _cut(text: str, limit: int) -> str:
    """The text as UTF-8 can carry it, at most `limit` characters."""
    return text[:limit].encode("utf-8", "replace").decode()
