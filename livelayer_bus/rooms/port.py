"""What a room adapter offers a session, and what it reports to it.

    room adapter --RoomSink.report(RoomEvent)--> Session

`LiveKitRoom`, `BorrowedRoom`, `IsolatedRoom` and the test kit's `ScriptedRoom` are `RoomPort`s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import msgspec

from ..contract import Playback
from ..events import Event, TranscriptEntry
from ..media import AudioFrame, VideoFrame
from ..media.publishing import F, F_contra, PublishedTrack, SourceName
from ..tokens import RoomAccess, TokenSource

TrackKind: TypeAlias = Literal["audio", "video"]


class ConnectionInterrupted(msgspec.Struct, frozen=True):
    """The adapter is restoring the same connection by itself."""

    reason: str


class ConnectionRestored(msgspec.Struct, frozen=True):
    """The same connection is back."""


class RoomLost(msgspec.Struct, frozen=True):
    """The room is gone; the adapter does nothing more about it."""

    reason: str
    """One sentence, without secrets."""
    rejoin: bool
    """A new token may bring us back; otherwise the end is final."""
    fault: bool = True
    """False when the room was ended on purpose: the session is disconnected, not failed."""


class AgentPresence(msgspec.Struct, frozen=True):
    """The agent's participant joined, became active, or left (`identity` None)."""

    identity: str | None
    active: bool
    confirms: bool = False
    """Its bridge confirms data messages (`names.CONFIRMS`)."""


class AgentStateReported(msgspec.Struct, frozen=True):
    """The participant attribute `lk.agent.state` of the agent, as it was sent."""

    raw: str


class PacketReceived(msgspec.Struct, frozen=True):
    """A data packet, whatever it holds."""

    data: bytes
    sender: str | None = None
    """The sending participant's identity; None when the server sent it."""
    topic: str | None = None
    from_agent: bool = False
    """The session's agent sent it, or a participant that publishes on its behalf."""


class UtteranceHeard(msgspec.Struct, frozen=True):
    """The wording of one utterance so far: all of it, not what was added.

    The adapter numbers its streams from 1 as they open (`entry.opened`, `entry.stream`); the
    session continues the count over all its rooms. `entry.sender` is None for its own participant.
    """

    entry: TranscriptEntry
    replayed: bool = False
    """The agent repeats what was said before this session came back."""


class TrackReported(msgspec.Struct, frozen=True):
    """The agent's audio or video began to deliver, or stopped."""

    kind: TrackKind
    available: bool
    sid: str | None = None
    participant: str | None = None


class EventReplayed(msgspec.Struct, frozen=True):
    """An event of a recorded session, which the session publishes as it is, and nothing else."""

    event: Event


RoomEvent: TypeAlias = (
    ConnectionInterrupted | ConnectionRestored | RoomLost | AgentPresence | AgentStateReported
    | PacketReceived | UtteranceHeard | TrackReported | EventReplayed
)  # fmt: skip


class RoomSink(Protocol):
    """Where a room adapter reports what happens."""

    def report(self, event: RoomEvent) -> None:
        """Take one event; returns at once and does not raise.

        Called in the session's loop, from the start of `RoomPort.connect` to the end of `aclose`.
        """


class FrameTarget(Protocol[F_contra]):
    """What takes one track's frames: a `VideoWriter`, an `AudioWriter`, or what stands for one."""

    def push(self, frame: F_contra) -> None: ...
    def count_dropped(self, frames: int = 1) -> None: ...
    def discard(self) -> None: ...
    def follow_demand(
        self, on_demand: Callable[[int], None], on_peek: Callable[[], None]
    ) -> Callable[[], None]: ...


class MediaWriters(msgspec.Struct, frozen=True):
    """Where a room adapter puts the agent's frames."""

    video: FrameTarget[VideoFrame]
    audio: FrameTarget[AudioFrame]


class RoomPort(Protocol):
    """One connection to one room: a base class. Connected once, closed once, never used again."""

    @property
    def playback(self) -> Playback | None:
        """The controls, if it plays a recording: its session waits for an agent without a limit."""
        return None

    @property
    def native(self) -> object | None:
        """The SDK's room object while connected, for what this package does not wrap."""
        return None

    @property
    def room_name(self) -> str | None: ...

    async def connect(self, access: RoomAccess, sink: RoomSink, media: MediaWriters) -> None:
        """Join and return; from then on report to `sink`, what is there first.

        Cancelled or failed, it has left the room and reports nothing.

        Raises:
            RoomRefusedError: the server turned the token down.
            ConnectError: the server could not be reached, or did not answer.
            MisuseError: called twice.
            ClosedError: called after `aclose`.
        """

    async def send(self, data: bytes, *, topic: str | None = None, to: Sequence[str] = ()) -> None:
        """Return when the transport took the packet (reliable, in order).

        Cancelled, it may or may not have been sent.

        Raises:
            BrokenError: the transport did not take it.
        """

    async def send_text(self, text: str, *, topic: str, to: Sequence[str] = ()) -> None:
        """Send `text` as a LiveKit text stream.

        Raises:
            BrokenError: the transport did not take it.
        """

    async def set_attributes(self, attributes: Mapping[str, str]) -> None:
        """Set attributes of the session's own participant; an empty one is removed.

        Raises:
            RefusedError: the token does not allow it.
            BrokenError: the transport did not take them.
        """

    async def open_track(self, source: SourceName, frame: F) -> PublishedTrack[F]:
        """Publish a track of ours that takes frames like `frame`, which is not pushed.

        Args:
            source: what other participants see it as.
            frame: gives the sample rate and channels, or the size to begin with: pictures of other
                sizes may be pushed, too. Their `metadata` is sent along if this one has some.

        Raises:
            BrokenError: the room did not take the track.
        """
        ...

    async def aclose(self) -> None:
        """Leave the room, unless it was borrowed; bounded in time by the caller."""


RoomFactory: TypeAlias = Callable[[], RoomPort]
"""Makes a room for each connection."""


@runtime_checkable
class RoomFactoryWithTokens(Protocol):
    """A `RoomFactory` that brings the token source of a session that is given none."""

    @property
    def tokens(self) -> TokenSource: ...
    def __call__(self) -> RoomPort: ...
