"""The agents that are dispatched to rooms, and their jobs as rooms and participants change."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from livekit.protocol import agent, models
from livekit.protocol.agent_dispatch import AgentDispatch, RoomAgentDispatch

from ..errors import ServerRequestError
from ..participant import CallLater, Participant, Track, new_sid
from ..rooms import Room
from .job import Dispatch, Job
from .workers import Worker, WorkerPool

LEAVE_WITHIN = 3.0  # seconds an agent has to leave by itself when its dispatch is deleted

_DEPENDENT = (models.ParticipantInfo.AGENT, models.ParticipantInfo.EGRESS)


@dataclass
class _RoomState:
    dispatches: dict[str, Dispatch] = field(default_factory=dict)
    publishers: set[str] = field(default_factory=set)


class Dispatcher:
    """The dispatches of all rooms; a `RoomObserver`.

    A new room gets the dispatches of its configuration, or, without any, one for the workers
    that have no agent name. A dispatch makes its jobs when it is made (and for each participant
    or publisher, for workers of that kind): workers that register later do not get them.
    """

    def __init__(
        self,
        pool: WorkerPool,
        spawn: Callable[[Coroutine[Any, Any, object]], None],
        call_later: CallLater,
    ) -> None:
        self._pool = pool
        self._spawn = spawn
        self._call_later = call_later
        self._rooms: dict[str, _RoomState] = {}

    # For the server API.

    def create_dispatch(self, room: Room, request: RoomAgentDispatch) -> AgentDispatch:
        """Dispatch an agent to a room."""
        dispatch = Dispatch(room, request)
        self._state(room).dispatches[dispatch.id] = dispatch
        self._launch(dispatch, agent.JT_ROOM)
        for participant in room.participants.values():
            if participant.active and not _dependent(participant):
                self._launch(dispatch, agent.JT_PARTICIPANT, participant)
                if participant.tracks:
                    self._launch(dispatch, agent.JT_PUBLISHER, participant)
        return dispatch.info()

    def delete_dispatch(self, room: Room, dispatch_id: str) -> AgentDispatch:
        """Delete a dispatch: its jobs end and its agents have to leave.

        Raises:
            ServerRequestError: the room has no such dispatch.
        """
        dispatch = self._state(room).dispatches.pop(dispatch_id, None)
        if dispatch is None:
            raise ServerRequestError("not_found", f"no dispatch {dispatch_id!r} in {room.name!r}")
        identities = {job.identity for job in dispatch.jobs if not job.ended}
        self._close(dispatch, agent.JSR_DISPATCH_DELETED)
        if identities:
            self._call_later(LEAVE_WITHIN, lambda: _remove_agents(room, identities))
        return dispatch.info()

    def list_dispatches(self, room: Room, dispatch_id: str = "") -> list[AgentDispatch]:
        """A room's dispatches, or the one with this identifier if it is there."""
        return [
            dispatch.info()
            for dispatch in self._state(room).dispatches.values()
            if dispatch_id in ("", dispatch.id)
        ]

    # For workers.

    def adopt_jobs(self, worker: Worker, job_ids: list[str]) -> None:
        """Assign these jobs to a worker that reconnected and still runs them."""
        for state in self._rooms.values():
            for dispatch in state.dispatches.values():
                for job in dispatch.jobs:
                    if job.id in job_ids and job.id not in worker.jobs:
                        job.adopt(worker.id)
                        worker.jobs[job.id] = job

    def simulate_job(self, worker: Worker, request: agent.SimulateJobRequest) -> None:
        """Give a worker a job that it asks for, outside of any dispatch."""
        with_participant = request.HasField("participant")
        job = Job(
            agent.Job(
                id=new_sid("AJ_"),
                type=agent.JT_PUBLISHER if with_participant else agent.JT_ROOM,
                room=request.room,
                participant=request.participant if with_participant else None,
                namespace=worker.namespace,
                agent_name=worker.agent_name,
                deployment=worker.deployment,
            )
        )
        self._spawn(self._pool.place(job, worker))

    # What happens in rooms (RoomObserver).

    def room_started(self, room: Room) -> None:
        requests = room.config.agents if room.config is not None else ()
        for request in requests or (RoomAgentDispatch(),):
            self.create_dispatch(room, request)

    def room_finished(self, room: Room) -> None:
        state = self._rooms.pop(room.sid, _RoomState())
        for dispatch in state.dispatches.values():
            self._close(dispatch, agent.JSR_ROOM_CLOSED)

    def participant_joined(self, room: Room, participant: Participant) -> None:
        if not _dependent(participant):
            for dispatch in self._state(room).dispatches.values():
                self._launch(dispatch, agent.JT_PARTICIPANT, participant)

    def participant_left(self, room: Room, participant: Participant) -> None:
        self._state(room).publishers.discard(participant.sid)
        if participant.is_agent:
            # In the next turn of the loop: by then an agent that reconnected is in the room again
            # under its identity, and keeps its job.
            self._call_later(0, lambda: self._agent_left(room, participant.identity))

    def track_published(self, room: Room, track: Track) -> None:
        publisher = track.publisher
        state = self._state(room)
        if publisher.sid in state.publishers or _dependent(publisher):
            return
        state.publishers.add(publisher.sid)
        for dispatch in state.dispatches.values():
            self._launch(dispatch, agent.JT_PUBLISHER, publisher)

    def _agent_left(self, room: Room, identity: str) -> None:
        state = self._rooms.get(room.sid)
        if state is None or identity in room.participants:
            return
        for dispatch in state.dispatches.values():
            for job in dispatch.jobs:
                if job.identity == identity:
                    self._pool.terminate(
                        job, agent.JS_FAILED, "the agent left the room", agent.JSR_UNSPECIFIED
                    )

    def _state(self, room: Room) -> _RoomState:
        if room.closed:
            return _RoomState()
        return self._rooms.setdefault(room.sid, _RoomState())

    def _launch(
        self, dispatch: Dispatch, kind: agent.JobType, participant: Participant | None = None
    ) -> None:
        for namespace in self._pool.namespaces(dispatch, kind):
            info = participant.info() if participant is not None else None
            self._spawn(self._place(dispatch, dispatch.new_job(kind, namespace, info)))

    async def _place(self, dispatch: Dispatch, job: Job) -> None:
        try:
            taken = await self._pool.place(job)
        finally:
            dispatch.pending.discard(job)
        if taken:
            dispatch.taken(job)

    def _close(self, dispatch: Dispatch, reason: agent.JobStateReason) -> None:
        dispatch.close()
        for job in list(dispatch.pending):
            self._pool.withdraw(job)
        for job in dispatch.jobs:
            self._pool.terminate(job, agent.JS_SUCCESS, "", reason)


def _dependent(participant: Participant) -> bool:
    permission = participant.permission
    return participant.info().kind in _DEPENDENT or permission.agent or permission.recorder


def _remove_agents(room: Room, identities: set[str]) -> None:
    for identity in identities:
        participant = room.participants.get(identity)
        if participant is not None and participant.is_agent:
            room.remove(participant, models.DisconnectReason.PARTICIPANT_REMOVED)
