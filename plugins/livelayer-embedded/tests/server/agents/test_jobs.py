"""Jobs message by message: the token an agent gets, and every way for a job to end."""

from __future__ import annotations

from typing import Any

import anyio
import jwt
import pytest
from livekit import api
from livekit.protocol import agent
from livekit.protocol.models import (
    DisconnectReason,
    ParticipantInfo,
    ParticipantPermission,
    Room,
)
from livelayer_embedded import EmbeddedServer
from livelayer_embedded.agents.job import KEPT_JOBS, Dispatch, Job
from livelayer_embedded.agents.workers import Worker, WorkerPool
from livelayer_embedded.auth import TokenAuthority
from livelayer_embedded.participant import Participant, new_sid
from livelayer_embedded.registry import RoomRegistry

from livelayer_bus.testing import PATIENCE

from .conftest import Desk, Hire, RawWorker

pytestmark = pytest.mark.anyio


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
    await worker.received_nothing()


async def test_a_worker_says_how_its_job_ended(hire: Hire, desk: Desk) -> None:
    worker = await hire()
    await desk.dispatch()
    job = (await worker.accept()).job
    update = agent.UpdateJobStatus(job_id=job.id, status=agent.JS_FAILED, error="broken")
    await worker.send(update_job=update)
    await worker.send(update_job=agent.UpdateJobStatus(job_id="AJ_unknown"))
    await worker.received_nothing()
    (state,) = await desk.jobs()
    assert (state.status, state.error) == (agent.JS_FAILED, "broken")
    assert state.ended_at >= state.started_at > 0


async def test_an_agent_that_leaves_ends_its_job_but_one_that_reconnects_keeps_it(
    embedded: EmbeddedServer, hire: Hire, desk: Desk, join_at: Any
) -> None:
    worker = await hire()
    await desk.open_room()
    await desk.dispatch()
    assignment = await worker.accept("helper")
    first = await join_at(embedded.url, assignment.token)
    again = await join_at(embedded.url, assignment.token)
    await first.next("disconnected")
    await worker.received_nothing()
    assert [state.status for state in await desk.jobs()] == [agent.JS_RUNNING]
    await again.room.disconnect()
    assert await terminated(worker) == assignment.job.id
    (state,) = await desk.jobs()
    assert (state.status, state.error) == (agent.JS_FAILED, "the agent left the room")


async def test_an_agent_that_leaves_before_it_was_active_ends_its_job(
    embedded: EmbeddedServer, hire: Hire, desk: Desk
) -> None:
    worker = await hire()
    await desk.dispatch()
    assignment = await worker.accept("helper")
    room = embedded.rooms.get_room(desk.room)
    info = ParticipantInfo(sid=new_sid("PA_"), identity="helper", kind=ParticipantInfo.AGENT)
    helper = Participant(info)
    room.add(helper)
    room.remove(helper, DisconnectReason.CLIENT_INITIATED)
    assert await terminated(worker) == assignment.job.id


async def test_an_agent_that_stays_after_its_dispatch_is_removed(
    embedded: EmbeddedServer, hire: Hire, desk: Desk, join_at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("livelayer_embedded.agents.dispatcher.LEAVE_WITHIN", 0.05)
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
    await back.received_nothing()
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
    assert (job.info.state.status, job.info.state.error) == (agent.JS_SUCCESS, "")


def test_a_dispatch_keeps_its_running_jobs_and_the_latest_ended_ones() -> None:
    room = RoomRegistry().create_room("room")
    dispatch = Dispatch(room, api.RoomAgentDispatch())
    running = dispatch.new_job(agent.JT_ROOM, "", None)
    dispatch.taken(running)
    ended = [dispatch.new_job(agent.JT_ROOM, "", None) for _ in range(KEPT_JOBS + 5)]
    for job in ended:
        job.end(agent.JS_SUCCESS, "", agent.JSR_UNSPECIFIED)
        dispatch.taken(job)
    assert dispatch.jobs == [running, *ended[5:]]
