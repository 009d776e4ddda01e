"""What the recorder's tests share."""

from __future__ import annotations

import shutil
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def chromium(bundled: str) -> str:
    """The path of the system's Chromium, else of Playwright's; without one, the test is skipped."""
    path = shutil.which("chromium") or bundled
    if not Path(path).exists():
        pytest.skip("need Chromium (make test installs it where it can)")
    return path


@pytest.fixture
async def browser(anyio_backend: str) -> AsyncGenerator[Browser]:
    async with async_playwright() as playwright:
        path = chromium(playwright.chromium.executable_path)
        flags = ["--no-sandbox", "--disable-gpu", "--disable-quic"]
        browser = await playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        await browser.close()
