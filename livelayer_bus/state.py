"""What a session knows, and how each event changes it: `reduce(state, event) -> state`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import msgspec
from msgspec.structs import replace

from . import events
from .errors import StaleCursorError
from .events import AgentConfig, AgentState, ConnectionState, ErrorCode, Event, TranscriptEntry
from .transcript import LIMIT, Transcript

MAX_TOOLS: Final = 32  # tool calls in the state; of more, the newest


class LeaseState(msgspec.Struct, frozen=True):
    """Who holds the microphone, the camera or the screen, and whether it is muted."""

    owner: str
    muted: bool = False


class SessionState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a surface needs to draw a session, as of `sequence`."""

    id: str
    """Names the session for as long as it lives; a cursor on a wire is `<id>:<sequence>`."""
    agent_id: str
    base_url: str | None = None
    epoch: int = 0
    """Counts the agents this session was turned to; nothing crosses from one to the next."""
    sequence: int = 0
    """The last event that is part of this state."""
    connection_state: ConnectionState = "idle"
    reconnecting: bool = False
    joined: bool = False
    """We are in the room."""
    agent_active: bool = False
    """An agent's participant is active: it can receive data."""
    agent_ready: bool = False
    """The agent said so: `bot_ready`, or any state but initializing."""
    agent_confirms: bool = False
    """Its bridge confirms messages: see `Session.send_data`."""
    agent_identity: str | None = None
    agent_state: AgentState = "idle"
    raw_agent_state: str | None = None
    agent_config: AgentConfig | None = None
    # Between two reads of a bus's state it is a `Transcript`, of which `as_of` makes this tuple.
    transcript: tuple[TranscriptEntry, ...] = ()
    """The newest utterances, in order: at most `transcript_limit`, and 512 Ki characters."""
    transcript_omitted: int = 0
    """Utterances before those; see `ControlledSession.earlier_transcript`."""
    transcript_limit: int = LIMIT
    can_resume: bool = False
    continued: bool | None = None
    """After a `connect()` within the resume window: whether the same agent goes on. None: the
    session was not resumed, or no agent is there yet."""
    error: str | None = None
    tools: tuple[events.ToolCallChanged, ...] = ()
    """The agent's tool calls that have not ended: each as last reported, at most 32."""
    approvals: tuple[events.ApprovalRequested, ...] = ()
    """What the agent waits for a person to approve, oldest first."""
    error_code: ErrorCode | None = None
    """`AGENT_TIMEOUT`: the room is joined, and no agent came; see `AgentTimedOut`."""
    microphone: LeaseState | None = None
    camera: LeaseState | None = None
    screen: LeaseState | None = None
    surfaces: tuple[str, ...] = ()
    """The keys of the mounted surfaces, in mount order."""
    recording: tuple[str, ...] = ()
    """The keys of those that record the session."""

    def as_of(self, sequence: int) -> SessionState:
        """Return the same state with this `sequence`."""
        said: Any = self.transcript
        if type(said) is not Transcript:
            return replace(self, sequence=sequence)
        omitted = said.omitted
        return replace(self, sequence=sequence, transcript=said.entries, transcript_omitted=omitted)

    def sequence_after(self, cursor: int | str | None) -> int | None:
        """Return the sequence that a cursor of `Session.subscribe` means, or raise its error."""
        if not isinstance(cursor, str):
            return cursor
        owner, _, sequence = cursor.rpartition(":")
        if owner != self.id:
            raise StaleCursorError(repr(cursor[:100]), "it belongs to another session")
        # At most 19 digits, as a 64-bit number has: int() refuses a text of thousands.
        if not (sequence.isascii() and sequence.isdigit() and len(sequence) < 20):
            raise StaleCursorError(repr(cursor[:100]), "it does not end in a sequence")
        return int(sequence)


Reducer: TypeAlias = Callable[[SessionState, Any], SessionState]


def _transcript(state: SessionState, event: events.TranscriptUpdated) -> SessionState:
    said: Any = state.transcript
    if type(said) is not Transcript:
        said = Transcript.of(said, state.transcript_omitted, state.transcript_limit)
    return replace(state, transcript=said.add(event.entry))


def _connection(state: SessionState, event: events.ConnectionStateChanged) -> SessionState:
    connected = event.state == "connected"
    state = replace(
        state,
        connection_state=event.state,
        joined=connected,
        reconnecting=False,
        can_resume=event.can_resume,
        continued=None,
        error=event.error,
        error_code=None,
    )
    return state if connected else _without_agent(state)


def _reconnecting(state: SessionState, event: events.Reconnecting) -> SessionState:
    state = replace(state, reconnecting=True)
    # A resume by the SDK keeps our place in the room; a rejoin starts outside of it.
    return _without_agent(replace(state, joined=False)) if event.attempt else state


def _epoch(state: SessionState, event: events.EpochStarted) -> SessionState:
    kept = ("id", "transcript_limit", "microphone", "camera", "screen", "surfaces", "recording")
    new = {name: getattr(event, name) for name in ("agent_id", "base_url", "epoch")}
    return SessionState(**new, **{name: getattr(state, name) for name in kept})


def _availability(state: SessionState, event: events.AgentAvailabilityChanged) -> SessionState:
    if event.identity is None:
        return _without_agent(state)
    if event.active and state.error_code is not None:
        state = _failed(state, None)
    return replace(
        state,
        agent_active=event.active,
        agent_ready=event.ready,
        agent_confirms=event.confirms,
        agent_identity=event.identity,
    )


def _agent_state(state: SessionState, event: events.AgentStateChanged) -> SessionState:
    state = replace(state, agent_state=event.state, raw_agent_state=event.raw)
    return _failed(state, event.error)


def _failed(state: SessionState, error: str | None, code: ErrorCode | None = None) -> SessionState:
    return replace(state, error=error, error_code=code)


def _tool_call(state: SessionState, event: events.ToolCallChanged) -> SessionState:
    calls = {call.call_id: call for call in state.tools} | {event.call_id: event}
    if event.status not in ("started", "updated"):
        del calls[event.call_id]
    return replace(state, tools=tuple(calls.values())[-MAX_TOOLS:])


def _settled(state: SessionState, event: events.ApprovalSettled) -> SessionState:
    waiting = tuple(one for one in state.approvals if one.number != event.number)
    return replace(state, approvals=waiting)


def _unmounted(state: SessionState, event: events.SurfaceUnmounted) -> SessionState:
    without = tuple(key for key in state.surfaces if key != event.key)
    return _recording(replace(state, surfaces=without), events.RecordingChanged(event.key, False))


def _recording(state: SessionState, event: events.RecordingChanged) -> SessionState:
    others = tuple(key for key in state.recording if key != event.surface)
    return replace(state, recording=(*others, event.surface) if event.active else others)


def _without_agent(state: SessionState) -> SessionState:
    return replace(
        state,
        agent_active=False,
        agent_ready=False,
        agent_confirms=False,
        agent_identity=None,
        agent_state="idle",
        raw_agent_state=None,
        tools=(),
        approvals=(),
    )


def _lease(event: Any) -> LeaseState | None:
    return LeaseState(event.owner, event.muted) if event.owner is not None else None


REDUCERS: Final[dict[type[Event], Reducer]] = {
    events.ConnectionStateChanged: _connection,
    events.ResumeWindowClosed: lambda state, _: replace(state, can_resume=False),
    events.Reconnecting: _reconnecting,
    events.Reconnected: lambda state, _: replace(state, reconnecting=False, joined=True),
    events.SessionFailed: lambda state, event: _failed(state, event.error),
    events.EpochStarted: _epoch,
    events.AgentAvailabilityChanged: _availability,
    events.AgentTimedOut: lambda state, event: _failed(state, event.error, "AGENT_TIMEOUT"),
    events.AgentStateChanged: _agent_state,
    events.AgentConfigChanged: lambda state, event: replace(state, agent_config=event.config),
    events.TranscriptUpdated: _transcript,
    events.TranscriptCleared: lambda state, _: replace(state, transcript=(), transcript_omitted=0),
    events.ConversationResumed: lambda state, event: replace(state, continued=event.continued),
    events.ToolCallChanged: _tool_call,
    events.ApprovalRequested: lambda state, new: replace(state, approvals=(*state.approvals, new)),
    events.ApprovalSettled: _settled,
    events.MicrophoneChanged: lambda state, event: replace(state, microphone=_lease(event)),
    events.CameraChanged: lambda state, event: replace(state, camera=_lease(event)),
    events.ScreenChanged: lambda state, event: replace(state, screen=_lease(event)),
    events.RecordingChanged: _recording,
    events.SurfaceMounted: lambda state, new: replace(state, surfaces=(*state.surfaces, new.key)),
    events.SurfaceUnmounted: _unmounted,
}
"""What events make of the state, all but its `sequence`; other types do not change it."""


def reduce(state: SessionState, event: Event) -> SessionState:
    """Return the state after `event`: a pure function, total, and one `sequence` further."""
    for base in type(event).__mro__:
        if base in REDUCERS:
            return REDUCERS[base](state, event).as_of(state.sequence + 1)
    return state.as_of(state.sequence + 1)
