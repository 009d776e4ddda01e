"""What one room reports, turned into events of the session."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Literal, TypeAlias, final

import msgspec

from ..contract import MediaWriters, RoomLoss, TrackKind
from ..errors import MalformedMessageError
from ..events import (
    AgentAvailabilityChanged,
    AgentState,
    AgentStateChanged,
    CommandRefusedReason,
    DataReceived,
    MalformedMessage,
    Reconnected,
    Reconnecting,
    TrackChanged,
    TranscriptEntry,
    TranscriptUpdated,
    packet_payload,
)
from ..messages import (
    AgentError,
    AgentStateMessage,
    BotReady,
    Message,
    RawMessage,
    capability_of,
    decode,
    is_command,
    message_type,
)
from ..surfaces.commands import CommandRouter
from .store import Store

# The participant attribute's values beyond AgentState, and what they mean for a surface.
_STATES: dict[str, AgentState] = {
    "idle": "idle",
    "listening": "listening",
    "thinking": "thinking",
    "speaking": "speaking",
    "initializing": "idle",
    "failed": "idle",
}
MAX_HELD = 1024  # reports kept back until the join is announced

Report: TypeAlias = Callable[[], None]
Dialect: TypeAlias = Literal["livelayer", "plain"]
"""What an agent understands: our data messages, or livekit-agents' text streams alone."""


@final
class Intake:
    """The `RoomSink` of one room.

    What is reported while the room is still being joined is held back until `open()`, so that
    nothing is heard of a room before `connected` is; after `close()` nothing is heard of it at all.
    """

    def __init__(
        self,
        store: Store,
        router: CommandRouter,
        media: MediaWriters,
        streams: Iterator[int],
        on_lost: Callable[[RoomLoss], None],
    ) -> None:
        self._store = store
        self._router = router
        self._media = media
        self._streams = streams
        self._on_lost = on_lost
        self._held: deque[Report] | None = deque()
        self._closed = False
        self._tracks: set[TrackKind] = set()
        self.dialect: Dialect | None = None

    def open(self) -> None:
        """The room is joined: pass on what was held back, and everything from now on."""
        held, self._held = self._held or (), None
        for report in held:
            report()

    def settle_dialect(self) -> None:
        """Take an agent that has not announced itself for a plain one; it may still do so."""
        self.dialect = self.dialect or "plain"

    def close(self) -> None:
        """The room is no longer ours."""
        for kind in tuple(self._tracks):
            self.track(kind, available=False, sid=None, participant=None)
        self._closed = True
        self._held = None

    # RoomSink -------------------------------------------------------------------------------

    def reconnecting(self, reason: str) -> None:
        self._report(lambda: self._store.publish(Reconnecting(reason)))

    def reconnected(self) -> None:
        self._report(lambda: self._store.publish(Reconnected()))

    def lost(self, loss: RoomLoss) -> None:
        self._report(lambda: self._on_lost(loss))

    def agent(self, identity: str | None, *, active: bool) -> None:
        self._report(lambda: self._agent(identity, active))

    def agent_state(self, raw: str) -> None:
        self._report(lambda: self._agent_state(raw))

    def packet(
        self, data: bytes, *, sender: str | None, topic: str | None, from_agent: bool
    ) -> None:
        self._report(lambda: self._packet(data, sender, topic or None, from_agent))

    def stream_opened(self) -> int:
        return next(self._streams)

    def transcription(self, entry: TranscriptEntry) -> None:
        self._report(lambda: self._store.publish(TranscriptUpdated(entry)))

    def track(
        self, kind: TrackKind, *, available: bool, sid: str | None, participant: str | None
    ) -> None:
        self._report(lambda: self._track(kind, available, sid, participant))

    # What the reports mean ------------------------------------------------------------------

    def _report(self, report: Report) -> None:
        if self._closed:
            return
        if self._held is None:
            report()
        elif len(self._held) < MAX_HELD:
            self._held.append(report)
        else:
            # A room this lively before its join is announced: announce what it said already.
            self.open()
            report()

    def _agent(self, identity: str | None, active: bool) -> None:
        state = self._store.state
        if identity != state.agent_identity:
            self.dialect = None
        ready = state.agent_ready and identity is not None and identity == state.agent_identity
        self._availability(identity, active, ready)

    def _availability(self, identity: str | None, active: bool, ready: bool) -> None:
        state = self._store.state
        if (identity, active, ready) != (
            state.agent_identity,
            state.agent_active,
            state.agent_ready,
        ):
            self._store.publish(AgentAvailabilityChanged(active, ready, identity))

    def _ready(self) -> None:
        state = self._store.state
        self._availability(state.agent_identity, state.agent_active, True)

    def _agent_state(self, raw: str) -> None:
        state = self._store.state
        if raw == state.raw_agent_state:
            return
        if raw != "initializing":
            self._ready()
        error = "the agent failed" if raw == "failed" else None
        known = _STATES.get(raw, state.agent_state)
        self._store.publish(AgentStateChanged(known, raw, error))

    def _packet(self, data: bytes, sender: str | None, topic: str | None, from_agent: bool) -> None:
        try:
            message = decode(data)
        except MalformedMessageError as error:
            self._malformed(error, data, sender, topic, from_agent)
            return
        kind = message.type if isinstance(message, RawMessage) else message.wire_type()
        self._store.publish(
            DataReceived(
                payload=msgspec.Raw(data),
                type=kind,
                topic=topic,
                sender=sender,
                from_agent=from_agent,
            )
        )
        if from_agent:
            self._from_agent(message, data, sender)
        elif is_command(message):
            detail = "only an agent's participant can command"
            self._router.refuse(kind, "sender", detail, _request_of(data), sender)

    def _malformed(
        self,
        error: MalformedMessageError,
        data: bytes,
        sender: str | None,
        topic: str | None,
        from_agent: bool,
    ) -> None:
        payload, is_json = packet_payload(data)
        kind = message_type(data) if is_json else None
        self._store.publish(
            DataReceived(
                payload=payload,
                is_json=is_json,
                type=kind,
                topic=topic,
                sender=sender,
                from_agent=from_agent,
            )
        )
        if kind is None:
            # On a topic of its own it is an application's protocol, which the raw listeners know.
            if topic is None:
                self._store.publish(MalformedMessage(error.problem, None, sender, None))
            return
        self._store.publish(MalformedMessage(error.problem, kind, sender, topic))
        if capability_of(kind) is not None:
            reason: CommandRefusedReason = "invalid" if from_agent else "sender"
            self._router.refuse(kind, reason, error.problem, _request_of(data), sender)

    def _from_agent(self, message: Message, data: bytes, sender: str | None) -> None:
        if isinstance(message, AgentStateMessage | BotReady):
            self.dialect = "livelayer"
        match message:
            case AgentStateMessage(state=raw):
                self._agent_state(raw)
            case BotReady():
                self._ready()
            case AgentError(message=text):
                state = self._store.state
                error = text or "the agent reported an error"
                self._store.publish(
                    AgentStateChanged(state.agent_state, state.raw_agent_state or "", error)
                )
            case _ if is_command(message):
                self._router.route(message, data, _request_of(data), sender)
            case _:
                pass  # told by DataReceived

    def _track(
        self, kind: TrackKind, available: bool, sid: str | None, participant: str | None
    ) -> None:
        writer = self._media.video if kind == "video" else self._media.audio
        writer.set_available(available)
        if available:
            self._tracks.add(kind)
        else:
            self._tracks.discard(kind)
        self._store.publish(TrackChanged(kind, available, sid, participant))


class _Request(msgspec.Struct):
    # Any command may carry one, also those whose form does not name it.
    requestId: object = None  # noqa: N815 - the name on the wire


_request_decoder = msgspec.json.Decoder(_Request)


def _request_of(data: bytes) -> str | None:
    request = _request_decoder.decode(data).requestId
    return request if isinstance(request, str) else None
