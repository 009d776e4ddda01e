"""The participant attribute `agent.context`: what tools and the model know of a page's fields."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.agents import Agent
from livekit.plugins.livelayer.agent_context import MAX_FIELDS, read_context
from livekit.plugins.livelayer.testing import Prompt, ScriptedSurface, run_agent

from livelayer_bus.messages import AgentContext, ContextField, FieldOption
from livelayer_bus.testing import polled

MAIL = {"id": "mail", "label": "E-mail", "kind": "email", "value": "ada@x.example",
        "required": True, "formId": "contact", "selector": "#mail"}  # fmt: skip
PAGE = {"route": "/contact", "title": "Contact", "elements": [MAIL]}


async def describe(surface: ScriptedSurface, page: object) -> None:
    text = "" if page is None else json.dumps(page)
    await surface.room.local_participant.set_attributes({"agent.context": text})


def agent() -> Agent:
    return Agent(instructions="-")


def echo(prompt: Prompt) -> str:
    return prompt.notes if "Its fields" in prompt.notes else "no fields"


@pytest.mark.anyio
async def test_tools_and_the_model_know_the_fields_of_the_page() -> None:
    async with run_agent(agent(), echo) as harness:
        assert harness.bridge.agent_context() is None
        await describe(harness.surface, PAGE)
        await polled(lambda: harness.bridge.agent_context() is not None)
        context = harness.bridge.agent_context("user")
        assert context == AgentContext(
            route="/contact",
            title="Contact",
            elements=(
                ContextField(
                    id="mail",
                    label="E-mail",
                    kind="email",
                    value="ada@x.example",
                    required=True,
                    form_id="contact",
                    selector="#mail",
                ),
            ),
        )
        assert harness.bridge.agent_context("nobody") is None
        await harness.surface.type("what is on it?")
        await harness.surface.hear("ada@x.example")
        await describe(harness.surface, None)
        await polled(lambda: harness.bridge.agent_context() is None)
        await harness.surface.type("and now?")
        await harness.surface.hear("no fields")


@pytest.mark.anyio
async def test_the_attribute_of_someone_who_was_there_first_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect = ScriptedSurface.connect

    async def described(surface: ScriptedSurface, url: str, token: str) -> None:
        await connect(surface, url, token)
        await describe(surface, PAGE)

    monkeypatch.setattr(ScriptedSurface, "connect", described)
    async with run_agent(agent(), echo) as harness:
        await polled(lambda: harness.bridge.agent_context() is not None)
        await harness.surface.type("what is on it?")
        await harness.surface.hear("/contact")


def test_what_is_not_valid_is_left_out_and_the_rest_is_kept() -> None:
    page = {
        "route": 5,
        "step": "two",
        "stepLabel": "Details",
        "title": None,
        "unknown": {},
        "availableActions": ["go_back"],
        "elements": [
            {"id": "a", "kind": "no such kind", "value": {"x": 1}, "required": "yes", "label": 7},
            {
                "id": "b",
                "label": "B",
                "value": ["x"],
                "options": ["x", {"value": "y", "label": "Y"}],
            },
            {"label": "without an id"},
            "not an object",
        ],
    }
    assert read_context(json.dumps(page)) == AgentContext(
        step_label="Details",
        available_actions=("go_back",),
        elements=(
            ContextField(id="a", label="a"),
            ContextField(id="b", label="B", value=("x",), options=("x", FieldOption("y", "Y"))),
        ),
    )


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
MEMBERS = st.sampled_from(["id", "label", "kind", "value", "options", "formId", "required"])


@given(
    st.dictionaries(st.sampled_from(["route", "title", "step", "availableActions"]), JSON),
    st.lists(st.dictionaries(MEMBERS, JSON) | JSON, max_size=5) | JSON,
)
def test_a_hostile_attribute_never_raises(page: dict[str, Any], elements: Any) -> None:
    context = read_context(json.dumps({**page, "elements": elements}))
    assert context is None or isinstance(context, AgentContext)


@pytest.mark.parametrize("text", ["", "null", "[]", "{", "[" * 60_000, "5", '"x"', "{}" * 2])
def test_what_is_no_context_is_none(text: str) -> None:
    assert read_context(text) is None


def test_fields_are_bounded() -> None:
    many = [{"id": f"f{n}"} for n in range(3 * MAX_FIELDS)]
    context = read_context(json.dumps({"elements": many}))
    assert context is not None
    assert len(context.elements) == MAX_FIELDS


def test_what_a_session_publishes_is_read_back() -> None:
    page = AgentContext(route="/x", elements=(ContextField(id="a", label="A", kind="currency"),))
    assert read_context(page.to_attribute()) == page
