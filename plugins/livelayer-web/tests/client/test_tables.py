"""The tables that JavaScript and Python both hold are the same."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import livelayer_web
import msgspec
import pytest
from livelayer_web import ViewerTokenError
from livelayer_web.bodies import Joined, ReplayBody
from livelayer_web.media import SourceKind
from livelayer_web.pages import Reason
from livelayer_web.viewers import Replay, Wants
from playwright.async_api import Page

from livelayer_bus.events import (
    AgentConfig,
    AgentState,
    ApprovalRequested,
    ConnectionState,
    Role,
    ToolCallChanged,
    ToolStatus,
    TranscriptEntry,
)
from livelayer_bus.messages import (
    COMMANDS,
    CONTEXT_BYTES,
    FROM_AGENT,
    MAX_ROUTES,
    TO_AGENT,
    AgentCaption,
    AgentContext,
    AgentStateMessage,
    ContextField,
    ContextFieldKind,
    FormSubmitBlocked,
    FormSubmitted,
    PageScreenshot,
    RequestApproval,
    ScrollDirection,
    WireMessage,
    capability_of,
)
from livelayer_bus.state import LeaseState, SessionState

STATIC = Path(livelayer_web.__file__).parent / "static"
TYPES = (STATIC / "client" / "types.js").read_text()


SHARED = {RequestApproval.wire_type()}
"""Commands that no page gets: what is asked is part of the session's state."""
CARRIED_OUT = [kind for kind in COMMANDS if kind.wire_type() not in SHARED]


def wire_types(kinds: Iterable[type[WireMessage]]) -> set[str]:
    return {kind.wire_type() for kind in kinds}


async def table(page: Page, module: str, name: str) -> Any:
    """What a module exports, as JSON; a set or map becomes a list."""
    return await page.evaluate(
        """async ([module, name]) => {
            const value = (await import(`/livelayer/js/${module}`))[name];
            return typeof value === "object" ? [...value] : value;
        }""",
        [module, name],
    )


@pytest.mark.anyio
async def test_a_message_needs_the_same_capability_on_both_sides(modules: Page) -> None:
    types = sorted((wire_types(FROM_AGENT) | wire_types(TO_AGENT)) - SHARED)
    types += ["task_of_tomorrow", "toString", "", "unknown"]
    found = await modules.evaluate(
        """async (types) => {
            const { commandOf } = await import("/livelayer/js/page/commands.js");
            return Object.fromEntries(types.map((type) => [type, commandOf(type)?.needs ?? null]));
        }""",
        types,
    )
    assert found == {name: capability_of(name) for name in types}


@pytest.mark.anyio
async def test_lists_of_words_are_the_same_on_both_sides(modules: Page) -> None:
    # What is not among them is an event of its own: `agent-state`, `transcript`.
    events = wire_types(FROM_AGENT) - wire_types((*COMMANDS, AgentStateMessage, AgentCaption))
    errors: list[type[ViewerTokenError]] = [ViewerTokenError, *ViewerTokenError.__subclasses__()]
    refused = {error.code for error in errors}
    assert await table(modules, "page/links.js", "MAX_ROUTES") == MAX_ROUTES
    assert await table(modules, "page/scroll.js", "DIRECTIONS") == list(get_args(ScrollDirection))
    assert await table(modules, "client/peer.js", "SOURCES") == list(get_args(SourceKind))
    assert set(await table(modules, "page/events.js", "AGENT_EVENTS")) == events
    assert await table(modules, "page/agent-context.js", "KINDS") == list(
        get_args(ContextFieldKind)
    )
    assert await table(modules, "page/agent-context.js", "BYTES") == CONTEXT_BYTES
    assert set(await table(modules, "client/errors.js", "REFUSED")) == (
        refused | {"host", "origin", "login"}
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ConnectionState", ConnectionState),
        ("AgentState", AgentState),
        ("SourceKind", SourceKind),
        ("Reason", Reason),
        ("ToolStatus", ToolStatus),
    ],
)
def test_a_union_of_types_js_has_python_s_words(name: str, words: Any) -> None:
    found = re.search(rf"@typedef \{{([^}}]*)\}} {name}\b", TYPES)
    assert found is not None
    assert re.findall(r'"(\w+)"', found[1]) == list(get_args(words))


@pytest.mark.parametrize(
    ("name", "kind"), [("Blocked", FormSubmitBlocked), ("Sign", FormSubmitted)]
)
def test_the_reasons_of_a_form_s_end_are_python_s(name: str, kind: type[WireMessage]) -> None:
    [reasons] = [f.type for f in msgspec.structs.fields(kind) if f.name == "reason"]
    source = (STATIC / "page" / "submit.js").read_text()
    found = re.search(rf"@typedef \{{([^}}]*)\}} {name}\b", source)
    assert found is not None
    assert re.findall(r'"(\w+)"', found[1]) == re.findall(r"'(\w+)'", str(reasons))


def test_the_reasons_of_a_screenshot_are_python_s() -> None:
    [reasons] = [f.type for f in msgspec.structs.fields(PageScreenshot) if f.name == "reason"]
    source = (STATIC / "page" / "screenshots.js").read_text()
    found = re.search(r"@typedef \{([^}]*)\} ScreenshotReason\b", source)
    assert found is not None
    assert re.findall(r'"(\w+)"', found[1]) == list(get_args(reasons))


@pytest.mark.parametrize("record", [AgentContext, ContextField])
def test_a_page_is_described_with_python_s_fields(record: type[msgspec.Struct]) -> None:
    source = (STATIC / "page" / "agent-context.js").read_text()
    found = re.search(rf"@typedef \{{object\}} {record.__name__}\b(.*?)\*/", source, re.DOTALL)
    assert found is not None
    names = [field.encode_name for field in msgspec.structs.fields(record)]
    assert re.findall(r"@property \{.*\} \[?(\w+)", found[1]) == names


@pytest.mark.parametrize("record", [SessionState, Joined, TranscriptEntry])
def test_a_record_of_types_js_has_python_s_fields(record: type[msgspec.Struct]) -> None:
    found = re.search(rf"@typedef \{{object\}} {record.__name__}\b(.*?)\*/", TYPES, re.DOTALL)
    assert found is not None
    assert re.findall(r"@property \{.*\} (\w+)", found[1]) == list(record.__struct_fields__)


@pytest.mark.parametrize(
    ("record", "file"),
    [
        (LeaseState, "types.js"),
        (AgentConfig, "types.js"),
        (Wants, "heartbeat.js"),
        (ToolCallChanged, "types.js"),
        (ApprovalRequested, "types.js"),
        (Replay, "types.js"),
        (ReplayBody, "types.js"),
    ],
)
def test_a_short_record_has_python_s_fields(record: type[msgspec.Struct], file: str) -> None:
    source = (STATIC / "client" / file).read_text()
    found = re.search(rf"@typedef \{{\{{(.*)\}}\}} {record.__name__}\b", source)
    assert found is not None
    names = [field.encode_name for field in msgspec.structs.fields(record)]
    assert re.findall(r"(\w+)\??:", found[1]) == names


def test_a_line_of_the_transcript_has_python_s_roles() -> None:
    roles = " | ".join(f'"{role}"' for role in get_args(Role))
    assert f"@property {{{roles}}} role" in TYPES


@pytest.mark.parametrize("kind", CARRIED_OUT, ids=lambda kind: kind.wire_type())
def test_every_command_of_python_is_carried_out_on_a_page(kind: type[WireMessage]) -> None:
    code = (STATIC / "page" / "commands.js").read_text()
    table = code[code.index("const COMMANDS") :]
    assert re.search(rf'\b{kind.wire_type()}\b[":]', table)
