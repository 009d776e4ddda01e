"""Which of the agent's tracks are its face and its voice, and a reader for each of the two."""

from __future__ import annotations

from typing import Final, final

from livekit import rtc

from ..tasks import TaskOwner
from .agent import AgentWatch
from .port import MediaWriters, RoomSink, TrackKind
from .track_readers import AudioTrackReader, Pausing, TrackRef, VideoTrackReader

_Source = rtc.TrackSource
_SOURCES: Final = {  # what speaks or shows a face comes before what merely accompanies it
    "video": (_Source.SOURCE_CAMERA, _Source.SOURCE_UNKNOWN, _Source.SOURCE_SCREENSHARE),
    "audio": (
        _Source.SOURCE_MICROPHONE,
        _Source.SOURCE_UNKNOWN,
        _Source.SOURCE_SCREENSHARE_AUDIO,
    ),
}


@final
class AgentMedia:
    """Chooses the tracks that are the agent's face and voice, and keeps a reader on each.

    An avatar worker's track comes before the agent's own. When the track chosen vanishes, the
    channel stays and waits for the next one.
    """

    def __init__(
        self,
        room: rtc.Room,
        sink: RoomSink,
        writers: MediaWriters,
        agent: AgentWatch,
        tasks: TaskOwner,
        pausing: Pausing,
    ) -> None:
        self._room = room
        self._sink = sink
        self._writers = writers
        self._agent = agent
        self._tasks = tasks
        self._pausing = pausing
        self._readers: dict[TrackKind, VideoTrackReader | AudioTrackReader] = {}
        self._stopping: list[VideoTrackReader | AudioTrackReader] = []
        self._closed = False

    def look(self) -> None:
        """Compare the tracks there are with those that are read, and change what differs."""
        if not self._closed:
            self._follow("audio")
            self._follow("video")

    def set_muted(self, publication: rtc.TrackPublication, muted: bool) -> None:
        """A track was muted or unmuted by its sender."""
        for reader in self._readers.values():
            if reader.track.sid == publication.sid:
                reader.set_muted(muted)

    def close(self) -> None:
        """Stop every reader."""
        self._closed = True
        for kind in tuple(self._readers):
            self._stop(kind)

    async def settled(self) -> None:
        """Wait until the SDK has ended every stream that was stopped; bounded in time."""
        for reader in tuple(self._stopping):
            await reader.settled()

    def _follow(self, kind: TrackKind) -> None:
        chosen = self._choose(kind)
        reader = self._readers.get(kind)
        if reader is not None:
            if chosen is not None and reader.track is chosen.track:
                return
            self._stop(kind)
        if chosen is not None:
            self._read(kind, chosen)

    def _stop(self, kind: TrackKind) -> None:
        reader = self._readers.pop(kind)
        reader.stop()
        self._stopping = [one for one in self._stopping if not one.ended]
        self._stopping.append(reader)

    def _read(self, kind: TrackKind, ref: TrackRef) -> None:
        tasks, pausing = self._tasks, self._pausing
        reader: VideoTrackReader | AudioTrackReader
        if kind == "video":
            reader = VideoTrackReader(ref, self._writers.video, tasks, pausing)
        else:
            reader = AudioTrackReader(ref, self._writers.audio, tasks, pausing)
        self._readers[kind] = reader
        reader.start()

    def _choose(self, kind: TrackKind) -> TrackRef | None:
        wanted = rtc.TrackKind.KIND_VIDEO if kind == "video" else rtc.TrackKind.KIND_AUDIO
        ranked = _SOURCES[kind]
        for participant in self._speakers():
            tracks = [
                TrackRef(publication.track, publication, participant.identity, self._sink)
                for publication in participant.track_publications.values()
                if publication.kind == wanted
                and publication.track is not None
                and publication.source in ranked
            ]
            if tracks:
                return min(tracks, key=lambda one: ranked.index(one.publication.source))
        return None

    def _speakers(self) -> list[rtc.RemoteParticipant]:
        """The agent's avatar workers, then the agent."""
        everyone = self._room.remote_participants.values()
        speakers = [one for one in everyone if self._agent.speaks_for_this_agent(one)]
        return sorted(speakers, key=lambda one: one.identity == self._agent.identity)
