"""Which participant is the agent, its state, and which tracks are its face and its voice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from livekit import rtc

from ..events import Role
from ..tasks import TaskOwner
from . import names
from .port import AgentPresence, AgentStateReported, MediaWriters, RoomSink, TrackKind
from .track_readers import AudioTrackReader, Pausing, TrackRef, VideoTrackReader

MAX_DEPARTED: Final = 64  # participants remembered after they left

_Source = rtc.TrackSource
# What speaks or shows a face comes before what merely accompanies it.
_KINDS: Final[dict[TrackKind, tuple[rtc.TrackKind.ValueType, tuple[_Source.ValueType, ...]]]] = {
    "audio": (
        rtc.TrackKind.KIND_AUDIO,
        (_Source.SOURCE_MICROPHONE, _Source.SOURCE_UNKNOWN, _Source.SOURCE_SCREENSHARE_AUDIO),
    ),
    "video": (
        rtc.TrackKind.KIND_VIDEO,
        (_Source.SOURCE_CAMERA, _Source.SOURCE_UNKNOWN, _Source.SOURCE_SCREENSHARE),
    ),
}


def is_agent(participant: rtc.Participant) -> bool:
    """Whether this is an agent itself, not the avatar worker of one."""
    kind = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
    return participant.kind == kind and names.PUBLISH_ON_BEHALF not in participant.attributes


@dataclass(eq=False)
class AgentWatch:
    """Reports the agent among a room's participants: the first one, until it leaves."""

    room: rtc.Room
    sink: RoomSink
    presence: AgentPresence = field(default_factory=lambda: AgentPresence(None, active=False))
    _raw_state: str | None = None
    _departed: dict[str, Role] = field(default_factory=dict[str, Role])

    def look(self) -> None:
        """Compare the room's participants with what was reported, and report the difference."""
        agent = self._choose()
        presence = AgentPresence(None, active=False)
        if agent is not None:
            active = agent.state == rtc.ParticipantState.PARTICIPANT_STATE_ACTIVE
            confirms = agent.attributes.get(names.CONFIRMS) == "true"
            presence = AgentPresence(agent.identity, active, confirms)
        if presence.identity != self.presence.identity:
            self._raw_state = None
        if presence != self.presence:
            self.presence = presence
            self.sink.report(presence)
        raw = agent.attributes.get(names.AGENT_STATE) if agent else None
        if raw and raw != self._raw_state:
            self._raw_state = raw
            self.sink.report(AgentStateReported(raw))

    def _choose(self) -> rtc.RemoteParticipant | None:
        known = self.room.remote_participants
        current = known.get(self.presence.identity or "")
        if current is not None and is_agent(current):
            return current
        # The mapping is in order of arrival, as far as this participant can tell.
        return next(filter(is_agent, known.values()), None)

    def _find(self, identity: str) -> rtc.Participant | None:
        own = self.room.local_participant
        return own if identity == own.identity else self.room.remote_participants.get(identity)

    def speaks_for_this_agent(self, participant: rtc.Participant | None) -> bool:
        """Whether `participant` is the session's agent, or publishes on its behalf."""
        principal = self._principal(participant)
        # Not `presence`: a packet may arrive before the agent was reported.
        agent = self._choose() if principal is not None else None
        return agent is not None and agent.identity == principal

    def _principal(self, participant: rtc.Participant | None) -> str | None:
        """The identity of the agent that `participant` is or publishes for.

        The server sets the kind. The attribute counts only if the participant cannot have set it:
        with the right to update its own metadata it could name any agent there.
        """
        if participant is None:
            return None
        named = participant.attributes.get(names.PUBLISH_ON_BEHALF, "")
        if participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT:
            return named or participant.identity
        permissions = participant.permissions
        # Empty: the server does not send permissions, so nothing is known about them.
        if permissions.can_update_metadata or not permissions.ByteSize():
            return None
        principal = self._find(named)
        return named if principal is not None and is_agent(principal) else None

    def role(self, sender: str, track_sid: str | None) -> Role | None:
        """Whose words a transcription holds: the publisher's of the track, else the sender's.

        Only an agent's stream can name another participant's track. None while neither is known: a
        server may announce a participant after its first words.
        """
        role = self._role_of(self._find(sender)) or self._departed.get(sender)
        if track_sid and role != "user":
            everyone = (self.room.local_participant, *self.room.remote_participants.values())
            publishers = (one for one in everyone if track_sid in one.track_publications)
            role = self._role_of(next(publishers, None)) or role
        return role

    def _role_of(self, participant: rtc.Participant | None) -> Role | None:
        if participant is None:
            return None
        return "user" if self._principal(participant) is None else "agent"

    def left(self, participant: rtc.RemoteParticipant) -> None:
        """Remember the role of a participant that left: its last words may arrive later."""
        self._departed[participant.identity] = self._role_of(participant) or "user"
        if len(self._departed) > MAX_DEPARTED:
            del self._departed[next(iter(self._departed))]


@dataclass(eq=False)
class AgentMedia:
    """Keeps a reader on each of the tracks that are the agent's face and voice.

    An avatar worker's track comes before the agent's own. When a track vanishes, its channel stays.
    """

    agent: AgentWatch
    writers: MediaWriters
    tasks: TaskOwner
    pausing: Pausing
    _readers: dict[TrackKind, VideoTrackReader | AudioTrackReader] = field(default_factory=dict)
    _stopping: list[VideoTrackReader | AudioTrackReader] = field(default_factory=list)
    _closed: bool = False

    def look(self) -> None:
        for kind in () if self._closed else _KINDS:
            chosen, reader = self._choose(kind), self._readers.get(kind)
            if reader is not None and chosen is not None and reader.track is chosen.track:
                continue
            if reader is not None:
                self._stop(kind)
            if chosen is not None:
                self._read(kind, chosen)

    def set_muted(self, publication: rtc.TrackPublication, muted: bool) -> None:
        for reader in self._readers.values():
            if reader.track.sid == publication.sid:
                reader.set_muted(muted)

    def close(self) -> None:
        self._closed = True
        for kind in tuple(self._readers):
            self._stop(kind)

    async def settled(self) -> None:
        for reader in tuple(self._stopping):
            await reader.settled()

    def _stop(self, kind: TrackKind) -> None:
        reader = self._readers.pop(kind)
        reader.stop()
        self._stopping = [one for one in self._stopping if not one.ended]
        self._stopping.append(reader)

    def _read(self, kind: TrackKind, ref: TrackRef) -> None:
        reader: VideoTrackReader | AudioTrackReader
        if kind == "video":
            reader = VideoTrackReader(ref, self.writers.video, self.tasks, self.pausing)
        else:
            reader = AudioTrackReader(ref, self.writers.audio, self.tasks, self.pausing)
        self._readers[kind] = reader
        reader.start()

    def _choose(self, kind: TrackKind) -> TrackRef | None:
        wanted, ranked = _KINDS[kind]
        everyone = self.agent.room.remote_participants.values()
        speakers = filter(self.agent.speaks_for_this_agent, everyone)
        agent = self.agent.presence.identity
        # The agent's avatar workers, then the agent.
        for participant in sorted(speakers, key=lambda one: one.identity == agent):
            tracks = [
                TrackRef(publication.track, publication, participant.identity, self.agent.sink)
                for publication in participant.track_publications.values()
                if publication.kind == wanted
                and publication.track is not None
                and publication.source in ranked
            ]
            if tracks:
                return min(tracks, key=lambda one: ranked.index(one.publication.source))
        return None
