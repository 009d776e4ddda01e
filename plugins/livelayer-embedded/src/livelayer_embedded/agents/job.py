"""Dispatches (an agent is wanted in a room) and the jobs that they make, as plain state."""

from __future__ import annotations

import time

from livekit.protocol import agent, models
from livekit.protocol.agent_dispatch import AgentDispatch, AgentDispatchState, RoomAgentDispatch

from ..participant import new_sid
from ..rooms import Room

KEPT_JOBS = 64  # ended jobs a dispatch still lists


class Job:
    """One job: pending until a worker accepts it, then running, then ended.

    Only its methods change `info`.
    """

    def __init__(self, info: agent.Job) -> None:
        self.info = info
        self.withdrawn = False

    @property
    def id(self) -> str:
        """The `AJ_` identifier."""
        return self.info.id

    @property
    def identity(self) -> str:
        """The agent's identity in the room; empty until a worker accepts the job."""
        return self.info.state.participant_identity

    @property
    def ended(self) -> bool:
        """Whether it succeeded or failed."""
        return self.info.state.status in (agent.JS_SUCCESS, agent.JS_FAILED)

    def offered(self, worker_id: str) -> None:
        """Record the worker that is asked now."""
        self.info.state.worker_id = worker_id
        self._touch()

    def run_as(self, identity: str) -> None:
        """Record that the worker accepted it, for an agent of this identity."""
        state = self.info.state
        state.status = agent.JS_RUNNING
        state.participant_identity = identity
        state.started_at = time.time_ns()
        self._touch()

    def adopt(self, worker_id: str) -> None:
        """Record that a worker that reconnected still runs it."""
        state = self.info.state
        state.worker_id = worker_id
        state.status = agent.JS_RUNNING
        state.error = ""
        state.ended_at = 0
        state.reason = agent.JSR_UNSPECIFIED
        self._touch()

    def update(self, status: agent.JobStatus, error: str) -> None:
        """Apply the worker's report; a job that ended stays ended."""
        if status in (agent.JS_SUCCESS, agent.JS_FAILED):
            self.end(status, error, self.info.state.reason)
        elif not self.ended:
            self.info.state.status = status
            self._touch()

    def end(self, status: agent.JobStatus, error: str, reason: agent.JobStateReason) -> None:
        """End it; a later report of how it ended replaces an earlier one."""
        state = self.info.state
        state.status = status
        state.error = error
        state.reason = reason
        state.ended_at = time.time_ns()
        self._touch()

    def _touch(self) -> None:
        self.info.state.updated_at = time.time_ns()


class Dispatch:
    """An agent that is wanted in one room, the jobs that workers accepted, and the pending ones."""

    def __init__(self, room: Room, request: RoomAgentDispatch) -> None:
        self.room = room
        self.id = new_sid("AD_")
        self.jobs: list[Job] = []
        self.pending: set[Job] = set()
        self.request = request
        self._created = time.time_ns()
        self._deleted = 0

    def info(self) -> AgentDispatch:
        """Its state with all its jobs."""
        return AgentDispatch(
            id=self.id,
            agent_name=self.request.agent_name,
            room=self.room.name,
            metadata=self.request.metadata,
            restart_policy=self.request.restart_policy,
            deployment=self.request.deployment,
            attributes=self.request.attributes,
            state=AgentDispatchState(
                jobs=[job.info for job in self.jobs],
                created_at=self._created,
                deleted_at=self._deleted,
            ),
        )

    def new_job(
        self, kind: agent.JobType, namespace: str, participant: models.ParticipantInfo | None
    ) -> Job:
        """A pending job for its room as it is now."""
        job = Job(
            agent.Job(
                id=new_sid("AJ_"),
                dispatch_id=self.id,
                type=kind,
                room=self.room.info(),
                participant=participant,
                namespace=namespace,
                metadata=self.request.metadata,
                agent_name=self.request.agent_name,
                deployment=self.request.deployment,
                attributes=self.request.attributes,
                state=agent.JobState(),
            )
        )
        self.pending.add(job)
        return job

    def taken(self, job: Job) -> None:
        """List a job that a worker accepted; of the ended ones only the latest stay."""
        self.jobs.append(job)
        ended = [item for item in self.jobs if item.ended]
        for old in ended[: max(len(ended) - KEPT_JOBS, 0)]:
            self.jobs.remove(old)

    def close(self) -> None:
        """Mark it as deleted."""
        self._deleted = time.time_ns()
