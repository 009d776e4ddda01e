"""What a session knows, and how each event changes it: `reduce(state, event) -> state`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias, TypeVar

import msgspec
from msgspec.structs import replace

from . import events
from .events import AgentConfig, AgentState, ConnectionState, Event, TranscriptEntry
from .transcript import merge


class LeaseState(msgspec.Struct, frozen=True):
    """Who holds the microphone, the camera or the screen, and whether it is muted."""

    owner: str
    muted: bool = False


MicrophoneState: TypeAlias = LeaseState


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
    agent_identity: str | None = None
    agent_state: AgentState = "idle"
    raw_agent_state: str | None = None
    agent_config: AgentConfig | None = None
    transcript: tuple[TranscriptEntry, ...] = ()
    can_resume: bool = False
    error: str | None = None
    microphone: LeaseState | None = None
    camera: LeaseState | None = None
    screen: LeaseState | None = None
    surfaces: tuple[str, ...] = ()
    """The keys of the mounted surfaces, in mount order."""

    def as_of(self, sequence: int) -> SessionState:
        """Return the same state with this `sequence`."""
        return replace(self, sequence=sequence)


Reducer: TypeAlias = Callable[[SessionState, Any], SessionState]
R = TypeVar("R", bound=Reducer)

REDUCERS: Final[dict[type[Event], Reducer]] = {}
"""What the events of each type make of the state, all but its `sequence`. Event types that are not
in it do not change the state."""


def reduce(state: SessionState, event: Event) -> SessionState:
    """Return the state after `event`: a pure function, total, and one `sequence` further."""
    for base in type(event).__mro__:
        if base in REDUCERS:
            return REDUCERS[base](state, event).as_of(state.sequence + 1)
    return state.as_of(state.sequence + 1)


def _reduces(kind: type[Event]) -> Callable[[R], R]:
    def register(reducer: R) -> R:
        REDUCERS[kind] = reducer
        return reducer

    return register


def _lease(
    event: events.MicrophoneChanged | events.CameraChanged | events.ScreenChanged,
) -> LeaseState | None:
    return LeaseState(event.owner, event.muted) if event.owner is not None else None


@_reduces(events.ConnectionStateChanged)
def _connection(state: SessionState, event: events.ConnectionStateChanged) -> SessionState:
    connected = event.state == "connected"
    state = replace(
        state,
        connection_state=event.state,
        joined=connected,
        reconnecting=False,
        can_resume=event.can_resume,
        error=event.error,
    )
    return state if connected else _without_agent(state)


@_reduces(events.ResumeWindowClosed)
def _resume_window(state: SessionState, event: events.ResumeWindowClosed) -> SessionState:
    return replace(state, can_resume=False)


@_reduces(events.Reconnecting)
def _reconnecting(state: SessionState, event: events.Reconnecting) -> SessionState:
    state = replace(state, reconnecting=True)
    # A resume by the SDK keeps our place in the room; a rejoin starts outside of it.
    return _without_agent(replace(state, joined=False)) if event.attempt else state


@_reduces(events.Reconnected)
def _reconnected(state: SessionState, event: events.Reconnected) -> SessionState:
    return replace(state, reconnecting=False, joined=True)


@_reduces(events.SessionFailed)
def _failed(state: SessionState, event: events.SessionFailed) -> SessionState:
    return replace(state, error=event.error)


@_reduces(events.EpochStarted)
def _epoch(state: SessionState, event: events.EpochStarted) -> SessionState:
    return SessionState(
        id=state.id,
        agent_id=event.agent_id,
        base_url=event.base_url,
        epoch=event.epoch,
        microphone=state.microphone,
        camera=state.camera,
        screen=state.screen,
        surfaces=state.surfaces,
    )


@_reduces(events.AgentAvailabilityChanged)
def _availability(state: SessionState, event: events.AgentAvailabilityChanged) -> SessionState:
    if event.identity is None:
        return _without_agent(state)
    return replace(
        state,
        agent_active=event.active,
        agent_ready=event.ready,
        agent_identity=event.identity,
    )


@_reduces(events.AgentStateChanged)
def _agent_state(state: SessionState, event: events.AgentStateChanged) -> SessionState:
    return replace(state, agent_state=event.state, raw_agent_state=event.raw, error=event.error)


@_reduces(events.AgentConfigChanged)
def _agent_config(state: SessionState, event: events.AgentConfigChanged) -> SessionState:
    return replace(state, agent_config=event.config)


@_reduces(events.TranscriptUpdated)
def _transcript(state: SessionState, event: events.TranscriptUpdated) -> SessionState:
    return replace(state, transcript=merge(state.transcript, event.entry))


@_reduces(events.TranscriptCleared)
def _no_transcript(state: SessionState, event: events.TranscriptCleared) -> SessionState:
    return replace(state, transcript=())


@_reduces(events.MicrophoneChanged)
def _microphone(state: SessionState, event: events.MicrophoneChanged) -> SessionState:
    return replace(state, microphone=_lease(event))


@_reduces(events.CameraChanged)
def _camera(state: SessionState, event: events.CameraChanged) -> SessionState:
    return replace(state, camera=_lease(event))


@_reduces(events.ScreenChanged)
def _screen(state: SessionState, event: events.ScreenChanged) -> SessionState:
    return replace(state, screen=_lease(event))


@_reduces(events.SurfaceMounted)
def _mounted(state: SessionState, event: events.SurfaceMounted) -> SessionState:
    return replace(state, surfaces=(*state.surfaces, event.key))


@_reduces(events.SurfaceUnmounted)
def _unmounted(state: SessionState, event: events.SurfaceUnmounted) -> SessionState:
    return replace(state, surfaces=tuple(key for key in state.surfaces if key != event.key))


def _without_agent(state: SessionState) -> SessionState:
    return replace(
        state,
        agent_active=False,
        agent_ready=False,
        agent_identity=None,
        agent_state="idle",
        raw_agent_state=None,
    )
