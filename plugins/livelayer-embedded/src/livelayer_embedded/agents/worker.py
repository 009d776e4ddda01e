"""One registered worker: what it offers, its load and its jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from livekit.protocol import agent, models

from ..participant import new_sid
from .job import Job

ANSWER_WITHIN = 10.0  # seconds a worker has to say whether it takes a job

_DEFAULT_PERMISSION = models.ParticipantPermission(
    can_subscribe=True, can_publish=True, can_publish_data=True, can_update_metadata=True
)


class Worker:
    """One registered worker, until its socket ends.

    `send` queues a message to it and never blocks.
    """

    def __init__(
        self, request: agent.RegisterWorkerRequest, send: Callable[[agent.ServerMessage], None]
    ) -> None:
        self.id = new_sid("AW_")
        self.kind = request.type
        self.agent_name = request.agent_name
        self.namespace = request.namespace
        self.deployment = request.deployment
        self.permission = (
            request.allowed_permissions
            if request.HasField("allowed_permissions")
            else _DEFAULT_PERMISSION
        )
        self.load = 0.0
        self.jobs: dict[str, Job] = {}
        self._send = send
        self._available = True
        self._closed = False
        self._answers: dict[str, asyncio.Future[agent.AvailabilityResponse | None]] = {}

    @property
    def available(self) -> bool:
        """Whether it accepts jobs: it is connected, not full and not draining."""
        return self._available and not self._closed

    @property
    def busyness(self) -> tuple[float, int]:
        """Its load as it reports it, then its running jobs; the lowest gets the next job."""
        running = sum(1 for job in self.jobs.values() if not job.ended)
        return self.load, running + len(self._answers)

    def offers(self, job: Job) -> bool:
        """Whether it is the right kind of worker for a job."""
        mine = (self.kind, self.agent_name, self.namespace, self.deployment)
        info = job.info
        return mine == (info.type, info.agent_name, info.namespace, info.deployment)

    async def offer(self, job: Job) -> agent.AvailabilityResponse | None:
        """Ask whether it accepts a job; None without an answer in time, or for a withdrawn job."""
        if self._closed:
            return None
        answer: asyncio.Future[agent.AvailabilityResponse | None] = (
            asyncio.get_running_loop().create_future()
        )
        self._answers[job.id] = answer
        job.offered(self.id)
        request = agent.AvailabilityRequest(job=job.info)
        self._send(agent.ServerMessage(availability=request))
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                return await answer
        except TimeoutError:
            return None
        finally:
            self._answers.pop(job.id, None)

    def answered(self, response: agent.AvailabilityResponse) -> None:
        """Receive its answer to an offer; an unexpected answer is ignored."""
        self._resolve(response.job_id, response)

    def withdraw(self, job_id: str) -> None:
        """Stop waiting for its answer about a job."""
        self._resolve(job_id, None)

    def assign(self, job: Job, token: str) -> None:
        """Hand it a job it took, with the agent's token for the room."""
        self.jobs[job.id] = job
        self._send(agent.ServerMessage(assignment=agent.JobAssignment(job=job.info, token=token)))

    def terminate(self, job: Job) -> None:
        """Tell it to end a job; does nothing if it does not have it."""
        if job.id in self.jobs:
            termination = agent.JobTermination(job_id=job.id)
            self._send(agent.ServerMessage(termination=termination))

    def job_updated(self, update: agent.UpdateJobStatus) -> None:
        """Receive the status of one of its jobs."""
        job = self.jobs.get(update.job_id)
        if job is None:
            return
        job.update(update.status, update.error)
        if job.ended:
            del self.jobs[job.id]

    def updated(self, update: agent.UpdateWorkerStatus) -> None:
        """Receive its load and whether it accepts jobs."""
        if update.HasField("status"):
            self._available = update.status == agent.WS_AVAILABLE
        if update.draining:
            self._available = False
        self.load = update.load

    def close(self) -> list[Job]:
        """Close a worker that disconnected; the jobs that it had not ended."""
        self._closed = True
        for job_id in list(self._answers):
            self._resolve(job_id, None)
        left = [job for job in self.jobs.values() if not job.ended]
        self.jobs.clear()
        return left

    def _resolve(self, job_id: str, response: agent.AvailabilityResponse | None) -> None:
        answer = self._answers.get(job_id)
        if answer is not None and not answer.done():
            answer.set_result(response)
