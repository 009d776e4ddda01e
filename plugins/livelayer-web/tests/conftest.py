"""A real browser, the system's or Playwright's own, driven by Playwright; else these tests skip."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Protocol

import pytest
from playwright.async_api import (
    Browser,
    BrowserContext,
    Page,
    async_playwright,
    expect,
)

from livelayer_bus.testing import PATIENCE
from tests import browsers

expect.set_options(timeout=1000 * PATIENCE)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


class Launch(Protocol):
    """Starts a browser of one's own: the whole one, or with flags that the shared one lacks."""

    async def __call__(self, *flags: str, whole: bool = ...) -> Browser: ...


@pytest.fixture(scope="module")
async def launch(anyio_backend: str) -> AsyncGenerator[Launch]:
    """Starts browsers with further flags; all are closed at the end of the module."""
    started: list[Browser] = []
    async with async_playwright() as playwright:

        async def start(*flags: str, whole: bool = False) -> Browser:
            browser = await browsers.launch(playwright, *flags, whole=whole)
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
    """Opens contexts that wait under the one deadline; all are closed with the test.

    Pages are closed first: a context that is closed at once takes back what they send as they
    leave, and their server believes for seconds that they are still there.
    """
    contexts: list[BrowserContext] = []

    async def start(browser: Browser, **options: Any) -> BrowserContext:
        context = await browser.new_context(**options)
        context.set_default_timeout(1000 * PATIENCE)
        contexts.append(context)
        return context

    yield start
    for context in contexts:
        for page in context.pages:
            await page.close()
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
