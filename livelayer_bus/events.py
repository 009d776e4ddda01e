"""What happens in a session: frozen records, each a plain fact that JSON can carry.

Every event encodes to one JSON object with its class name under `event`, and decodes back
(`encode_event`, `decode_event`); that is the form of the `jsonl` surface and of `livelayer tail`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar

import msgspec

from .messages import AgentState as AgentState
from .messages import Message, nests_too_deeply, read
from .messages import ModelUsage as ModelUsage
from .messages import RefusalReason as RefusalReason
from .messages import ToolStatus as ToolStatus

ConnectionState: TypeAlias = Literal["idle", "connecting", "connected", "disconnected", "error"]
Role: TypeAlias = Literal["agent", "user"]
ErrorCode: TypeAlias = Literal["AGENT_TIMEOUT"]
Delivery: TypeAlias = Literal["pending", "sent", "failed"]
Weight: TypeAlias = int | Callable[[Any], int]
ApprovalOutcome: TypeAlias = Literal["approved", "declined", "timeout", "withdrawn"]
CommandRefusedReason: TypeAlias = Literal["capability", "invalid", "sender"]


class TranscriptEntry(msgspec.Struct, frozen=True):
    """One utterance, spoken or typed, as far as it is known.

    `opened` orders utterances by the opening of their first text stream; `stream` and the length
    of `text` say how new this wording is (see `transcript.Transcript`).
    """

    id: str
    """Names the utterance among those of its sender."""
    role: Role
    text: str
    final: bool
    opened: int = 0
    stream: int = 0
    sender: str | None = None
    """The identity of the participant that sent it; None: this session's own."""
    delivery: Delivery | None = None
    """Whether a typed line was sent to the agent; None: it was spoken."""
    mood: str | None = None
    """How the agent says it, such as `happy`, where its voice has expression."""


class AgentConfig(msgspec.Struct, frozen=True, rename="camel"):
    """An agent's published appearance; on the wire in camelCase."""

    name: str
    avatar_image_url: str | None = None
    idle_loop_url: str | None = None


def _weigh_payload(event: Any) -> int:
    return len(event.payload)


class Event(msgspec.Struct, frozen=True, tag=True, tag_field="event"):
    """The root of everything a session publishes; `Bus` explains `bus_weight`."""


# The connection -----------------------------------------------------------------------------


class ConnectionStateChanged(Event, frozen=True):
    """The session moved to another of upstream's five states."""

    state: ConnectionState
    error: str | None = None
    """Why, in one sentence; None when the application asked for it."""
    can_resume: bool = False
    """The next connect within the resume window returns to the same room."""


class ResumeWindowClosed(Event, frozen=True):
    """Too much time passed since the disconnect: the next connect opens a new room."""


class Reconnecting(Event, frozen=True):
    """The connection is interrupted and being restored; `connection_state` stays `connected`."""

    reason: str
    attempt: int = 0
    """0: the SDK resumes the same connection. From 1: a rejoin with a new token."""


class Reconnected(Event, frozen=True):
    """The connection is back; `rejoined` when it took a new token."""

    rejoined: bool = False


class SessionFailed(Event, frozen=True):
    """The session gave up; `retryable` when a later `connect()` may succeed unchanged."""

    error: str
    retryable: bool


class EpochStarted(Event, frozen=True):
    """The session was opened or switched to another agent: all earlier state is void."""

    epoch: int
    agent_id: str
    base_url: str | None = None


# The agent ----------------------------------------------------------------------------------


class AgentAvailabilityChanged(Event, frozen=True):
    """What the agent's participant can do: receive data, answer (`ready`), confirm messages."""

    active: bool
    ready: bool
    identity: str | None = None
    confirms: bool = False


class AgentTimedOut(Event, frozen=True):
    """No agent was active within `seconds` of the join, or since the last one was.

    A session that had no agent stays in the room: one that comes clears the error, and `connect()`
    tries another room. One that was left by its agent is disconnected next.
    """

    seconds: float
    error: str


class AgentStateChanged(Event, frozen=True):
    """What the agent is doing; `raw` is the value as it was sent."""

    bus_weight: ClassVar[Weight] = 256
    state: AgentState
    raw: str
    error: str | None = None


class AgentConfigChanged(Event, frozen=True):
    """The agent's published configuration became known, or changed."""

    config: AgentConfig | None


class TranscriptUpdated(Event, frozen=True):
    """An utterance was opened, extended, replaced or finished."""

    # Bytes: Python takes at most four for a character.
    bus_weight: ClassVar[Weight] = lambda event: 4 * len(event.entry.text)
    entry: TranscriptEntry


class TranscriptCleared(Event, frozen=True):
    """The transcript is empty again."""


class ConversationResumed(Event, frozen=True):
    """An agent is there after a `connect()` within the resume window."""

    continued: bool
    """The same agent in the same room; what was said last follows as `TranscriptUpdated`. False:
    the conversation starts afresh."""


# What the agent is doing --------------------------------------------------------------------


class ToolCallChanged(Event, frozen=True):
    """A tool of the agent was called, reports progress, or ended; see `AgentToolCall`."""

    call_id: str
    name: str
    status: ToolStatus
    arguments: str | None = None
    message: str | None = None


class TurnEnded(Event, frozen=True):
    """The user, or the agent, has finished what they were saying."""

    role: Role
    interrupted: bool = False


class FalseInterruption(Event, frozen=True):
    """The agent stopped for a sound that was not speech; `resumed`: it speaks on."""

    resumed: bool


class UsageUpdated(Event, frozen=True):
    """What the agent's models have used since the conversation began."""

    bus_weight: ClassVar[Weight] = lambda event: 1024 * len(event.models)
    models: tuple[ModelUsage, ...]


class ApprovalRequested(Event, frozen=True):
    """The agent asks a person for their approval; answer with `session.answer_approval(number)`.

    It waits in `state.approvals` for `seconds`, for all surfaces with the capability.
    """

    number: int
    question: str
    details: str | None
    seconds: float
    request_id: str | None = None


class ApprovalSettled(Event, frozen=True):
    """An approval has its one outcome; `surface`: the one on which a person answered."""

    number: int
    outcome: ApprovalOutcome
    surface: str | None = None


# Data and commands --------------------------------------------------------------------------


class _Packet(Event, frozen=True, dict=True):
    bus_weight: ClassVar[Weight] = _weigh_payload
    payload: msgspec.Raw
    """The JSON text exactly as it travelled; a base64 JSON string when `is_json` is False."""
    type: str | None = None
    """The message's `type`; None when the packet is not a JSON object that has one."""
    topic: str | None = None
    is_json: bool = True

    @property
    def data(self) -> bytes:
        """The packet, byte for byte."""
        text = bytes(self.payload)
        return text if self.is_json else base64.b64decode(msgspec.json.decode(text, type=str))

    @cached_property
    def message(self) -> Message | None:
        """The packet as a message; None when it is not a well-formed one.

        Decoded once for every reader, so do not change it. The event's JSON form does not have it.
        """
        return read(self.data).message

    def json(self) -> Any:
        """The packet's JSON value, decoded anew for the caller.

        Raises:
            msgspec.DecodeError: the packet is not JSON, or holds a number out of Python's range.
        """
        return msgspec.json.decode(self.data)


class DataReceived(_Packet, frozen=True):
    """A data packet arrived, whatever it holds."""

    sender: str | None = None
    """The sending participant's identity; None when the server sent it."""
    from_agent: bool = False
    """The session's agent sent it, or a participant that publishes on its behalf."""


class DataSent(_Packet, frozen=True):
    """The transport took a data packet that this session sent."""


class MalformedMessage(Event, frozen=True):
    """A packet of a known type does not have that type's form; it was skipped."""

    problem: str
    type: str | None = None
    sender: str | None = None
    topic: str | None = None


class CommandReceived(Event, frozen=True, dict=True):
    """A command of the agent was given to one surface."""

    bus_weight: ClassVar[Weight] = _weigh_payload
    command: str
    payload: msgspec.Raw
    number: int
    """Counts the session's commands, from 1; `CommandFinished` names it."""
    surface: str | None = None
    request_id: str | None = None
    sender: str | None = None

    @cached_property
    def message(self) -> Message | None:
        """The command itself; see `DataReceived.message`."""
        return read(bytes(self.payload)).message


class CommandFinished(Event, frozen=True):
    """The result of a command that a surface was given."""

    command: str
    number: int
    surface: str
    ok: bool
    reason: RefusalReason | None = None
    request_id: str | None = None


class CommandRefused(Event, frozen=True):
    """A command was not carried out."""

    command: str
    reason: CommandRefusedReason
    """`sender`: it did not come from the session's agent, which alone can send commands."""
    detail: str
    request_id: str | None = None
    sender: str | None = None


# Media, microphone, surfaces ----------------------------------------------------------------


class TrackChanged(Event, frozen=True):
    """The agent's audio or video became available or unavailable."""

    kind: Literal["audio", "video"]
    available: bool
    sid: str | None = None
    participant: str | None = None


class _LeaseChanged(Event, frozen=True):
    owner: str | None
    muted: bool = False


class MicrophoneChanged(_LeaseChanged, frozen=True):
    """The microphone's lease was granted, ended (`owner` None), muted or unmuted."""


class CameraChanged(_LeaseChanged, frozen=True):
    """The camera's lease was granted, ended (`owner` None), muted or unmuted."""


class ScreenChanged(_LeaseChanged, frozen=True):
    """The screen's lease was granted, ended (`owner` None), muted or unmuted."""


class RecordingChanged(Event, frozen=True):
    """A surface began to record the session, or stopped; `error` says why it cannot go on."""

    surface: str
    active: bool
    error: str | None = None


class SurfaceMounted(Event, frozen=True):
    """A surface was attached."""

    key: str


class SurfaceUnmounted(Event, frozen=True):
    """A surface has ended or was unmounted."""

    key: str


class SurfaceFailed(Event, frozen=True):
    """A surface ended with an exception; the session and the other surfaces go on."""

    key: str
    error: str
    restarting: bool = False
    where: str | None = None
    """File and line that raised, as `panel.py:12`."""


class SurfaceDidNotStop(Event, frozen=True):
    """A surface ignored its cancellation for `seconds` and was abandoned."""

    key: str
    seconds: float


class HandlerFailed(Event, frozen=True):
    """A data-message handler raised, or fell behind; it stays subscribed."""

    handler: str
    error: str
    where: str | None = None
    """File and line that raised, as `panel.py:12`."""


AnyEvent: TypeAlias = (
    ConnectionStateChanged | ResumeWindowClosed | Reconnecting | Reconnected | SessionFailed
    | EpochStarted | AgentAvailabilityChanged | AgentTimedOut | AgentStateChanged
    | AgentConfigChanged | TranscriptUpdated | TranscriptCleared | ConversationResumed
    | DataReceived | DataSent | MalformedMessage | CommandReceived | CommandFinished
    | CommandRefused | ToolCallChanged | TurnEnded | FalseInterruption | UsageUpdated
    | ApprovalRequested | ApprovalSettled
    | TrackChanged | MicrophoneChanged | CameraChanged | ScreenChanged | RecordingChanged
    | SurfaceMounted | SurfaceUnmounted | SurfaceFailed | SurfaceDidNotStop | HandlerFailed
)  # fmt: skip

_Carries = TypeVar("_Carries", DataReceived, CommandReceived)


def carrying(event: _Carries, message: Message | None) -> _Carries:
    """The same event, with its message as it was decoded already."""
    vars(event)["message"] = message
    return event


def packet_payload(data: bytes) -> tuple[msgspec.Raw, bool]:
    """The `payload` and `is_json` of a packet event for these bytes.

    JSON deeper than 100 levels counts as plain bytes: no reader of the event runs out of stack.
    """
    with suppress(ValueError):  # UnicodeDecodeError and msgspec.DecodeError both are
        text = data.decode()
        if not nests_too_deeply(text):
            msgspec.json.decode(text)
            return msgspec.Raw(data), True
    return msgspec.Raw(msgspec.json.encode(data)), False
