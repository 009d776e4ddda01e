"""What a session knows, and how each event changes it: `reduce(state, event) -> state`."""

from __future__ import annotations

from functools import singledispatch
from typing import TypeAlias

import msgspec

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


def reduce(state: SessionState, event: Event) -> SessionState:
    """The state after `event`: pure, total, and one `sequence` further."""
    return _replace(_apply(event, state), sequence=state.sequence + 1)


def _lease(
    event: events.MicrophoneChanged | events.CameraChanged | events.ScreenChanged,
) -> LeaseState | None:
    return LeaseState(event.owner, event.muted) if event.owner is not None else None


def _replace(state: SessionState, **changes: object) -> SessionState:
    return msgspec.structs.replace(state, **changes)


@singledispatch
def _apply(event: Event, state: SessionState) -> SessionState:
    return state


@_apply.register
def _(event: events.ConnectionStateChanged, state: SessionState) -> SessionState:
    connected = event.state == "connected"
    state = _replace(
        state,
        connection_state=event.state,
        joined=connected,
        reconnecting=False,
        can_resume=event.can_resume,
        error=event.error,
    )
    return state if connected else _without_agent(state)


@_apply.register
def _(event: events.ResumeWindowClosed, state: SessionState) -> SessionState:
    return _replace(state, can_resume=False)


@_apply.register
def _(event: events.Reconnecting, state: SessionState) -> SessionState:
    state = _replace(state, reconnecting=True)
    # A resume by the SDK keeps our place in the room; a rejoin starts outside of it.
    return _without_agent(_replace(state, joined=False)) if event.attempt else state


@_apply.register
def _(event: events.Reconnected, state: SessionState) -> SessionState:
    return _replace(state, reconnecting=False, joined=True)


@_apply.register
def _(event: events.SessionFailed, state: SessionState) -> SessionState:
    return _replace(state, error=event.error)


@_apply.register
def _(event: events.EpochStarted, state: SessionState) -> SessionState:
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


@_apply.register
def _(event: events.AgentAvailabilityChanged, state: SessionState) -> SessionState:
    if event.identity is None:
        return _without_agent(state)
    return _replace(
        state,
        agent_active=event.active,
        agent_ready=event.ready,
        agent_identity=event.identity,
    )


@_apply.register
def _(event: events.AgentStateChanged, state: SessionState) -> SessionState:
    return _replace(state, agent_state=event.state, raw_agent_state=event.raw, error=event.error)


@_apply.register
def _(event: events.AgentConfigChanged, state: SessionState) -> SessionState:
    return _replace(state, agent_config=event.config)


@_apply.register
def _(event: events.TranscriptUpdated, state: SessionState) -> SessionState:
    return _replace(state, transcript=merge(state.transcript, event.entry))


@_apply.register
def _(event: events.TranscriptCleared, state: SessionState) -> SessionState:
    return _replace(state, transcript=())


@_apply.register
def _(event: events.MicrophoneChanged, state: SessionState) -> SessionState:
    return _replace(state, microphone=_lease(event))


@_apply.register
def _(event: events.CameraChanged, state: SessionState) -> SessionState:
    return _replace(state, camera=_lease(event))


@_apply.register
def _(event: events.ScreenChanged, state: SessionState) -> SessionState:
    return _replace(state, screen=_lease(event))


@_apply.register
def _(event: events.SurfaceMounted, state: SessionState) -> SessionState:
    return _replace(state, surfaces=(*state.surfaces, event.key))


@_apply.register
def _(event: events.SurfaceUnmounted, state: SessionState) -> SessionState:
    return _replace(state, surfaces=tuple(key for key in state.surfaces if key != event.key))


def _without_agent(state: SessionState) -> SessionState:
    return _replace(
        state,
        agent_active=False,
        agent_ready=False,
        agent_identity=None,
        agent_state="idle",
        raw_agent_state=None,
    )
