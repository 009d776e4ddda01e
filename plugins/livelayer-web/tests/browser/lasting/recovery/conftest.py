"""A cable between a page and its server that can be cut, and a server that can be restarted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import anyio
import pytest
from livelayer_web import WebSurface

from livelayer_bus.testing import PATIENCE
from tests.support import lasting_port


class Relay(asyncio.DatagramProtocol):
    """One media address of the server's, and the peers that ask there."""

    def __init__(self, target: tuple[str, int], whole: Callable[[], bool]) -> None:
        self._target = target
        self._whole = whole
        self._page: tuple[str, int] | None = None
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if not self._whole() or self.transport is None:
            return
        if addr[:2] == self._target:
            if self._page is not None:
                self.transport.sendto(data, self._page)
        else:
            self._page = (addr[0], addr[1])
            self.transport.sendto(data, self._target)


class Cable:
    """TCP and UDP to one server. Cut, nothing comes through and no end is told, as by a dead link;
    mended, what TCP held back goes on."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._target = (str(address.hostname), int(address.port or 0))
        self._whole = asyncio.Event()
        self._whole.set()
        self._relays: dict[tuple[str, int], Relay] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.url = ""

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for relay in self._relays.values():
            if relay.transport is not None:
                relay.transport.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def cut(self) -> None:
        self._whole.clear()

    def mend(self) -> None:
        self._whole.set()

    async def relay(self, host: str, port: int) -> int:
        """A port, at the same address, from where media goes on over this cable."""
        key = (host, port)
        if key not in self._relays:
            loop = asyncio.get_running_loop()
            _, self._relays[key] = await loop.create_datagram_endpoint(
                lambda: Relay(key, self._whole.is_set), local_addr=(host, 0)
            )
        transport = self._relays[key].transport
        assert transport is not None
        return int(transport.get_extra_info("sockname")[1])

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._whole.wait()
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        ways = [
            asyncio.ensure_future(self._pump(reader, far_writer)),
            asyncio.ensure_future(self._pump(far_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)
            for end in (writer, far_writer):
                end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                await self._whole.wait()
                writer.write(data)
                await writer.drain()
            await self._whole.wait()
        except ConnectionError:
            pass


@pytest.fixture
async def cable(stage: Any) -> AsyncGenerator[Cable]:
    cable = Cable(stage.url)
    await cable.open()
    yield cable
    await cable.close()


class Restarts:
    """A web surface of the stage's session that is ended and comes back at the same address."""

    def __init__(self, session: Any, site: Path) -> None:
        self._session = session
        self._site = site
        self.surface = WebSurface(port=lasting_port(), site=site)
        self._mounted: Any = None
        self.url = ""

    async def start(self, *, anew: bool = False) -> None:
        """Mount it; `anew`: another one, that remembers nothing."""
        if anew:
            self.surface = WebSurface(port=int(self.url.rpartition(":")[2]), site=self._site)
        self._mounted = self._session.mount(self.surface, key="restarts", on_fault="raise")
        with anyio.fail_after(PATIENCE):
            self.url = await self.surface.wait_url()

    async def end(self) -> None:
        await self._mounted.unmount()


@pytest.fixture
async def server(stage: Any, site: Path) -> AsyncGenerator[Restarts]:
    server = Restarts(stage.session, site)
    await server.start()
    yield server
    await server.end()
