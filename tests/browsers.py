"""The Chromium that tests start: its engine alone, or the whole browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser, Playwright

SHELL: Final = "chromium-headless-shell"
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def whole_browsers(bundled: str) -> Iterator[str]:
    """Paths of Chromium as people have it; `bundled` is where Playwright keeps its own."""
    for name in ("chromium", "chromium-browser"):
        if path := shutil.which(name):
            yield path
    if Path(bundled).exists():
        yield bundled


def shells(bundled: str) -> Iterator[str]:
    """Paths of Chromium's headless shell: the same engine without tabs, windows and prompts."""
    if path := shutil.which(SHELL):
        yield path
    for folder in Path(bundled).parents:
        name, _, revision = folder.name.partition("-")
        if name == "chromium":
            pattern = f"chromium_headless_shell-{revision}/*/*headless*shell*"
            yield from map(str, folder.parent.glob(pattern))


def chromium(playwright: Playwright, *, whole: bool = False) -> str:
    """The path of a browser; without one, the test is skipped.

    The shell opens a page for a third of the CPU time of the whole browser, which is for tests of
    what a browser adds to its engine: devices and their prompts, tabs that are hidden or frozen.
    Where the system has no shell, every test runs in the whole browser.
    """
    bundled = playwright.chromium.executable_path
    found = [] if whole else list(shells(bundled))
    found += whole_browsers(bundled)
    if not found:
        pytest.skip("need Chromium (make test installs it where it can)")
    return found[0]


async def launch(playwright: Playwright, *flags: str, whole: bool = False) -> Browser:
    """Start a browser."""
    path = chromium(playwright, whole=whole)
    return await playwright.chromium.launch(executable_path=path, args=[*FLAGS, *flags])
