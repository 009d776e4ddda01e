"""Every state as people see it: nothing is cut off, and `LIVELAYER_SCREENS=DIR` keeps pictures."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

pytestmark = pytest.mark.anyio

SCREENS = os.environ.get("LIVELAYER_SCREENS")
SIZES = {"phone": (390, 844), "desktop": (1280, 800)}
SESSION = "<livelayer-session></livelayer-session>"
PANEL = '<livelayer-avatar mode="embedded" class="tall"></livelayer-avatar>'
WIDGET = '<livelayer-avatar mode="widget" display="expanded"></livelayer-avatar>'

OVERFLOWS = """() => {
    const root = document.querySelector("livelayer-avatar").shadowRoot;
    const box = root.querySelector(".panel").getBoundingClientRect();
    const out = [];
    const scrolls = ".transcript, .fields, .outbox, .events, .menu, .captions, .status";
    for (const one of root.querySelectorAll("button, textarea, input, p, .status, .curtain")) {
        if (!one.checkVisibility() || one.closest(".unseen")) continue;
        if (one.parentElement.closest(scrolls)) continue;
        const at = one.getBoundingClientRect();
        const over = Math.max(box.left - at.left, at.right - box.right,
                              box.top - at.top, at.bottom - box.bottom);
        if (over > 1) out.push(`${one.className || one.tagName}: ${Math.round(over)} px`);
    }
    if (document.documentElement.scrollWidth > innerWidth) out.push("the page scrolls sideways");
    return out;
}"""


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_every_state_fits_its_panel(
    visit: Callable[..., Awaitable[Page]],
    enact: Callable[[Page, str], Awaitable[None]],
    scenes: list[str],
    size: str,
    theme: str,
) -> None:
    width, height = SIZES[size]
    viewport: Any = {"width": width, "height": height}
    page = None
    over: dict[str, list[str]] = {}
    for name in scenes:
        body = PANEL if name == "missing" else SESSION + PANEL
        page = await visit(body, theme=theme, page=page, viewport=viewport)
        await enact(page, name)
        if found := await page.evaluate(OVERFLOWS):
            over[name] = found
        await keep(page, f"{name}-{size}-{theme}")
    assert not over


async def keep(page: Page, name: str) -> None:
    """A picture for the eye, where one was asked for."""
    if SCREENS is None:
        return
    await page.wait_for_timeout(400)  # what moves has come to rest; only ever for pictures
    await page.screenshot(path=Path(SCREENS) / f"{name}.png")
