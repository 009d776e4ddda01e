"""The demo's site as `livelayer demo` serves it: a real room, the offline agent, and WebRTC."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import anyio
import msgspec
import pytest
from livelayer_demo import DemoAgent, demo_agent_token
from livelayer_demo.web import SITE
from livelayer_embedded import EmbeddedServer
from livelayer_web import Agent, WebSurface
from playwright.async_api import Browser, Page, async_playwright, expect

from livelayer_bus import LocalKeys, Session
from livelayer_bus.messages import ALL, Capability
from livelayer_bus.testing import PATIENCE
from tests import browsers

expect.set_options(timeout=1000 * PATIENCE)


class Site(msgspec.Struct):
    """A running demo."""

    url: str
    session: Session
    surface: WebSurface

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
        await self.until(lambda: words in self.said())


@pytest.fixture
def capabilities() -> frozenset[Capability]:
    """What the agent may do to the site."""
    return ALL


@pytest.fixture
async def site(capabilities: frozenset[Capability]) -> AsyncGenerator[Site]:
    """A demo of one's own, in which nothing has been said."""
    async with serving(capabilities) as site:
        yield site


@pytest.fixture(scope="module")
async def shared_site(anyio_backend: str) -> AsyncGenerator[Site]:
    """A demo for tests that say nothing."""
    async with serving(ALL) as site:
        yield site


@asynccontextmanager
async def serving(capabilities: frozenset[Capability]) -> AsyncGenerator[Site]:
    room = f"site-{uuid.uuid4().hex[:8]}"
    async with EmbeddedServer() as server:
        token = demo_agent_token(server.key, server.secret, room)
        keys = LocalKeys(server.url, server.key, server.secret, room_name=room)
        async with (
            DemoAgent(server.url, token, greeting=None, thinking_seconds=0.0),
            Session("demo", tokens=keys) as session,
        ):
            surface = WebSurface(port=0, site=SITE, agents=[Agent("demo", "Lumi", "Guide")])
            session.mount(surface, key="web", capabilities=capabilities)
            url = await surface.wait_url()
            yield Site(url, session, surface)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """LiveKit's libraries run on asyncio; one loop for a module, whose tests share a browser."""
    return "asyncio"


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> AsyncGenerator[Browser]:
    async with async_playwright() as playwright:
        browser = await browsers.launch(playwright)
        yield browser
        await browser.close()


@pytest.fixture
async def page(browser: Browser) -> AsyncGenerator[Page]:
    """A page; an error of its scripts fails the test."""
    faults: list[str] = []
    context = await browser.new_context()
    page = await context.new_page()
    page.set_default_timeout(1000 * PATIENCE)
    page.on("pageerror", lambda error: faults.append(str(error)))
    yield page
    await page.close()  # first and alone: what a page sends as it leaves is lost with its context
    await context.close()
    assert not faults, faults
