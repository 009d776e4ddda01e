"""The demo's site: what the guide speaks of is there, and the policy it is served under holds."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
from livelayer_demo import SCRIPT
from livelayer_demo.guide import FORM_ID, PLACES, Memory, Say, respond
from livelayer_demo.web import SITE

PAGES = sorted(SITE.glob("*.html"), key=lambda page: page.name)
ALWAYS = {"html", "head", "body", "title", "main", "nav", "header", "footer", "h1"}


class Reader(HTMLParser):
    """The elements of a page, in order, each with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inline: list[str] = []
        self._open = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = tag

    def handle_data(self, data: str) -> None:
        if self._open in ("script", "style") and data.strip():
            self.inline.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def having(self, name: str) -> list[tuple[str, str]]:
        """Elements with this attribute, and its value."""
        return [(tag, attrs[name] or "") for tag, attrs in self.elements if name in attrs]


def read(page: Path) -> Reader:
    reader = Reader()
    reader.feed(page.read_text())
    return reader


def page_at(href: str) -> Path:
    return SITE / (f"{href.strip('/') or 'index'}.html")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_no_inline_script_or_style_and_needs_nobody_elses_files(page: Path) -> None:
    reader = read(page)
    assert not reader.inline
    assert not reader.having("style")
    assert not [name for _, attrs in reader.elements for name in attrs if name.startswith("on")]
    loaded = [value for _, value in reader.having("src")]
    loaded += [value for tag, value in reader.having("href") if tag == "link"]
    own = [value for value in loaded if not value.startswith("/livelayer/js/")]
    assert own
    assert all((SITE / value.removeprefix("/")).is_file() for value in own), own


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_page_is_whole_and_has_the_session_and_the_bubble(page: Path) -> None:
    tags = [tag for tag, _ in read(page).elements]
    assert set(tags) >= ALWAYS
    assert tags.count("h1") == tags.count("main") == tags.count("livelayer-session") == 1
    assert ("livelayer-avatar", "widget") in read(page).having("mode")
    identifiers = [value for _, value in read(page).having("id")]
    assert len(identifiers) == len(set(identifiers))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_leads_to_a_page_and_every_fragment_to_a_place_in_it(page: Path) -> None:
    for tag, href in read(page).having("href"):
        if tag != "a":
            continue
        path, _, fragment = href.partition("#")
        target = page_at(path) if path else page
        assert target.is_file(), href
        assert not fragment or fragment in [value for _, value in read(target).having("id")], href


def test_labels_and_descriptions_name_what_is_there() -> None:
    for page in PAGES:
        reader = read(page)
        known = {value for _, value in reader.having("id")}
        for name in ("for", "aria-labelledby", "aria-describedby"):
            for _, value in reader.having(name):
                assert set(value.split()) <= known, f"{page.name}: {value}"


def test_the_places_that_the_guide_knows_are_pages() -> None:
    assert all(page_at(href).is_file() for href in PLACES.values())
    went = [dict(line.fields)["href"] for line in SCRIPT if line.command == "navigate"]
    assert all(page_at(str(href)).is_file() for href in went)


def test_the_form_that_the_guide_fills_in_is_on_the_sign_up_page_and_asks_only_for_a_name() -> None:
    reader = read(page_at("/sign-up"))
    assert ("form", FORM_ID) in reader.having("id")
    fields = {value for _, value in reader.having("name") if value}
    assert {"name", "email"} <= fields
    required = [attrs["name"] for _, attrs in reader.elements if "required" in attrs]
    assert required == ["name"]


def test_whatever_the_pages_offer_to_say_the_guide_understands() -> None:
    offered = {value for page in PAGES for _, value in read(page).having("data-say")}
    assert {"go to pricing", "scroll down", "fill in my name", "submit"} <= offered
    for line in offered:
        [first, *_] = respond(line, Memory()).steps
        assert isinstance(first, Say)
        assert "I do not know that one" not in first.text, line
