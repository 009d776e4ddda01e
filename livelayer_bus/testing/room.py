"""A room without a server: the test decides what the agent and the network do, and when."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import cast, final

from ..errors import BrokenError, MisuseError
from ..events import Role, TranscriptEntry
from ..media import AudioFrame, VideoFrame
from ..media.publishing import F, PublishedTrack, SourceName
from ..messages import Message, encode
from ..rooms.port import (
    AgentPresence,
    AgentStateReported,
    ConnectionInterrupted,
    ConnectionRestored,
    MediaWriters,
    PacketReceived,
    RoomEvent,
    RoomLost,
    RoomSink,
    TrackKind,
    TrackReported,
    UtteranceHeard,
)
from ..tokens import RoomAccess
from .frames import grey_picture, silence
from .gate import Gate
from .records import KEPT, ScriptedMicrophone, ScriptedVideoTrack, SentPacket, SentText
from .waiting import Signal

AGENT = "agent"
"""The identity of the scripted agent unless the test gives another."""


class ScriptError(MisuseError):
    """The script asks a scripted room for something that a real room cannot do."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(f"a scripted room cannot do that: {what}; {hint}")
        self.what = what


@final
class ScriptedStream:
    """One transcription text stream: it grows until `close()`."""

    def __init__(
        self, report: Callable[[RoomEvent], None], segment: str, role: Role, number: int
    ) -> None:
        self._report_event = report
        self._segment = segment
        self._role: Role = role
        self._text = ""
        self.number = number

    def write(self, more: str) -> None:
        """Append to the utterance."""
        self._text += more
        self._report(final=False)

    def close(self) -> None:
        """Finish the utterance. Without this call the stream's trailer was lost."""
        self._report(final=True)

    def _report(self, *, final: bool) -> None:
        entry = TranscriptEntry(
            id=self._segment,
            role=self._role,
            text=self._text,
            final=final,
            opened=self.number,
            stream=self.number,
        )
        self._report_event(UtteranceHeard(entry))


@final
class ScriptedRoom:
    """A `RoomPort` that the test controls.

    Calls of the session pass gates (`joining`, `sending`, `publishing`, `closing`), which the test
    can hold or make fail. Each action of the agent or the network is a method and takes effect
    before it returns. Belongs to the event loop of its session.
    """

    def __init__(
        self,
        *,
        joining: Gate | None = None,
        agent: str | None = None,
        on_join: Callable[[], None] | None = None,
    ) -> None:
        """Create a room that is not joined yet.

        Args:
            joining: the gate of `connect`; a new one by default.
            agent: an agent of this identity is active as soon as the room is joined.
            on_join: called when the session has joined.
        """
        self._on_join = on_join
        self.joining = joining or Gate("joining")
        self.sending = Gate("sending")
        self.publishing = Gate("publishing")
        self.closing = Gate("closing")
        self._agent = agent
        self._agent_at_join = agent
        self.access: RoomAccess | None = None
        """What the session joined with; None before `connect`."""
        self.was_joined = False
        """Whether the session ever joined."""
        self.closed = False
        """Whether the session has left the room for good."""
        self.sent_texts: tuple[SentText, ...] = ()
        """The text streams the session sent, oldest first."""
        self.microphones: tuple[ScriptedMicrophone, ...] = ()
        """The audio tracks the session published, oldest first."""
        self.video_tracks: tuple[ScriptedVideoTrack, ...] = ()
        """The video tracks the session published, camera and screen, oldest first."""
        self._links: tuple[RoomSink, MediaWriters] | None = None
        self._lost = False
        self._leaving = False
        self._sent: deque[SentPacket] = deque(maxlen=KEPT)
        self._unread: deque[SentPacket] = deque(maxlen=KEPT)
        self._streams = 0
        self._changed = Signal()

    # What the session did --------------------------------------------------------------------

    @property
    def joined(self) -> bool:
        """Whether the session is in the room now."""
        return self.was_joined and not self._lost and not self.closed

    @property
    def sent(self) -> tuple[SentPacket, ...]:
        """The data packets the session sent, oldest first; the latest 10,000."""
        return tuple(self._sent)

    async def next_sent(self, name: str | None = None) -> SentPacket:
        """Wait for the next packet that no earlier call returned; `name`: of this type only."""
        while True:
            await self._changed.wait_for(lambda: bool(self._unread))
            packet = self._unread.popleft()
            if name is None or packet.type == name:
                return packet

    async def wait_until(self, done: Callable[[], bool]) -> None:
        """Return once `done()` is true; asked after each thing that the session does here."""
        await self._changed.wait_for(done)

    async def wait_closed(self) -> None:
        """Return once the session has left the room."""
        await self._changed.wait_for(lambda: self.closed)

    # The agent -------------------------------------------------------------------------------

    def agent_joins(self, identity: str = AGENT, *, active: bool = True) -> None:
        """The agent's participant joins; unless `active`, it cannot receive data yet."""
        self._agent = identity
        self._report(AgentPresence(identity, active))

    def agent_activates(self) -> None:
        """The agent's participant can receive data from now on."""
        if self._agent is None:
            raise ScriptError("activate an agent that has not joined", "call agent_joins() first")
        self._report(AgentPresence(self._agent, active=True))

    def agent_leaves(self) -> None:
        """The agent's participant leaves."""
        self._agent = None
        self._report(AgentPresence(None, active=False))

    def agent_state(self, raw: str) -> None:
        """The agent's participant attribute changes."""
        self._report(AgentStateReported(raw))

    def agent_says(
        self, message: Message | Mapping[str, object] | bytes, *, topic: str | None = None
    ) -> None:
        """A data packet of the agent: a message, a JSON object, or raw bytes."""
        self.packet(message, sender=self._agent or AGENT, topic=topic, from_agent=True)

    def packet(
        self,
        message: Message | Mapping[str, object] | bytes,
        *,
        sender: str | None,
        topic: str | None = None,
        from_agent: bool = False,
    ) -> None:
        """A data packet of any participant; `sender` None: of the server."""
        data = message if isinstance(message, bytes) else encode(message)
        self._report(PacketReceived(data, sender, topic, from_agent))

    def open_stream(self, segment: str, role: Role = "agent") -> ScriptedStream:
        """A transcription stream opens for the utterance `segment`; another one repeats it."""
        self._require_links()
        self._streams += 1
        return ScriptedStream(self._report, segment, role, self._streams)

    def transcribes(self, segment: str, text: str, role: Role = "agent") -> None:
        """A finished utterance in one stream."""
        stream = self.open_stream(segment, role)
        stream.write(text)
        stream.close()

    # Media -----------------------------------------------------------------------------------

    def track_starts(
        self, kind: TrackKind, *, sid: str | None = None, participant: str | None = None
    ) -> None:
        """The agent's audio or video track starts."""
        self._set_track(kind, True, sid or f"TR_{kind}", participant or self._agent)

    def track_stops(self, kind: TrackKind, *, participant: str | None = None) -> None:
        """The agent's audio or video track ends."""
        self._set_track(kind, False, None, participant or self._agent)

    def push_video(self, frame: VideoFrame | None = None) -> VideoFrame:
        """Push one picture of the agent (None: a small test picture); returns it."""
        frame = frame or grey_picture()
        _, media = self._require_links()
        if not self._leaving:  # a real adapter feeds nothing once `aclose` is called
            media.video.push(frame)
        return frame

    def push_audio(self, frame: AudioFrame | None = None) -> AudioFrame:
        """Push one audio frame of the agent (None: 10 ms of silence); returns it."""
        frame = frame or silence()
        _, media = self._require_links()
        if not self._leaving:
            media.audio.push(frame)
        return frame

    # The network -----------------------------------------------------------------------------

    def reconnecting(self, reason: str = "the network is down") -> None:
        """The SDK starts to restore the connection."""
        self._report(ConnectionInterrupted(reason))

    def reconnected(self) -> None:
        """The SDK restored the connection."""
        self._report(ConnectionRestored())

    def lose(
        self, reason: str = "the server went away", *, rejoin: bool = True, fault: bool = True
    ) -> None:
        """The room is lost; see `RoomLost` for `rejoin` and `fault`."""
        self._require_links()
        self._lost = True
        self._report(RoomLost(reason, rejoin, fault))

    # What the session calls: RoomPort --------------------------------------------------------

    @property
    def native(self) -> object | None:
        """This room itself while joined: there is no SDK behind it."""
        return self if self.joined else None

    @property
    def room_name(self) -> str | None:
        return self.access.room_name if self.access is not None and self.joined else None

    async def connect(self, access: RoomAccess, sink: RoomSink, media: MediaWriters) -> None:
        if self.access is not None:
            raise ScriptError("join one room twice", "a session takes a new room each time")
        self.access, self._links = access, (sink, media)
        await self.joining.enter()
        self.was_joined = True
        if self._agent_at_join is not None:
            sink.report(AgentPresence(self._agent_at_join, active=True))
        self._changed.notify()
        if self._on_join is not None:
            self._on_join()

    async def send(self, data: bytes, *, topic: str | None = None, to: Sequence[str] = ()) -> None:
        self._check_joined("send")
        await self.sending.enter()
        self._check_joined("send")
        packet = SentPacket(data, topic, tuple(to))
        self._sent.append(packet)
        self._unread.append(packet)
        self._changed.notify()

    async def send_text(self, text: str, *, topic: str, to: Sequence[str] = ()) -> None:
        self._check_joined("send_text")
        await self.sending.enter()
        self._check_joined("send_text")
        self.sent_texts += (SentText(text, topic, tuple(to)),)
        self._changed.notify()

    async def open_track(self, source: SourceName, frame: F) -> PublishedTrack[F]:
        self._check_joined("open_track")
        await self.publishing.enter()
        track: ScriptedMicrophone | ScriptedVideoTrack
        if isinstance(frame, AudioFrame):
            track = ScriptedMicrophone(frame.sample_rate, frame.num_channels)
            self.microphones += (track,)
        else:
            stamped = frame.metadata is not None
            track = ScriptedVideoTrack(source, frame.width, frame.height, stamped)
            self.video_tracks += (track,)
        self._changed.notify()
        return cast("PublishedTrack[F]", track)

    async def aclose(self) -> None:
        self._leaving = True
        try:
            await self.closing.enter()
        finally:
            self.closed = True
            self._changed.notify()

    # -----------------------------------------------------------------------------------------

    def _check_joined(self, call: str) -> None:
        if not self.joined:
            raise BrokenError(f"the scripted room is not joined: {call} failed")

    def _set_track(
        self, kind: TrackKind, available: bool, sid: str | None, participant: str | None
    ) -> None:
        self._report(TrackReported(kind, available, sid, participant))

    def _report(self, event: RoomEvent) -> None:
        self._require_links()[0].report(event)

    def _require_links(self) -> tuple[RoomSink, MediaWriters]:
        if self._links is None:
            raise ScriptError("act before the session connects", "await rooms.next() first")
        return self._links
