"""The browser's half in a real browser, against the real surface on scripted rooms."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import pytest
from livelayer_web import ViewerTokens, WebSurface
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page

from livelayer_bus import Session
from livelayer_bus.messages import ALL
from livelayer_bus.testing import ScriptedRoom, ScriptedRooms, polled

LEAVING = ("context was destroyed", "navigat", "Cannot find context")
PAGES = Path(__file__).parent / "pages"


class Proxy:
    """Passes bytes between browser and server, until the network is cut, or only falls silent."""

    def __init__(self) -> None:
        self.target: tuple[str, int] = ("127.0.0.1", 0)
        self.port = 0
        self._up = asyncio.Event()
        self._up.set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> asyncio.Server:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    def cut(self) -> None:
        """Every connection breaks, and no other comes through."""
        self._up.clear()
        for writer in tuple(self._writers):
            writer.transport.abort()

    def silence(self) -> None:
        """Connections stay, and nothing comes through."""
        self._flowing.clear()

    def mend(self) -> None:
        """The network is back."""
        self._up.set()
        self._flowing.set()

    async def close(self) -> None:
        self.cut()
        self._flowing.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._carry(reader, writer)
        except OSError:
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._up.is_set():
            return
        other_reader, other_writer = await asyncio.open_connection(*self.target)
        ends = {writer, other_writer}
        self._writers |= ends
        try:
            done, pending = await asyncio.wait(
                {
                    asyncio.create_task(self._pump(reader, other_writer)),
                    asyncio.create_task(self._pump(other_reader, writer)),
                },
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in pending:
                task.cancel()
            await asyncio.gather(*done, *pending, return_exceptions=True)
        finally:
            self._writers -= ends
            for end in ends:
                end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            await self._flowing.wait()
            writer.write(data)
            await writer.drain()


@dataclass
class Web:
    """A session on scripted rooms, shown on a real surface behind a network that can be cut."""

    rooms: ScriptedRooms
    proxy: Proxy
    url: str
    surface: WebSurface
    session: Session
    options: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def room(self) -> ScriptedRoom:
        return self.rooms.rooms[-1]

    async def connected(self) -> ScriptedRoom:
        """Connect the session; its agent is there and active."""
        await self.session.connect()
        self.room.agent_joins()
        return self.room

    async def restart(self) -> None:
        """The server process ends, and another one takes its address: nothing is remembered."""
        await self.stop()
        await self.start(**self.options)

    async def start(self, **options: Any) -> None:
        self.options = options
        self.session = Session("agt", tokens=self.rooms.tokens, room=self.rooms)
        await self.session.__aenter__()
        self.surface = WebSurface(port=0, site=PAGES, **options)
        self.session.mount(self.surface, key="web", capabilities=ALL)
        address = urlsplit(await self.surface.wait_url())
        assert address.hostname is not None
        assert address.port is not None
        self.proxy.target = (address.hostname, address.port)

    async def stop(self) -> None:
        await self.session.__aexit__(None, None, None)


class Until(Protocol):
    async def __call__(self, page: Page, expression: str) -> Any: ...


class MakeWeb(Protocol):
    async def __call__(self, **options: Any) -> Web: ...


@pytest.fixture
async def make_web(scripted_rooms: ScriptedRooms) -> AsyncGenerator[MakeWeb]:
    """Starts surfaces; all are closed at the end of the test."""
    made: list[tuple[Web, asyncio.Server]] = []

    async def make(**options: Any) -> Web:
        proxy = Proxy()
        server = await proxy.start()
        web = Web.__new__(Web)
        web.rooms, web.proxy, web.url = scripted_rooms, proxy, f"http://127.0.0.1:{proxy.port}"
        await web.start(**options)
        made.append((web, server))
        return web

    yield make
    for web, server in made:
        await web.proxy.close()
        server.close()
        await web.stop()


@pytest.fixture
async def web(make_web: MakeWeb) -> Web:
    return await make_web()


@pytest.fixture
def tokens() -> ViewerTokens:
    return ViewerTokens(b"a secret of at least thirty-two bytes")


@pytest.fixture
async def modules(web: Web, page: Page) -> Page:
    """A page that imports modules and is joined to nothing."""
    await page.goto(f"{web.url}/blank")
    return page


@pytest.fixture
def until() -> Until:
    """Waits until an expression is true on a page: its policy forbids Playwright's own way."""
    return _until


@pytest.fixture
async def live(web: Web, page: Page) -> Page:
    """A page that is joined."""
    await page.goto(web.url)
    await _until(page, "window.client?.link.phase === 'live'")
    return page


async def _until(page: Page, expression: str) -> Any:
    async def look() -> Any:
        try:
            return await page.evaluate(expression)
        except PlaywrightError as error:
            if not any(word in str(error) for word in LEAVING):
                raise

    with contextlib.suppress(TimeoutError):
        return await polled(look)
    last = await page.evaluate("JSON.stringify(window.log?.slice(-5) ?? null)")
    raise AssertionError(f"never true: {expression}; the last of the log: {last}")
