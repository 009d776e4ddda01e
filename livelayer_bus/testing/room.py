"""Rooms without a server: the test decides what the agent and the network do, and when."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, cast, final

import msgspec
from msgspec.structs import replace

from ..errors import BrokenError, MisuseError
from ..events import AgentConfig, Role, TranscriptEntry
from ..media import AudioFrame, VideoFrame
from ..media.publishing import F, PublishedTrack, SourceName
from ..messages import Message, decode, encode, message_type
from ..rooms import names, port
from ..tokens import RoomAccess, TokenRequest
from .waiting import Gate, Signal

KEPT: Final = 10_000  # records of one kind that are kept; the oldest are dropped first
SAMPLE_RATE = 48_000  # Hz
SAMPLE_BYTES = 2
URL: Final = "ws://scripted.invalid"
AGENT = "agent"  # the identity of the scripted agent unless the test gives another


class SentPacket(msgspec.Struct, frozen=True):
    """A data packet that the session sent."""

    data: bytes
    topic: str | None = None
    to: tuple[str, ...] = ()

    @property
    def type(self) -> str | None:
        """The message's `type`; None when the packet is not a JSON object that has one."""
        return message_type(self.data)

    @property
    def message(self) -> Message:
        """The decoded message.

        Raises:
            MalformedMessageError: the packet is not a message.
        """
        return decode(self.data)

    def json(self) -> Any:
        """The packet's JSON value.

        Raises:
            msgspec.DecodeError: the packet is not JSON.
        """
        return msgspec.json.decode(self.data)


class SentText(msgspec.Struct, frozen=True):
    """A text stream that the session sent."""

    text: str
    topic: str
    to: tuple[str, ...] = ()


class ScriptedTrack(Generic[F]):
    """A track that the session published; it keeps the frames pushed into it.

    `pushing` is the gate that every frame passes: hold it to imitate a full buffer.
    """

    def __init__(self) -> None:
        self.pushing = Gate("pushing")
        self.closing = Gate("unpublishing")
        self.muted = False
        self.closed = False
        """Whether the session unpublished it."""
        self._frames: deque[F] = deque(maxlen=KEPT)
        self._pushed = 0
        self._changed = Signal()

    @property
    def frames(self) -> Sequence[F]:
        """The frames pushed, oldest first."""
        return tuple(self._frames)

    async def wait_frames(self, number: int = 1) -> None:
        """Return once `number` frames were pushed in all."""
        await self._changed.wait_for(lambda: self._pushed >= number)

    async def wait_closed(self) -> None:
        """Return once the track was unpublished."""
        await self._changed.wait_for(lambda: self.closed)

    async def push(self, frame: F) -> None:
        await self.pushing.enter()
        self._frames.append(frame)
        self._pushed += 1
        self._changed.notify()

    def set_muted(self, muted: bool) -> None:
        self.muted = muted
        self._changed.notify()

    async def aclose(self) -> None:
        await self.closing.enter()
        self.closed = True
        self._changed.notify()


@final
class ScriptedMicrophone(ScriptedTrack[AudioFrame]):
    """The session's microphone, as it was published."""

    def __init__(self, sample_rate: int, num_channels: int) -> None:
        super().__init__()
        self.sample_rate = sample_rate
        self.num_channels = num_channels


@final
class ScriptedVideoTrack(ScriptedTrack[VideoFrame]):
    """The session's camera or screen, as it was published."""

    def __init__(self, source: SourceName, width: int, height: int, stamped: bool) -> None:
        super().__init__()
        self.source, self.stamped = source, stamped
        self.width, self.height = width, height


class ScriptError(MisuseError):
    """The script asks a scripted room for something that a real room cannot do."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(f"a scripted room cannot do that: {what}; {hint}")
        self.what = what


@final
@dataclass(eq=False)
class ScriptedStream:
    """One transcription text stream: it grows until `close()`."""

    _report: Callable[[port.RoomEvent], None]
    _entry: TranscriptEntry
    _replayed: bool

    @property
    def number(self) -> int:
        """Counts the streams of its room, from 1."""
        return self._entry.stream

    def write(self, more: str) -> None:
        """Append to the utterance."""
        self._entry = replace(self._entry, text=self._entry.text + more)
        self._report(port.UtteranceHeard(self._entry, self._replayed))

    def close(self) -> None:
        """Finish the utterance. Without this call the stream's trailer was lost."""
        self._report(port.UtteranceHeard(replace(self._entry, final=True), self._replayed))


@final
@dataclass(eq=False, repr=False, kw_only=True)
class ScriptedRoom(port.RoomPort):
    """A `RoomPort` that the test controls.

    Calls of the session pass gates (`joining`, `sending`, `publishing`, `closing`), which the test
    can hold or make fail. Actions of the agent and the network take effect before they return.
    """

    agent: str | None = None
    """The identity of the agent that is active as soon as the room is joined."""
    joining: Gate = field(default_factory=lambda: Gate("joining"))
    """The gate of `connect`."""
    on_join: Callable[[], None] = lambda: None
    """Called when the session has joined."""

    def __post_init__(self) -> None:
        self.sending = Gate("sending")
        self.publishing = Gate("publishing")
        self.closing = Gate("closing")
        self._agent = self.agent
        self.access: RoomAccess | None = None
        """What the session joined with; None before `connect`."""
        self.was_joined = False
        """Whether the session ever joined."""
        self.closed = False
        """Whether the session has left the room for good."""
        self.sent_texts: tuple[SentText, ...] = ()
        """The text streams the session sent, oldest first."""
        self.attributes: dict[str, str] = {}
        """The attributes of the session's participant."""
        self.microphones: tuple[ScriptedMicrophone, ...] = ()
        """The audio tracks the session published, oldest first."""
        self.video_tracks: tuple[ScriptedVideoTrack, ...] = ()
        """The video tracks the session published, camera and screen, oldest first."""
        self._links: tuple[port.RoomSink, port.MediaWriters] | None = None
        self._lost = False
        self._leaving = False
        self._sent: deque[SentPacket] = deque(maxlen=KEPT)
        self._unread: deque[SentPacket] = deque(maxlen=KEPT)
        self._streams = 0
        self._changed = Signal()

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

    def agent_joins(
        self, identity: str = AGENT, *, active: bool = True, confirms: bool = False
    ) -> None:
        """The agent's participant joins, or its bridge announces that it `confirms` messages.

        Unless it is `active`, it cannot receive data yet.
        """
        self._agent = identity
        self._report(port.AgentPresence(identity, active, confirms))

    def agent_activates(self) -> None:
        """The agent's participant can receive data from now on."""
        if self._agent is None:
            raise ScriptError("activate an agent that has not joined", "call agent_joins() first")
        self._report(port.AgentPresence(self._agent, active=True))

    def agent_confirms(self, packet: SentPacket) -> None:
        """The agent's bridge confirms a packet that the session sent."""
        message_id = (packet.topic or "").removeprefix(names.CONFIRM_TOPIC)
        self.agent_says(message_id.encode(), topic=names.CONFIRMED_TOPIC)

    def agent_leaves(self) -> None:
        """The agent's participant leaves."""
        self._agent = None
        self._report(port.AgentPresence(None, active=False))

    def agent_state(self, raw: str) -> None:
        """The agent's participant attribute changes."""
        self._report(port.AgentStateReported(raw))

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
        self._report(port.PacketReceived(data, sender, topic, from_agent))

    def open_stream(
        self,
        segment: str,
        role: Role = "agent",
        *,
        sender: str | None = None,
        replayed: bool = False,
    ) -> ScriptedStream:
        """A transcription stream opens for the utterance `segment`; another one repeats it.

        Args:
            segment: the id of the utterance.
            role: whose words they are.
            sender: a participant's identity; None: the agent, or for a user's words this session.
            replayed: the agent repeats what was said before the session came back.
        """
        self._require_links()
        self._streams += 1
        if sender is None and role == "agent":
            sender = self._agent or AGENT
        opened = TranscriptEntry(segment, role, "", False, self._streams, self._streams, sender)
        return ScriptedStream(self._report, opened, replayed)

    def transcribes(
        self,
        segment: str,
        text: str,
        role: Role = "agent",
        *,
        sender: str | None = None,
        replayed: bool = False,
    ) -> None:
        """A finished utterance in one stream; see `open_stream`."""
        stream = self.open_stream(segment, role, sender=sender, replayed=replayed)
        stream.write(text)
        stream.close()

    def track_starts(
        self, kind: port.TrackKind, *, sid: str | None = None, participant: str | None = None
    ) -> None:
        """The agent's audio or video track starts."""
        who = participant or self._agent
        self._report(port.TrackReported(kind, True, sid or f"TR_{kind}", who))

    def track_stops(self, kind: port.TrackKind, *, participant: str | None = None) -> None:
        """The agent's audio or video track ends."""
        self._report(port.TrackReported(kind, False, None, participant or self._agent))

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

    def reconnecting(self, reason: str = "the network is down") -> None:
        """The SDK starts to restore the connection."""
        self._report(port.ConnectionInterrupted(reason))

    def reconnected(self) -> None:
        """The SDK restored the connection."""
        self._report(port.ConnectionRestored())

    def lose(
        self, reason: str = "the server went away", *, rejoin: bool = True, fault: bool = True
    ) -> None:
        """The room is lost; see `RoomLost` for `rejoin` and `fault`."""
        self._require_links()
        self._lost = True
        self._report(port.RoomLost(reason, rejoin, fault))

    @property
    def native(self) -> object | None:
        """This room itself while joined: there is no SDK behind it."""
        return self if self.joined else None

    @property
    def room_name(self) -> str | None:
        return self.access.room_name if self.access is not None and self.joined else None

    async def connect(
        self, access: RoomAccess, sink: port.RoomSink, media: port.MediaWriters
    ) -> None:
        if self.access is not None:
            raise ScriptError("join one room twice", "a session takes a new room each time")
        self.access, self._links = access, (sink, media)
        await self.joining.enter()
        self.was_joined = True
        if self.agent is not None:
            sink.report(port.AgentPresence(self.agent, active=True))
        self._changed.notify()
        self.on_join()

    async def send(self, data: bytes, *, topic: str | None = None, to: Sequence[str] = ()) -> None:
        await self._pass(self.sending, "send")
        packet = SentPacket(data, topic, tuple(to))
        self._sent.append(packet)
        self._unread.append(packet)
        self._changed.notify()

    async def send_text(self, text: str, *, topic: str, to: Sequence[str] = ()) -> None:
        await self._pass(self.sending, "send_text")
        self.sent_texts += (SentText(text, topic, tuple(to)),)
        self._changed.notify()

    async def set_attributes(self, attributes: Mapping[str, str]) -> None:
        await self._pass(self.sending, "set_attributes")
        given = {**self.attributes, **attributes}
        self.attributes = {name: value for name, value in given.items() if value}
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

    async def _pass(self, gate: Gate, call: str) -> None:
        self._check_joined(call)
        await gate.enter()
        self._check_joined(call)

    def _check_joined(self, call: str) -> None:
        if not self.joined:
            raise BrokenError(f"the scripted room is not joined: {call} failed")

    def _report(self, event: port.RoomEvent) -> None:
        self._require_links()[0].report(event)

    def _require_links(self) -> tuple[port.RoomSink, port.MediaWriters]:
        if self._links is None:
            raise ScriptError("act before the session connects", "await rooms.next() first")
        return self._links


@final
@dataclass(eq=False, repr=False)
class ScriptedTokens:
    """A `TokenSource`: each request is recorded and gets its own token and room name.

    A request for a prior room gets that room's name. `gate` can hold or refuse requests.
    """

    agent_config: AgentConfig | None = None
    gate: Gate = field(default_factory=lambda: Gate("tokens"))
    requests: tuple[TokenRequest, ...] = ()
    """The requests, oldest first."""

    async def __call__(self, request: TokenRequest, /) -> RoomAccess:
        self.requests += (request,)
        number = len(self.requests)
        await self.gate.enter()
        room_name = request.prior_room_name or f"room-{number}"
        return RoomAccess(URL, f"token-{number}", room_name, self.agent_config)


@final
@dataclass(eq=False, repr=False, kw_only=True)
class ScriptedRooms:
    """A `RoomFactory` that the test controls: one `ScriptedRoom` for each connection.

        rooms = ScriptedRooms()
        async with Session("agt", tokens=rooms.tokens, room=rooms) as session:
            await session.connect()
            room = await rooms.next()
            room.agent_joins()

    `joining` is the gate that each room's `connect` passes: hold it, or make it fail.
    """

    agent: str | None = None
    """An agent of this identity is active in each room as soon as it is joined."""
    agent_config: AgentConfig | None = None
    """What every token comes with."""
    prepare: Callable[[ScriptedRoom], None] = lambda _: None
    """Called with each new room before the session gets it."""
    rooms: tuple[ScriptedRoom, ...] = ()
    """Every room created, oldest first, joined or not."""

    def __post_init__(self) -> None:
        self.tokens = ScriptedTokens(self.agent_config)
        self.joining = Gate("joining")
        self._next = 0
        self._changed = Signal()

    def __call__(self) -> ScriptedRoom:
        room = ScriptedRoom(joining=self.joining, agent=self.agent, on_join=self._changed.notify)
        self.prepare(room)
        self.rooms += (room,)
        return room

    async def next(self) -> ScriptedRoom:
        """Wait for the next room that was joined; each is returned once, in order."""

        def joined() -> list[int]:
            return [n for n, room in enumerate(self.rooms) if n >= self._next and room.was_joined]

        await self._changed.wait_for(lambda: bool(joined()))
        self._next = joined()[0] + 1
        return self.rooms[self._next - 1]


def grey_picture(width: int = 16, height: int = 16, luma: int = 128) -> VideoFrame:
    """A picture of one grey of brightness `luma` (0 to 255)."""
    chroma = ((width + 1) // 2) * ((height + 1) // 2)
    return VideoFrame(bytes([luma]) * (width * height) + b"\x80" * (2 * chroma), width, height)


def silence(
    milliseconds: int = 10, *, sample_rate: int = SAMPLE_RATE, num_channels: int = 1
) -> AudioFrame:
    """An audio frame of silence."""
    samples = sample_rate * milliseconds // 1000
    data = bytes(samples * num_channels * SAMPLE_BYTES)
    return AudioFrame(data, sample_rate, num_channels, samples)
