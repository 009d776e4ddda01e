"""What hidden blocks of the documentation need: rooms, agents, programs, and a browser."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final, Self

import anyio
import pytest
from livelayer_demo import DemoAgent, demo_agent_token
from livelayer_embedded import EmbeddedServer
from playwright.async_api import Browser, Error, Frame, Page, async_playwright

from livelayer_bus import LocalKeys, Session
from livelayer_bus.testing import PATIENCE, polled
from tests import browsers

USER: Final = {"username": "ada", "password": "analytical engine"}
CLIENT: Final = "document.querySelector('livelayer-session').client"
LIVE: Final = f"{CLIENT}?.state?.agent_ready"


@asynccontextmanager
async def talking_session(*, agent: bool = True, **options: Any) -> AsyncGenerator[Session]:
    """A connected session in a room on this machine, with the demo's agent."""
    async with EmbeddedServer() as server:
        tokens = LocalKeys(server.url, server.key, server.secret)
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(Session("agt_demo", tokens=tokens, **options))
            await session.connect()
            if agent:
                token = demo_agent_token(server.key, server.secret, session.room_name or "")
                await stack.enter_async_context(DemoAgent(server.url, token, thinking_seconds=0.0))
                await until(session, lambda: session.state.agent_ready)
            yield session


async def until(session: Any, true: Any) -> None:
    """Wait until `true()` holds, looking again after each event."""
    with anyio.fail_after(PATIENCE), session.subscribe() as events:
        while not true():
            await anext(events)


def free_port() -> int:
    """A TCP port of the loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def chromium() -> AsyncGenerator[Browser]:
    """A browser; without one, the test is skipped."""
    async with async_playwright() as playwright:
        browser = await browsers.launch(playwright, whole=True)
        try:
            yield browser
        finally:
            await browser.close()


async def shown(page: Page | Frame, expression: str) -> None:
    """Wait until this is true on a page, whatever its policy says of scripts."""

    async def look() -> bool:
        try:
            return bool(await page.evaluate(expression))
        except Error:  # the page is being left
            return False

    true: bool = await polled(look)
    assert true


class Visitor:
    """A person at a page of the application."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def send(self, text: str) -> None:
        """Type a line in the panel, once the agent is there."""
        await shown(self._page, LIVE)
        await self._page.evaluate(
            "text => document.querySelector('livelayer-session').sendMessage(text)", text
        )

    async def wait_for_url(self, pattern: str) -> None:
        """Wait until the page is at such an address."""
        await self._page.wait_for_url(pattern, timeout=1000 * PATIENCE)

    async def says(self, words: str) -> None:
        """Wait until the agent has said this."""
        said = (
            f"{CLIENT}?.state?.transcript.some(({{ text }}) => text.includes({json.dumps(words)}))"
        )
        await shown(self._page, said)

    async def avatars(self) -> int:
        """How many avatars the page has."""
        return await self._page.locator("livelayer-avatar:defined").count()


class Programs:
    """A LiveKit server on this machine, and programs of the page's folder that use it."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        server = await self._stack.enter_async_context(EmbeddedServer())
        patch = pytest.MonkeyPatch()
        self._stack.callback(patch.undo)
        patch.setenv("LIVEKIT_URL", server.url)
        patch.setenv("LIVEKIT_API_KEY", server.key)
        patch.setenv("LIVEKIT_API_SECRET", server.secret)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def start(self, name: str, *arguments: str) -> Path:
        """Run a Python program until the page is done; gives the file of what it prints."""
        program, path = _start(name, sys.executable, *arguments)
        self._stack.push_async_callback(_end, program)
        return path

    @asynccontextmanager
    async def browser(self, worker: str, app: str) -> AsyncGenerator[Visitor]:
        """The worker, the application, and a visitor who is logged in at its first page."""
        port = free_port()
        # Not "start": that refuses jobs on a machine that is busy, and listens on a fixed port.
        printed = self.start("worker", f"{worker}.py", "dev")
        await polled(lambda: b"registered worker" in printed.read_bytes())
        self.start("app", "-m", "uvicorn", f"{app}:app", "--port", str(port))
        async with chromium() as browser:
            context = await browser.new_context(http_credentials=USER)  # type: ignore[arg-type]
            page = await context.new_page()
            await polled(lambda: _answers(port))
            await page.goto(f"http://127.0.0.1:{port}/")
            yield Visitor(page)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def _end(program: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(program.pid, signal.SIGTERM)
    try:
        await anyio.to_thread.run_sync(program.wait, PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(program.pid, signal.SIGKILL)


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        pass


@contextmanager
def served(folder: Path | str) -> Generator[str]:
    """The address of a server of these files."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=folder)) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def replace_in(folder: str, words: dict[str, str]) -> None:
    """Replace words in the pages of a folder, such as the address of an example."""
    for path in Path(folder).rglob("*.html"):
        text = path.read_text()
        for word, other in words.items():
            text = text.replace(word, other)
        path.write_text(text)


@asynccontextmanager
async def nats_server() -> AsyncGenerator[str]:
    """A NATS server with JetStream, of the wheel that brings one: its address."""
    port = free_port()
    program = Path(sys.executable).with_name("nats-server")
    process, _ = _start(
        "nats", str(program), "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", "js"
    )
    try:
        await polled(lambda: _answers(port))
        yield f"nats://127.0.0.1:{port}"
    finally:
        await _end(process)


def _start(name: str, *command: str) -> tuple[subprocess.Popen[bytes], Path]:
    """A program, and the file of what it prints."""
    path = Path(f"{name}.out")
    with path.open("wb") as out:
        return subprocess.Popen(  # noqa: S603 - our own text
            command, start_new_session=True, stdout=out, stderr=out
        ), path
