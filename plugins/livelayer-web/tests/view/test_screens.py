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
    const scrolls = ".transcript, .fields, .outbox, .events, .menu, .captions, .status, .asked";
    const home = root.querySelector(".home");
    const above = home?.checkVisibility() ? home.scrollHeight - home.clientHeight : 0;
    if (above > 1) out.push("the home scrolls");
    for (const one of root.querySelectorAll("button, textarea, input, p, .status, .placeholder")) {
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


NARROW: Any = {"width": 320, "height": 568}
LOW: Any = {"width": 740, "height": 360}
WIDGETS: dict[str, tuple[str, dict[str, Any], str]] = {
    "bubble": ("speaking", {}, ""),
    "bubble-idle": ("idle", {}, ""),
    "bubble-sending": ("screen", {}, ""),
    "tab-sending": ("listening", {"attributes": "display=hidden"}, ""),
    "home": ("home", {}, ".bubble"),
    "home-narrow": ("home", {"viewport": NARROW, "theme": "dark"}, ".bubble"),
    "home-low": ("home", {"viewport": LOW}, ".bubble"),
    "home-arabic": (
        "home-portrait",
        {"direction": "rtl", "lang": "ar", "theme": "dark"},
        ".bubble",
    ),
    "home-forced": ("home", {"forced_colors": "active"}, ".bubble"),
    "forced": ("listening", {"forced_colors": "active"}, ".bubble"),
    "first-word-narrow": ("first-word", {"viewport": NARROW}, ".bubble"),
    "first-word-low": ("first-word", {"viewport": LOW}, ".bubble"),
    "captions-narrow": ("captions-long", {"viewport": NARROW, "theme": "dark"}, ".bubble"),
    "open": ("listening", {}, ".bubble"),
    "menu": ("listening", {}, ".bubble, .options-switch"),
    "team": ("listening", {"theme": "dark"}, ".bubble, .team-switch"),
    "devices": ("listening", {}, ".bubble, .devices-switch"),
    "devices-low": (
        "listening",
        {"viewport": {"width": 740, "height": 360}},
        ".bubble, .devices-switch",
    ),
    "devices-arabic": (
        "listening",
        {
            "direction": "rtl",
            "lang": "ar",
            "theme": "dark",
            "viewport": {"width": 390, "height": 760},
        },
        ".bubble, .devices-switch",
    ),
    "approval-arabic": ("approval", {"direction": "rtl", "lang": "ar", "theme": "dark"}, ""),
    "approval-low": ("approval-long", {"viewport": {"width": 740, "height": 360}}, ""),
    "approval-narrow": ("approval-long", {"viewport": {"width": 320, "height": 568}}, ""),
    "tools-german": ("tools", {"lang": "de"}, ".bubble"),
    "arabic": ("speaking", {"direction": "rtl", "lang": "ar"}, ".bubble"),
    "german": ("microphone-denied", {"lang": "de"}, ".bubble"),
    "narrow": ("microphone-busy", {"viewport": {"width": 320, "height": 568}}, ".bubble"),
    "low": ("listening", {"viewport": {"width": 740, "height": 360}}, ".bubble"),
    "compact": (
        "listening",
        {"attributes": "display=expanded compact-controls class=small"},
        ".more-switch",
    ),
    "chromeless": ("speaking", {"attributes": "chromeless"}, ".bubble"),
    "resized": ("transcript", {"size": {"width": 760, "height": 500}}, ".bubble"),
    "resized-arabic": (
        "listening",
        {"size": {"width": 420, "height": 700}, "direction": "rtl", "lang": "ar"},
        ".bubble",
    ),
    "top-start": ("speaking", {"attributes": "position=top-start"}, ".bubble"),
    "contained": ("listening", {"attributes": "contained"}, ".bubble"),
    "sheet": ("listening", {"viewport": {"width": 390, "height": 844}}, ".bubble"),
}


@pytest.mark.parametrize("name", WIDGETS)
async def test_a_widget_fits_the_window(visit: Callable[..., Awaitable[Page]], name: str) -> None:
    scene, options, presses = WIDGETS[name]
    options = dict(options)
    lang = options.pop("lang", "en")
    attributes = options.pop("attributes", "")
    size = options.pop("size", None)
    widget = f'<livelayer-avatar mode="widget" lang="{lang}" {attributes}></livelayer-avatar>'
    if "contained" in attributes:
        widget = f'<div class="stand">{widget}</div>'
    page = await visit(SESSION + widget, scene=scene, **options)
    if size is not None:
        await page.evaluate(
            "(size) => localStorage.setItem('ll-widget', JSON.stringify({size}))", size
        )
        page = await visit(SESSION + widget, scene=scene, page=page, **options)
    for selector in filter(None, presses.split(", ")):
        await page.locator(selector).click()
    await page.mouse.move(1, 1)
    outside = await page.evaluate(
        """() => [...harness.surface.shadowRoot.querySelectorAll("*")]
            .filter((one) => one.checkVisibility()
                && !one.closest(".unseen, .captions, .menu li, .asked, .home, .orb, .suggestions"))
            .map((one) => [one.className, one.getBoundingClientRect()])
            .filter(([, at]) => at.left < -1 || at.top < -1 || at.right > innerWidth + 1
                || at.bottom > innerHeight + 1).map(([name]) => String(name))"""
    )
    await keep(page, f"widget-{name}")
    assert outside == []
