"""A recording as it is read: its manifest, its events by time, and what was known at any time."""

from __future__ import annotations

import os
from bisect import bisect_right
from pathlib import Path
from typing import Final, final

import msgspec
from msgspec.structs import replace

from livelayer_bus import ConnectionStateChanged, Event, TranscriptUpdated
from livelayer_bus.errors import MalformedMessageError
from livelayer_bus.events import TranscriptCleared
from livelayer_bus.jsonl import EventLine, SnapshotLine
from livelayer_bus.state import SessionState, reduce
from livelayer_bus.transcript import Transcript

from .errors import NotARecordingError
from .event_log import read_events
from .manifest import CAPTIONS, EVENTS, Manifest, read_manifest

NS_PER_SECOND: Final = 1_000_000_000


class Moment(msgspec.Struct, frozen=True):
    """One event, and when it happened in seconds of the recording."""

    seconds: float
    event: Event
    sequence: int


@final
class Recording:
    """A folder that `RecorderSurface` wrote, whether or not it was finished.

    Its events are in memory; its media is not.

    Raises:
        NotARecordingError: the folder is not a recording, or of a version that this one cannot
            read.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory: Final = Path(directory).expanduser()
        self.manifest: Final[Manifest] = read_manifest(self.directory)
        self.unreadable = 0
        """Lines of another version, or of an application's own events, that are left out."""
        self.lost = 0
        """Events that the recorder lost; the snapshot after them says what they led to."""
        self._snapshots: list[tuple[float, SessionState]] = []
        moments: list[Moment] = []
        start_ns = self.manifest.start_ns
        try:
            for line in read_events(self.directory / EVENTS):
                match line:
                    case EventLine():
                        seconds = max(0.0, (line.time_ns - start_ns) / NS_PER_SECOND)
                        moments.append(Moment(seconds, line.event, line.sequence))
                    case SnapshotLine():
                        seconds = max(0.0, (line.time_ns - start_ns) / NS_PER_SECOND)
                        self._snapshots.append((seconds, line.state))
                    case MalformedMessageError():
                        self.unreadable += 1
                    case _:
                        self.lost += line.missed
        except OSError as exc:
            problem = f"it has no {EVENTS} ({exc.strerror})"
            raise NotARecordingError(self.directory, problem) from exc
        if not self._snapshots:
            raise NotARecordingError(self.directory, f"its {EVENTS} has no snapshot")
        self.moments: Final = tuple(moments)
        """The events in order, those of the recorded session's surfaces included."""
        self._times: Final = [moment.seconds for moment in moments]

    @property
    def seconds(self) -> float:
        """How long it lasts; of a recording that was cut off, until its last event."""
        return max(self.manifest.seconds, self._times[-1] if self._times else 0.0)

    @property
    def media(self) -> Path | None:
        """The media file, if there is one."""
        candidates = [self.manifest.media] if self.manifest.media else ["media.mp4", "media.mkv"]
        paths = [self.directory / name for name in candidates]
        return next((path for path in paths if path.is_file() and path.stat().st_size), None)

    @property
    def captions(self) -> Path:
        return self.directory / CAPTIONS

    @property
    def first(self) -> SessionState:
        """What was known when the recording began."""
        return self._snapshots[0][1]

    def index_after(self, seconds: float) -> int:
        """The first of `moments` that is later than this."""
        return bisect_right(self._times, seconds)

    def state_at(self, seconds: float) -> SessionState:
        """What was known at a time, all events at that time included."""
        known = [state for began, state in self._snapshots if began <= seconds]
        state = known[-1] if known else self.first
        said = Transcript.of(state.transcript, state.transcript_omitted, state.transcript_limit)
        state = replace(state, transcript=())
        for moment in self.moments[: self.index_after(seconds)]:
            if moment.sequence <= state.sequence:
                continue
            match moment.event:
                case TranscriptUpdated(entry):
                    said = said.add(entry)
                    state = replace(state, sequence=moment.sequence)
                case TranscriptCleared():
                    said = Transcript.of((), 0, state.transcript_limit)
                    state = replace(state, sequence=moment.sequence)
                case event:
                    epoch = state.epoch
                    state = replace(reduce(state, event), sequence=moment.sequence)
                    if state.epoch != epoch:
                        said = Transcript.of((), 0, state.transcript_limit)
        return replace(state, transcript=said.entries, transcript_omitted=said.omitted)

    def joined_at(self) -> int:
        """How many of `moments` lead to the first join; 0 if the room was joined before."""
        if self.first.connection_state == "connected":
            return 0
        states = [
            (number, moment.event.state)
            for number, moment in enumerate(self.moments, 1)
            if isinstance(moment.event, ConnectionStateChanged)
        ]
        joins = [number for number, state in states if state == "connected"]
        tries = [number for number, state in states if state == "connecting"]
        return joins[0] if joins else tries[0] if tries else 0
