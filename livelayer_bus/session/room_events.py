"""Turns what one room reports into events of the session."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import final, get_args

import msgspec

from .. import events, messages
from ..errors import ClosedError, describe, place_of
from ..events import AgentState, CommandRefusedReason
from ..media import AudioWriter, VideoWriter
from ..rooms import names, port
from ..rooms.errors import report
from ..rooms.port import MediaWriters, RoomEvent, RoomLost, TrackKind
from .commands import AgentCommands
from .store import Store
from .transcript import TranscriptWriter

# What the participant attribute's values mean for a surface: its own, and those beyond.
_STATES: dict[str, AgentState] = {
    **{state: state for state in get_args(AgentState)},
    "initializing": "idle",
    "failed": "idle",
}
_ACTIVITY: dict[type[object], type[events.Event]] = {
    messages.AgentToolCall: events.ToolCallChanged,
    messages.AgentTurnEnded: events.TurnEnded,
    messages.AgentFalseInterruption: events.FalseInterruption,
    messages.AgentUsage: events.UsageUpdated,
}
"""Messages about what the agent is doing, and the event with the same fields."""
MAX_HELD = 1024  # events held back until the join is announced


class SessionWriters(MediaWriters, frozen=True):
    """The session's own channels, as a room adapter fills them."""

    video: VideoWriter
    audio: AudioWriter


@final
@dataclass(eq=False, repr=False)
class RoomEventHandler:
    """The `RoomSink` of one room.

    Events reported while the room is still being joined are held back, in order, until `open()`,
    so that `connected` is published first; after `close()` every event is ignored. An event that
    fails is a `HandlerFailed` event and affects neither the others nor the SDK's callback.
    """

    _store: Store
    _commands: AgentCommands
    _media: SessionWriters
    _transcript: TranscriptWriter
    _on_confirmed: Callable[[str], None]
    _on_lost: Callable[[RoomLost], None]
    _on_agent: Callable[[], None]
    _agent_identity: str | None = None
    _held: deque[RoomEvent] | None = field(default_factory=deque[RoomEvent])
    _closed: bool = False
    _tracks: set[TrackKind] = field(default_factory=set[TrackKind])
    speaks_livelayer: bool | None = None
    """Whether the agent understands LiveLayer's data messages; None: not announced yet."""
    visit: int = 0  # counts how often an agent became active: what was sent before may be lost

    def __post_init__(self) -> None:
        self._last = self._transcript.last

    def open(self) -> None:
        """The room is joined: handle what was held back, and everything from now on."""
        held, self._held = self._held or (), None
        for event in held:
            self._deliver(event)

    def report(self, event: RoomEvent) -> None:
        if self._held is None:
            self._deliver(event)
        elif len(self._held) < MAX_HELD:
            self._held.append(event)
        else:
            # Too many events before the join is announced: handle those that were held back.
            self.open()
            self._deliver(event)

    def close(self) -> None:
        """The session has left the room: ignore later events."""
        for kind in tuple(self._tracks):
            self._deliver(port.TrackReported(kind, available=False))
        self._closed, self._held = True, None

    def _deliver(self, event: RoomEvent) -> None:
        if self._closed:
            return
        try:
            self._handle(event)
        except ClosedError:
            pass  # the session closed first
        except Exception as error:  # noqa: BLE001 - see the class
            kind = type(event).__name__
            report(f"handling {kind}", error)
            self._store.publish_late(
                events.HandlerFailed(f"room event {kind}", describe(error), place_of(error))
            )

    def _handle(self, event: RoomEvent) -> None:
        match event:
            case port.ConnectionInterrupted(reason):
                self._store.publish(events.Reconnecting(reason))
            case port.ConnectionRestored():
                self._store.publish(events.Reconnected())
            case RoomLost():
                self._on_lost(event)
            case port.AgentPresence():
                self._agent(event)
            case port.AgentStateReported(raw):
                self._agent_state(raw)
            case port.PacketReceived():
                self._packet(event)
            case port.UtteranceHeard(entry, replayed):
                self._transcript.hear(entry, after=self._last, replayed=replayed)
            case port.TrackReported():
                self._track(event)
            case port.EventReplayed(recorded):
                self._transcript.repeat(recorded)

    def _agent(self, agent: port.AgentPresence) -> None:
        before = self._store.state.agent_identity
        if agent.identity != before:
            self.speaks_livelayer = None
            if before is not None and agent.identity is not None:
                # Nothing of the one agent is left for the next.
                self._publish_agent(port.AgentPresence(None, active=False), ready=False)
        if agent.identity is not None and agent.identity != self._agent_identity:
            if self._agent_identity is not None:
                self._commands.router.forget()
            self._agent_identity = agent.identity
        if agent.confirms:
            self.speaks_livelayer = True
        self.visit += agent.active
        ready = agent.identity is not None and self._store.state.agent_ready
        self._publish_agent(agent, ready=ready)
        if agent.identity is not None:
            self._transcript.agent_seen(agent.identity)
        self._on_agent()

    def _publish_agent(self, agent: port.AgentPresence, *, ready: bool) -> None:
        news = events.AgentAvailabilityChanged(agent.active, ready, agent.identity, agent.confirms)
        if news != self._availability():
            self._store.publish(news)

    def _availability(self) -> events.AgentAvailabilityChanged:
        state = self._store.state
        return events.AgentAvailabilityChanged(
            state.agent_active, state.agent_ready, state.agent_identity, state.agent_confirms
        )

    def _ready(self) -> None:
        known = self._availability()
        if not known.ready:
            self._store.publish(msgspec.structs.replace(known, ready=True))

    def _agent_state(self, raw: str) -> None:
        state = self._store.state
        if raw == state.raw_agent_state:
            return
        if raw != "initializing":
            self._ready()
        error = "the agent failed" if raw == "failed" else None
        known = _STATES.get(raw, state.agent_state)
        self._store.publish(events.AgentStateChanged(known, raw, error))

    def _packet(self, packet: port.PacketReceived) -> None:
        if packet.topic == names.CONFIRMED_TOPIC and packet.from_agent:
            self._on_confirmed(packet.data.decode("ascii", "replace"))
            return
        found = messages.read(packet.data)
        message, kind = found.message, found.type
        topic, sender = packet.topic or None, packet.sender
        payload, is_json = msgspec.Raw(packet.data), True
        if kind is None:
            payload, is_json = events.packet_payload(packet.data)
        event = events.DataReceived(payload, kind, topic, is_json, sender, packet.from_agent)
        # Other participants' packets are decoded on request: their number is unbounded.
        self._store.publish(events.carrying(event, message) if packet.from_agent else event)
        if message is None:
            problem = found.problem or ""
            # On its own topic it is an application's protocol, which that application decodes.
            if kind is not None or topic is None:
                self._store.publish(events.MalformedMessage(problem, kind, sender, topic))
            if kind is not None and messages.capability_of(kind) is not None:
                reason: CommandRefusedReason = "invalid" if packet.from_agent else "sender"
                self._commands.refuse(kind, reason, problem, found.request_id, sender)
        elif packet.from_agent:
            self._from_agent(message, packet, found.request_id)
        elif messages.is_command(message):
            kind, detail = message.wire_type(), "only the session's agent can command"
            self._commands.refuse(kind, "sender", detail, found.request_id, sender)

    def _from_agent(
        self, message: messages.Message, packet: port.PacketReceived, request: str | None
    ) -> None:
        if isinstance(message, messages.AgentStateMessage | messages.BotReady):
            self.speaks_livelayer = True
        match message:
            case messages.AgentStateMessage(state=raw):
                self._agent_state(raw)
            case messages.BotReady():
                self._ready()
            case messages.AgentError(message=text):
                state, error = self._store.state, text or "the agent reported an error"
                known = state.raw_agent_state or ""
                self._store.publish(events.AgentStateChanged(state.agent_state, known, error))
            case messages.AgentCaption():
                self._transcript.caption(message, packet.sender)
            case messages.ApprovalWithdrawn(request_id=withdrawn):
                self._commands.withdraw_approval(withdrawn)
            case _ if type(message) in _ACTIVITY:
                self._store.publish(_ACTIVITY[type(message)](*msgspec.structs.astuple(message)))
            case _ if messages.is_command(message):
                self._commands.route(message, packet.data, request, packet.sender)
            case _:
                pass  # `DataReceived` has reported it

    def _track(self, track: port.TrackReported) -> None:
        writer = self._media.video if track.kind == "video" else self._media.audio
        writer.set_available(track.available)
        (self._tracks.add if track.available else self._tracks.discard)(track.kind)
        self._store.publish(events.TrackChanged(*msgspec.structs.astuple(track)))
