"""The worker protocol message by message, on the embedded server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import anyio
import jwt
import pytest
from livekit import api
from livekit.protocol import agent
from livekit.protocol.models import ParticipantPermission, Room

from livelayer_bus.embedded import EmbeddedServer
from livelayer_bus.embedded.agents import socket as agent_socket
from livelayer_bus.embedded.agents import worker as agent_worker
from livelayer_bus.embedded.agents.job import KEPT_JOBS, Dispatch, Job
from livelayer_bus.embedded.agents.pool import WorkerPool
from livelayer_bus.embedded.agents.worker import Worker
from livelayer_bus.embedded.auth import TokenAuthority
from livelayer_bus.embedded.rooms import RoomRegistry

from .conftest import PATIENCE, Join, Microphone

pytestmark = pytest.mark.anyio


def agent_token(server: EmbeddedServer) -> str:
    return (
        api.AccessToken(server.key, server.secret).with_grants(api.VideoGrants(agent=True)).to_jwt()
    )


class RawWorker:
    """A worker that does nothing by itself."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.id = ""

    async def send(self, **message: Any) -> None:
        await self.socket.send_bytes(agent.WorkerMessage(**message).SerializeToString())

    async def receive(self) -> agent.ServerMessage:
        with anyio.fail_after(PATIENCE):
            return agent.ServerMessage.FromString(await self.socket.receive_bytes())

    async def register(self, **options: Any) -> agent.RegisterWorkerResponse:
        await self.send(register=agent.RegisterWorkerRequest(**options))
        response = (await self.receive()).register
        self.id = response.worker_id
        return response

    async def asked(self) -> agent.Job:
        """The job of the availability request that comes next."""
        message = await self.receive()
        assert message.HasField("availability"), message
        return message.availability.job

    async def answer(self, job: agent.Job, available: bool = True, **options: Any) -> None:
        response = agent.AvailabilityResponse(job_id=job.id, available=available, **options)
        await self.send(availability=response)

    async def assigned(self) -> agent.JobAssignment:
        message = await self.receive()
        assert message.HasField("assignment"), message
        return message.assignment

    async def accept(self, identity: str = "agent") -> agent.JobAssignment:
        """Take the job that is offered next."""
        await self.answer(await self.asked(), participant_identity=identity)
        return await self.assigned()

    async def heard_nothing(self) -> None:
        """All that was sent to the server is dealt with, and nothing came back."""
        await self.send(ping=agent.WorkerPing(timestamp=7))
        message = await self.receive()
        assert message.HasField("pong"), message
        assert message.pong.last_timestamp == 7

    async def closed(self) -> None:
        """Wait until the server ends the socket."""
        with anyio.fail_after(PATIENCE):
            message = await self.socket.receive()
        assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)


Hire = Callable[..., Awaitable[RawWorker]]


@pytest.fixture
async def connect(embedded: EmbeddedServer) -> AsyncIterator[Callable[[], Awaitable[RawWorker]]]:
    """Opens worker sockets; all are closed at the end."""
    async with aiohttp.ClientSession() as session:

        async def opened() -> RawWorker:
            headers = {"Authorization": f"Bearer {agent_token(embedded)}"}
            return RawWorker(await session.ws_connect(f"{embedded.url}/agent", headers=headers))

        yield opened


@pytest.fixture
def hire(connect: Callable[[], Awaitable[RawWorker]]) -> Hire:
    """Opens a socket and registers; load and status may be given too."""

    async def hired(
        name: str = "a", load: float = 0, kind: agent.JobType = agent.JT_ROOM, **options: Any
    ) -> RawWorker:
        worker = await connect()
        await worker.register(type=kind, agent_name=name, **options)
        status = agent.UpdateWorkerStatus(status=agent.WS_AVAILABLE, load=load)
        await worker.send(update_worker=status)
        await worker.heard_nothing()
        return worker

    return hired


class Desk:
    """A back end that dispatches the agent "a" into this test's room."""

    def __init__(self, client: api.LiveKitAPI, room: str) -> None:
        self.client = client
        self.room = room

    async def dispatch(self, **options: Any) -> api.AgentDispatch:
        request = api.CreateAgentDispatchRequest(agent_name="a", room=self.room, **options)
        return await self.client.agent_dispatch.create_dispatch(request)

    async def jobs(self) -> list[agent.JobState]:
        listed = await self.client.agent_dispatch.list_dispatch(self.room)
        return [job.state for item in listed for job in item.state.jobs]


@pytest.fixture
async def desk(embedded: EmbeddedServer, room_name: str) -> AsyncIterator[Desk]:
    """A back end of the embedded server."""
    async with api.LiveKitAPI(embedded.url, embedded.key, embedded.secret) as client:
        yield Desk(client, room_name)


# Registration ------------------------------------------------------------------------------


async def test_only_a_token_with_the_agent_grant_may_register(
    embedded: EmbeddedServer,
) -> None:
    url = f"{embedded.url}/agent"
    tokens = ["", "nonsense", embedded.token("alice", "room")]
    async with aiohttp.ClientSession() as session:
        for token in tokens:
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await session.ws_connect(url, headers={"Authorization": f"Bearer {token}"})
            assert caught.value.status == 401
        async with session.get(url.replace("ws", "http", 1)) as answer:
            assert answer.status == 404


async def test_a_worker_learns_its_id_and_what_server_it_is(
    connect: Callable[[], Awaitable[RawWorker]],
) -> None:
    worker = await connect()
    await worker.heard_nothing()  # a ping may come before the registration
    response = await worker.register(type=agent.JT_ROOM, agent_name="a")
    assert response.worker_id.startswith("AW_")
    assert (response.server_info.protocol, response.server_info.agent_protocol) == (17, 1)


@pytest.mark.parametrize(
    "first",
    [
        b"\xff\xff\xff",
        agent.WorkerMessage(update_worker=agent.UpdateWorkerStatus()).SerializeToString(),
        b"",
    ],
)
async def test_who_does_not_register_first_is_cut_off(
    connect: Callable[[], Awaitable[RawWorker]], first: bytes
) -> None:
    worker = await connect()
    await worker.socket.send_bytes(first)
    await worker.closed()


async def test_who_never_registers_is_cut_off(
    connect: Callable[[], Awaitable[RawWorker]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_socket, "REGISTER_WITHIN", 0.05)
    await (await connect()).closed()


async def test_a_registered_worker_that_talks_nonsense_is_gone(hire: Hire, desk: Desk) -> None:
    confused, sound = await hire(load=0.1), await hire(load=0.9)
    await confused.socket.send_bytes(b"\xff\xff\xff")
    await confused.closed()
    await desk.dispatch()
    await sound.asked()


async def test_a_stopping_server_closes_its_workers(embedded: EmbeddedServer, hire: Hire) -> None:
    worker = await hire()
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(worker.closed)
            await embedded.aclose()


# Who gets a job ----------------------------------------------------------------------------


async def test_the_least_loaded_worker_is_asked(hire: Hire, desk: Desk) -> None:
    busy, idle = await hire(load=0.8), await hire(load=0.1)
    await desk.dispatch(metadata="m", attributes={"k": "v"})
    job = await idle.asked()
    assert (job.type, job.agent_name, job.room.name) == (agent.JT_ROOM, "a", desk.room)
    assert (job.metadata, dict(job.attributes)) == ("m", {"k": "v"})
    await busy.heard_nothing()


async def test_of_equally_loaded_workers_the_one_with_fewer_jobs_is_asked(
    hire: Hire, desk: Desk
) -> None:
    first, second = await hire(), await hire()
    await desk.dispatch()
    await first.accept()
    await desk.dispatch()
    await second.asked()


async def test_a_refused_job_goes_to_the_next_worker(hire: Hire, desk: Desk) -> None:
    unwilling, willing = await hire(load=0.1), await hire(load=0.8)
    await desk.dispatch()
    await unwilling.answer(await unwilling.asked(), available=False)
    await willing.accept("helper")
    (state,) = await desk.jobs()
    assert (state.status, state.participant_identity) == (agent.JS_RUNNING, "helper")
    assert state.worker_id == willing.id


async def test_a_job_that_everybody_refuses_is_not_listed(hire: Hire, desk: Desk) -> None:
    worker = await hire()
    await desk.dispatch()
    await worker.answer(await worker.asked(), available=False)
    await worker.heard_nothing()
    assert await desk.jobs() == []


async def test_a_job_that_the_worker_calls_done_has_succeeded(hire: Hire, desk: Desk) -> None:
    worker = await hire()
    await desk.dispatch()
    await worker.answer(await worker.asked(), available=False, terminate=True)
    await worker.heard_nothing()
    assert [state.status for state in await desk.jobs()] == [agent.JS_SUCCESS]


async def test_a_silent_worker_is_passed_over(
    hire: Hire, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_worker, "ANSWER_WITHIN", 0.05)
    silent, prompt = await hire(load=0.1), await hire(load=0.8)
    await desk.dispatch()
    await silent.asked()
    await prompt.asked()


async def test_a_worker_that_leaves_while_it_is_asked_is_passed_over(
    hire: Hire, desk: Desk
) -> None:
    leaving, staying = await hire(load=0.1), await hire(load=0.8)
    await desk.dispatch()
    await leaving.asked()
    await leaving.socket.close()
    await staying.accept()


@pytest.mark.parametrize(
    "status",
    [
        agent.UpdateWorkerStatus(status=agent.WS_FULL, load=0),
        agent.UpdateWorkerStatus(status=agent.WS_AVAILABLE, draining=True),
    ],
)
async def test_a_full_or_draining_worker_is_not_asked(
    hire: Hire, desk: Desk, status: agent.UpdateWorkerStatus
) -> None:
    full, other = await hire(), await hire(load=0.9)
    await full.send(update_worker=status)
    await full.heard_nothing()
    await desk.dispatch()
    await other.asked()
    await full.heard_nothing()


async def test_a_worker_with_a_name_gets_no_job_for_a_new_room(hire: Hire, enter: Join) -> None:
    named, nameless = await hire("a"), await hire("")
    await enter("alice")
    await nameless.asked()
    await named.heard_nothing()


async def test_a_worker_of_another_deployment_is_not_asked(hire: Hire, desk: Desk) -> None:
    production, staging = await hire(), await hire(deployment="staging")
    await desk.dispatch(deployment="staging")
    assert (await staging.asked()).deployment == "staging"
    await production.heard_nothing()


async def test_publisher_and_participant_workers_get_a_job_for_each(
    hire: Hire, enter: Join
) -> None:
    for_publishers = await hire("", kind=agent.JT_PUBLISHER)
    for_participants = await hire("", kind=agent.JT_PARTICIPANT)
    alice = await enter("alice")
    job = await for_participants.asked()
    assert (job.type, job.participant.identity) == (agent.JT_PARTICIPANT, "alice")
    await for_publishers.heard_nothing()
    async with Microphone() as one, Microphone("second") as two:
        await alice.me.publish_track(one.track)
        job = await for_publishers.asked()
        assert (job.type, job.participant.identity) == (agent.JT_PUBLISHER, "alice")
        await for_publishers.answer(job, available=False)
        await alice.me.publish_track(two.track)
        await for_publishers.heard_nothing()


async def test_a_later_dispatch_covers_those_who_are_there_already(
    hire: Hire, enter: Join, desk: Desk
) -> None:
    alice, bob = await enter("alice"), await enter("bob")
    async with Microphone() as microphone:
        await alice.me.publish_track(microphone.track)
        await bob.next("track_subscribed")
        for_publishers = await hire(kind=agent.JT_PUBLISHER)
        for_participants = await hire(kind=agent.JT_PARTICIPANT)
        await desk.dispatch()
        assert (await for_publishers.asked()).participant.identity == "alice"
        asked = {(await for_participants.asked()).participant.identity for _ in range(2)}
        assert asked == {"alice", "bob"}
        await for_publishers.heard_nothing()


async def test_an_agent_in_the_room_is_no_reason_for_a_participant_job(
    hire: Hire, enter: Join
) -> None:
    worker = await hire("", kind=agent.JT_PARTICIPANT)
    await enter("agent", kind="agent")
    await enter("alice")
    assert (await worker.asked()).participant.identity == "alice"


# The agent's token -------------------------------------------------------------------------


async def test_the_token_carries_what_worker_and_registration_say(
    embedded: EmbeddedServer, hire: Hire, desk: Desk
) -> None:
    permission = ParticipantPermission(can_subscribe=True, can_publish_data=True, hidden=True)
    worker = await hire(allowed_permissions=permission)
    await desk.dispatch()
    await worker.answer(
        await worker.asked(),
        participant_identity="helper",
        participant_name="Helper",
        participant_metadata="m",
        participant_attributes={"k": "v"},
    )
    claims = jwt.decode((await worker.assigned()).token, embedded.secret, ["HS256"])
    assert (claims["sub"], claims["name"], claims["metadata"]) == ("helper", "Helper", "m")
    assert (claims["kind"], claims["attributes"]) == ("agent", {"k": "v", "lk.agent_name": "a"})
    video = claims["video"]
    assert (video["room"], video["roomJoin"], video["agent"]) == (desk.room, True, True)
    assert (video["canSubscribe"], video["canPublishData"], video["hidden"]) == (True, True, True)
    assert not video["canPublish"]
    assert not video["canUpdateOwnMetadata"]


async def test_the_token_lets_the_agent_in_as_an_agent(
    embedded: EmbeddedServer, hire: Hire, desk: Desk, join_at: Any
) -> None:
    worker = await hire()
    await desk.dispatch()
    helper = await join_at(embedded.url, (await worker.accept("helper")).token)
    info = embedded.rooms.get_participant(desk.room, "helper").info()
    assert info.kind == api.ParticipantInfo.AGENT
    assert helper.room.local_participant.identity == "helper"


# The end of jobs ---------------------------------------------------------------------------


async def terminated(worker: RawWorker) -> str:
    message = await worker.receive()
    assert message.HasField("termination"), message
    return message.termination.job_id


async def test_a_deleted_room_terminates_its_jobs(hire: Hire, desk: Desk) -> None:
    worker = await hire()
    await desk.dispatch()
    job = (await worker.accept()).job
    await desk.client.room.delete_room(api.DeleteRoomRequest(room=desk.room))
    assert await terminated(worker) == job.id


async def test_a_dispatch_deleted_while_the_worker_thinks_is_not_assigned(
    hire: Hire, desk: Desk
) -> None:
    worker = await hire()
    made = await desk.dispatch()
    job = await worker.asked()
    await desk.client.agent_dispatch.delete_dispatch(made.id, desk.room)
    await worker.answer(job, participant_identity="late")
    await worker.heard_nothing()


async def test_a_worker_says_how_its_job_ended(hire: Hire, desk: Desk) -> None:
    worker = await hire()
    await desk.dispatch()
    job = (await worker.accept()).job
    update = agent.UpdateJobStatus(job_id=job.id, status=agent.JS_FAILED, error="broken")
    await worker.send(update_job=update)
    await worker.send(update_job=agent.UpdateJobStatus(job_id="AJ_unknown"))
    await worker.heard_nothing()
    (state,) = await desk.jobs()
    assert (state.status, state.error) == (agent.JS_FAILED, "broken")
    assert state.ended_at >= state.started_at > 0


async def test_an_agent_that_leaves_ends_its_job_but_one_that_reconnects_keeps_it(
    embedded: EmbeddedServer, hire: Hire, desk: Desk, join_at: Any
) -> None:
    worker = await hire()
    await desk.dispatch()
    assignment = await worker.accept("helper")
    first = await join_at(embedded.url, assignment.token)
    again = await join_at(embedded.url, assignment.token)
    await first.next("disconnected")
    await worker.heard_nothing()
    assert [state.status for state in await desk.jobs()] == [agent.JS_RUNNING]
    await again.room.disconnect()
    assert await terminated(worker) == assignment.job.id
    (state,) = await desk.jobs()
    assert (state.status, state.error) == (agent.JS_FAILED, "the agent left the room")


async def test_an_agent_that_stays_after_its_dispatch_is_removed(
    embedded: EmbeddedServer, hire: Hire, desk: Desk, join_at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("livelayer_bus.embedded.agents.dispatcher.LEAVE_WITHIN", 0.05)
    worker = await hire()
    made = await desk.dispatch()
    helper = await join_at(embedded.url, (await worker.accept("helper")).token)
    await desk.client.agent_dispatch.delete_dispatch(made.id, desk.room)
    reason = (await helper.next("disconnected"))[0]
    assert reason == api.DisconnectReason.PARTICIPANT_REMOVED


async def test_a_worker_that_comes_back_keeps_its_jobs(hire: Hire, desk: Desk) -> None:
    lost = await hire()
    await desk.dispatch()
    job = (await lost.accept()).job
    await lost.socket.close()
    with anyio.fail_after(PATIENCE):
        while [state.status for state in await desk.jobs()] != [agent.JS_FAILED]:
            await anyio.lowlevel.checkpoint()
    back = await hire()
    await back.send(migrate_job=agent.MigrateJobRequest(job_ids=[job.id, "AJ_unknown"]))
    await back.heard_nothing()
    (state,) = await desk.jobs()
    assert (state.status, state.error, state.worker_id) == (agent.JS_RUNNING, "", back.id)
    await desk.client.room.delete_room(api.DeleteRoomRequest(room=desk.room))
    assert await terminated(back) == job.id


async def test_a_worker_may_simulate_a_job(hire: Hire, desk: Desk) -> None:
    worker = await hire()
    await worker.send(simulate_job=agent.SimulateJobRequest(room=Room(name=desk.room)))
    assignment = await worker.accept("helper")
    assert (assignment.job.room.name, assignment.job.type) == (desk.room, agent.JT_ROOM)


async def test_a_job_withdrawn_as_the_worker_accepts_is_not_assigned() -> None:
    sent: list[agent.ServerMessage] = []
    pool = WorkerPool(TokenAuthority("key", "secret" * 6))
    worker = Worker(agent.RegisterWorkerRequest(type=agent.JT_ROOM), sent.append)
    pool.add(worker)
    job = Job(agent.Job(id="AJ_1", type=agent.JT_ROOM))
    async with anyio.create_task_group() as group:
        group.start_soon(pool.place, job)
        while not sent:
            await anyio.lowlevel.checkpoint()
        worker.answered(agent.AvailabilityResponse(job_id=job.id, available=True))
        pool.withdraw(job)
    assert [message.WhichOneof("message") for message in sent] == ["availability"]


# State -------------------------------------------------------------------------------------


def test_an_ended_job_does_not_come_alive_by_a_late_report() -> None:
    job = Job(agent.Job(id="AJ_1"))
    job.end(agent.JS_FAILED, "the agent left the room", agent.JSR_UNSPECIFIED)
    job.update(agent.JS_RUNNING, "")
    assert job.ended
    job.update(agent.JS_SUCCESS, "")
    assert (job.info().state.status, job.info().state.error) == (agent.JS_SUCCESS, "")


def test_a_dispatch_keeps_its_running_jobs_and_the_latest_ended_ones() -> None:
    class Never:
        def cancel(self) -> None: ...

    room = RoomRegistry(lambda seconds, call: Never()).create_room("room")
    dispatch = Dispatch(room, api.RoomAgentDispatch())
    running = dispatch.new_job(agent.JT_ROOM, "", None)
    dispatch.taken(running)
    ended = [dispatch.new_job(agent.JT_ROOM, "", None) for _ in range(KEPT_JOBS + 5)]
    for job in ended:
        job.end(agent.JS_SUCCESS, "", agent.JSR_UNSPECIFIED)
        dispatch.taken(job)
    assert dispatch.jobs == [running, *ended[5:]]
