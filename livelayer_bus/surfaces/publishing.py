"""What a session publishes: one microphone, camera and screen, each leased to one owner."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeAlias, TypeVar, final

import anyio
import msgspec

from ..contract import PublishedTrack
from ..errors import (
    ClosedError,
    MicrophoneBusyError,
    MisuseError,
    NotConnectedError,
    SourceBusyError,
)
from ..events import CameraChanged, Event, MicrophoneChanged, ScreenChanged
from ..media import AudioFrame, VideoFrame
from ..tasks import TaskOwner

F = TypeVar("F", AudioFrame, VideoFrame)
OpenTrack: TypeAlias = Callable[[F], Awaitable[PublishedTrack[F]]]
"""Publishes a track that takes frames like the one given, which is not pushed."""

RELEASE_TIMEOUT = 2.0  # seconds that unpublishing the track may take when a lease ends


class LeaseStatistics(msgspec.Struct, frozen=True):
    """What became of the frames of one lease."""

    pushed: int
    """Frames that the room took."""
    dropped: int
    """Frames that came while the room was being rejoined: nothing is kept for later."""


class PublisherKind(msgspec.Struct, frozen=True):
    """What is particular about the microphone, the camera or the screen."""

    name: str
    changed: type[MicrophoneChanged] | type[CameraChanged] | type[ScreenChanged]
    busy: Callable[[str], SourceBusyError]


MICROPHONE = PublisherKind("microphone", MicrophoneChanged, MicrophoneBusyError)
CAMERA = PublisherKind("camera", CameraChanged, lambda owner: SourceBusyError("camera", owner))
SCREEN = PublisherKind("screen", ScreenChanged, lambda owner: SourceBusyError("screen", owner))


@final
class Lease(Generic[F]):
    """The right to be heard or seen, from `acquire` until its block ends.

    Frames go out in order. The track is published with the first frame, and again by itself in
    every room that the session rejoins while the lease holds.
    """

    def __init__(self, owner: str, publisher: Publisher[F]) -> None:
        self._publisher: Publisher[F] = publisher
        self._owner = owner
        self._muted = False
        self._pushed = 0
        self._dropped = 0

    @property
    def owner(self) -> str:
        return self._owner

    @property
    def muted(self) -> bool:
        return self._muted

    async def push(self, frame: F) -> None:
        """Return when the room took `frame`, whose memory is not copied on the way to the SDK.

        Waits while the room's buffer is full: 200 ms of sound; pictures go out at most 60 times a
        second. While the session is rejoining, the frame is dropped and counted.

        Raises:
            ClosedError: the lease has ended.
            NotConnectedError: the session is in no room.
            MisuseError: sound whose sample rate or channel count differs from the first frame's.
        """
        if await self._publisher.push(self, frame):
            self._pushed += 1
        else:
            self._dropped += 1

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
class Publisher(Generic[F]):
    """Grants the lease; knows the track of the room that the session is in."""

    def __init__(
        self,
        kind: PublisherKind,
        open_track: OpenTrack[F],
        publish: Callable[[Event], None],
        room_state: Callable[[], tuple[str, bool]],
        tasks: TaskOwner,
    ) -> None:
        self._kind = kind
        self._open_track: OpenTrack[F] = open_track
        self._publish = publish
        self._room_state = room_state
        self._tasks = tasks
        self._lease: Lease[F] | None = None
        self._track: PublishedTrack[F] | None = None
        self._format: tuple[int, int] | None = None
        self._reserved_for: str | None = None
        self._opening = anyio.Lock()
        self._room = 0  # counts the rooms, so that a track of an earlier one is not kept

    @property
    def owner(self) -> str | None:
        """Who holds the lease; None when it is free."""
        return self._lease.owner if self._lease else None

    @property
    def muted(self) -> bool:
        return self._lease.muted if self._lease else False

    @asynccontextmanager
    async def acquire(self, owner: str) -> AsyncGenerator[Lease[F], None]:
        """Hold it for the block. Nothing is published before the first frame.

        Raises:
            SourceBusyError: somebody holds it; the error names them. For the microphone it is a
                `MicrophoneBusyError`.
        """
        holder = self._lease.owner if self._lease else self._reserved_for
        if self._lease is not None or holder not in (None, owner):
            raise self._kind.busy(str(holder))
        lease = self._lease = Lease(owner, self)
        try:
            self._publish(self._kind.changed(owner))
            yield lease
        finally:
            await self._release(lease)

    def reserve(self, owner: str) -> None:
        """Let nobody but `owner` acquire it for as long as the session lives.

        Raises:
            SourceBusyError: somebody else holds or has reserved it.
        """
        holder = self._lease.owner if self._lease else self._reserved_for
        if holder not in (None, owner):
            raise self._kind.busy(str(holder))
        self._reserved_for = owner

    def room_changed(self) -> None:
        """Forget the track: it went with its room. Called by the session."""
        self._room += 1
        self._track = None

    def revoke(self, lease: Lease[F] | None = None) -> None:
        """End a lease that its owner left behind (None: whichever holds), without waiting."""
        if self._lease is not None and lease in (None, self._lease):
            track = self._end()
            if track is not None:
                self._tasks.start(track.aclose, f"unpublish the {self._kind.name}")

    async def push(self, lease: Lease[F], frame: F) -> bool:
        """For a lease: True when the room took the frame, False when it was dropped."""
        self.check(lease)
        connection_state, reconnecting = self._room_state()
        if connection_state != "connected":
            raise NotConnectedError(connection_state)
        if reconnecting:
            return False
        track = await self._open(lease, frame)
        await track.push(frame)
        return True

    def check(self, lease: Lease[F]) -> None:
        """For a lease: raise ClosedError unless it is the one that holds."""
        if self._lease is not lease:
            raise ClosedError(f"the lease of the {self._kind.name}", "acquire it again")

    def muted_changed(self, lease: Lease[F]) -> None:
        """For a lease: tell the room and everybody else."""
        if self._track is not None:
            self._track.set_muted(lease.muted)
        self._publish(self._kind.changed(lease.owner, lease.muted))

    async def _open(self, lease: Lease[F], frame: F) -> PublishedTrack[F]:
        form = _form(frame)
        async with self._opening:
            if self._format not in (None, form):
                raise MisuseError(
                    f"the microphone was opened with (sample_rate, num_channels) {self._format}, "
                    f"not {form}: resample, or release and acquire it again"
                )
            if self._track is None:
                room, track = self._room, await self._open_track(frame)
                if self._lease is not lease or room != self._room:
                    await track.aclose()
                    self.check(lease)
                    raise NotConnectedError(self._room_state()[0], "the room changed")
                track.set_muted(lease.muted)
                self._track, self._format = track, form
            return self._track

    async def _release(self, lease: Lease[F]) -> None:
        if self._lease is not lease:
            return
        track = self._end()
        if track is not None:
            with anyio.move_on_after(RELEASE_TIMEOUT, shield=True):
                await track.aclose()

    def _end(self) -> PublishedTrack[F] | None:
        track, self._track, self._lease, self._format = self._track, None, None, None
        self._publish(self._kind.changed(None))
        return track


def _form(frame: AudioFrame | VideoFrame) -> tuple[int, int] | None:
    # A track of sound is opened for one form; pictures may change their size.
    return (frame.sample_rate, frame.num_channels) if isinstance(frame, AudioFrame) else None


Microphone: TypeAlias = Publisher[AudioFrame]
MicrophoneLease: TypeAlias = Lease[AudioFrame]
