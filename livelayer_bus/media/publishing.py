"""What a session publishes: one microphone, camera and screen, each leased to one owner."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Literal, Protocol, TypeAlias, TypeVar, cast, final

import anyio
import msgspec

from ..errors import ClosedError, MicrophoneBusyError, MisuseError, SourceBusyError, not_connected
from ..events import CameraChanged, Event, MicrophoneChanged, ScreenChanged
from ..state import SessionState
from ..tasks import TaskOwner
from . import AudioChannel, AudioFrame, AudioWriter, VideoChannel, VideoFrame, VideoWriter

F = TypeVar("F", AudioFrame, VideoFrame)
SourceName: TypeAlias = Literal["microphone", "camera", "screen"]
LeaseChanged: TypeAlias = MicrophoneChanged | CameraChanged | ScreenChanged
Publish: TypeAlias = Callable[[Event], None]
F_contra = TypeVar("F_contra", bound=VideoFrame | AudioFrame, contravariant=True)


class PublishedTrack(Protocol[F_contra]):
    """A track that the session publishes in a room."""

    async def push(self, frame: F_contra) -> None:
        """Return when the frame is taken; waits while the track's bounded buffer is full."""

    def set_muted(self, muted: bool) -> None: ...

    async def aclose(self) -> None:
        """Unpublish."""


RELEASE_TIMEOUT = 2.0  # seconds that unpublishing the track may take when a lease ends


class TrackOpener(Protocol):
    """A room, as far as publishing into it needs it."""

    async def open_track(self, source: SourceName, frame: F) -> PublishedTrack[F]: ...


class CurrentRoom(Protocol):
    """The session's connection, as far as publishing needs it: `port` is None outside a room."""

    @property
    def state(self) -> SessionState: ...
    @property
    def port(self) -> TrackOpener | None: ...


class MediaSource(Protocol[F]):
    """The session's one microphone, camera or screen, leased to one owner at a time."""

    @property
    def owner(self) -> str | None:
        """Who holds the lease; None when it is free."""

    @property
    def muted(self) -> bool: ...

    @property
    def sent(self) -> VideoChannel | AudioChannel:
        """What the room takes from it, for surfaces that record or show it."""
        ...

    def acquire(self, owner: str) -> AbstractAsyncContextManager[Lease[F]]:
        """Hold it for a block; raises `SourceBusyError` while another owner does."""
        ...


class LeaseStatistics(msgspec.Struct, frozen=True):
    """What became of the frames of one lease."""

    pushed: int
    """Frames that the room took."""
    dropped: int
    """Frames that came while the room was being rejoined: nothing is kept for later."""


SOURCES: Final[dict[SourceName, type[LeaseChanged]]] = {
    "microphone": MicrophoneChanged,
    "camera": CameraChanged,
    "screen": ScreenChanged,
}
"""What a session can publish, and the event that says who holds it."""


@final
@dataclass(eq=False, repr=False)
class Lease(Generic[F]):
    """The right to publish from one source, from `acquire` until its block ends.

    Frames go out in order. The track is published with the first, and again in each room rejoined.
    """

    owner: str
    _publisher: Publisher[F]
    _muted: bool = False
    _pushed: int = 0
    _dropped: int = 0

    @property
    def muted(self) -> bool:
        return self._muted

    async def push(self, frame: F) -> None:
        """Return when the room took `frame`, whose memory is not copied on the way to the SDK.

        Waits while the room's buffer is full: 200 ms of audio; pictures go out at most 60 times a
        second. While the session is rejoining, the frame is dropped and counted.

        Raises:
            ClosedError: the lease has ended.
            NotConnectedError, ConnectionLostError: the session is in no room.
            MisuseError: audio whose sample rate or channel count differs from the first frame's.
        """
        if await self._publisher.push(self, frame):
            self._pushed += 1
        else:
            self._dropped += 1

    def revoke(self) -> None:
        """End the lease without waiting, for an owner that left it behind. Twice is fine."""
        self._publisher.revoke(self)

    def mute(self) -> None:
        """Publish silence, or no picture, until `unmute()`; the lease is kept.

        Raises:
            ClosedError: the lease has ended.
        """
        self._set_muted(True)

    def unmute(self) -> None:
        """Let frames through again.

        Raises:
            ClosedError: the lease has ended.
        """
        self._set_muted(False)

    def statistics(self) -> LeaseStatistics:
        return LeaseStatistics(pushed=self._pushed, dropped=self._dropped)

    def _set_muted(self, muted: bool) -> None:
        self._publisher.check(self)
        if muted != self._muted:
            self._muted = muted
            self._publisher.muted_changed(self)


@final
@dataclass(eq=False, repr=False)
class Publisher(Generic[F]):
    """The session's microphone, camera or screen: one owner at a time, one track a room."""

    _name: SourceName
    _room: CurrentRoom
    _publish: Publish
    _tasks: TaskOwner
    _lease: Lease[F] | None = None
    _track: PublishedTrack[F] | None = None
    _track_room: TrackOpener | None = None
    _format: tuple[int, int] | None = None
    _reserved_for: str | None = None
    _opening: anyio.Lock = field(default_factory=anyio.Lock)

    def __post_init__(self) -> None:
        self._sent = AudioWriter() if self._name == "microphone" else VideoWriter()

    @property
    def owner(self) -> str | None:
        return self._lease.owner if self._lease else None

    @property
    def muted(self) -> bool:
        return self._lease.muted if self._lease else False

    @property
    def sent(self) -> VideoChannel | AudioChannel:
        """Every frame that the room took and that was not muted; empty without a reader."""
        return self._sent.channel

    def close(self) -> None:
        """End `sent`, with the session."""
        self._sent.close()

    @asynccontextmanager
    async def acquire(self, owner: str) -> AsyncGenerator[Lease[F], None]:
        """Hold it for the block. Nothing is published before the first frame.

        Raises:
            SourceBusyError: another owner holds it; `MicrophoneBusyError` for the microphone.
        """
        self._require_free(owner, self._lease is None)
        lease = self._lease = Lease(owner, self)
        try:
            self._changed(owner)
            yield lease
        finally:
            if self._lease is lease and (track := self._end()) is not None:
                with anyio.move_on_after(RELEASE_TIMEOUT, shield=True):
                    await track.aclose()

    def reserve(self, owner: str) -> None:
        """Let only `owner` acquire it for as long as the session lives.

        Raises:
            SourceBusyError: another owner holds or has reserved it.
        """
        self._require_free(owner)
        self._reserved_for = owner

    def _require_free(self, owner: str, free: bool = True) -> None:
        holder = self._lease.owner if self._lease else self._reserved_for
        if holder is not None and not (free and holder == owner):
            microphone = self._name == "microphone"
            raise MicrophoneBusyError(holder) if microphone else SourceBusyError(self._name, holder)

    def revoke(self, lease: Lease[F] | None = None) -> None:
        """End a lease that its owner left behind (None: the current one), without waiting."""
        held = self._lease is not None and lease in (None, self._lease)
        if held and (track := self._end()) is not None:
            self._tasks.start(track.aclose, f"unpublish the {self._name}")

    async def push(self, lease: Lease[F], frame: F) -> bool:
        """For a lease: True when the room took the frame, False when it was dropped."""
        self.check(lease)
        state = self._room.state
        if state.connection_state != "connected":
            raise not_connected(state.connection_state, state.error)
        if self._room.port is None:
            return False
        track = await self._open(lease, frame)
        await track.push(frame)
        if self._sent.demand and not lease.muted:
            cast(Any, self._sent).push(frame)
        return True

    def check(self, lease: Lease[F]) -> None:
        """For a lease: raise ClosedError unless it is the one that holds."""
        if self._lease is not lease:
            raise ClosedError(f"the lease of the {self._name}", "acquire it again")

    def muted_changed(self, lease: Lease[F]) -> None:
        """For a lease: mute the track, and publish the change."""
        if (track := self._live_track()) is not None:
            track.set_muted(lease.muted)
        self._changed(lease.owner, lease.muted)

    async def _open(self, lease: Lease[F], frame: F) -> PublishedTrack[F]:
        form: tuple[int, int] | None = None  # pictures may change their size
        if isinstance(frame, AudioFrame):
            form = frame.sample_rate, frame.num_channels
        async with self._opening:
            if self._format not in (None, form):
                raise MisuseError(
                    f"the microphone was opened with (sample_rate, num_channels) {self._format}, "
                    f"not {form}: resample, or release and acquire it again"
                )
            if (track := self._live_track()) is not None:
                return track
            room = self._room.port
            if room is None:
                raise not_connected(self._room.state.connection_state, "the room is gone")
            track = await room.open_track(self._name, frame)
            if self._lease is not lease or self._room.port is not room:
                await track.aclose()
                self.check(lease)
                raise not_connected(self._room.state.connection_state, "the room changed meanwhile")
            track.set_muted(lease.muted)
            self._track, self._track_room, self._format = track, room, form
            return track

    def _live_track(self) -> PublishedTrack[F] | None:
        # A track goes with the room it was opened in.
        return self._track if self._track_room is self._room.port else None

    def _end(self) -> PublishedTrack[F] | None:
        track = self._live_track()
        self._track = self._track_room = self._lease = self._format = None
        self._changed(None)
        return track

    def _changed(self, owner: str | None, muted: bool = False) -> None:
        self._publish(SOURCES[self._name](owner, muted))
