"""The worker protocol message by message: who may register, and who gets a job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import aiohttp
import anyio
import pytest
from livekit.protocol import agent
from livelayer_embedded import EmbeddedServer
from livelayer_embedded.agents import socket as agent_socket
from livelayer_embedded.agents import workers as agent_workers

from livelayer_bus.testing import PATIENCE

from ..conftest import Join, Microphone
from .conftest import Desk, Hire, RawWorker

pytestmark = pytest.mark.anyio


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
    await worker.received_nothing()  # a ping may come before the registration
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
    await busy.received_nothing()


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
    await worker.received_nothing()
    assert await desk.jobs() == []


async def test_a_job_that_the_worker_calls_done_has_succeeded(hire: Hire, desk: Desk) -> None:
    worker = await hire()
    await desk.dispatch()
    await worker.answer(await worker.asked(), available=False, terminate=True)
    await worker.received_nothing()
    assert [state.status for state in await desk.jobs()] == [agent.JS_SUCCESS]


async def test_a_silent_worker_is_passed_over(
    hire: Hire, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_workers, "ANSWER_WITHIN", 0.05)
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
    await full.received_nothing()
    await desk.dispatch()
    await other.asked()
    await full.received_nothing()


async def test_a_worker_with_a_name_gets_no_job_for_a_new_room(hire: Hire, enter: Join) -> None:
    named, nameless = await hire("a"), await hire("")
    await enter("alice")
    await nameless.asked()
    await named.received_nothing()


async def test_a_worker_of_another_deployment_is_not_asked(hire: Hire, desk: Desk) -> None:
    production, staging = await hire(), await hire(deployment="staging")
    await desk.dispatch(deployment="staging")
    assert (await staging.asked()).deployment == "staging"
    await production.received_nothing()


async def test_publisher_and_participant_workers_get_a_job_for_each(
    hire: Hire, enter: Join
) -> None:
    for_publishers = await hire("", kind=agent.JT_PUBLISHER)
    for_participants = await hire("", kind=agent.JT_PARTICIPANT)
    alice = await enter("alice")
    job = await for_participants.asked()
    assert (job.type, job.participant.identity) == (agent.JT_PARTICIPANT, "alice")
    await for_publishers.received_nothing()
    async with Microphone() as one, Microphone("second") as two:
        await alice.me.publish_track(one.track)
        job = await for_publishers.asked()
        assert (job.type, job.participant.identity) == (agent.JT_PUBLISHER, "alice")
        await for_publishers.answer(job, available=False)
        await alice.me.publish_track(two.track)
        await for_publishers.received_nothing()


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
        await for_publishers.received_nothing()


async def test_an_agent_in_the_room_is_no_reason_for_a_participant_job(
    hire: Hire, enter: Join
) -> None:
    worker = await hire("", kind=agent.JT_PARTICIPANT)
    await enter("agent", kind="agent")
    await enter("alice")
    assert (await worker.asked()).participant.identity == "alice"
