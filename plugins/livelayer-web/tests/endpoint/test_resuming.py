"""Coming back to a room: who may, until when, and when its agent is called again."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import httpx
import pytest
from livekit import api, rtc
from livelayer_embedded import EmbeddedServer
from livelayer_embedded.rooms import Room
from livelayer_web.endpoint.tokens import MAX_TOKEN

from livelayer_bus.rooms import keep
from livelayer_bus.testing import PATIENCE, ManualClock

from .conftest import LUMI, OTHER_KEY, SECRET, SESSION, Ask, Make, claims, error_of

pytestmark = pytest.mark.anyio


@pytest.fixture
async def client(
    make: Make, ask: Ask, server: EmbeddedServer
) -> AsyncGenerator[httpx.AsyncClient, None]:
    async with ask(make(server.url)) as client:
        yield client


@pytest.fixture
async def desk(server: EmbeddedServer) -> AsyncGenerator[api.LiveKitAPI, None]:
    """A back end that looks at the server."""
    async with api.LiveKitAPI(server.url, server.key, server.secret) as desk:
        yield desk


async def session(
    client: httpx.AsyncClient, prior: str | None = None, agent: str = LUMI.id, **headers: str
) -> dict[str, Any]:
    body = {"agentId": agent} | ({"priorRoomName": prior} if prior is not None else {})
    answer = await client.post(
        SESSION, json=body, headers={name.replace("_", "-"): v for name, v in headers.items()}
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def told(body: dict[str, Any]) -> Any:
    """What the token's agent is told."""
    return json.loads(claims(body["token"]).room_config.agents[0].metadata)


async def test_within_the_window_it_is_the_same_room_and_the_same_person(
    client: httpx.AsyncClient, clock: ManualClock
) -> None:
    first = await session(client)
    clock.advance(299)
    again = await session(client, first["roomName"])
    assert again["roomName"] == first["roomName"]
    assert claims(again["token"]).identity == claims(first["token"]).identity
    assert told(first)["resumed"] is False
    assert told(again)["resumed"] is True
    assert claims(again["token"]).attributes["livelayer.resumed"] == "true"
    assert "livelayer.resumed" not in claims(first["token"]).attributes


async def test_after_the_window_it_is_a_new_room(
    client: httpx.AsyncClient, clock: ManualClock
) -> None:
    first = await session(client)
    clock.advance(302)
    again = await session(client, first["roomName"])
    assert again["roomName"] != first["roomName"]
    assert told(again)["resumed"] is False


async def test_a_night_in_which_the_machine_is_suspended_ends_the_window(
    client: httpx.AsyncClient, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a wall clock that is set meanwhile changes nothing."""
    first, second = await session(client), await session(client)
    monkeypatch.setattr(time, "time", lambda: 1e9)
    clock.suspend(299)
    assert (await session(client, first["roomName"]))["roomName"] == first["roomName"]
    clock.suspend(8 * 3600)
    assert (await session(client, second["roomName"]))["roomName"] != second["roomName"]


async def test_a_room_that_the_server_still_has_is_returned_to_however_old_it_is(
    client: httpx.AsyncClient, clock: ManualClock, server: EmbeddedServer
) -> None:
    first = await session(client)
    server.rooms.create_room(first["roomName"])
    clock.advance(3 * 3600)
    again = await session(client, first["roomName"])
    assert again["roomName"] == first["roomName"]
    server.rooms.delete_room(first["roomName"])
    assert (await session(client, first["roomName"]))["roomName"] != first["roomName"]


@pytest.mark.parametrize("prior", ["kitchen", "", "ll-", "ll-" + "A" * 35, "x" * 256])
async def test_a_forged_prior_room_is_answered_with_a_new_one(
    client: httpx.AsyncClient, server: EmbeddedServer, prior: str
) -> None:
    server.rooms.create_room("kitchen")
    body = await session(client, prior)
    assert body["roomName"] != prior
    assert claims(body["token"]).video.room == body["roomName"]
    assert told(body)["resumed"] is False


async def test_a_room_of_another_caller_or_agent_is_answered_with_a_new_one(
    client: httpx.AsyncClient,
) -> None:
    first = await session(client)
    for other in (
        await session(client, first["roomName"], x_api_key=OTHER_KEY),
        await session(client, first["roomName"], agent="agt/moss"),
    ):
        assert other["roomName"] != first["roomName"]


async def test_livekits_standard_request_resumes_by_the_rooms_name(
    client: httpx.AsyncClient,
) -> None:
    first = await session(client)
    answer = await client.post(
        "/api/token",
        json={
            "room_name": first["roomName"],
            "room_config": {"agents": [{"agent_name": "lumi"}]},
        },
    )
    assert claims(answer.json()["participant_token"]).video.room == first["roomName"]


async def dispatches(desk: api.LiveKitAPI, room: str) -> list[api.AgentDispatch]:
    found = await desk.agent_dispatch.list_dispatch(room)
    return [item for item in found if item.agent_name == "lumi"]


async def test_a_room_whose_agent_has_left_gets_one_more_however_many_ask(
    client: httpx.AsyncClient, server: EmbeddedServer, desk: api.LiveKitAPI
) -> None:
    room = (await session(client))["roomName"]
    server.rooms.create_room(room)
    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(session, client, room)
    (dispatch,) = await dispatches(desk, room)
    assert json.loads(dispatch.metadata)["resumed"] is True


async def test_a_room_whose_agent_is_still_there_gets_no_other(
    client: httpx.AsyncClient, server: EmbeddedServer, desk: api.LiveKitAPI
) -> None:
    room = (await session(client))["roomName"]
    agent = rtc.Room()
    token = server.token("agent", room, kind="agent")
    await agent.connect(server.url, token, rtc.RoomOptions(single_peer_connection=False))
    keep(agent)
    try:
        assert (await session(client, room))["roomName"] == room
        assert await dispatches(desk, room) == []
    finally:
        await agent.disconnect()


async def test_the_server_keeps_an_empty_room_for_as_long_as_the_window(
    make: Make, ask: Ask, server: EmbeddedServer
) -> None:
    ended: list[str] = []
    over = anyio.Event()

    class Observer:
        def room_finished(self, room: Room) -> None:
            ended.append(room.name)
            over.set()

        def room_started(self, room: Room) -> None: ...
        def participant_joined(self, room: Room, participant: object) -> None: ...
        def participant_left(self, room: Room, participant: object) -> None: ...
        def track_published(self, room: Room, track: object) -> None: ...

    server.rooms.observers.append(Observer())
    async with ask(make(server.url, resume_window=1.0)) as client:
        first = await session(client)
        guest = rtc.Room()
        await guest.connect(
            server.url, first["token"], rtc.RoomOptions(single_peer_connection=False)
        )
        keep(guest)
        await guest.disconnect()
        with anyio.fail_after(PATIENCE):
            await over.wait()
    assert ended == [first["roomName"]]


async def test_a_token_of_nearly_the_longest_kind_opens_its_room(
    client: httpx.AsyncClient, server: EmbeddedServer
) -> None:
    body = {
        "participant_attributes": {str(number): "x" * 1000 for number in range(4)},
        "room_config": {"agents": [{"agent_name": "lumi"}]},
    }
    token = (await client.post("/api/token", json=body)).json()["participant_token"]
    assert 0.9 * MAX_TOKEN < len(token) <= MAX_TOKEN
    guest = rtc.Room()
    await guest.connect(server.url, token, rtc.RoomOptions(single_peer_connection=False))
    keep(guest)
    assert guest.name == claims(token).video.room
    await guest.disconnect()


async def test_a_server_that_is_away_is_no_500_and_gives_no_other_room(
    make: Make, ask: Ask
) -> None:
    async with ask(make("ws://127.0.0.1:9")) as client:
        first = await session(client)
        answer = await client.post(
            SESSION, json={"agentId": LUMI.id, "priorRoomName": first["roomName"]}
        )
    assert error_of(answer) == (503, "server_unreachable")
    assert "retry-after" in answer.headers


async def test_a_server_that_knows_other_keys_is_no_500(
    make: Make, ask: Ask, server: EmbeddedServer
) -> None:
    async with ask(make(server.url, api_key="other")) as client:
        room = (await session(client))["roomName"]
        answer = await client.post(SESSION, json={"agentId": LUMI.id, "priorRoomName": room})
    assert error_of(answer) == (503, "server_unreachable")
    assert SECRET not in answer.text
