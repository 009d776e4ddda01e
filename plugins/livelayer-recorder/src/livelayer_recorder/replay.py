"""A room that plays a recording: what a session reports then, it reports again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from os import PathLike
from typing import Any, Final, TypeAlias, final

import anyio
import anyio.lowlevel
import anyio.to_thread

from livelayer_bus import (
    AgentAvailabilityChanged,
    AgentConfigChanged,
    AgentStateChanged,
    AudioFrame,
    CommandFinished,
    CommandReceived,
    CommandRefused,
    ConnectionStateChanged,
    DataReceived,
    Event,
    MisuseError,
    Reconnecting,
    RoomAccess,
    SurfaceDidNotStop,
    SurfaceFailed,
    SurfaceMounted,
    SurfaceUnmounted,
    TokenRequest,
    TrackChanged,
    TranscriptUpdated,
    VideoFrame,
)
from livelayer_bus.clock import Clock, SystemClock, now_ns
from livelayer_bus.events import ConnectionState, RecordingChanged, TranscriptCleared
from livelayer_bus.messages import Message, RequestApproval, is_command
from livelayer_bus.rooms import (
    EventReplayed,
    MediaWriters,
    PacketReceived,
    PublishedTrack,
    RoomEvent,
    RoomPort,
    RoomSink,
    SourceName,
    TrackKind,
    TrackReported,
)
from livelayer_bus.state import SessionState
from livelayer_bus.tasks import RootTask, start

from .media_reader import EncodedPicture, MediaReader, Timed
from .recording import Moment, Recording
from .tempo import FASTEST, SLOWEST, Tempo

SOON: Final = 1e-6  # seconds: what is due then is due now
BREATH: Final = 16  # items handed over before other tasks run
STOP_SECONDS: Final = 2.0

_OF_THE_SESSION_ITSELF: Final = (
    SurfaceMounted,
    SurfaceUnmounted,
    SurfaceFailed,
    SurfaceDidNotStop,
    RecordingChanged,
    CommandReceived,
    CommandFinished,
)
"""Events about surfaces: a replay has surfaces of its own."""
_APPROVAL: Final = RequestApproval.wire_type()


@final
class ReplayRoom:
    """A recording as a room: `Session(agent_id, room=ReplayRoom(directory))` is all there is to it.

    Guarantee: every event of the recording is published again, once and in order, with the same
    packets byte for byte; pictures and sound come when they came then. Two replays publish the same
    events with the same sequences. Only what belongs to the recorded session's surfaces is left
    out: their mounting, and what they made of commands, which go to the surfaces that are mounted
    now. What the session sends is taken, and changes nothing.

    The first join of the recording is that of the replay, which begins at the start of the
    recording. Where it began in the middle of a conversation, the replay begins with what was known
    then. At the end it stands still, and can be sought.

    A session's room, used in that session's event loop; a session that connects again goes on
    where it left.
    """

    def __init__(
        self,
        directory: str | PathLike[str],
        *,
        speed: float = 1.0,
        start: float = 0.0,
        loop: bool = False,
        paused: bool = False,
        clock: Clock | None = None,
    ) -> None:
        """Open a recording.

        Args:
            directory: the folder that `RecorderSurface` wrote.
            speed: seconds of the recording in a second. Sound keeps its pitch; below 0.5 and
                above 4 there is none.
            start: where to begin, in seconds of the recording.
            loop: begin anew at the end.
            paused: begin when `resume()` is called.
            clock: what decides when things happen; for tests.

        Raises:
            NotARecordingError: the folder is not a recording.
            MisuseError: `speed` or `start` is out of range.
        """
        _check_speed(speed)
        if start < 0:
            raise MisuseError(f"start must be at least 0 seconds, got {start}")
        self.recording: Final = Recording(directory)
        self.loop = loop
        """Whether it begins anew at the end."""
        self._clock: Final[Clock] = clock or SystemClock()
        self._speed = speed
        self._paused = paused
        self._position = min(start, self.recording.seconds)
        self._since: float | None = None  # on the clock; None while it stands still
        self._port: ReplayPort | None = None
        self._finished = anyio.Event()
        self._wake: Callable[[], None] | None = None

    # What a session takes ---------------------------------------------------------------------

    def __call__(self) -> RoomPort:
        """A connection that goes on where the last one was left."""
        return ReplayPort(self)

    async def tokens(self, request: TokenRequest, /) -> RoomAccess:
        """The token source of a session that has no other: there is nothing to be allowed."""
        name = request.prior_room_name or f"replay-{self.recording.manifest.session_id}"
        return RoomAccess(url="replay:", token="", room_name=name)

    @property
    def agent_id(self) -> str:
        """The agent of the recording."""
        return self.recording.manifest.agent_id

    # Where it is ------------------------------------------------------------------------------

    @property
    def duration(self) -> float:
        """Seconds of the whole recording."""
        return self.recording.seconds

    @property
    def position(self) -> float:
        """Where it is now, in seconds of the recording."""
        since = self._since
        passed = 0.0 if since is None else (self._clock.now() - since) * self._speed
        return min(self.duration, self._position + passed)

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def speed(self) -> float:
        """Seconds of the recording in a second."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        _check_speed(speed)
        self._anchor(self.position)
        self._speed = speed
        self._changed()

    def pause(self) -> None:
        """Stand still; nothing is published until `resume()`."""
        self._anchor(self.position)
        self._paused, self._since = True, None
        self._changed()

    def resume(self) -> None:
        """Go on."""
        self._paused = False
        self._anchor(self.position)
        self._changed()

    def seek(self, seconds: float) -> None:
        """Go to a time of the recording: what was known then is published, what lies between not.

        Raises:
            MisuseError: `seconds` is negative.
        """
        if seconds < 0:
            raise MisuseError(f"seek to at least 0 seconds, got {seconds}")
        self._anchor(min(seconds, self.duration))
        self._finished = anyio.Event()
        if self._port is not None:
            self._port.seek()
        self._changed()

    async def wait_finished(self) -> None:
        """Return when the end is reached; of a looped replay, never."""
        while not self._finished.is_set():
            finished = self._finished
            await finished.wait()

    # For its port -----------------------------------------------------------------------------

    def begin(self, port: ReplayPort) -> None:
        """A session has joined."""
        if self._port is not None:
            raise MisuseError("a ReplayRoom plays for one session at a time: create another one")
        self._port = port
        self._anchor(self.position)

    def end(self, port: ReplayPort) -> None:
        """The session has left."""
        if self._port is port:
            self._anchor(self.position)
            self._port = self._since = None

    def finish(self) -> None:
        """The end is reached."""
        self._finished.set()

    async def sleep_until(self, seconds: float) -> None:
        """Return at a time of the recording, or when the replay is paused, sought or sped up."""
        with anyio.CancelScope() as scope:
            self._wake = scope.cancel
            if self._paused or self._since is None:
                await anyio.sleep_forever()
            await self._clock.sleep((seconds - self.position) / self._speed)
        self._wake = None

    async def sleep_for_good(self) -> None:
        """Return when the replay is sought."""
        with anyio.CancelScope() as scope:
            self._wake = scope.cancel
            await anyio.sleep_forever()
        self._wake = None

    def _anchor(self, position: float) -> None:
        self._position = position
        running = self._port is not None and not self._paused
        self._since = self._clock.now() if running else None

    def _changed(self) -> None:
        if self._wake is not None:
            self._wake()


_Item: TypeAlias = Moment | Timed


@final
class ReplayPort(RoomPort):
    """One connection of a session to a recording."""

    def __init__(self, room: ReplayRoom, *, encoded: bool = False) -> None:
        """`encoded`: the target of pictures takes an `EncodedPicture` in their place."""
        self._room = room
        self._encoded = encoded
        self._recording = room.recording
        self._sink: RoomSink | None = None
        self._media: MediaWriters | None = None
        self._task: RootTask | None = None
        self._is_sought = False
        self._next = 0
        self._reader: MediaReader | None = None
        self._frames: deque[Timed] = deque()
        self._tracks: dict[TrackKind, bool] = {}
        self._room_name: str | None = None
        self._connection: ConnectionState = "connected"
        self._tempo: tuple[float, Tempo] | None = None

    # RoomPort ---------------------------------------------------------------------------------

    @property
    def native(self) -> object | None:
        """The `ReplayRoom`, while joined."""
        return self._room if self._task is not None else None

    @property
    def room_name(self) -> str | None:
        return self._room_name

    @property
    def playback(self) -> ReplayRoom:
        """What pauses, seeks and changes the speed."""
        return self._room

    async def connect(self, access: RoomAccess, sink: RoomSink, media: MediaWriters) -> None:
        self._room_name = access.room_name
        self._sink, self._media = sink, media
        recording = self._recording
        path = recording.media
        if path is not None:
            starts = recording.manifest.media_start
            open_reader = partial(MediaReader, path, starts, encoded=self._encoded)
            self._reader = await anyio.to_thread.run_sync(open_reader)
        self._room.begin(self)
        self._next = recording.joined_at()
        self._is_sought = self._room.position > 0
        if not self._is_sought:
            self._tell(recording.first)
            self._tracks = self._first_tracks()
        self._task = start(self._play, "replay")

    async def send(self, data: bytes, *, topic: str | None = None, to: Sequence[str] = ()) -> None:
        """Take a packet; the recording goes on as it was."""
        await anyio.lowlevel.checkpoint()

    async def send_text(self, text: str, *, topic: str, to: Sequence[str] = ()) -> None:
        """Take a text; the recording goes on as it was."""
        await anyio.lowlevel.checkpoint()

    async def set_attributes(self, attributes: Mapping[str, str]) -> None:
        """Take attributes that nobody sees."""
        await anyio.lowlevel.checkpoint()

    async def open_track(self, source: SourceName, frame: Any) -> PublishedTrack[Any]:
        """Take a microphone or a camera that is not heard or seen anywhere."""
        await anyio.lowlevel.checkpoint()
        return _SilentTrack()

    async def aclose(self) -> None:
        self._room.end(self)
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await task.wait(STOP_SECONDS)
        reader, self._reader = self._reader, None
        if reader is not None and (task is None or task.ended):
            await anyio.to_thread.run_sync(reader.close)

    # Playing ----------------------------------------------------------------------------------

    def seek(self) -> None:
        """Go to the room's position before anything else."""
        self._is_sought = True

    async def _play(self) -> None:
        handed_over = 0
        while True:
            if self._is_sought:
                self._is_sought = False
                await self._go_to(self._room.position)
            item = await self._head()
            if self._is_sought:
                continue
            end = self._room.duration
            seconds = end if item is None else min(_seconds(item), end)
            if self._room.paused or seconds - self._room.position > SOON:
                await self._room.sleep_until(seconds)
                continue
            if item is None:
                await self._at_end()
                continue
            self._hand_over(item)
            handed_over += 1
            if not handed_over % BREATH:
                await anyio.lowlevel.checkpoint()

    async def _at_end(self) -> None:
        self._room.finish()
        if self._room.loop:
            await anyio.lowlevel.checkpoint()
            self._room.seek(0.0)
        elif not self._is_sought:
            await self._room.sleep_for_good()

    async def _head(self) -> _Item | None:
        """What comes next; None at the end."""
        moments = self._recording.moments
        moment = moments[self._next] if self._next < len(moments) else None
        reader = self._reader
        if not self._frames and reader is not None and not reader.is_ended:
            read = partial(reader.read, self._room.position)
            self._frames.extend(await anyio.to_thread.run_sync(read))
        if not self._frames or (moment is not None and moment.seconds <= self._frames[0][0]):
            return moment
        return self._frames[0]

    def _hand_over(self, item: _Item) -> None:
        if isinstance(item, Moment):
            self._next += 1
            self._repeat(item.event)
        else:
            self._show(*self._frames.popleft())

    def _show(self, seconds: float, frame: VideoFrame | AudioFrame | EncodedPicture) -> None:
        media = self._media
        if media is None:
            return
        kind: TrackKind = "audio" if isinstance(frame, AudioFrame) else "video"
        if not self._tracks.get(kind):
            return
        if not isinstance(frame, AudioFrame):
            pictures: Any = media.video
            pictures.push(_received_now(frame) if isinstance(frame, VideoFrame) else frame)
            return
        speed = self._room.speed
        if speed == 1.0:
            self._tempo = None
            data, samples = frame.data.cast("B"), frame.samples_per_channel
            media.audio.push(AudioFrame(data, frame.sample_rate, frame.num_channels, samples))
        elif SLOWEST <= speed <= FASTEST:
            if self._tempo is None or self._tempo[0] != speed:
                self._tempo = speed, Tempo(speed)
            for part in self._tempo[1].change(frame):
                media.audio.push(part)

    # Events -----------------------------------------------------------------------------------

    def _repeat(self, event: Event) -> None:
        if isinstance(event, ConnectionStateChanged):
            self._connection = event.state
        match event:
            case TrackChanged(kind, available, sid, participant):
                self._tracks[kind] = available
                self._report(TrackReported(kind, available, sid, participant))
            case DataReceived(from_agent=True) if _is_routed(event.message):
                # It is routed to the surfaces that are mounted now.
                packet = PacketReceived(event.data, event.sender, event.topic, from_agent=True)
                self._report(packet)
            case CommandRefused(reason="capability") if event.command != _APPROVAL:
                pass
            case _ if not isinstance(event, _OF_THE_SESSION_ITSELF):
                self._report(EventReplayed(event))
            case _:
                pass

    def _report(self, event: RoomEvent) -> None:
        if self._sink is not None:
            self._sink.report(event)

    async def _go_to(self, seconds: float) -> None:
        """Publish what was known at a time, and go on from there."""
        recording = self._recording
        state = recording.state_at(seconds)
        self._next = max(recording.joined_at(), recording.index_after(seconds))
        self._report(EventReplayed(TranscriptCleared()))
        is_joined = self._next > recording.joined_at() or recording.first.joined
        connection = state.connection_state if is_joined else "connected"
        if connection != self._connection:
            self._connection = connection
            moved = ConnectionStateChanged(connection, state.error, state.can_resume)
            self._report(EventReplayed(moved))
        # Without an agent there are no tools and no questions of another time.
        self._report(EventReplayed(AgentAvailabilityChanged(active=False, ready=False)))
        self._tell(state)
        tracks = self._first_tracks()
        for moment in recording.moments[: self._next]:
            if isinstance(moment.event, TrackChanged):
                tracks[moment.event.kind] = moment.event.available
        for kind, available in tracks.items():
            if available != self._tracks.get(kind, False):
                self._report(TrackReported(kind, available))
        self._tracks = tracks
        self._frames.clear()
        if self._reader is not None:
            await anyio.to_thread.run_sync(self._reader.seek, seconds)

    def _tell(self, state: SessionState) -> None:
        """Publish what a joined session does not know by itself."""
        told: list[Event] = []
        if state.reconnecting:
            told.append(Reconnecting("the recorded session is reconnecting"))
        if state.agent_config is not None:
            told.append(AgentConfigChanged(state.agent_config))
        if state.agent_identity is not None:
            told.append(
                AgentAvailabilityChanged(
                    state.agent_active,
                    state.agent_ready,
                    state.agent_identity,
                    state.agent_confirms,
                )
            )
        if state.raw_agent_state is not None:
            told.append(AgentStateChanged(state.agent_state, state.raw_agent_state, state.error))
        told += map(TranscriptUpdated, state.transcript)
        told += [*state.tools, *state.approvals]
        for event in told:
            self._report(EventReplayed(event))

    def _first_tracks(self) -> dict[TrackKind, bool]:
        """Which tracks the agent had when the recording began: the first change says so."""
        changes: dict[TrackKind, bool] = {}
        for moment in self._recording.moments:
            if isinstance(moment.event, TrackChanged):
                changes.setdefault(moment.event.kind, not moment.event.available)
        kinds: dict[TrackKind, bool] = {"audio": self._reader is not None}
        kinds["video"] = self._reader is not None and self._reader.has_pictures
        return {kind: changes.get(kind, there) for kind, there in kinds.items()}


def _is_routed(message: Message | None) -> bool:
    """Whether it goes to a surface; what a person was asked is settled as it was then."""
    return is_command(message) and not isinstance(message, RequestApproval)


@final
class _SilentTrack:
    """A track of the session that nobody receives."""

    async def push(self, frame: object) -> None:
        await anyio.lowlevel.checkpoint()

    def set_muted(self, muted: bool) -> None:
        pass

    async def aclose(self) -> None:
        await anyio.lowlevel.checkpoint()


def _seconds(item: _Item) -> float:
    return item.seconds if isinstance(item, Moment) else item[0]


def _received_now(frame: VideoFrame) -> VideoFrame:
    """The picture as one that came just now; it shares the memory of `frame`."""
    data = frame.data.obj
    whole = data if isinstance(data, bytes | bytearray) else frame.data
    return VideoFrame(whole, frame.width, frame.height, received_ns=now_ns())


def _check_speed(speed: float) -> None:
    if not 0 < speed <= 100:
        raise MisuseError(f"speed must be more than 0 and at most 100, got {speed}")
