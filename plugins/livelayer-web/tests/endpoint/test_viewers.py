"""Viewers: access to a room that was issued to the caller, and to no other."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from .conftest import LUMI, MOSS, OTHER_KEY, SESSION, claims, error_of

pytestmark = pytest.mark.anyio


async def ask(client: httpx.AsyncClient, body: dict[str, Any], **headers: str) -> httpx.Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.post(SESSION, json={"agentId": LUMI.id, **body}, headers=given)


async def test_a_viewer_watches_the_room_hidden_and_calls_no_agent(
    client: httpx.AsyncClient,
) -> None:
    room = (await ask(client, {})).json()["roomName"]
    body = (await ask(client, {"priorRoomName": room, "role": "viewer"})).json()
    assert (body["roomName"], body["agentConfig"]["name"]) == (room, "Lumi")
    token = claims(body["token"])
    assert token.video.room == room
    assert (token.video.room_join, token.video.hidden, token.video.can_subscribe) == (True,) * 3
    assert (token.video.can_publish, token.video.can_publish_data) == (False, False)
    assert token.room_config is None
    assert token.attributes in (None, {})
    other = (await ask(client, {"priorRoomName": room, "role": "viewer"})).json()
    assert claims(other["token"]).identity != token.identity


async def test_no_room_of_another_caller_or_agent_and_none_that_was_not_issued(
    client: httpx.AsyncClient,
) -> None:
    room = (await ask(client, {})).json()["roomName"]
    watch = {"priorRoomName": room, "role": "viewer"}
    refused = [
        await ask(client, watch, x_api_key=OTHER_KEY),
        await ask(client, {**watch, "agentId": MOSS.id}),
        await ask(client, {**watch, "priorRoomName": room[:-1]}),
        await ask(client, {"role": "viewer"}),
    ]
    assert [error_of(answer) for answer in refused] == [(404, "room")] * 4
    assert error_of(await ask(client, {**watch, "role": "owner"})) == (400, "body")
