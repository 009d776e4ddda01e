"""A real browser, the system's or Playwright's own, driven by Playwright; else these tests skip."""

from __future__ import annotations

import shutil
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any, Protocol

import pytest
from playwright.async_api import (
    Browser,
    BrowserContext,
    Page,
    Playwright,
    async_playwright,
    expect,
)

from livelayer_bus.testing import PATIENCE

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

expect.set_options(timeout=1000 * PATIENCE)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def _chromium(playwright: Playwright) -> str:
    system = shutil.which("chromium") or shutil.which("chromium-browser")
    found = system or playwright.chromium.executable_path
    if not Path(found).exists():
        pytest.skip("need Chromium (make test installs it where it can)")
    return found


@pytest.fixture(scope="session")
def chromium_path() -> Callable[[Playwright], str]:
    """Where the browser is; without one, the test is skipped."""
    return _chromium


class Launch(Protocol):
    """Starts a browser of one's own, for flags that the shared one does not have."""

    async def __call__(self, *flags: str) -> Browser: ...


@pytest.fixture(scope="module")
async def launch(anyio_backend: str) -> AsyncGenerator[Launch]:
    """Starts browsers with further flags; all are closed at the end of the module."""
    started: list[Browser] = []
    async with async_playwright() as playwright:
        path = _chromium(playwright)

        async def start(*flags: str) -> Browser:
            browser = await playwright.chromium.launch(
                executable_path=path, headless=True, args=[*FLAGS, *flags]
            )
            started.append(browser)
            return browser

        yield start
        for browser in started:
            await browser.close()


@pytest.fixture(scope="module")
async def browser(launch: Launch) -> Browser:
    return await launch()


class NewContext(Protocol):
    """Opens a context of a browser, with the options of `Browser.new_context`."""

    async def __call__(self, browser: Browser, **options: Any) -> BrowserContext: ...


@pytest.fixture
async def new_context(anyio_backend: str) -> AsyncGenerator[NewContext]:
    """Opens contexts that wait under the one deadline; all are closed with the test."""
    contexts: list[BrowserContext] = []

    async def start(browser: Browser, **options: Any) -> BrowserContext:
        context = await browser.new_context(**options)
        context.set_default_timeout(1000 * PATIENCE)
        contexts.append(context)
        return context

    yield start
    for context in contexts:
        await context.close()


@pytest.fixture
async def context(browser: Browser, new_context: NewContext) -> BrowserContext:
    return await new_context(browser)


@pytest.fixture
async def page(context: BrowserContext) -> AsyncGenerator[Page]:
    """A page; what its scripts throw fails the test."""
    faults: list[str] = []
    page = await context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    yield page
    assert not faults, faults
