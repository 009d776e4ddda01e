"""Connecting, disconnecting and switching the agent from a page."""

from __future__ import annotations

import asyncio

import pytest
from livelayer_web import Agent

from livelayer_bus.errors import ConnectError
from livelayer_bus.testing import PATIENCE

from .scripted import Serve, Web, code_of

pytestmark = pytest.mark.anyio

AGENTS = [{"id": "agt_lumi", "name": "Lumi"}, Agent("agt_moss", "Moss", role="Sales")]


async def test_a_page_connects_and_disconnects_and_hears_of_it(web: Web) -> None:
    page = await web.page()
    async with page.events() as events:
        await events.next("snapshot")
        assert (await page.ask("POST", "control/connect")).status_code == 202
        states: list[str] = []
        while states[-1:] != ["connected"]:
            frame = await events.event("ConnectionStateChanged")
            states.append(frame.data["event"]["state"])
        assert states == ["connecting", "connected"]
        assert (await page.ask("POST", "control/connect")).status_code == 202
        assert (await page.ask("POST", "control/disconnect")).status_code == 202
        frame = await events.event("ConnectionStateChanged")
        assert frame.data["event"]["state"] == "disconnected"


async def test_why_it_could_not_connect_is_told(web: Web) -> None:
    page = await web.page()
    web.rooms.joining.fail(ConnectError("ws://rooms.invalid", "nobody answers"), times=1)
    answer = await page.ask("POST", "control/connect")
    assert code_of(answer) == (502, "connect")
    assert "nobody answers" in answer.json()["detail"]
    assert web.session.connection_state == "error"
    assert (await page.ask("POST", "control/connect")).status_code == 202


async def test_people_turn_to_an_agent_that_the_application_offers(serve: Serve) -> None:
    async with serve(agents=AGENTS) as web:
        await web.connect()
        page = await web.page()
        assert page.joined["agents"] == [
            {"id": "agt_lumi", "name": "Lumi"},
            {"id": "agt_moss", "name": "Moss", "role": "Sales"},
        ]
        answer = await page.ask("POST", "control/agent", {"agent_id": "agt_moss"})
        assert answer.status_code == 202
        assert (web.session.agent_id, web.session.state.epoch) == ("agt_moss", 2)
        for body in ({"agent_id": "agt_other"}, {"agent_id": "agt_moss\n"}):
            assert code_of(await page.ask("POST", "control/agent", body)) == (404, "agent")
        wrong: object
        for wrong in ({}, {"agent_id": 3}, {"agent_id": ""}, []):
            assert code_of(await page.ask("POST", "control/agent", wrong)) == (400, "body")
        assert web.session.agent_id == "agt_moss"


async def test_without_a_list_there_is_nobody_to_turn_to(web: Web) -> None:
    page = await web.page()
    answer = await page.ask("POST", "control/agent", {"agent_id": "agt_lumi"})
    assert code_of(answer) == (404, "agent")


async def test_a_join_under_way_ends_with_the_surface(web: Web) -> None:
    page = await web.page()
    web.rooms.joining.hold()
    asking = asyncio.create_task(page.ask("POST", "control/connect"))
    await web.rooms.joining.wait_held()
    await asyncio.wait_for(web.mounted.unmount(), PATIENCE)
    assert code_of(await asking) == (503, "unmounted")
    web.rooms.joining.open()


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "nothing", 404, "path"),
        ("GET", "", 404, "path"),
        ("POST", "viewers/", 404, "path"),
        ("GET", "viewers", 405, "method"),
        ("PUT", "events", 405, "method"),
        ("POST", "commands/one", 404, "path"),
        ("POST", "commands/-1", 404, "path"),
        ("PUT", "sources/keyboard", 404, "source"),
        ("DELETE", "whep/unknown", 404, "connection"),
        ("POST", "sessions", 404, "path"),
    ],
)
async def test_what_is_not_there_is_a_problem_too(
    web: Web, method: str, path: str, status: int, code: str
) -> None:
    page = await web.page()
    assert code_of(await page.ask(method, path)) == (status, code)


@pytest.mark.parametrize(
    "body",
    [
        {"wants": {"height": 0}},
        {"wants": {"height": 1e9}},
        {"wants": {"video": "yes"}},
        {"wants": 3},
        {"used": 1},
        {"page": {"url": "x" * 5000}},
        {"page": []},
        [],
    ],
)
async def test_a_beat_that_is_none_is_refused(web: Web, body: object) -> None:
    page = await web.page()
    assert code_of(await page.ask("POST", "viewers/me/beat", body)) == (400, "body")


async def test_a_live_session_has_no_replay_to_control(web: Web) -> None:
    page = await web.page()
    async with page.events() as events:
        assert (await events.next("info")).data["replay"] is None
    refused = await page.ask("POST", "control/replay", {"paused": True})
    assert code_of(refused) == (409, "no_replay")
    for wrong in ({"speed": 0}, {"position": -1}, {"paused": "yes"}):
        assert code_of(await page.ask("POST", "control/replay", wrong)) == (400, "body")
