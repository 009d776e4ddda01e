"""A recording in a LiveKit room: a participant plays it as the recorded agent did."""

from __future__ import annotations

from typing import Any, Final, TypeAlias, cast, final

import anyio
import anyio.to_thread
import msgspec
from livekit import rtc
from livekit.rtc.participant import PublishTrackError

from livelayer_bus import (
    AgentStateChanged,
    BrokenError,
    DataReceived,
    Event,
    LivelayerError,
    MisuseError,
    RoomAccess,
    TranscriptEntry,
    TranscriptUpdated,
    VideoFrame,
)
from livelayer_bus.clock import now_ns
from livelayer_bus.events import TranscriptCleared
from livelayer_bus.media import AudioWriter, VideoWriter
from livelayer_bus.rooms import (
    EventReplayed,
    FrameTarget,
    LiveKitRoom,
    MediaWriters,
    PacketReceived,
    RoomEvent,
    RoomLost,
    TrackReported,
    names,
)

from .media_reader import EncodedPicture, picture_format
from .replay import ReplayPort, ReplayRoom

Codec: TypeAlias = "rtc.VideoCodec.ValueType"
CODECS: Final[dict[str, Codec]] = {
    "h264": rtc.VideoCodec.H264,
    "vp8": rtc.VideoCodec.VP8,
}
"""What recordings have, by FFmpeg's names."""
STANDARD: Final = rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD
RATE: Final = 48_000
PART_BYTES: Final = RATE // 100 * 2

MAX_WAITING: Final = 4096
"""Packets, words and states that may wait for the network."""
MAX_DELAY_MS: Final = 500
"""Of sound that may wait for the SDK."""
LISTEN_SECONDS: Final = 3.0
"""How long the beginning waits until the first participant receives the voice."""
ANSWER_SECONDS: Final = 10.0
"""How long the server may take to publish a track."""
MAX_BITRATE: Final = 20_000_000
"""The limit of the published picture, which has the bit rate that it was recorded with."""
LEAVE_SECONDS: Final = 3.0


@final
class ReplayAgent:
    """Joins a LiveKit room as an agent, and plays a recording there.

    Guarantee: the agent's data messages are sent byte for byte, its words as LiveKit
    transcriptions, its state as `lk.agent.state`, each once and in order. The picture is the
    recorded one, not encoded again; sound is. What the network does not take in time is dropped,
    oldest pictures and sound first, and counted. What is said in the room changes nothing.

    It begins when the first participant that is not an agent is there, and ends with the recording.
    Words of the recorded person are sent as that participant's. The recorded agent's leaving is not
    played: it would end the room. A room is told what a seek jumps over as little as a person is.
    """

    def __init__(self, replay: ReplayRoom) -> None:
        """`replay`: what to play; its controls work meanwhile."""
        self._replay: Final = replay
        self.dropped = 0
        """Packets, words, states, pictures and sound that were not taken in time."""
        self.joined: Final = anyio.Event()
        """Set when it is in the room."""
        self.playing: Final = anyio.Event()
        """Set when a participant is there and it begins."""

    async def run(self, url: str, token: str) -> None:
        """Join, play to the end, and leave; a cancelled call leaves, too.

        Args:
            url: the room server, ws or wss.
            token: of a participant of the kind agent, who may update its own metadata.

        Raises:
            RoomRefusedError: the server turned the token down.
            ConnectError: the server could not be reached, or did not answer.
            BrokenError: the room was lost, or did not take a track.
        """
        room = LiveKitRoom()
        watch = _LossWatch()
        try:
            nothing = MediaWriters(VideoWriter(), AudioWriter())  # of an agent besides this one
            await room.connect(RoomAccess(url, token), watch, nothing)
            sdk = room.native
            if sdk is None:
                raise BrokenError("the room was lost at once")
            self.joined.set()
            with anyio.CancelScope() as watch.scope:
                await self._play(room, sdk)
            if watch.loss is not None:
                raise BrokenError(f"the room was lost: {watch.loss.reason}")
        finally:
            with anyio.move_on_after(LEAVE_SECONDS, shield=True):
                await room.aclose()

    async def _play(self, room: LiveKitRoom, sdk: rtc.Room) -> None:
        stage = _Stage(room, sdk, self)
        recording = self._replay.recording
        port = ReplayPort(self._replay, encoded=True)
        try:
            form = None
            if recording.media is not None:
                form = await anyio.to_thread.run_sync(picture_format, recording.media)
            await stage.publish(form)
            stage.listener = await _first_listener(sdk)
            await stage.wait_heard()
            self.playing.set()
            await port.connect(RoomAccess("replay:", ""), stage, stage.media)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(stage.speak)
                tasks.start_soon(stage.send)
                await self._replay.wait_finished()
                await stage.sent()
                tasks.cancel_scope.cancel()
        finally:
            with anyio.move_on_after(LEAVE_SECONDS, shield=True):
                await port.aclose()
                await stage.aclose()


async def _first_listener(sdk: rtc.Room) -> str:
    """The first participant that is not an agent, once it can receive."""

    def found() -> str | None:
        people = (one for one in sdk.remote_participants.values() if one.kind == STANDARD)
        active = rtc.ParticipantState.PARTICIPANT_STATE_ACTIVE
        return next((one.identity for one in people if one.state == active), None)

    changed = anyio.Event()
    sdk.on("participant_active", look := lambda _: changed.set())
    try:
        while (identity := found()) is None:
            await changed.wait()
            changed = anyio.Event()
        return identity
    finally:
        sdk.off("participant_active", look)


@final
class _LossWatch:
    """Takes what the joined room reports; only its loss matters."""

    def __init__(self) -> None:
        self.loss: RoomLost | None = None
        self.scope: anyio.CancelScope | None = None

    def report(self, event: RoomEvent) -> None:
        if isinstance(event, RoomLost):
            self.loss = event
            if self.scope is not None:
                self.scope.cancel()


class _Words(msgspec.Struct):
    """What was sent of one utterance."""

    text: str
    final: bool
    stream: Any = None
    """Open while more of it may come."""


@final
class _Stage:
    """Turns what a replay reports to a session into what an agent sends in a room."""

    def __init__(self, room: LiveKitRoom, sdk: rtc.Room, agent: ReplayAgent) -> None:
        self.listener = ""
        """The identity of the participant for whom the recorded person's words are sent."""
        self._room = room
        self._sdk = sdk
        self._agent = agent
        self._picture = _PictureTarget(agent)
        self._voice = AudioWriter()
        self.media: Final = MediaWriters(
            cast("FrameTarget[VideoFrame]", self._picture),  # it is given encoded ones
            self._voice,
        )
        self._put, self._items = anyio.create_memory_object_stream[Event | PacketReceived](
            MAX_WAITING
        )
        self._is_sent = anyio.Event()
        self._said: dict[str, _Words] = {}
        self._audio = rtc.AudioSource(RATE, 1, queue_size_ms=0)
        self._published: list[rtc.LocalTrackPublication] = []

    # What the replay reports ------------------------------------------------------------------

    def report(self, event: RoomEvent) -> None:
        """Take one event of the recording; the room gets it in its turn."""
        match event:
            case TrackReported("video", available):
                self._picture.show(available)
            case PacketReceived():
                self._queue(event)
            case EventReplayed(replayed):
                self._queue(replayed)
            case _:
                pass

    def _queue(self, item: Event | PacketReceived) -> None:
        try:
            self._put.send_nowait(item)
        except anyio.WouldBlock:
            self._agent.dropped += 1

    # What the room gets -----------------------------------------------------------------------

    async def publish(self, picture: tuple[str, int, int] | None) -> None:
        """Publish the voice, and the picture of this codec, width and height.

        Raises:
            BrokenError: the room did not take a track.
        """
        kinds = rtc.TrackSource
        voice = rtc.LocalAudioTrack.create_audio_track("voice", self._audio)
        await self._publish(voice, rtc.TrackPublishOptions(source=kinds.SOURCE_MICROPHONE))
        if picture is None:
            return
        codec, width, height = picture
        if codec not in CODECS:
            raise MisuseError(f"pictures of {codec} cannot be published: {', '.join(CODECS)} can")
        source = rtc.EncodedVideoSource(width, height)
        track = rtc.LocalVideoTrack.create_video_track("picture", source)
        options = rtc.TrackPublishOptions(
            source=kinds.SOURCE_CAMERA,
            video_codec=CODECS[codec],
            video_encoder=rtc.VideoEncoderBackend.ENCODER_BACKEND_PRE_ENCODED,
            video_encoding=rtc.VideoEncoding(max_bitrate=MAX_BITRATE, max_framerate=60),
            simulcast=False,
        )
        self._picture.open(source, track, CODECS[codec])
        await self._publish(track, options)

    async def _publish(
        self,
        track: rtc.LocalAudioTrack | rtc.LocalVideoTrack,
        options: rtc.TrackPublishOptions,
    ) -> None:
        try:
            with anyio.fail_after(ANSWER_SECONDS):
                published = await self._sdk.local_participant.publish_track(track, options)
        except (PublishTrackError, TimeoutError) as exc:
            why = str(exc) or f"no answer within {ANSWER_SECONDS:g} s"
            raise BrokenError(f"the room did not take the {track.name}: {why}") from exc
        self._published.append(published)

    async def wait_heard(self) -> None:
        """Return when somebody receives the voice; there may be nobody who wants it."""
        with anyio.move_on_after(LISTEN_SECONDS):
            await self._published[0].wait_for_subscription()

    async def speak(self) -> None:
        """Send the voice, until cancelled."""
        waiting = bytearray()
        with self._voice.channel.subscribe(max_delay_ms=MAX_DELAY_MS) as frames:
            async for frame in frames:
                waiting += frame.data.cast("B")
                # Without a queue of its own the SDK takes 10 ms at a time.
                while len(waiting) >= PART_BYTES:
                    part, waiting = bytes(waiting[:PART_BYTES]), waiting[PART_BYTES:]
                    try:
                        await self._audio.capture_frame(rtc.AudioFrame(part, RATE, 1, RATE // 100))
                    except Exception:  # noqa: BLE001 - what the SDK raises for a full or lost track
                        self._agent.dropped += 1

    async def send(self) -> None:
        """Send packets, words and states in their order, until `sent`."""
        async for item in self._items:
            try:
                await self._send(item)
            except (LivelayerError, rtc.StreamError, RuntimeError):
                self._agent.dropped += 1  # if the room is lost, that ends it all
        await self._finish_words()
        self._is_sent.set()

    async def sent(self) -> None:
        """Return when everything that was reported is sent."""
        self._put.close()
        await self._is_sent.wait()

    async def _send(self, item: Event | PacketReceived) -> None:
        match item:
            case PacketReceived(data, _, topic):
                await self._room.send(data, topic=topic)
            case DataReceived(from_agent=True):
                if not (item.topic or "").startswith("livelayer."):  # of that session's own
                    await self._room.send(item.data, topic=item.topic)
            case TranscriptUpdated(entry):
                await self._say(entry)
            case TranscriptCleared():
                await self._finish_words()
            case AgentStateChanged(raw=str(raw)):
                await self._room.set_attributes({names.AGENT_STATE: raw})
            case _:
                pass

    async def _say(self, entry: TranscriptEntry) -> None:
        """Send what is new of an utterance: more words, others, or that it is final."""
        before = self._said.get(entry.id)
        if before is not None and (before.text, before.final) == (entry.text, entry.final):
            return
        words = before or _Words("", final=False)
        if words.stream is None or not entry.text.startswith(words.text):
            await _close(words)
            words = _Words("", final=False, stream=await self._open(entry))
        await words.stream.write(entry.text[len(words.text) :])
        words.text, words.final = entry.text, entry.final
        self._said[entry.id] = words
        if entry.final:
            await _close(words)

    async def _open(self, entry: TranscriptEntry) -> Any:
        attributes = {names.SEGMENT_ID: entry.id, names.TRANSCRIPTION_FINAL: "false"}
        if entry.mood:
            attributes[names.EXPRESSION] = msgspec.json.encode({"mood": entry.mood}).decode()
        voice = self._published[0].sid
        return await self._sdk.local_participant.stream_text(
            topic=names.TRANSCRIPTION_TOPIC,
            attributes=attributes
            if entry.role == "user"
            else {**attributes, names.TRANSCRIBED_TRACK_ID: voice},
            sender_identity=self.listener if entry.role == "user" else None,
        )

    async def _finish_words(self) -> None:
        """End every utterance: after a seek they begin anew."""
        said, self._said = self._said, {}
        for words in said.values():
            await _close(words)

    async def aclose(self) -> None:
        self._put.close()
        self._items.close()
        await self._audio.aclose()
        await self._picture.aclose()


async def _close(words: _Words) -> None:
    stream, words.stream = words.stream, None
    if stream is not None:
        final = {names.TRANSCRIPTION_FINAL: "true" if words.final else "false"}
        await stream.aclose(attributes=final)


@final
class _PictureTarget:
    """Takes encoded pictures for a published track."""

    def __init__(self, agent: ReplayAgent) -> None:
        self._agent = agent
        self._source: rtc.EncodedVideoSource | None = None
        self._track: rtc.LocalVideoTrack | None = None
        self._codec: Codec = CODECS["h264"]
        self._last_us = 0

    def open(
        self, source: rtc.EncodedVideoSource, track: rtc.LocalVideoTrack, codec: Codec
    ) -> None:
        self._source, self._track, self._codec = source, track, codec

    def show(self, available: bool) -> None:
        """Follow the recorded picture, which comes and goes."""
        if self._track is not None:
            (self._track.unmute if available else self._track.mute)()

    def push(self, picture: EncodedPicture) -> None:
        source = self._source
        if source is None:
            return
        # After a seek several come at once, and they need times that grow.
        self._last_us = max(self._last_us + 1000, now_ns() // 1000)
        frame = rtc.EncodedVideoFrame(
            picture.data,
            picture.width,
            picture.height,
            self._codec,
            rtc.EncodedFrameType.ENCODED_FRAME_KEY
            if picture.is_key
            else rtc.EncodedFrameType.ENCODED_FRAME_DELTA,
            self._last_us,
        )
        if not source.capture_frame(frame):
            self._agent.dropped += 1

    async def aclose(self) -> None:
        if self._source is not None:
            await self._source.aclose()
