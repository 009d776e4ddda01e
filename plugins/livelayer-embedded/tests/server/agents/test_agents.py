"""Real livekit-agents workers on both kinds of server: dispatch, jobs, and how they end."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from livekit import api, rtc
from livekit.agents import AgentServer, JobContext, JobExecutorType, JobRequest
from livekit.protocol import agent
from livelayer_embedded import EmbeddedServer

from livelayer_bus.testing import PATIENCE

from ..conftest import Embedded, Join, Member, Server

pytestmark = pytest.mark.anyio

Entry = Callable[[JobContext], Awaitable[None]]


@dataclass
class Site:
    """One server with its keys, a back end's client, and this test's room."""

    url: str
    key: str
    secret: str = field(repr=False)
    client: api.LiveKitAPI
    room: str

    async def dispatch(self, agent_name: str, **options: Any) -> api.AgentDispatch:
        request = api.CreateAgentDispatchRequest(agent_name=agent_name, room=self.room, **options)
        return await self.client.agent_dispatch.create_dispatch(request)

    async def jobs(self, agent_name: str = "") -> list[agent.Job]:
        """The jobs of this room's dispatches for that agent."""
        listed = await self.client.agent_dispatch.list_dispatch(self.room)
        return [job for item in listed if item.agent_name == agent_name for job in item.state.jobs]


@pytest.fixture
async def site(server: Server, room_name: str) -> AsyncIterator[Site]:
    """Either server."""
    if isinstance(server, Embedded):
        key, secret = server.server.key, server.server.secret
    else:
        key, secret = os.environ["LIVEKIT_API_KEY"], os.environ["LIVEKIT_API_SECRET"]
    async with api.LiveKitAPI(server.url, key, secret) as client:
        yield Site(server.url, key, secret, client, room_name)


@pytest.fixture
async def own(embedded: EmbeddedServer, room_name: str) -> AsyncIterator[Site]:
    """The embedded server."""
    async with api.LiveKitAPI(embedded.url, embedded.key, embedded.secret) as client:
        yield Site(embedded.url, embedded.key, embedded.secret, client, room_name)


class Worker:
    """A livekit-agents worker whose jobs run in threads, and what its jobs report."""

    def __init__(self, site: Site, entry: Entry, agent_name: str, identity: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._identity = identity
        self._rooms = (site.room,)
        self.registered = asyncio.Event()
        self.entered = asyncio.Event()
        self.ended = asyncio.Event()
        self.requests = 0
        self.server = AgentServer(
            ws_url=site.url,
            api_key=site.key,
            api_secret=site.secret,
            job_executor_type=JobExecutorType.THREAD,
            num_idle_processes=0,
            load_fnc=lambda: 0.0,
            host="127.0.0.1",
            port=0,
            shutdown_process_timeout=5.0,
        )

        async def watched(context: JobContext) -> None:
            async def over() -> None:
                self._loop.call_soon_threadsafe(self.ended.set)

            context.add_shutdown_callback(over)
            await entry(context)
            self._loop.call_soon_threadsafe(self.entered.set)

        self.server.rtc_session(watched, agent_name=agent_name, on_request=self._on_request)
        self.server.on("worker_registered", lambda *_: self.registered.set())
        self._task: asyncio.Task[None] | None = None

    async def _on_request(self, request: JobRequest) -> None:
        self.requests += 1
        # A server that others use too may offer this worker their rooms.
        if request.room.name in self._rooms:
            await request.accept(identity=self._identity, attributes={"served": "true"})
        else:
            await request.reject()

    async def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self.server.run(devmode=True))
        with anyio.fail_after(PATIENCE):
            await self.registered.wait()

    async def settled(self) -> None:
        """Wait until a job's entry function is through, its agent connected.

        Others see an agent a moment earlier: its SDK ignores an end that comes before that.
        """
        with anyio.fail_after(PATIENCE):
            await self.entered.wait()

    async def stop(self) -> None:
        with anyio.fail_after(PATIENCE):
            await self.server.aclose()
            if self._task is not None:
                await self._task


Start = Callable[..., Awaitable[Worker]]


@pytest.fixture
async def start(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Start]:
    """Starts workers; all of them stop at the end."""
    for name in ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"):
        # A worker sets these for its jobs; the next test must not find them.
        monkeypatch.setenv(name, os.environ.get(name, ""))
    workers: list[Worker] = []

    async def started(
        site: Site, entry: Entry, agent_name: str = "", identity: str = "agent"
    ) -> Worker:
        worker = Worker(site, entry, agent_name, identity)
        workers.append(worker)
        await worker.start()
        return worker

    yield started
    for worker in workers:
        await worker.stop()


@pytest.fixture
def agent_name() -> str:
    """A name no other test's worker has."""
    return f"agent-{uuid.uuid4().hex[:8]}"


async def greet(context: JobContext) -> None:
    """Join, wait for a participant, and send what the job is about."""
    await context.connect()
    await context.wait_for_participant()
    text = context.job.metadata or "hello"
    await context.room.local_participant.publish_data(text, topic="greeting")


async def stay(context: JobContext) -> None:
    """Join and do nothing."""
    await context.connect()


async def said(member: Member) -> tuple[bytes, str | None]:
    packet = await member.data()
    return packet.data, packet.topic


async def state_of_job(own: Site, agent_name: str, status: agent.JobStatus) -> agent.Job:
    """The one job, once it has that status."""
    with anyio.fail_after(PATIENCE):
        while True:
            jobs = await own.jobs(agent_name)
            if [job.state.status for job in jobs] == [status]:
                return jobs[0]


# Dispatch ----------------------------------------------------------------------------------


async def test_a_new_room_gets_an_agent_without_a_name(
    site: Site, join: Join, start: Start
) -> None:
    await start(site, greet)
    alice = await join("alice")
    seen = await alice.sees("agent")
    assert seen.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
    assert seen.attributes["served"] == "true"
    assert await said(alice) == (b"hello", "greeting")


async def test_a_dispatch_brings_the_named_agent_with_its_metadata(
    site: Site, join: Join, start: Start, agent_name: str
) -> None:
    await start(site, greet, agent_name)
    alice = await join("alice")
    await site.dispatch(agent_name, metadata="say this")
    seen = await alice.sees("agent")
    assert seen.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
    assert seen.attributes["lk.agent_name"] == agent_name
    assert await said(alice) == (b"say this", "greeting")


async def test_a_dispatch_before_anybody_is_there_makes_the_room_for_the_agent(
    site: Site, join: Join, start: Start, agent_name: str
) -> None:
    await start(site, greet, agent_name)
    await site.dispatch(agent_name, metadata="first")
    alice = await join("alice")
    assert await said(alice) == (b"first", "greeting")


async def test_a_token_brings_the_agents_of_its_room_configuration(
    site: Site, join_at: Any, start: Start, agent_name: str
) -> None:
    await start(site, greet, agent_name)
    token = (
        api.AccessToken(site.key, site.secret)
        .with_identity("alice")
        .with_grants(api.VideoGrants(room_join=True, room=site.room))
        .with_room_config(
            api.RoomConfiguration(
                agents=[api.RoomAgentDispatch(agent_name=agent_name, metadata="configured")]
            )
        )
        .to_jwt()
    )
    alice: Member = await join_at(site.url, token)
    assert await said(alice) == (b"configured", "greeting")
    await alice.sees("agent")
    listed = await site.client.agent_dispatch.list_dispatch(site.room)
    assert [item.agent_name for item in listed] == [agent_name]


async def test_a_draining_worker_leaves_new_jobs_to_another(
    site: Site, join: Join, start: Start, agent_name: str
) -> None:
    draining = await start(site, greet, agent_name, identity="old")
    await start(site, greet, agent_name, identity="new")
    with anyio.fail_after(PATIENCE):
        await draining.server.drain()
    alice = await join("alice")
    await site.dispatch(agent_name)
    await alice.sees("new")
    assert await said(alice) == (b"hello", "greeting")
    assert draining.requests == 0


# The end of jobs ---------------------------------------------------------------------------


async def test_a_deleted_room_ends_its_job(
    site: Site, join: Join, start: Start, agent_name: str
) -> None:
    worker = await start(site, stay, agent_name)
    alice = await join("alice")
    await site.dispatch(agent_name)
    await alice.sees("agent")
    await worker.settled()
    await site.client.room.delete_room(api.DeleteRoomRequest(room=site.room))
    with anyio.fail_after(PATIENCE):
        await worker.ended.wait()


async def test_a_kicked_agent_ends_its_job(
    site: Site, join: Join, start: Start, agent_name: str
) -> None:
    worker = await start(site, stay, agent_name)
    alice = await join("alice")
    await site.dispatch(agent_name)
    await alice.sees("agent")
    await worker.settled()
    await site.client.room.remove_participant(
        api.RoomParticipantIdentity(room=site.room, identity="agent")
    )
    with anyio.fail_after(PATIENCE):
        await worker.ended.wait()


async def test_a_deleted_dispatch_sends_its_agent_away(
    own: Site, enter: Join, start: Start, agent_name: str
) -> None:
    worker = await start(own, stay, agent_name)
    alice = await enter("alice")
    made = await own.dispatch(agent_name)
    await alice.sees("agent")
    await worker.settled()
    deleted = await own.client.agent_dispatch.delete_dispatch(made.id, own.room)
    assert [job.state.status for job in deleted.state.jobs] == [agent.JS_SUCCESS]
    assert deleted.state.jobs[0].state.reason == agent.JSR_DISPATCH_DELETED
    assert (await alice.next("participant_disconnected"))[0].identity == "agent"
    with anyio.fail_after(PATIENCE):
        await worker.ended.wait()


async def test_a_running_job_is_listed_with_its_worker_and_agent(
    own: Site, enter: Join, start: Start, agent_name: str
) -> None:
    worker = await start(own, stay, agent_name)
    alice = await enter("alice")
    made = await own.dispatch(agent_name, metadata="m", attributes={"a": "b"})
    await alice.sees("agent")
    (job,) = await own.jobs(agent_name)
    assert (job.dispatch_id, job.type, job.room.name) == (made.id, agent.JT_ROOM, own.room)
    assert (job.metadata, dict(job.attributes)) == ("m", {"a": "b"})
    assert job.state.status == agent.JS_RUNNING
    assert (job.state.participant_identity, job.state.worker_id) == ("agent", worker.server.id)


async def test_a_job_that_shuts_itself_down_has_succeeded(
    own: Site, enter: Join, start: Start, agent_name: str
) -> None:
    async def shut_down(context: JobContext) -> None:
        context.room.on("data_received", lambda _: context.shutdown("done"))
        await context.connect()

    worker = await start(own, shut_down, agent_name)
    alice = await enter("alice")
    await own.dispatch(agent_name)
    await worker.settled()
    await alice.sees("agent")
    await alice.me.publish_data(b"that is all")
    await alice.next("participant_disconnected")
    await state_of_job(own, agent_name, agent.JS_SUCCESS)


async def test_a_worker_that_goes_away_fails_its_jobs(
    own: Site, enter: Join, start: Start, agent_name: str
) -> None:
    worker = await start(own, stay, agent_name)
    alice = await enter("alice")
    await own.dispatch(agent_name)
    await alice.sees("agent")
    await worker.settled()
    await worker.stop()
    await alice.next("participant_disconnected")
    job = await state_of_job(own, agent_name, agent.JS_FAILED)
    assert job.state.error == "the worker disconnected"
    assert job.state.ended_at


async def test_a_worker_comes_back_to_a_restarted_server(
    own: Site, embedded: EmbeddedServer, enter: Join, start: Start
) -> None:
    worker = await start(own, greet)
    worker.registered.clear()
    await embedded.restart()
    with anyio.fail_after(PATIENCE):
        await worker.registered.wait()
    alice = await enter("alice")
    assert await said(alice) == (b"hello", "greeting")
