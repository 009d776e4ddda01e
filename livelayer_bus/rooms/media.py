"""Which of the agent's tracks are its face and its voice, and a feed on each of the two."""

from __future__ import annotations

from typing import Final, final

from livekit import rtc

from ..tasks import TaskOwner
from . import names
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
    """Chooses the tracks that are the agent's face and voice, and keeps a feed on each.

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
        self._feeds: dict[TrackKind, VideoTrackReader | AudioTrackReader] = {}
        self._stopping: list[VideoTrackReader | AudioTrackReader] = []
        self._closed = False

    def look(self) -> None:
        """Compare the tracks there are with those that are fed, and change what differs."""
        if not self._closed:
            self._follow("audio")
            self._follow("video")

    def set_muted(self, publication: rtc.TrackPublication, muted: bool) -> None:
        """A track was muted or unmuted by its sender."""
        for feed in self._feeds.values():
            if feed.track.sid == publication.sid:
                feed.set_muted(muted)

    def close(self) -> None:
        """Stop every feed."""
        self._closed = True
        for kind in tuple(self._feeds):
            self._stop(kind)

    async def settled(self) -> None:
        """Wait until the SDK has ended every stream that was stopped; bounded in time."""
        for feed in tuple(self._stopping):
            await feed.settled()

    def _follow(self, kind: TrackKind) -> None:
        chosen = self._choose(kind)
        track = chosen[1].track if chosen else None
        feed = self._feeds.get(kind)
        if feed is not None and feed.track is not track:
            self._stop(kind)
            feed = None
        if feed is None and chosen is not None and track is not None:
            self._feed(kind, chosen[0], chosen[1], track)

    def _stop(self, kind: TrackKind) -> None:
        feed = self._feeds.pop(kind)
        feed.stop()
        self._stopping = [one for one in self._stopping if not one.ended]
        self._stopping.append(feed)

    def _feed(
        self,
        kind: TrackKind,
        owner: rtc.RemoteParticipant,
        publication: rtc.RemoteTrackPublication,
        track: rtc.RemoteTrack,
    ) -> None:
        ref = TrackRef(track, publication, owner.identity, self._sink)
        if kind == "video":
            feed: VideoTrackReader | AudioTrackReader = VideoTrackReader(
                ref, self._writers.video, self._tasks, self._pausing
            )
        else:
            feed = AudioTrackReader(ref, self._writers.audio, self._tasks, self._pausing)
        self._feeds[kind] = feed
        feed.start()

    def _choose(
        self, kind: TrackKind
    ) -> tuple[rtc.RemoteParticipant, rtc.RemoteTrackPublication] | None:
        wanted = rtc.TrackKind.KIND_VIDEO if kind == "video" else rtc.TrackKind.KIND_AUDIO
        ranked = _SOURCES[kind]
        for participant in self._speakers():
            tracks = [
                publication
                for publication in participant.track_publications.values()
                if publication.kind == wanted
                and publication.track is not None
                and publication.source in ranked
            ]
            if tracks:
                return participant, min(tracks, key=lambda one: ranked.index(one.source))
        return None

    def _speakers(self) -> list[rtc.RemoteParticipant]:
        """The agent's avatar workers, then the agent."""
        identity = self._agent.identity
        if identity is None:
            return []
        everyone = self._room.remote_participants
        speakers = [
            one
            for one in everyone.values()
            if one.attributes.get(names.PUBLISH_ON_BEHALF) == identity
            and self._agent.speaks_for_agent(one)
        ]
        agent = everyone.get(identity)
        return [*speakers, agent] if agent is not None else speakers
