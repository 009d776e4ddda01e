"""The two seams of the package: what a surface is fed from, and what a room adapter offers.

    room adapter --RoomSink--> Session --ControlledSession--> surfaces

`ControlledSession` is the reader's side: a `Session`, a remote session, a replay or an object of
the application's own. `RoomPort` is the room's side: LiveKit's adapter, or a scripted room.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, overload

import msgspec

from .bus.bus import Subscription
from .events import AgentConfig, AgentState, ConnectionState, DataReceived, Event, TranscriptEntry
from .media import AudioChannel, AudioFrame, VideoChannel, VideoFrame
from .messages import Message, RawMessage
from .state import SessionState
from .tokens import RoomAccess

E = TypeVar("E", bound=Event)
F_contra = TypeVar("F_contra", bound=VideoFrame | AudioFrame, contravariant=True)

Outgoing: TypeAlias = Message | RawMessage | Mapping[str, object]
"""What `send_data` takes: a typed message, or any JSON object with a string `type`."""

DataHandler: TypeAlias = Callable[[DataReceived], Awaitable[None] | None]
Unsubscribe: TypeAlias = Callable[[], None]
TrackKind: TypeAlias = Literal["audio", "video"]
PictureSource: TypeAlias = Literal["camera", "screen"]


class StateProperties:
    """The properties every session derives from its `state`; a session inherits them."""

    __slots__ = ()

    @property
    @abstractmethod
    def state(self) -> SessionState: ...

    @property
    def id(self) -> str:
        return self.state.id

    @property
    def agent_id(self) -> str:
        return self.state.agent_id

    @property
    def base_url(self) -> str | None:
        return self.state.base_url

    @property
    def connection_state(self) -> ConnectionState:
        return self.state.connection_state

    @property
    def agent_state(self) -> AgentState:
        return self.state.agent_state

    @property
    def transcript(self) -> tuple[TranscriptEntry, ...]:
        return self.state.transcript

    @property
    def agent_config(self) -> AgentConfig | None:
        return self.state.agent_config

    @property
    def can_resume(self) -> bool:
        return self.state.can_resume

    @property
    def error(self) -> str | None:
        return self.state.error


class ControlledSession(Protocol):
    """What any surface can be fed from.

    A member that an implementation lacks raises `NotSupportedError`. Inherit `StateProperties`
    to get the derived properties from `state`.
    """

    @property
    def state(self) -> SessionState:
        """What is known, as of `state.sequence`."""
        ...

    @property
    def id(self) -> str: ...
    @property
    def agent_id(self) -> str: ...
    @property
    def base_url(self) -> str | None: ...
    @property
    def connection_state(self) -> ConnectionState: ...
    @property
    def agent_state(self) -> AgentState: ...
    @property
    def transcript(self) -> tuple[TranscriptEntry, ...]: ...
    @property
    def agent_config(self) -> AgentConfig | None: ...
    @property
    def can_resume(self) -> bool: ...
    @property
    def error(self) -> str | None: ...

    @property
    def video(self) -> VideoChannel:
        """The agent's picture; there before a track is, and while one is renewed."""
        ...

    @property
    def audio(self) -> AudioChannel:
        """The agent's voice; there before a track is."""
        ...

    @overload
    def subscribe(self, *, after: int | str | None = None) -> Subscription[Event, SessionState]: ...
    @overload
    def subscribe(
        self, *types: type[E], after: int | str | None = None
    ) -> Subscription[E, SessionState]: ...
    def subscribe(
        self, *types: type[Any], after: int | str | None = None
    ) -> Subscription[Any, SessionState]:
        """Events of these types (none: all), each once and in order; see `Subscription`."""
        ...

    async def connect(self) -> None:
        """Return when the room is joined."""
        ...

    async def disconnect(self) -> None:
        """Leave the room; surfaces stay mounted."""
        ...

    async def send_data(
        self, message: Outgoing, *, timeout: float = 5.0, require_agent: bool = True
    ) -> None:
        """Return when the transport took `message`."""
        ...

    def subscribe_to_data_messages(self, handler: DataHandler) -> Unsubscribe:
        """Have `handler` called with every data packet; undone by calling what is returned."""
        ...


# The room's side ----------------------------------------------------------------------------


class RoomLoss(msgspec.Struct, frozen=True):
    """Why a room is no longer ours."""

    reason: str
    """One sentence, without secrets."""
    rejoin: bool
    """A new token may bring us back; otherwise the end is final."""
    fault: bool = True
    """False when somebody ended the room on purpose: the session is disconnected, not failed."""


class RoomSink(Protocol):
    """Where a room adapter reports what happens. Every method is synchronous and returns at once.

    Called in the session's own loop, only between the start of `RoomPort.connect` and the end of
    `RoomPort.aclose`; later calls are ignored.
    """

    def reconnecting(self, reason: str) -> None:
        """The adapter is restoring the same connection by itself."""
        ...

    def reconnected(self) -> None:
        """The same connection is back."""
        ...

    def lost(self, loss: RoomLoss) -> None:
        """The room is gone; the adapter does nothing more about it."""
        ...

    def agent(self, identity: str | None, *, active: bool) -> None:
        """The agent's participant came, became active, or left (None)."""
        ...

    def agent_state(self, raw: str) -> None:
        """The participant attribute `lk.agent.state` of the agent, as it was sent."""
        ...

    def packet(
        self, data: bytes, *, sender: str | None, topic: str | None, from_agent: bool
    ) -> None:
        """A data packet; `from_agent` when an agent sent it or somebody on an agent's behalf."""
        ...

    def stream_opened(self) -> int:
        """Number a transcription stream at its opening: its entries' `opened` and `stream`."""
        ...

    def transcription(self, entry: TranscriptEntry) -> None:
        """The wording of one utterance so far (all of it, not what was added)."""
        ...

    def track(
        self, kind: TrackKind, *, available: bool, sid: str | None, participant: str | None
    ) -> None:
        """The agent's audio or video began to deliver, or stopped."""
        ...


class PublishedTrack(Protocol[F_contra]):
    """A published track of ours."""

    async def push(self, frame: F_contra) -> None:
        """Return when the frame is taken; waits while the track's bounded buffer is full."""
        ...

    def set_muted(self, muted: bool) -> None: ...

    async def aclose(self) -> None:
        """Unpublish."""
        ...


MicrophoneTrack: TypeAlias = PublishedTrack[AudioFrame]
VideoTrack: TypeAlias = PublishedTrack[VideoFrame]


class FrameTarget(Protocol[F_contra]):
    """What takes one track's frames: a channel's writer, or what stands in for one.

    The methods are those of `VideoWriter` and `AudioWriter`, which explain them.
    """

    @property
    def demand(self) -> int: ...
    def push(self, frame: F_contra) -> None: ...
    def set_available(self, available: bool) -> None: ...
    def discard(self) -> None: ...
    def on_demand(self, callback: Callable[[int], None]) -> Callable[[], None]: ...
    def on_glance(self, callback: Callable[[], None]) -> Callable[[], None]: ...


class MediaWriters(msgspec.Struct, frozen=True):
    """Where a room adapter puts the agent's frames."""

    video: FrameTarget[VideoFrame]
    audio: FrameTarget[AudioFrame]


class RoomPort(Protocol):
    """One connection to one room. Connected once, closed once, never used again."""

    @property
    def native(self) -> object | None:
        """The SDK's room object while connected, for what this package does not wrap."""
        ...

    @property
    def room_name(self) -> str | None: ...

    async def connect(self, access: RoomAccess, sink: RoomSink, media: MediaWriters) -> None:
        """Join and return; from then on report to `sink`.

        Raises:
            RoomRefusedError: the server turned the token down.
            ConnectError: the server could not be reached, or did not answer.
        """
        ...

    async def send(self, data: bytes, *, topic: str | None = None, to: Sequence[str] = ()) -> None:
        """Return when the transport took the packet (reliable, in order).

        Raises:
            BrokenError: the transport did not take it.
        """
        ...

    async def send_text(self, text: str, *, topic: str, to: Sequence[str] = ()) -> None:
        """Send `text` as a LiveKit text stream."""
        ...

    async def open_microphone(self, sample_rate: int, num_channels: int) -> MicrophoneTrack:
        """Publish an audio track of ours (source: microphone)."""
        ...

    async def open_video(
        self, source: PictureSource, width: int, height: int, *, stamped: bool
    ) -> VideoTrack:
        """Publish a video track of ours; pictures of other sizes may be pushed into it, too.

        Args:
            source: what other participants see it as.
            width, height: of the pictures to begin with.
            stamped: send each picture's `metadata` along.
        """
        ...

    async def aclose(self) -> None:
        """Leave the room, unless it was borrowed; bounded in time by the caller."""
        ...


RoomFactory: TypeAlias = Callable[[], RoomPort]
