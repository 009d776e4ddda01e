"""All registered workers, and the search for one that takes a job."""

from __future__ import annotations

import logging

from livekit import api
from livekit.protocol import agent, models

from ..auth import Access, TokenAuthority, grants_of
from .job import Dispatch, Job
from .worker import Worker

logger = logging.getLogger(__name__)

AGENT_NAME_ATTRIBUTE = "lk.agent_name"
TOKEN_TTL = 3600.0  # seconds an agent's token is good for


class WorkerPool:
    """The workers that are connected now.

    A job goes to the available worker that reports the least load; when it refuses, disconnects or
    does not answer in time, to the next; to none when all were asked.
    """

    def __init__(self, authority: TokenAuthority) -> None:
        self._authority = authority
        self._workers: dict[str, Worker] = {}

    def add(self, worker: Worker) -> None:
        """Take in a worker."""
        self._workers[worker.id] = worker

    def remove(self, worker: Worker) -> None:
        """Remove a worker that disconnected; its jobs fail unless it reconnects with them."""
        self._workers.pop(worker.id, None)
        for job in worker.close():
            job.end(agent.JS_FAILED, "the worker disconnected", agent.JSR_UNSPECIFIED)

    def namespaces(self, dispatch: Dispatch, kind: agent.JobType) -> list[str]:
        """The namespaces with workers of that kind for a dispatch; each gets a job of its own."""
        wanted = (kind, dispatch.request.agent_name, dispatch.request.deployment)
        return sorted(
            {
                worker.namespace
                for worker in self._workers.values()
                if (worker.kind, worker.agent_name, worker.deployment) == wanted
            }
        )

    async def place(self, job: Job, only: Worker | None = None) -> bool:
        """Find a worker for a job and hand it over; whether one took it."""
        asked: set[str] = set()
        while not job.withdrawn:
            worker = self._choose(job, asked, only)
            if worker is None:
                logger.info("no worker takes job %s", job.id)
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
        grants = grants_of(worker.permission) | {"agent": True, "recorder": False}
        access = Access(
            job.identity,
            api.VideoGrants(room_join=True, room=job.info.room.name, **grants),
            name=answer.participant_name,
            metadata=answer.participant_metadata,
            attributes={**answer.participant_attributes, AGENT_NAME_ATTRIBUTE: worker.agent_name},
            kind=models.ParticipantInfo.AGENT,
        )
        return self._authority.mint(access, TOKEN_TTL)
