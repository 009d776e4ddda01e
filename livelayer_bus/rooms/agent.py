"""Which participant is the agent, which ones publish for it, and the state that it reports."""

from __future__ import annotations

from typing import Final, final

from livekit import rtc

from ..events import Role
from . import names
from .port import AgentPresence, AgentStateReported, RoomSink

MAX_DEPARTED: Final = 64  # participants remembered after they left


def is_agent(participant: rtc.Participant) -> bool:
    """Whether this is an agent itself, not the avatar worker of one."""
    kind = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
    return participant.kind == kind and names.PUBLISH_ON_BEHALF not in participant.attributes


@final
class AgentWatch:
    """Follows the agent among a room's participants and tells the sink what changed.

    The first agent stays the agent until it leaves; then the next one takes over.
    """

    def __init__(self, room: rtc.Room, sink: RoomSink) -> None:
        self._room = room
        self._sink = sink
        self._raw_state: str | None = None
        self._presence = AgentPresence(None, active=False)
        self._departed: dict[str, Role] = {}

    @property
    def identity(self) -> str | None:
        """The agent's identity, as it was reported."""
        return self._presence.identity

    @property
    def active(self) -> str | None:
        """The agent's identity once it is active."""
        return self._presence.identity if self._presence.active else None

    def look(self) -> None:
        """Compare the room's participants with what was reported, and report the difference."""
        agent = self._choose()
        presence = AgentPresence(None, active=False)
        if agent is not None:
            active = agent.state == rtc.ParticipantState.PARTICIPANT_STATE_ACTIVE
            confirms = agent.attributes.get(names.CONFIRMS) == "true"
            presence = AgentPresence(agent.identity, active, confirms)
        if presence.identity != self.identity:
            self._raw_state = None
        if presence != self._presence:
            self._presence = presence
            self._sink.report(presence)
        raw = agent.attributes.get(names.AGENT_STATE) if agent else None
        if raw and raw != self._raw_state:
            self._raw_state = raw
            self._sink.report(AgentStateReported(raw))

    def _choose(self) -> rtc.RemoteParticipant | None:
        known = self._room.remote_participants
        current = known.get(self.identity) if self.identity is not None else None
        if current is not None and is_agent(current):
            return current
        # The mapping is in order of arrival, as far as this participant can tell.
        return next((one for one in known.values() if is_agent(one)), None)

    def find(self, identity: str) -> rtc.Participant | None:
        """The participant of that identity, the local one included."""
        if identity == self._room.local_participant.identity:
            return self._room.local_participant
        return self._room.remote_participants.get(identity)

    def speaks_for_this_agent(self, participant: rtc.Participant | None) -> bool:
        """Whether `participant` is the session's agent, or publishes on its behalf."""
        principal = self._principal(participant)
        # Not `identity`: a packet may arrive before the agent was reported.
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
        principal = self.find(named)
        return named if principal is not None and is_agent(principal) else None

    def role(self, sender: str, track_sid: str | None) -> Role | None:
        """Whose words a transcription holds: the publisher's of the track, else the sender's.

        Only an agent's stream can name another participant's track. None while neither is known: a
        server may announce a participant after its first words.
        """
        role = self._role_of(self.find(sender)) or self._departed.get(sender)
        if track_sid and role != "user":
            role = self._role_of(self._publisher(track_sid)) or role
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

    def _publisher(self, track_sid: str) -> rtc.Participant | None:
        everyone: list[rtc.Participant] = [self._room.local_participant]
        everyone.extend(self._room.remote_participants.values())
        return next((one for one in everyone if track_sid in one.track_publications), None)
