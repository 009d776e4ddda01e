"""Endpoint, token, session, called agent, page, answer, spoken reply; and coming back."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType

import anyio
import pytest
from livekit import api
from livekit.agents import AgentServer, JobExecutorType
from livelayer_embedded import EmbeddedServer
from livelayer_web.endpoint import ServedAgent
from livelayer_web.http.server import serving

from livelayer_bus import Event, Session, SurfaceSession
from livelayer_bus.events import AgentConfig, CommandFinished
from livelayer_bus.messages import Navigate
from livelayer_bus.testing import PATIENCE, ManualClock
from livelayer_bus.tokens import SessionEndpoint

from .conftest import KEY, Make

pytestmark = pytest.mark.anyio
EXAMPLE = Path(__file__).parents[4] / "examples" / "agent_worker.py"


class Site:
    """A LiveKit server and its keys."""

    def __init__(self, url: str, key: str, secret: str) -> None:
        self.url, self.key, self.secret = url, key, secret

    async def delete_room(self, room: str) -> None:
        async with api.LiveKitAPI(self.url, self.key, self.secret) as client:
            await client.room.delete_room(api.DeleteRoomRequest(room=room))


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.livekit)])
async def site(request: pytest.FixtureRequest, anyio_backend: object) -> AsyncGenerator[Site, None]:
    """Either server."""
    if request.param == "embedded":
        async with EmbeddedServer() as server:
            yield Site(server.url, server.key, server.secret)
        return
    names = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")
    if not all(os.environ.get(name) for name in names):
        pytest.skip("need LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET")
    yield Site(*(os.environ[name] for name in names))


@pytest.fixture
def example() -> ModuleType:
    """`examples/agent_worker.py`."""
    spec = importlib.util.spec_from_file_location("agent_worker", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@asynccontextmanager
async def worker(site: Site, example: ModuleType, name: str) -> AsyncGenerator[None, None]:
    """The example's worker, its jobs in threads of this process."""
    registered = asyncio.Event()
    server = AgentServer(
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
    server.rtc_session(example.talk, agent_name=name)
    server.on("worker_registered", lambda *_: registered.set())
    task = asyncio.get_running_loop().create_task(server.run(devmode=True))
    try:
        with anyio.fail_after(PATIENCE):
            await registered.wait()
        yield
    finally:
        with anyio.fail_after(PATIENCE):
            await server.aclose()
            await task


class Visit:
    """A session, a page that may be navigated, and ways to wait for what happens."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.visited: list[str] = []

    async def page(self, session: SurfaceSession) -> None:
        async for command in session.commands():
            if isinstance(command, Navigate):
                self.visited.append(command.href)

    async def until(self, true: Callable[[], bool]) -> None:
        with self.session.subscribe(Event) as events, anyio.fail_after(PATIENCE):
            while not true():
                await anext(events)

    async def ready(self) -> None:
        await self.until(lambda: self.session.state.agent_ready)

    def said(self, words: str) -> int:
        """How many finished utterances hold the words."""
        entries = self.session.transcript
        return sum(words in entry.text for entry in entries if entry.final)

    async def hears_speech(self) -> None:
        with self.session.audio.subscribe() as frames, anyio.fail_after(PATIENCE):
            async for frame in frames:
                if any(frame.data):
                    return

    @property
    def room(self) -> str:
        room = self.session.room
        assert room is not None
        return room.name


async def test_a_session_of_the_endpoint_with_an_agent_that_is_called_for_it(
    site: Site,
    example: ModuleType,
    make: Make,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"):
        # A worker sets these for its jobs; the next test must not find them.
        monkeypatch.setenv(name, os.environ.get(name, ""))
    name = f"lumi-{uuid.uuid4().hex[:8]}"
    agent = ServedAgent(id="agt_lumi", config=AgentConfig("Lumi"), dispatch=name)
    app = make(site.url, agents=(agent,), api_key=site.key, api_secret=site.secret)
    async with (
        worker(site, example, name),
        serving(app) as base,
        Session("agt_lumi", tokens=SessionEndpoint.at(base, KEY)) as session,
    ):
        visit = Visit(session)
        session.mount(visit.page, key="page", capabilities=["navigate"])

        await session.connect()
        await visit.ready()
        assert session.agent_config == AgentConfig("Lumi")
        first = visit.room
        await visit.until(lambda: visit.said("I am Lumi") > 0)
        with session.subscribe(CommandFinished) as finished:
            await session.send_text("please go to pricing")
            await visit.hears_speech()
            with anyio.fail_after(PATIENCE):
                await anext(finished)
        assert visit.visited == ["/pricing"]

        await session.disconnect()
        assert session.transcript == ()
        clock.advance(290)
        await session.connect()
        assert visit.room == first
        await visit.until(lambda: visit.said("I am Lumi") > 0)
        await visit.ready()
        await session.send_text("please go to pricing")
        await visit.until(lambda: len(visit.visited) == 2)
        assert visit.said("I am Lumi") == 1

        await session.disconnect()
        await site.delete_room(first)  # as LiveKit does when the window is over
        clock.advance(302)
        await session.connect()
        assert visit.room != first
        await visit.ready()
        await visit.until(lambda: visit.said("I am Lumi") > 0)
