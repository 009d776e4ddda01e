"""Sessions that pages open for themselves: a factory's, within a limit, closed when left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urljoin

import anyio
import httpx
import pytest
from livelayer_web import SessionsOnDemand, ViewerTokens, WebSurface, session_pool
from livelayer_web.viewers import SILENCE_SECONDS
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from livelayer_bus import MisuseError, Session
from livelayer_bus.errors import TokenRefusedError
from livelayer_bus.testing import (
    PATIENCE,
    ManualClock,
    ScriptedRooms,
    no_leaked_tasks,
    polled,
    settle,
)

from .scripted import Page, client_of, code_of

pytestmark = pytest.mark.anyio

SECRET = "a secret of the tests, thirty-two bytes"
LINGER = 10.0


class Agency:
    """The application that pages open sessions with."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.rooms = ScriptedRooms(agent="agent")
        self.open: list[Session] = []
        self.opened: list[str] = []
        self.fault: Exception | None = None

    @asynccontextmanager
    async def session(self, agent_id: str) -> AsyncGenerator[Session]:
        self.opened.append(agent_id)
        if self.fault is not None:
            raise self.fault
        async with Session(
            agent_id, tokens=self.rooms.tokens, room=self.rooms, clock=self.clock
        ) as session:
            self.open.append(session)
            try:
                yield session
            finally:
                self.open.remove(session)

    def surface(self, **options: Any) -> WebSurface:
        wish: dict[str, Any] = {"agents": ["lumi", "moss"], "linger": LINGER}
        wish |= options.pop("wish", {})
        sessions = SessionsOnDemand(self.session, **wish)
        return WebSurface(port=None, sessions=sessions, clock=self.clock, **options)


@pytest.fixture
def agency(clock: ManualClock) -> Agency:
    return Agency(clock)


@asynccontextmanager
async def served(surface: WebSurface) -> AsyncGenerator[httpx.AsyncClient]:
    """The surface, with no session of its own."""
    async with no_leaked_tasks(PATIENCE), client_of(surface.asgi) as http:
        task = asyncio.create_task(surface.serve())
        await settle()
        try:
            yield http
        finally:
            task.cancel()
            await asyncio.wait({task})


async def join(http: httpx.AsyncClient, base: str, bearer: str | None = None) -> Page:
    headers = {"authorization": f"Bearer {bearer}"} if bearer is not None else {}
    answer = await http.post(f"{base}/viewers", json={}, headers=headers)
    assert answer.status_code == 201, answer.text
    return Page(http, answer.json())


async def test_a_page_opens_a_session_of_its_own(agency: Agency) -> None:
    async with served(agency.surface()) as http:
        assert code_of(await http.post("/viewers", json={})) == (503, "unmounted")
        opened = await http.post("/sessions", json={"agent_id": "lumi"})
        assert opened.status_code == 201
        base = opened.json()["base"]
        assert base.startswith("sessions/")
        other = (await http.post("/sessions", json={"agent_id": "moss"})).json()["base"]
        page = await join(http, base)
        await join(http, other)
        assert page.joined["session"] == agency.open[0].id
        connected = await http.post(f"{base}/control/connect", headers=page.headers)
        assert connected.status_code == 202
        assert [session.agent_id for session in agency.open] == ["lumi", "moss"]
        assert [session.connection_state for session in agency.open] == ["connected", "idle"]
        foreign = await http.post(f"{other}/control/connect", headers=page.headers)
        assert code_of(foreign) == (401, "viewer")
        assert (await http.get(f"{base}/js/livelayer.js")).status_code == 200
        nested = await http.post(f"{base}/sessions", json={"agent_id": "lumi"})
        assert code_of(nested) == (404, "path")
    assert agency.open == []


async def test_a_proxy_may_strip_a_prefix(agency: Agency) -> None:
    surface = agency.surface()

    async def proxy(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix("/shop/livelayer")
        await surface.asgi({**scope, "path": path, "raw_path": path.encode()}, receive, send)

    async with served(surface), client_of(proxy) as http:
        opened = await http.post("/shop/livelayer/sessions", json={"agent_id": "lumi"})
        await join(http, urljoin("/shop/livelayer/", opened.json()["base"]))


async def test_it_is_closed_a_while_after_its_last_page_has_gone(agency: Agency) -> None:
    surface = agency.surface()
    async with served(surface) as http:
        base = (await http.post("/sessions", json={"agent_id": "lumi"})).json()["base"]
        page = await join(http, base)
        for _ in range(10):  # a page that is there keeps it
            await agency.clock.elapse(2.0)
            await http.post(f"{base}/viewers/me/beat", headers=page.headers, json={})
        assert len(agency.open) == 1
        await http.delete(f"{base}/viewers/me", headers=page.headers)
        await agency.clock.elapse(LINGER - 0.5)
        again = await http.post(f"{base}/viewers", json={"previous": page.key})
        assert again.json()["viewer"] == page.id
        page = Page(http, again.json())
        await http.delete(f"{base}/viewers/me", headers=page.headers)
        await agency.clock.elapse(LINGER)
        await polled(lambda: not agency.open)
        await settle()
        assert code_of(await http.post(f"{base}/viewers", json={})) == (404, "session")
        statistics = surface.statistics().sessions
        assert statistics is not None
        assert (statistics.open, statistics.opened, statistics.failed) == (0, 1, 0)


async def test_it_waits_longer_for_a_page_that_fell_silent_as_a_phones_does(agency: Agency) -> None:
    async with served(agency.surface(wish={"linger_silent": 900.0})) as http:
        base = (await http.post("/sessions", json={"agent_id": "lumi"})).json()["base"]
        page = await join(http, base)
        await agency.clock.elapse(SILENCE_SECONDS + 890.0)
        (session,) = agency.open
        # What the page had is there again, and so is the page.
        again = await http.post(f"{base}/viewers", json={"previous": page.key})
        assert again.json()["viewer"] == page.id
        assert again.json()["session"] == session.id
        await agency.clock.elapse(SILENCE_SECONDS + 899.0)
        assert agency.open == [session]
        await agency.clock.elapse(2.0)
        await polled(lambda: not agency.open)


async def test_one_that_waits_for_a_silent_page_makes_room_and_no_other_does(
    agency: Agency,
) -> None:
    async with served(agency.surface(wish={"limit": 2})) as http:
        bases = [
            (await http.post("/sessions", json={"agent_id": "lumi"})).json()["base"]
            for _ in range(2)
        ]
        first, second = [await join(http, base) for base in bases]
        full = await http.post("/sessions", json={"agent_id": "moss"})
        assert code_of(full) == (503, "full")  # their pages are there
        await agency.clock.elapse(SILENCE_SECONDS - 1)
        await http.post(f"{bases[1]}/viewers/me/beat", headers=second.headers, json={})
        await agency.clock.elapse(SILENCE_SECONDS - 2)
        silent, other = agency.open
        assert (await http.post("/sessions", json={"agent_id": "moss"})).status_code == 201
        assert silent not in agency.open
        assert other in agency.open
        gone = await http.post(f"{bases[0]}/viewers", json={"previous": first.key})
        assert code_of(gone) == (404, "session")


async def test_it_is_closed_after_a_night_in_which_the_machine_was_suspended(
    agency: Agency,
) -> None:
    async with served(agency.surface()) as http:
        await http.post("/sessions", json={"agent_id": "lumi"})
        agency.clock.suspend(8 * 3600)
        await agency.clock.elapse(0)
        await polled(lambda: not agency.open)


async def test_one_that_nobody_joins_is_closed_too(agency: Agency) -> None:
    async with served(agency.surface()) as http:
        await http.post("/sessions", json={"agent_id": "lumi"})
        await agency.clock.elapse(LINGER)
        await polled(lambda: not agency.open)


async def test_only_the_applications_agents_and_only_so_many(agency: Agency) -> None:
    async with served(agency.surface(wish={"limit": 2})) as http:
        for wrong in ("evil", "lumi ", "../lumi"):
            refused = await http.post("/sessions", json={"agent_id": wrong})
            assert code_of(refused) == (404, "agent")
        assert code_of(await http.post("/sessions", json={})) == (400, "body")
        assert agency.opened == []  # the factory never hears of them
        for _ in range(2):
            assert (await http.post("/sessions", json={"agent_id": "lumi"})).status_code == 201
        full = await http.post("/sessions", json={"agent_id": "lumi"})
        assert code_of(full) == (503, "full")
        await agency.clock.elapse(LINGER)
        await polled(lambda: not agency.open)
        await settle()
        assert (await http.post("/sessions", json={"agent_id": "moss"})).status_code == 201


async def test_a_factory_that_fails_is_told_without_what_it_said(
    agency: Agency, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(agency.surface()) as http:
        agency.fault = RuntimeError("the key is 1234")
        refused = await http.post("/sessions", json={"agent_id": "lumi"})
        assert code_of(refused) == (502, "connect")
        assert "1234" not in refused.text + caplog.text
        agency.fault = TokenRefusedError("https://api.example.com", 402, "no credit left")
        refused = await http.post("/sessions", json={"agent_id": "lumi"})
        assert code_of(refused) == (502, "connect")
        assert "no credit left" in refused.text
        agency.fault = None
        assert (await http.post("/sessions", json={"agent_id": "lumi"})).status_code == 201


async def test_with_tokens_opening_takes_one_for_the_agent_and_gives_one(agency: Agency) -> None:
    tokens = ViewerTokens(SECRET)
    surface = agency.surface(tokens=tokens)
    async with served(surface) as http:

        async def open_with(token: str | None, agent: str = "lumi") -> httpx.Response:
            headers = {"authorization": f"Bearer {token}"} if token is not None else {}
            return await http.post("/sessions", json={"agent_id": agent}, headers=headers)

        assert code_of(await open_with(None)) == (401, "token")
        assert code_of(await open_with(tokens.issue("agent:moss"))) == (401, "token")
        token = surface.token(["watch", "talk"], agent="lumi")
        opened = await open_with(token)
        assert opened.status_code == 201
        assert code_of(await open_with(token)) == (401, "replayed")
        base, inner = opened.json()["base"], opened.json()["token"]
        assert code_of(await http.post(f"{base}/viewers", json={})) == (401, "token")
        page = await join(http, base, inner)
        assert page.joined["grants"] == ["talk", "watch"]
        tokens.revoke(tokens.token_id(token))  # ends what it opened
        await polled(lambda: not agency.open)


async def test_beside_a_session_of_the_applications_own(agency: Agency) -> None:
    surface = agency.surface()
    rooms = ScriptedRooms(agent="agent")
    async with (
        no_leaked_tasks(PATIENCE),
        client_of(surface.asgi) as http,
        Session("agt", tokens=rooms.tokens, room=rooms, clock=agency.clock) as session,
    ):
        mounted = session.mount(surface, key="web")
        await settle()
        assert (await join(http, "")).joined["session"] == session.id
        base = (await http.post("/sessions", json={"agent_id": "lumi"})).json()["base"]
        assert (await join(http, base)).joined["session"] == agency.open[0].id
        with anyio.fail_after(PATIENCE):
            await mounted.unmount()
        assert agency.open == []
        refused = await http.post("/sessions", json={"agent_id": "lumi"})
        assert code_of(refused) == (503, "unmounted")


async def test_mounted_into_an_application_it_needs_nothing_else(agency: Agency) -> None:
    """Nothing runs the surface: no lifespan, no `serve`, no mounted session."""
    surface = agency.surface()
    app = Starlette(routes=[Mount("/agent", surface.asgi)])
    async with no_leaked_tasks(PATIENCE), client_of(app) as http:
        opened = await http.post("/agent/sessions", json={"agent_id": "lumi"})
        assert opened.status_code == 201
        base = f"/agent/{opened.json()['base']}"
        page = await join(http, base)
        assert page.joined["session"] == agency.open[0].id
        with anyio.fail_after(PATIENCE):
            await surface.aclose()
        assert agency.open == []
        assert code_of(await http.post(f"{base}/viewers", json={})) == (404, "session")
        refused = await http.post("/agent/sessions", json={"agent_id": "lumi"})
        assert code_of(refused) == (503, "unmounted")
        await surface.aclose()


async def test_the_request_that_opens_a_session_may_go_away(agency: Agency) -> None:
    surface = agency.surface()
    async with no_leaked_tasks(PATIENCE), client_of(surface.asgi) as http:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(join, http, await open_session(http))
                await polled(lambda: agency.open)
                scope.cancel()
        await join(http, await open_session(http))
        assert len(agency.open) == 2
        await surface.aclose()


async def test_sessions_that_pages_opened_before_it_was_mounted_go_on_until_it_is_unmounted(
    agency: Agency,
) -> None:
    surface = agency.surface()
    rooms = ScriptedRooms(agent="agent")
    async with (
        no_leaked_tasks(PATIENCE),
        client_of(surface.asgi) as http,
        Session("agt", tokens=rooms.tokens, room=rooms, clock=agency.clock) as session,
    ):
        page = await join(http, base := await open_session(http))
        mounted = session.mount(surface, key="web")
        await settle()
        beat = await http.post(f"{base}/viewers/me/beat", headers=page.headers, json={})
        assert beat.status_code == 204
        await mounted.unmount()
        assert agency.open == []


async def test_as_a_servers_only_application_it_ends_with_its_lifespan(agency: Agency) -> None:
    surface = agency.surface()
    asked, answers = asyncio.Queue[dict[str, Any]](), asyncio.Queue[Any]()
    async with no_leaked_tasks(PATIENCE), client_of(surface.asgi) as http:
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        server = asyncio.ensure_future(surface.asgi(scope, asked.get, answers.put))
        await asked.put({"type": "lifespan.startup"})
        assert (await answers.get())["type"] == "lifespan.startup.complete"
        await open_session(http)
        await asked.put({"type": "lifespan.shutdown"})
        assert (await answers.get())["type"] == "lifespan.shutdown.complete"
        await server
        assert agency.open == []


async def test_closing_gives_up_a_session_that_does_not_end(
    agency: Agency, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    release = anyio.Event()

    @asynccontextmanager
    async def stuck(agent_id: str) -> AsyncGenerator[Session]:
        async with agency.session(agent_id) as session:
            try:
                yield session
            finally:
                with anyio.CancelScope(shield=True):
                    await release.wait()

    surface = WebSurface(
        port=None, sessions=SessionsOnDemand(stuck, agents=["lumi"]), clock=agency.clock
    )
    async with no_leaked_tasks(PATIENCE), client_of(surface.asgi) as http:
        await open_session(http)
        monkeypatch.setattr(session_pool, "CLOSE_SECONDS", 0.0)
        with anyio.fail_after(PATIENCE):
            await surface.aclose()
        assert "did not close" in caplog.text
        release.set()
        await polled(lambda: not agency.open)


async def open_session(http: httpx.AsyncClient) -> str:
    base: str = (await http.post("/sessions", json={"agent_id": "lumi"})).json()["base"]
    return base


async def test_there_must_be_something_to_serve(clock: ManualClock, agency: Agency) -> None:
    with pytest.raises(MisuseError):
        await WebSurface(port=None, clock=clock).serve()
    wrong: list[dict[str, Any]] = [
        {"agents": []},
        {"agents": "lumi"},
        {"agents": ["lumi"], "limit": 0},
        {"agents": ["lumi"], "linger": -1},
        {"agents": ["lumi"], "linger_silent": -1},
        {"agents": ["lumi"], "capabilities": ["everything"]},
    ]
    for options in wrong:
        with pytest.raises(MisuseError):
            SessionsOnDemand(agency.session, **options)
