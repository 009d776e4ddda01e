"""The session's one microphone: leased to one owner at a time, silent until somebody asks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias, final

import anyio
import msgspec

from ._tasks import TaskOwner
from .contract import MicrophoneTrack
from .errors import ClosedError, MicrophoneBusyError, MisuseError, NotConnectedError
from .events import Event, MicrophoneChanged
from .media import AudioFrame

OpenTrack: TypeAlias = Callable[[int, int], Awaitable[MicrophoneTrack]]

RELEASE_TIMEOUT = 2.0  # seconds that unpublishing the track may take when a lease ends


class MicrophoneStatistics(msgspec.Struct, frozen=True):
    """What became of the frames of one lease."""

    pushed: int
    """Frames that the room took."""
    dropped: int
    """Frames that came while the room was being rejoined: speech is not kept for later."""


@final
class MicrophoneLease:
    """The right to speak, from `acquire` until its block ends.

    Frames go out in order. The audio track is published with the first frame, and again by itself
    in every room that the session rejoins while the lease holds.
    """

    def __init__(self, owner: str, microphone: Microphone) -> None:
        self._microphone = microphone
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

    async def push(self, frame: AudioFrame) -> None:
        """Return when the room took `frame` (16-bit samples); waits while its buffer is full.

        While the session is rejoining, the frame is dropped and counted.

        Raises:
            ClosedError: the lease has ended.
            NotConnectedError: the session is in no room.
            MisuseError: the sample rate or the channel count differs from the first frame's.
        """
        if await self._microphone.push(self, frame):
            self._pushed += 1
        else:
            self._dropped += 1

    def mute(self) -> None:
        """Publish silence until `unmute()`; the lease is kept.

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

    def statistics(self) -> MicrophoneStatistics:
        return MicrophoneStatistics(pushed=self._pushed, dropped=self._dropped)

    def _set_muted(self, muted: bool) -> None:
        self._microphone.check(self)
        if muted != self._muted:
            self._muted = muted
            self._microphone.muted_changed(self)


@final
class Microphone:
    """Grants the lease; knows the track of the room that the session is in."""

    def __init__(
        self,
        open_track: OpenTrack,
        publish: Callable[[Event], None],
        room_state: Callable[[], tuple[str, bool]],
        tasks: TaskOwner,
    ) -> None:
        self._open_track = open_track
        self._publish = publish
        self._room_state = room_state
        self._tasks = tasks
        self._lease: MicrophoneLease | None = None
        self._track: MicrophoneTrack | None = None
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
    async def acquire(self, owner: str) -> AsyncGenerator[MicrophoneLease, None]:
        """Hold the microphone for the block. Nothing is published before the first frame.

        Raises:
            MicrophoneBusyError: somebody holds it; the error names them.
        """
        holder = self._lease.owner if self._lease else self._reserved_for
        if self._lease is not None or holder not in (None, owner):
            raise MicrophoneBusyError(str(holder))
        lease = self._lease = MicrophoneLease(owner, self)
        try:
            self._publish(MicrophoneChanged(owner=owner))
            yield lease
        finally:
            await self._release(lease)

    def reserve(self, owner: str) -> None:
        """Let nobody but `owner` acquire the microphone for as long as the session lives.

        Raises:
            MicrophoneBusyError: somebody else holds or has reserved it.
        """
        holder = self._lease.owner if self._lease else self._reserved_for
        if holder not in (None, owner):
            raise MicrophoneBusyError(str(holder))
        self._reserved_for = owner

    def room_changed(self) -> None:
        """Forget the track: it went with its room. Called by the session."""
        self._room += 1
        self._track = None

    def revoke(self, lease: MicrophoneLease | None = None) -> None:
        """End a lease that its owner left behind (None: whichever holds), without waiting."""
        if self._lease is not None and lease in (None, self._lease):
            track = self._end()
            if track is not None:
                self._tasks.start(track.aclose, "unpublish the microphone")

    async def push(self, lease: MicrophoneLease, frame: AudioFrame) -> bool:
        """For a lease: True when the room took the frame, False when it was dropped."""
        self.check(lease)
        connection_state, reconnecting = self._room_state()
        if connection_state != "connected":
            raise NotConnectedError(connection_state)
        if reconnecting:
            return False
        track = await self._open(lease, (frame.sample_rate, frame.num_channels))
        await track.push(frame)
        return True

    def check(self, lease: MicrophoneLease) -> None:
        """For a lease: raise ClosedError unless it is the one that holds."""
        if self._lease is not lease:
            raise ClosedError("the microphone lease", "acquire the microphone again")

    def muted_changed(self, lease: MicrophoneLease) -> None:
        """For a lease: tell the room and everybody else."""
        if self._track is not None:
            self._track.set_muted(lease.muted)
        self._publish(MicrophoneChanged(owner=lease.owner, muted=lease.muted))

    async def _open(self, lease: MicrophoneLease, form: tuple[int, int]) -> MicrophoneTrack:
        async with self._opening:
            if self._format not in (None, form):
                raise MisuseError(
                    f"the microphone was opened with (sample_rate, num_channels) {self._format}, "
                    f"not {form}: resample, or release and acquire it again"
                )
            if self._track is None:
                room, track = self._room, await self._open_track(*form)
                if self._lease is not lease or room != self._room:
                    await track.aclose()
                    self.check(lease)
                    raise NotConnectedError(self._room_state()[0], "the room changed")
                track.set_muted(lease.muted)
                self._track, self._format = track, form
            return self._track

    async def _release(self, lease: MicrophoneLease) -> None:
        if self._lease is not lease:
            return
        track = self._end()
        if track is not None:
            with anyio.move_on_after(RELEASE_TIMEOUT, shield=True):
                await track.aclose()

    def _end(self) -> MicrophoneTrack | None:
        track, self._track, self._lease, self._format = self._track, None, None, None
        self._publish(MicrophoneChanged(owner=None))
        return track
