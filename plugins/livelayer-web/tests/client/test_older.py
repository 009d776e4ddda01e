"""The oldest supported browsers: what they lack is not used, and without it everything works."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from livelayer_web.assets import MODULES
from playwright.async_api import Page

from .newer import OLDEST, read

pytestmark = pytest.mark.anyio

NEWER: Final = read()
README: Final = (Path(__file__).parents[2] / "README.md").read_text()
MAY: Final = {
    "checkVisibility": "asked for, and done by hand without it (client/older.js)",
    "disablePictureInPicture": "set: without it, there is no effect",
    "enumerateDevices": "in Firefox 115 without speakers",
    "getDisplayMedia": "asked for: phones cannot share their screens",
    "playsInline": "set: for phones",
    "showPopover": "asked for: without it, a widget may lie below a page's own layers",
    "setSinkId": "asked for: a speaker can be chosen only where it exists",
    "sinkId": "asked for, as setSinkId",
    "userActivation": "asked for",
}
"""Newer names that the modules may have, and why."""
OURS: Final = frozenset(
    {"actions", "address", "badge", "capture", "command", "connection", "drop", "grow", "handle"}
    | {"icon", "image", "intersection", "number", "preferences", "resizable", "resize", "role"}
    | {"share", "side", "states", "take", "turn"}
)
"""Members of our own objects, whose names newer interfaces have, too."""
MAY_MATCH: Final = {"popover-open": "asked only where there are popovers"}
"""Newer pseudo-classes that modules may look for."""
MAY_LOOK: Final = {
    "types light-dark": "split by hand without it (view/stylesheet.js)",
    "selectors has": "room for what else is shown; without it, they overlap by some pixels",
    "selectors dir": "the same, from right to left",
    "properties accent-color": "the range of a replay has the system's colour",
    "properties backdrop-filter": "what is behind it is less blurred",
    "properties field-sizing": "the field for text does not grow",
    "properties forced-color-adjust": "only where colours are forced",
    "properties mask-image": "a cut text ends without a fade",
    "properties overscroll-behavior": "the page scrolls on where a list ends",
    "properties resize": "taken away: phones have none",
    "properties scrollbar-color": "the system's colours",
    "properties scrollbar-width": "the system's width",
    "properties text-wrap": "lines of other lengths",
    "properties user-select": "with a prefix, too",
}
"""Newer features that style sheets may use, and how it looks without them."""


def code() -> Iterator[tuple[str, str]]:
    """The modules without comments."""
    for path in sorted(MODULES.rglob("*.js")):
        text = re.sub(r"/\*(?:[^*]|\*(?!/))*\*/|(?<!:)//.*", "", path.read_text())
        yield path.relative_to(MODULES).as_posix(), text


def test_no_module_uses_what_the_oldest_browsers_lack() -> None:
    found: set[str] = set()
    for path, text in code():
        for name in set(re.findall(r"(?<!\?):([a-z-]+)", text)) & NEWER.css["selectors"]:
            assert name in MAY_MATCH, f"{path} looks for :{name}, at which older browsers raise"
        for name in set(re.findall(r"\.([a-zA-Z]\w+)", text)) & NEWER.unique - OURS:
            assert name in MAY, f"{path} uses {name}, which the oldest supported browsers lack"
            found.add(name)
        asked = set(re.findall(r"\b(\w+)\.(?=(\w+))", text))
        made = set(re.findall(r"\bnew (\w+)", text))
        for name, members in NEWER.interfaces.items():
            newer = {(name, member.removesuffix("_static")) for member in members}
            assert not newer & asked, f"{path}: {newer & asked}"
            assert "itself" not in members or name not in made, f"{path}: new {name}"
    assert found == set(MAY)


def test_no_style_sheet_needs_what_the_oldest_browsers_lack() -> None:
    ways = {
        "properties": r"(?:^|[{{;])\s*{}\s*:",
        "selectors": r":{}(?![\w-])",
        "at-rules": r"@{}\b",
        "types": r"(?<![\w-]){}\(",
    }
    found: set[str] = set()
    for path in MODULES.rglob("*.css"):
        text = re.sub(r"/\*(?:[^*]|\*(?!/))*\*/", "", path.read_text())
        assert not re.search(r"\{[^{}]*&", text), f"{path}: nested rules need newer browsers"
        for kind, way in ways.items():
            for name in NEWER.css[kind]:
                if re.search(way.format(re.escape(name)), text, re.M):
                    found.add(f"{kind} {name}")
        for line in text.splitlines():
            if "light-dark(" in line:  # what is no custom property is dropped
                assert re.match(r"\s*--|\s+(?:radial|linear)-gradient", line), line
    assert found == set(MAY_LOOK)


def test_the_readme_names_them() -> None:
    names = {"chrome": "Chrome and Edge", "firefox": "Firefox", "safari": "Safari"}
    for browser, name in names.items():
        assert f"{name} {OLDEST[browser]}" in README


DELETE: Final = """(newer) => {
  let deleted = 0;
  const remove = (object, name) => {
    if (object && Object.hasOwn(object, name)) deleted += delete object[name] ? 1 : 0;
  };
  const iterator = Object.getPrototypeOf(Object.getPrototypeOf([].values()));
  for (const [name, members] of Object.entries(newer)) {
    const owner = name === "Iterator" ? { prototype: iterator } : globalThis[name];
    for (const member of members) {
      if (member === "itself") remove(globalThis, name);
      else if (member.endsWith("_static")) remove(owner, member.slice(0, -7));
      else {
        remove(owner?.prototype, member);
        remove(owner, member); // JavaScript's own statics are not marked
        if (name === "Window") remove(globalThis, member);
      }
    }
  }
  globalThis.deleted = deleted;
}"""
GONE: Final = """[
  AbortSignal.any, Promise.withResolvers, URL.parse, URL.canParse, [].values().map,
  new Set().union, Element.prototype.checkVisibility, globalThis.navigation,
].map((one) => one === undefined)"""


@pytest.fixture
async def old(page: Page) -> Page:
    """A page whose browser lacks what is newer than the oldest supported browsers."""
    await page.add_init_script(f"({DELETE})({json.dumps(NEWER.interfaces)})")
    return page


async def test_a_conversation_survives_a_cut_in_an_old_browser(
    make_web: Any, old: Page, until: Any
) -> None:
    web = await make_web()
    faults: list[str] = []
    old.on("pageerror", lambda error: faults.append(str(error)))
    await old.goto(f"{web.url}/old")
    assert await old.evaluate(GONE) == [True] * 8
    assert await old.evaluate("deleted") > 300
    client = "document.querySelector('livelayer-session').client"
    room = await web.connected()
    await until(old, f"{client}.state?.agent_active")
    for number in range(3):
        web.proxy.cut()
        await until(old, f"{client}.link.phase === 'recovering'")
        typed = old.evaluate(f"{client}.sendMessage('typed {number}').then((id) => id !== '')")
        room.transcribes(f"s{number}", f"said {number}")
        web.proxy.mend()
        assert await typed
        await until(old, f"{client}.link.phase === 'live'")
        shown = "document.querySelector('livelayer-avatar').shadowRoot.textContent"
        await until(old, f"{shown}.includes('said {number}')")
    assert [text.text for text in room.sent_texts] == ["typed 0", "typed 1", "typed 2"]
    assert faults == []


@pytest.mark.parametrize("theme", [None, "light", "dark"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_colours_are_the_same_without_light_dark(
    web: Any, page: Page, until: Any, scheme: Any, theme: str | None
) -> None:
    await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    await page.goto(f"{web.url}/old")
    await until(page, "document.querySelector('livelayer-session').client.link.phase === 'live'")
    await page.evaluate(
        """async (theme) => {
          if (theme) document.querySelector("livelayer-avatar").setAttribute("theme", theme);
          await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
        }""",
        theme,
    )
    colours = """() => {
      for (const one of document.getAnimations()) if (one instanceof CSSTransition) one.finish();
      return [...document.querySelector("livelayer-avatar").shadowRoot.querySelectorAll("*")]
      .map((one) => getComputedStyle(one))
      .map((one) => [one.color, one.backgroundColor, one.backgroundImage, one.boxShadow]);
    }"""
    before = await page.evaluate(colours)
    await page.evaluate("""async () => {
      const { splitColours, stylesheet } = await import("/livelayer/js/view/stylesheet.js");
      splitColours(stylesheet);
      const left = [...stylesheet.cssRules].filter(({ cssText }) => cssText.includes("light-dark"));
      if (left.length > 0) throw new Error(left[0].cssText);
    }""")
    assert await page.evaluate(colours) == before
