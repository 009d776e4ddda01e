"""Dispatches (an agent wanted in a room) and the jobs that come of them, as plain state."""

from __future__ import annotations

import time

from livekit.protocol import agent
from livekit.protocol.agent_dispatch import AgentDispatch, AgentDispatchState, RoomAgentDispatch
from livekit.protocol.models import ParticipantInfo

from ..participant import new_sid
from ..rooms import Room

KEPT_JOBS = 64  # ended jobs a dispatch still lists


class Job:
    """One job: pending until a worker takes it, then running, then ended.

    The state belongs to the job alone: `info()` copies it.
    """

    def __init__(self, info: agent.Job) -> None:
        self._info = info
        self.withdrawn = False

    @property
    def id(self) -> str:
        """The `AJ_` identifier."""
        return self._info.id

    @property
    def kind(self) -> agent.JobType:
        """Whether it is for a room, a publisher or a participant."""
        return self._info.type

    @property
    def agent_name(self) -> str:
        """The name of the agent that is wanted; empty for any that has none."""
        return self._info.agent_name

    @property
    def namespace(self) -> str:
        """The workers' namespace (deprecated upstream, mostly empty)."""
        return self._info.namespace

    @property
    def deployment(self) -> str:
        """The workers' deployment, mostly empty."""
        return self._info.deployment

    @property
    def room_name(self) -> str:
        """The room the agent has to join."""
        return self._info.room.name

    @property
    def identity(self) -> str:
        """The agent's identity in the room; empty until a worker took the job."""
        return self._info.state.participant_identity

    @property
    def worker_id(self) -> str:
        """The worker that was asked last or runs it."""
        return self._info.state.worker_id

    @property
    def ended(self) -> bool:
        """Whether it succeeded or failed."""
        return self._info.state.status in (agent.JS_SUCCESS, agent.JS_FAILED)

    def info(self) -> agent.Job:
        """A copy of its state."""
        info = agent.Job()
        info.CopyFrom(self._info)
        return info

    def offer_to(self, worker_id: str) -> agent.Job:
        """Record the worker that is asked now; the message for it."""
        self._info.state.worker_id = worker_id
        self._touch()
        return self.info()

    def run_as(self, identity: str) -> None:
        """Record that the worker accepted it, for an agent of this identity."""
        state = self._info.state
        state.status = agent.JS_RUNNING
        state.participant_identity = identity
        state.started_at = time.time_ns()
        self._touch()

    def adopt(self, worker_id: str) -> None:
        """Record that a worker that reconnected still runs it."""
        state = self._info.state
        state.worker_id = worker_id
        state.status = agent.JS_RUNNING
        state.error = ""
        state.ended_at = 0
        state.reason = agent.JSR_UNSPECIFIED
        self._touch()

    def update(self, status: agent.JobStatus, error: str) -> None:
        """Apply the worker's report; a job that ended stays ended."""
        if status in (agent.JS_SUCCESS, agent.JS_FAILED):
            self.end(status, error, self._info.state.reason)
        elif not self.ended:
            self._info.state.status = status
            self._touch()

    def end(self, status: agent.JobStatus, error: str, reason: agent.JobStateReason) -> None:
        """End it; a later report of how it ended replaces an earlier one."""
        state = self._info.state
        state.status = status
        state.error = error
        state.reason = reason
        state.ended_at = time.time_ns()
        self._touch()

    def _touch(self) -> None:
        self._info.state.updated_at = time.time_ns()


class Dispatch:
    """An agent wanted in one room, the jobs that were taken, and those still looking."""

    def __init__(self, room: Room, request: RoomAgentDispatch) -> None:
        self.room = room
        self.id = new_sid("AD_")
        self.closed = False
        self.jobs: list[Job] = []
        self.pending: set[Job] = set()
        self._request = request
        self._created = time.time_ns()
        self._deleted = 0

    @property
    def agent_name(self) -> str:
        """The name of the agent that is wanted; empty for any that has none."""
        return self._request.agent_name

    @property
    def deployment(self) -> str:
        """The workers' deployment, mostly empty."""
        return self._request.deployment

    def info(self) -> AgentDispatch:
        """Its state with all its jobs."""
        return AgentDispatch(
            id=self.id,
            agent_name=self._request.agent_name,
            room=self.room.name,
            metadata=self._request.metadata,
            restart_policy=self._request.restart_policy,
            deployment=self._request.deployment,
            attributes=self._request.attributes,
            state=AgentDispatchState(
                jobs=[job.info() for job in self.jobs],
                created_at=self._created,
                deleted_at=self._deleted,
            ),
        )

    def new_job(
        self, kind: agent.JobType, namespace: str, participant: ParticipantInfo | None
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
                metadata=self._request.metadata,
                agent_name=self._request.agent_name,
                deployment=self._request.deployment,
                attributes=self._request.attributes,
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
        self.closed = True
        self._deleted = time.time_ns()
