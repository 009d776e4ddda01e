"""The whole of it: Chromium, its page, the surface, a session, a room on this machine, an agent."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import anyio
import pytest
from livekit import rtc
from livekit.protocol.models import TrackSource
from livelayer_demo import DemoAgent, demo_agent_token
from livelayer_embedded import EmbeddedServer
from livelayer_web import WebSurface
from playwright.async_api import Error, Page

from livelayer_bus import RoomAccess, Session
from livelayer_bus.events import AgentConfig
from livelayer_bus.messages import ALL
from livelayer_bus.rooms import keep
from livelayer_bus.testing import PATIENCE, polled
from livelayer_bus.testing.waiting import Signal
from livelayer_bus.tokens import TokenRequest

PAGES = Path(__file__).parent / "pages"
"""A site of three pages that are really left and loaded: `/`, `/pricing`, `/sign-up`."""

CLIENT = "document.querySelector('livelayer-session')?.client"
"""The page's client, as an expression; undefined until its modules have run."""
STATUS = f"""JSON.stringify((({{ link, media, pending, state }} = {{}}) => ({{
  link, media, pending, connection: state?.connection_state, agent: state?.agent_active
}}))({CLIENT}))"""
"""What a page's client is at, for a wait that ends in vain."""
LEAVING = ("context was destroyed", "navigating", "navigated")
"""What Playwright says where a page is being left."""


class Puppet:
    """An agent that does nothing but what a test tells it, in a real room."""

    def __init__(self) -> None:
        self.room = rtc.Room()
        self.got: list[dict[str, Any]] = []
        """What surfaces sent to it, in order."""
        self._signal = Signal()
        self.room.on("data_received", self._take)
        self.room.on("participant_active", self._joined)

    async def join(self, url: str, token: str) -> None:
        """Enter the room, and say that it listens."""
        # A single connection is not what every server offers, and warns.
        await self.room.connect(url, token, rtc.RoomOptions(single_peer_connection=False))
        keep(self.room)
        await self.room.local_participant.set_attributes({"lk.agent.state": "listening"})

    async def leave(self) -> None:
        await self.room.disconnect()

    async def met(self) -> None:
        """Wait until a participant is there that hears it."""
        active = rtc.ParticipantState.PARTICIPANT_STATE_ACTIVE
        with anyio.fail_after(PATIENCE):
            await self._signal.wait_for(
                lambda: any(p.state == active for p in self.room.remote_participants.values())
            )

    async def send(self, message: Mapping[str, Any]) -> None:
        """Send a message to everyone in the room."""
        await self.room.local_participant.publish_data(json.dumps(message), reliable=True)

    async def command(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Command the page, and wait for what became of it."""
        seen = len(self.results(message["type"]))
        await self.send(message)
        await self.until(lambda: len(self.results(message["type"])) > seen)
        return self.results(message["type"])[-1]

    def results(self, command: str) -> list[dict[str, Any]]:
        """What became of the commands of this type."""
        return [m for m in self.of("command_result") if m["command"] == command]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The messages of one type that it got."""
        return [message for message in self.got if message["type"] == kind]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that surfaces send."""
        with anyio.fail_after(PATIENCE):
            await self._signal.wait_for(condition)

    async def speak(self, text: str, segment: str = "s1") -> None:
        """Add a line to the transcript."""
        writer = await self.room.local_participant.stream_text(
            topic="lk.transcription",
            attributes={"lk.segment_id": segment, "lk.transcription_final": "true"},
        )
        await writer.write(text)
        await writer.aclose()

    def _take(self, packet: rtc.DataPacket) -> None:
        message = json.loads(packet.data)
        if isinstance(message, dict) and "type" in message:
            self.got.append(message)
            self._signal.notify()

    def _joined(self, _participant: rtc.RemoteParticipant) -> None:
        self._signal.notify()


@dataclass
class Shown:
    """A session on a page, with everything behind it."""

    url: str
    surface: WebSurface
    session: Session
    server: EmbeddedServer
    agent: Any
    """The demo's agent, a puppet, or None."""
    room: str

    def published(self) -> list[str]:
        """What people publish in the room, by the server's own account."""
        people = self.server.rooms.get_room(self.room).participants.values()
        tracks = [t for person in people if not person.is_agent for t in person.tracks.values()]
        return sorted(TrackSource.Name(track.info.source).lower() for track in tracks)

    def said(self) -> str:
        """What the agent said so far."""
        return " ".join(e.text for e in self.session.transcript if e.role == "agent")

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something about the session."""
        with self.session.subscribe() as changes, anyio.fail_after(PATIENCE):
            while not condition():
                await anext(changes)

    async def until_said(self, words: str) -> None:
        """Wait until the agent has said this."""
        try:
            await self.until(lambda: words in self.said())
        except TimeoutError:
            lines = [(entry.role, entry.text) for entry in self.session.transcript]
            raise AssertionError(f"never said {words!r}, but {lines}") from None

    async def until_left(self) -> None:
        """Wait until the pages of the test before have left: a command goes to one page only."""
        await polled(lambda: not self.surface.viewers())

    async def connect(self) -> None:
        """Connect the session; its agent is there and can be talked to."""
        await self.session.connect()
        await self.until(lambda: self.session.state.agent_active)
        if isinstance(self.agent, Puppet):
            await self.agent.met()
            await self.agent.send({"type": "bot_ready"})
            await self.until(lambda: self.session.state.agent_ready)


Show: TypeAlias = Callable[..., AbstractAsyncContextManager[Shown]]


@pytest.fixture(scope="module")
def show() -> Show:
    """Shows a session: `async with show(agent="puppet") as shown`.

    `agent`: "demo" (`demo`: options of `DemoAgent`), "puppet" or None; `capabilities` of the
    surface; `config`: the agent's; `session`: options of `Session`; the rest goes to `WebSurface`.
    """

    @asynccontextmanager
    async def showing(
        *,
        agent: str | None = "demo",
        demo: Mapping[str, Any] | None = None,
        capabilities: Iterable[str] = ALL,
        config: AgentConfig | None = None,
        session: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> AsyncGenerator[Shown]:
        room = f"page-{uuid.uuid4().hex[:8]}"
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(EmbeddedServer())

            async def tokens(_request: TokenRequest) -> RoomAccess:
                token = server.token(f"person-{uuid.uuid4().hex[:8]}", room)
                return RoomAccess(server.url, token, room, config)

            acting: Any = None
            token = demo_agent_token(server.key, server.secret, room)
            if agent == "demo":
                given: dict[str, Any] = {"greeting": None, "thinking_seconds": 0.0, **(demo or {})}
                acting = await stack.enter_async_context(DemoAgent(server.url, token, **given))
            elif agent == "puppet":
                acting = Puppet()
                await acting.join(server.url, token)
                stack.push_async_callback(acting.leave)
            choices: dict[str, Any] = {"tokens": tokens, **(session or {})}
            opened = Session("demo", **choices)
            await stack.enter_async_context(opened)
            chosen: dict[str, Any] = {"port": 0, "site": PAGES, **options}
            surface = WebSurface(**chosen)
            opened.mount(surface, key="web", capabilities=capabilities)
            with anyio.fail_after(PATIENCE):
                url = await surface.wait_url()
            yield Shown(url, surface, opened, server, acting, room)

    return showing


class Until(Protocol):
    async def __call__(self, page: Page, expression: str) -> Any: ...


@pytest.fixture(scope="module")
def until() -> Until:
    """Waits until an expression is true on a page, and gives its value.

    A page's policy forbids Playwright's own way, and a page that is being left has no answer yet.
    `client` in the expression is the page's.
    """

    async def until(page: Page, expression: str) -> Any:
        guard = "client === undefined ? null : " if "client" in expression else ""
        asked = f"(() => {{ const client = {CLIENT}; return {guard}({expression}); }})()"

        async def look() -> Any:
            try:
                return await page.evaluate(asked)
            except Error as error:
                if not any(word in error.message for word in LEAVING):
                    raise

        try:
            return await polled(look)
        except TimeoutError:
            told = f"never true on {page.url}: {expression}"
            raise AssertionError(f"{told}; {await page.evaluate(STATUS)}") from None

    return until
