"""Writes one recording: what happens in a session becomes the files of a folder."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, final

import anyio
import av.error
import msgspec
from msgspec.structs import replace

from livelayer_bus import (
    AgentAvailabilityChanged,
    AgentConfigChanged,
    AudioChannel,
    AudioFrame,
    ConnectionStateChanged,
    EpochStarted,
    Event,
    Lagged,
    LivelayerError,
    Subscription,
    SurfaceSession,
    TranscriptUpdated,
    VideoChannel,
    VideoFrame,
)
from livelayer_bus.clock import now_ns
from livelayer_bus.errors import NotSupportedError
from livelayer_bus.events import CameraChanged
from livelayer_bus.jsonl import utc
from livelayer_bus.state import SessionState
from livelayer_bus.surfaces import BackgroundWriter

from . import event_log
from .captions import HEADER, Captions, Cue, document, encode_cue
from .encoder_thread import EncoderThread
from .errors import RecordingBrokenError
from .event_log import LineFile
from .manifest import (
    CAPTIONS,
    EVENTS,
    MANIFEST,
    Drops,
    Manifest,
    Status,
    Track,
    versions,
    write_manifest,
)
from .media_file import MediaFile
from .redaction import Redact, redacted_state, without_field_values
from .tracks import SOURCES, MediaOptions, Source

TICK_SECONDS: Final = 0.1
"""From one look of the encoder at what has come to the next, while no picture comes."""
HEAD_START_SECONDS: Final = 0.003
"""How long the encoder waits after a picture: other surfaces have it by then, and do not share the
processor with the encoder while they get it."""
MANIFEST_SECONDS: Final = 2.0
FLUSH_SECONDS: Final = 3.5
"""How long unmounting may take to finish the files: less than a session's share for surfaces."""
SAY_SECONDS: Final = 0.5
"""How long telling the agent that the recording ended may take."""
MAX_WAITING_BYTES: Final = 64 * 1024 * 1024
"""Pictures that may wait for the encoder."""
MAX_WAITING_NS: Final = 2_000_000_000
"""How far the encoder may be behind before pictures are dropped."""
MAX_WAITING_SOUND: Final = 1000
"""Frames of sound that may wait for it: ten seconds."""
MAX_DELAY_MS: Final = 2000
CHUNK: Final = 256  # events written at once

RECORDING_STATE: Final = "recording_state"
"""The type of the data message that tells the agent whether a recording runs."""

_TURNS: Final = (AgentAvailabilityChanged, ConnectionStateChanged, EpochStarted)
_FAULTS: Final = (OSError, av.error.FFmpegError)


class _Item(msgspec.Struct, frozen=True):
    source: Source
    received_ns: int
    frame: VideoFrame | AudioFrame | None
    """None: it has no picture any more."""


class RecordingOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What is recorded, and what is left out; see `RecorderSurface`."""

    media: MediaOptions = MediaOptions()
    max_fps: float | None = None
    redact: Redact | None = None
    field_values: bool = False
    delete_after_days: float | None = None
    announce: bool = True


@final
class SessionWriter:
    """Writes one recording, from its first event to its last; used by one mount of a recorder.

    Its folder's files are made by the constructor, which may block for as long as a disk does.
    """

    def __init__(
        self,
        folder: Path,
        options: RecordingOptions,
        session: SurfaceSession,
        events: Subscription[Event, SessionState],
        start_ns: int,
    ) -> None:
        """Begin a recording in `folder`, which exists and holds none.

        Raises:
            OSError: a file cannot be created.
        """
        self.problem: str | None = None
        """Why the recording cannot go on; None if it can."""
        self._folder = folder
        self._options = options
        self._session = session
        self._events = events
        self._start_ns = start_ns
        self._items: deque[_Item] = deque()
        self._waiting_bytes = 0
        self._waiting_sound = 0
        self._picture_came = anyio.Event()
        self._drops = Drops()
        self._media: MediaFile | None = None
        self._captions = Captions()
        self._is_closed = False
        self._lines: list[bytes] = []
        self._new_cues: list[Cue] = []
        self._writer: BackgroundWriter[tuple[LineFile, bytes]] = BackgroundWriter(_write)
        state = events.snapshot
        self.manifest = Manifest(
            session_id=state.id,
            agent_id=state.agent_id,
            agent_config=state.agent_config,
            started=utc(start_ns),
            start_ns=start_ns,
            delete_after=_in_days(options.delete_after_days),
            redacted=not options.field_values,
            versions=versions(),
        )
        write_manifest(self._folder, self.manifest)
        self._log = LineFile(self._folder / EVENTS)
        self._cues = LineFile(self._folder / CAPTIONS)
        first = redacted_state(state, self._cleaned)
        self._log.write(event_log.snapshot_line(first, start_ns))
        self._cues.write(HEADER.encode())
        for entry in first.transcript:
            self._hear(TranscriptUpdated(entry), start_ns)
        self._thread = EncoderThread()

    # Events ---------------------------------------------------------------------------------

    async def write_events(self) -> None:
        """Write every event, until the session is closed.

        Raises:
            RecordingBrokenError: the files cannot be written.
        """
        while await self._read_some():
            await self._write_read()

    async def _read_some(self) -> bool:
        """Wait for events; False if the session is closed. A cancelled call loses none."""
        records = self._events.records()
        try:
            while True:
                record = await anext(records)
                event = self._cleaned(record.event)
                if event is not None:
                    self._lines.append(event_log.event_line(self._session.id, record, event))
                    self._hear(event, record.time_ns)
                if not self._events.lag or len(self._lines) >= CHUNK:
                    return True
        except Lagged as lagged:
            time_ns, missed = now_ns(), lagged.missed + self._events.lag
            self._drops = replace(self._drops, events=self._drops.events + missed)
            state = redacted_state(self._events.resync(), self._cleaned)
            self._lines.append(event_log.lagged_line(missed, time_ns))
            self._lines.append(event_log.snapshot_line(state, time_ns))
            return True
        except StopAsyncIteration:
            return False

    async def _write_read(self) -> None:
        lines, self._lines = b"".join(self._lines), []
        cues, self._new_cues = "".join(map(encode_cue, self._new_cues)), []
        try:
            await self._writer.put((self._log, lines))
            if cues:
                await self._writer.put((self._cues, cues.encode()))
        except OSError as exc:
            raise RecordingBrokenError(self._folder / EVENTS, problem_of(exc)) from exc

    def _cleaned(self, event: Event) -> Event | None:
        if not self._options.field_values:
            event = without_field_values(event)
        redact = self._options.redact
        return event if redact is None else redact(event)

    def _hear(self, event: Event, time_ns: int) -> None:
        """Take in what is said, what the agent looks like, and that the camera is off."""
        is_off = isinstance(event, CameraChanged) and (event.owner is None or event.muted)
        if is_off and self._media is not None:
            self._items.append(_Item("camera", time_ns, None))
        if isinstance(event, AgentConfigChanged):
            self.manifest = replace(self.manifest, agent_config=event.config)
        if isinstance(event, TranscriptUpdated):
            cue = self._captions.hear(event.entry, (time_ns - self._start_ns) / 1e9)
            # Captions are in step with the media; before there is some, they wait for the end.
            if cue is not None and self._media is not None:
                self._new_cues.append(cue.earlier(self._media_start))

    @property
    def _media_start(self) -> float:
        """Where the media begins, in seconds of the recording."""
        media = self._media
        return 0.0 if media is None else (media.start_ns - self._start_ns) / 1e9

    # Media ----------------------------------------------------------------------------------

    async def take_pictures(self, source: Source) -> None:
        """Hand a source's pictures over to the encoder, until cancelled."""
        if source not in self._options.media.picture_sources:
            return
        try:
            is_agent = source == "agent"
            channel = self._session.video if is_agent else self._session.camera.sent
        except NotSupportedError:
            return
        if not isinstance(channel, VideoChannel):
            return
        with channel.subscribe(max_fps=self._options.max_fps) as pictures:
            async for picture in pictures:
                behind_ns = picture.received_ns - self._oldest_ns()
                if self._waiting_bytes < MAX_WAITING_BYTES and behind_ns < MAX_WAITING_NS:
                    self._waiting_bytes += picture.nbytes
                    self._hand_over(source, picture, picture.received_ns)
                    self._picture_came.set()
                else:
                    self._drops = replace(self._drops, pictures=self._drops.pictures + 1)

    async def take_sound(self, source: Source) -> None:
        """Hand a source's sound over to the encoder, until cancelled."""
        if source not in self._options.media.sound_sources:
            return
        try:
            is_agent = source == "agent"
            channel = self._session.audio if is_agent else self._session.microphone.sent
        except NotSupportedError:
            return
        if not isinstance(channel, AudioChannel):
            return
        with channel.subscribe(max_delay_ms=MAX_DELAY_MS) as sound:
            async for frame in sound:
                if self._waiting_sound < MAX_WAITING_SOUND:
                    self._waiting_sound += 1
                    self._hand_over(source, frame, frame.received_ns - frame.duration_ns)
                else:
                    self._drops = replace(self._drops, sound_frames=self._drops.sound_frames + 1)

    def _oldest_ns(self) -> int:
        try:
            return self._items[0].received_ns
        except IndexError:  # the encoder took it just now
            return now_ns()

    def _hand_over(self, source: Source, frame: VideoFrame | AudioFrame, starts_ns: int) -> None:
        if self._media is None:
            path = self._folder / f"media.{self._options.media.format}"
            # Not before the recording: a reader gets the picture that is there at once.
            self._media = MediaFile(path, max(starts_ns, self._start_ns), self._options.media)
        self._items.append(_Item(source, frame.received_ns, frame))

    async def encode(self) -> None:
        """Encode what was handed over, until cancelled.

        Raises:
            RecordingBrokenError: the file cannot be written.
        """
        written_ns = now_ns()
        while True:
            with anyio.move_on_after(TICK_SECONDS):
                await self._picture_came.wait()
                await anyio.sleep(HEAD_START_SECONDS)
            self._picture_came = anyio.Event()
            if self._media is not None:
                await self._in_thread(self._media.path.name, partial(self._drain, now_ns()))
            if now_ns() - written_ns > MANIFEST_SECONDS * 1e9:
                written_ns = now_ns()
                self._update_manifest(written_ns)
                save = partial(write_manifest, self._folder, self.manifest)
                await self._in_thread(MANIFEST, save)

    def _drain(self, at_ns: int) -> None:
        """In a thread: encode what had been handed over at `at_ns`."""
        media = self._media
        if media is None or self._is_closed:
            return
        for _ in range(len(self._items)):
            item = self._items.popleft()
            frame = item.frame
            if isinstance(frame, VideoFrame):
                self._waiting_bytes -= frame.nbytes
                media.add_picture(frame, item.source)
                media.advance(item.received_ns)  # an encoder that is behind writes sound, too
            elif isinstance(frame, AudioFrame):
                self._waiting_sound -= 1
                media.add_sound(frame, item.source)
            else:
                media.blank(item.source, item.received_ns)
        media.advance(at_ns)

    # The agent knows ------------------------------------------------------------------------

    async def tell_agent(self) -> None:
        """Tell each agent that comes that a recording runs, until cancelled."""
        if not self._options.announce:
            return
        told: str | None = None
        with self._session.subscribe(*_TURNS) as turns:
            while True:
                state = self._session.state
                if state.agent_identity is None:
                    told = None
                elif state.agent_active and state.agent_identity != told:
                    told = state.agent_identity
                    await self._say(active=True)
                try:
                    await anext(turns)
                except Lagged:
                    turns.resync()
                except StopAsyncIteration:
                    return

    async def _say(self, *, active: bool) -> None:
        with suppress(LivelayerError):
            await self._session.send_data({"type": RECORDING_STATE, "active": active})

    # The end --------------------------------------------------------------------------------

    async def finish(self) -> None:
        """Write what is left, close every file, and say in the manifest how it ended."""
        end_ns = now_ns()
        problem = self.problem
        state = self._session.state
        if self._options.announce and state.agent_active and state.connection_state == "connected":
            with anyio.move_on_after(SAY_SECONDS):
                await self._say(active=False)
        with anyio.move_on_after(FLUSH_SECONDS) as scope:
            try:
                if problem is None:
                    while self._events.lag and await self._read_some():
                        pass
                    await self._write_read()
            except RecordingBrokenError as exc:
                problem = str(exc)
            try:
                await self._in_thread("", partial(self._close, end_ns, problem))
            except RecordingBrokenError as exc:
                problem = problem or str(exc)
        self._thread.close()
        if scope.cancelled_caught:
            self._update_manifest(end_ns)
            problem = problem or f"the files were not finished within {FLUSH_SECONDS:g} s"
        self.problem = problem

    def _close(self, end_ns: int, problem: str | None) -> None:
        """In a thread: finish every file, as far as that is possible."""
        faults: list[Exception] = []
        for step in (
            partial(self._drain, end_ns),
            partial(self._close_media, end_ns),
            self._log.close,
            self._cues.close,
        ):
            try:
                step()
            except _FAULTS as exc:
                faults.append(exc)
        problem = problem or (problem_of(faults[0]) if faults else None)
        self._update_manifest(end_ns)
        status: Status = "broken" if problem else "finished"
        self.manifest = replace(self.manifest, status=status, problem=problem)
        self._rewrite_captions()
        write_manifest(self._folder, self.manifest)
        if faults:
            raise faults[0]

    def _close_media(self, end_ns: int) -> None:
        self._is_closed = True
        if self._media is not None:
            self._media.close(end_ns)

    def _rewrite_captions(self) -> None:
        """In order, and as long as the media; until now they stood as they were finished."""
        seconds = self.manifest.seconds
        if self._media is not None and self._media.was_opened:
            seconds = self._media.counts().seconds
        cues = self._captions.finish(self._media_start + seconds)
        text = document([cue.earlier(self._media_start) for cue in cues], seconds)
        temporary = self._folder / f".{CAPTIONS}.tmp"
        temporary.write_text(text, "utf-8")
        temporary.replace(self._folder / CAPTIONS)

    def _update_manifest(self, at_ns: int) -> None:
        media, options = self._media, self._options.media
        seconds = round((at_ns - self._start_ns) / 1e9, 3)
        self.manifest = replace(self.manifest, seconds=seconds, drops=self._drops)
        if media is None or not media.was_opened:
            return
        counts = media.counts()
        video_codec, audio_codec = ("h264", "aac") if options.format == "mp4" else ("vp8", "opus")
        width, height = media.size
        tracks: list[Track] = []
        for source in SOURCES:
            if source in options.picture_sources:
                picture = Track(kind="video", codec=video_codec, width=width, height=height)
                tracks.append(replace(picture, source=source))
            if source in options.sound_sources:
                sound = Track(kind="audio", codec=audio_codec, sample_rate=48_000)
                tracks.append(replace(sound, source=source))
        pictures = self._drops.pictures + counts.late
        self.manifest = replace(
            self.manifest,
            media=media.path.name,
            media_start=round(self._media_start, 6),
            tracks=tuple(tracks),
            sizes=counts.sizes,
            pictures=counts.pictures,
            gaps=counts.gaps,
            drops=replace(self._drops, pictures=pictures),
        )

    async def _in_thread(self, name: str, work: Callable[[], None]) -> None:
        try:
            await self._thread.run(work)
        except _FAULTS as exc:
            raise RecordingBrokenError(self._folder / name, problem_of(exc)) from exc


def _write(item: tuple[LineFile, bytes]) -> None:
    file, lines = item
    file.write(lines)


def _in_days(days: float | None) -> str | None:
    if days is None:
        return None
    return f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}"


def problem_of(error: Exception) -> str:
    """What went wrong with a file, in the words of the operating system or of FFmpeg."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
