"""The built site: links, names, figures, what it loads, and how it looks on a phone.

Building it is slow (some 20 seconds of CPU): it is done if a file that it is made of has changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NamedTuple
from urllib.parse import unquote, urljoin

import pytest

from docs.generator import figures
from docs.generator.names import MODULES, SOURCES, TOP
from docs.generator.site import DOCS, BuildError, build_if_older, run_zensical
from livelayer_bus.testing import PATIENCE, polled
from tests.test_architecture import public_modules

from .stage import chromium, served

pytestmark = pytest.mark.slow

PLACE = "http://site/"
LOADED = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src")}
WORDS = re.compile(r"\d(?:\.\d+)?x\b|\b\d+(?:\.\d+)? ms\b|\d times (?:less|one|as)")
"""A measured figure that somebody typed."""


class Link(NamedTuple):
    tag: str
    attribute: str
    target: str
    relation: str


class Parsed(HTMLParser):
    """The anchors of a page, and what it links to and loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[Link] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        for name in ("href", "src"):
            if name in given:
                self.links.append(Link(tag, name, given[name], given.get("rel", "")))


@pytest.fixture(scope="module")
def site() -> Path:
    return build_if_older()


@cache
def parsed(site: Path) -> dict[str, Parsed]:
    """Every page but the one for addresses that do not exist."""
    pages = (path for path in site.rglob("*.html") if path.name != "404.html")
    return {path.relative_to(site).as_posix(): Parsed(path.read_text()) for path in pages}


def test_every_link_and_anchor_leads_somewhere(site: Path) -> None:
    pages = parsed(site)
    broken: set[tuple[str, str]] = set()
    for page, found in pages.items():
        for link in found.links:
            address, _, anchor = urljoin(PLACE + page, link.target).partition("#")
            if not address.startswith(PLACE):
                continue
            path = unquote(address.removeprefix(PLACE).partition("?")[0]) or "index.html"
            exists = (site / path).is_file()
            if exists and anchor and path in pages:
                exists = unquote(anchor) in pages[path].anchors
            if not exists:
                broken.add((page, link.target))
    assert not sorted(broken)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[there](missing.md)", "page does not exist"),
        ("[there](#missing)", "anchor does not exist"),
        ("[there][livelayer_bus.session.Missing]", "unresolved"),
    ],
)
def test_a_link_that_leads_nowhere_ends_the_build(text: str, problem: str, tmp_path: Path) -> None:
    settings = tmp_path / "zensical.toml"
    settings.write_text((DOCS / "zensical.toml").read_text().replace("extra_css", "# extra_css"))
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "index.md").write_text(f"# Home\n\n{text}\n")
    with pytest.raises(BuildError, match=problem):
        run_zensical(settings)


def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    loaded = {
        link.target
        for page in parsed(site).values()
        for link in page.links
        if (link.tag, link.attribute) in LOADED and link.relation not in {"canonical", "alternate"}
    }
    assert not [one for one in loaded if re.match(r"(?:https?:)?//", one)]
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", sheet.read_text()), sheet


def faces() -> Iterator[tuple[str, str]]:
    """Every public name, by the module that offers it."""
    core = {name: names for name, names in public_modules().items() if name != "livelayer_bus.cli"}
    for module in MODULES:
        if module not in core:
            core[module] = frozenset(getattr(import_module(module), "__all__", ()))
    for module, names in core.items():
        for name in sorted(names):
            if not isinstance(getattr(import_module(module), name), ModuleType):
                yield module, name


def test_every_public_name_has_its_entry(site: Path) -> None:
    pages = parsed(site)
    entries = {anchor for page in pages.values() for anchor in page.anchors}
    missing: list[str] = []
    for module, name in faces():
        page = pages[f"reference/python/{module}.html"]
        named = {link.target.partition("#")[2] for link in page.links} | page.anchors
        if not {one for one in named if one.rpartition(".")[2] == name} & entries:
            missing.append(f"{module}.{name}")
    assert not missing


def test_every_distribution_is_in_the_reference() -> None:
    packages = {
        "livekit.plugins.livelayer" if path.name == "livekit" else path.name
        for source in SOURCES[1:]
        for path in source.iterdir()
        if path.is_dir() and not path.name.endswith((".egg-info", "__pycache__"))
    }
    assert packages <= {*MODULES, TOP}


@pytest.mark.parametrize("page", sorted(DOCS.glob("explanation/*.md")), ids=lambda page: page.stem)
def test_figures_come_from_the_results(page: Path, site: Path) -> None:
    source = page.read_text()
    shown = (site / "explanation" / f"{page.stem}.html").read_text()
    for area, goal, form in figures.FIGURE.findall(source):
        [value] = [one for one in figures.results(area)["goals"] if one["name"] == goal]
        assert form.format(value["measured"]) in shown
    assert "{{" not in shown
    assert not WORDS.findall(figures.FIGURE.sub("", source))


def test_all_figures_are_told(site: Path) -> None:
    shown = Parsed((site / "explanation" / "figures.html").read_text())
    assert {path.stem for path in figures.RESULTS.glob("*.json")} <= shown.anchors


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    with served(site) as found:
        yield f"{found}/"


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_search_box_finds_without_a_network(address: str) -> None:
    async with chromium() as browser:
        page = await browser.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(address)
        box = page.get_by_role("combobox", name="Search")

        async def opened() -> bool:  # the keys are taken once the page's script runs
            await page.keyboard.press("Control+k")
            return await box.is_visible()

        is_open: bool = await polled(opened)
        assert is_open
        await box.fill("why leases")
        result = page.locator("[role=option][href*='explanation/leases']")
        await result.first.wait_for(timeout=1000 * PATIENCE)
        assert all(one.startswith((address, "data:", "blob:")) for one in asked), asked


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("width", [390, 1280])
async def test_no_page_is_wider_than_its_window(width: int, address: str, site: Path) -> None:
    wide: list[str] = []
    async with chromium() as browser:
        page = await browser.new_page(viewport={"width": width, "height": 800})
        for name in sorted(parsed(site)):
            await page.goto(address + name, wait_until="domcontentloaded")
            if await page.evaluate("document.documentElement.scrollWidth") > width:
                wide.append(name)
    assert not wide
