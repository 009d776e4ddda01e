"""The console without a terminal: one line for each change that concerns a person."""

from __future__ import annotations

from livelayer_bus import events
from livelayer_bus.events import Event
from livelayer_bus.state import SessionState

from .view import clean


def plain_line(event: Event) -> str | None:
    """The line for an event; None for one that concerns programs only.

    A data message is shown by its type alone, unless a person typed it.
    """
    match event:
        case events.TranscriptUpdated(entry=entry):
            if not entry.final or entry.delivery == "pending":
                return None
            who = "you" if entry.role == "user" else "agent"
            return _line("not sent" if entry.delivery == "failed" else who, entry.text)
        case events.ConversationResumed():
            going_on = "the conversation continues" if event.continued else "a new conversation"
            return _line("session", going_on)
        case events.ConnectionStateChanged():
            return _line("session", event.state + (f": {event.error}" if event.error else ""))
        case events.AgentStateChanged():
            return _line("state", event.state + (f": {event.error}" if event.error else ""))
        case events.AgentAvailabilityChanged():
            active = "ready" if event.ready else "active" if event.active else "gone"
            return _line("state", f"agent {active}")
        case events.DataReceived(
            type="agent_state" | "agent_tool_call" | "agent_turn_ended" | "agent_usage"
            | "agent_false_interruption" | "request_approval"
        ):  # fmt: skip
            return None  # an event of its own reports it
        case events.ToolCallChanged():
            return _line("tool", f"{event.name} {event.status}")
        case events.FalseInterruption():
            return _line("state", "speaks on" if event.resumed else "interrupted by a noise")
        case events.ApprovalRequested():
            return _line("asks", event.question)
        case events.ApprovalSettled():
            where = f" on {event.surface}" if event.surface else ""
            return _line("asks", f"{event.outcome}{where}")
        case events.DataReceived():
            return _line("data in", event.type or "not a JSON message")
        case events.DataSent(type="user_message"):
            return None  # TranscriptUpdated reports it
        case events.DataSent():
            return _line("data out", event.type or "not a JSON message")
        case events.TrackChanged():
            return _line(event.kind, "on" if event.available else "off")
        case events.Reconnecting():
            return _line("session", f"reconnecting ({event.reason})")
        case events.AgentTimedOut():
            return _line("agent", event.error)
        case events.Reconnected():
            return _line("session", "reconnected" + (" with a new token" if event.rejoined else ""))
        case events.EpochStarted():
            return _line("session", f"switched to {event.agent_id}")
        case events.MicrophoneChanged():
            return _line("mic", f"held by {event.owner}" if event.owner else "free")
        case events.RecordingChanged(surface, active, error):
            words = "records the session" if active else "records it no more"
            return _line("record", f"{surface}: {error}" if error else f"{surface} {words}")
        case events.SurfaceMounted():
            return _line("surface", f"{event.key} mounted")
        case events.SurfaceUnmounted():
            return _line("surface", f"{event.key} unmounted")
        case events.CommandReceived():
            return _line("command", f"{event.command} goes to {event.surface}")
        case events.CommandFinished():
            return _line("command", f"{event.command} {'done' if event.ok else event.reason}")
        case events.SessionFailed():
            return _line("failed", event.error)
        case events.SurfaceFailed():
            return _line("failed", f"surface {event.key}: {event.error}")
        case events.SurfaceDidNotStop():
            return _line("failed", f"surface {event.key} did not stop in {event.seconds:g} s")
        case events.HandlerFailed():
            return _line("failed", f"handler {event.handler}: {event.error}")
        case events.CommandRefused():
            return _line("refused", f"{event.command}: {event.detail}")
        case events.MalformedMessage():
            return _line("refused", f"a malformed message: {event.problem}")
        case _:
            return None


def opening_line(state: SessionState) -> str:
    """The first line: the session's state when the surface was mounted."""
    return _line("session", f"{state.id} with {state.agent_id} is {state.connection_state}")


def _line(label: str, text: str) -> str:
    return f"{label:<9}{clean(text)}"
