"""What the README says of options, attributes, events and names is what the code has."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from livelayer_web import WebSurface
from livelayer_web.webhooks import EVENTS, WebhookSurface

PLUGIN = Path(__file__).parents[3] / "livelayer-web"
STATIC = PLUGIN / "src" / "livelayer_web" / "static"
README = (PLUGIN / "README.md").read_text()


def section(title: str) -> str:
    """The README's section under this heading."""
    [found] = re.findall(rf"^## {re.escape(title)}.*?$(.*?)(?=^## |\Z)", README, re.M | re.S)
    return str(found)


def first_cells(table: str) -> set[str]:
    """Whatever is set in code in the first cells of a section's tables."""
    rows = re.findall(r"^\| (`[^|]*) \|", table, re.M)
    return {name for row in rows for name in re.findall(r"`([\w.-]+)[`(]", row)}


def source(name: str) -> str:
    return (STATIC / name).read_text()


def test_every_option_of_the_surface_is_told_and_no_other() -> None:
    told = first_cells(section("`WebSurface("))
    has = set(inspect.signature(WebSurface).parameters) - {"host", "clock"}
    assert told == has


def test_every_option_of_the_webhooks_is_told_and_no_other() -> None:
    told = first_cells(section("Webhooks"))
    has = set(inspect.signature(WebhookSurface).parameters) - {"clock"}
    assert told == has | set(EVENTS)


def test_every_attribute_of_the_embedding_script_is_told() -> None:
    own = re.search(r"OWN = \[(.*?)\]", source("embed/host.js"), re.S)
    assert own is not None
    told = first_cells(section("In a frame on another site")) - {"data-"}
    assert told == {f"data-{name}" for name in re.findall(r'"([\w-]+)"', own[1])}


def test_every_attribute_of_the_avatar_is_told() -> None:
    code = source("avatar-element.js")
    observed = re.search(r"observedAttributes = \[(.*?)\]", code, re.S)
    assert observed is not None
    options = re.search(r"OPTIONS = \{(.*?)^\};", source("view/attributes.js"), re.M | re.S)
    assert options is not None
    named = re.findall(r'"([\w-]+)"', observed[1])
    named += re.findall(r'^  "?([\w-]+)"?: ', options[1], re.M)
    assert first_cells(section("`<livelayer-avatar>`")) == set(named)


def test_every_export_of_the_module_without_elements_is_told() -> None:
    exports = re.findall(r"^export \{ (.+?) \}", source("headless.js"), re.M)
    names = {name for line in exports for name in line.split(", ")}
    told = section("`<livelayer-session>`").split("### Without the elements")[1]
    assert first_cells(told.split("###")[0]) == names


def test_what_is_told_of_the_session_element_is_there() -> None:
    code = source("session-element.js") + source("page/commands.js") + source("page/events.js")
    code += source("headless.js")
    for name in first_cells(section("`<livelayer-session>`")):
        assert re.search(rf"\b{re.escape(name)}\b", code), name


@pytest.mark.parametrize(
    "event",
    [
        "navigate",
        "agent-command",
        "agent-event",
        "data-message",
        "connection-change",
        "agent-state",
        "transcript",
        "field",
        "collected",
    ],
)
def test_every_event_is_told(event: str) -> None:
    assert event in first_cells(section("`<livelayer-session>`"))


def test_the_custom_properties_are_those_of_the_design() -> None:
    sheet = (STATIC / "view" / "avatar.css").read_text()
    used = set(re.findall(r"var\((--ll-[\w-]+)", sheet))
    assert set(re.findall(r"`(--ll-[\w-]+)`", README)) == used


def test_links_lead_to_files() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (PLUGIN / target).exists(), target
