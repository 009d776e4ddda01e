"""The registered workers: what each offers, and the search for one that accepts a job."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from livekit import api
from livekit.protocol import agent, models

from ..auth import Access, TokenAuthority, grants_of
from ..participant import new_sid
from .job import Dispatch, Job

logger = logging.getLogger(__name__)

AGENT_NAME_ATTRIBUTE = "lk.agent_name"
ANSWER_WITHIN = 10.0  # seconds a worker has to say whether it accepts a job
TOKEN_TTL = 3600.0  # seconds an agent's token is valid

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
        """Assign it a job that it accepted, with the agent's token for the room."""
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


class WorkerPool:
    """The workers that are connected now.

    A job is offered to the available worker that reports the least load. If that one refuses,
    disconnects or does not answer in time, the next one is asked, until all were asked.
    """

    def __init__(self, authority: TokenAuthority) -> None:
        self._authority = authority
        self._workers: dict[str, Worker] = {}

    def add(self, worker: Worker) -> None:
        """Register a worker."""
        self._workers[worker.id] = worker

    def remove(self, worker: Worker) -> None:
        """Remove a worker that disconnected; its jobs fail unless it reconnects with them."""
        self._workers.pop(worker.id, None)
        for job in worker.close():
            job.end(agent.JS_FAILED, "the worker disconnected", agent.JSR_UNSPECIFIED)

    def namespaces(self, dispatch: Dispatch, kind: agent.JobType) -> list[str]:
        """The namespaces with workers of that kind for a dispatch; each gets its own job."""
        wanted = (kind, dispatch.request.agent_name, dispatch.request.deployment)
        return sorted(
            {
                worker.namespace
                for worker in self._workers.values()
                if (worker.kind, worker.agent_name, worker.deployment) == wanted
            }
        )

    async def place(self, job: Job, only: Worker | None = None) -> bool:
        """Find a worker for a job and assign it; whether one accepted it."""
        asked: set[str] = set()
        while not job.withdrawn:
            worker = self._choose(job, asked, only)
            if worker is None:
                logger.info("no worker accepts job %s", job.id)
                return False
            asked.add(worker.id)
            answer = await worker.offer(job)
            if answer is not None and answer.terminate:
                job.end(agent.JS_SUCCESS, "", agent.JSR_UNSPECIFIED)
                return True
            if answer is not None and answer.available and not job.withdrawn:
                job.run_as(answer.participant_identity or f"agent-{job.id}")
                worker.assign(job, self._token(job, worker, answer))
                return True
        return False

    def withdraw(self, job: Job) -> None:
        """Stop looking for a worker; one that still accepts is not assigned the job."""
        job.withdrawn = True
        worker = self._workers.get(job.info.state.worker_id)
        if worker is not None:
            worker.withdraw(job.id)

    def terminate(
        self, job: Job, status: agent.JobStatus, error: str, reason: agent.JobStateReason
    ) -> None:
        """Have a running job's worker end it; does nothing to one that has ended."""
        if job.ended:
            return
        job.end(status, error, reason)
        worker = self._workers.get(job.info.state.worker_id)
        if worker is not None:
            worker.terminate(job)

    def _choose(self, job: Job, asked: set[str], only: Worker | None) -> Worker | None:
        candidates = [
            worker
            for worker in self._workers.values()
            if worker.id not in asked and worker.available and worker.offers(job)
        ]
        if only is not None:
            candidates = [worker for worker in candidates if worker is only]
        return min(candidates, key=lambda worker: worker.busyness, default=None)

    def _token(self, job: Job, worker: Worker, answer: agent.AvailabilityResponse) -> str:
        grants = grants_of(worker.permission)
        grants |= {"agent": True, "recorder": False}
        access = Access(
            job.identity,
            api.VideoGrants(room_join=True, room=job.info.room.name, **grants),
            name=answer.participant_name,
            metadata=answer.participant_metadata,
            attributes={**answer.participant_attributes, AGENT_NAME_ATTRIBUTE: worker.agent_name},
            kind=models.ParticipantInfo.AGENT,
        )
        return self._authority.mint(access, TOKEN_TTL)
