"""Fields filled by conversation: checked, told one by one, completed once."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.agents import Agent
from livekit.plugins.livelayer import (
    CapabilityNotGrantedError,
    CollectionBusyError,
    CollectionEndedError,
    Field,
    FieldKind,
)
from livekit.plugins.livelayer.form_fields import BadValue, check
from livekit.plugins.livelayer.testing import Call, Prompt, run_agent

from livelayer_bus.errors import MisuseError

pytestmark = pytest.mark.anyio

EMAIL = Field(id="email", name="E-mail", kind="email")
SEATS = Field(id="seats", kind="integer")
NOTE = Field(id="note", required=False)


def clerk(prompt: Prompt) -> str | Call:
    """Records `field=value`, finishes on "that is all", and reads out what the tools say."""
    if prompt.result is not None:
        return prompt.result
    name, has_value, value = prompt.user.partition("=")
    if has_value and "record_field" in prompt.tools:
        return Call("record_field", {"field": name, "value": value})
    if prompt.user == "that is all":
        return Call("finish_collecting", {"summary": "A booking."})
    return f"Tools: {', '.join(prompt.tools)}."


def agent() -> Agent:
    return Agent(instructions="Take bookings.")


async def test_fields_are_told_one_by_one_and_the_task_is_completed_once() -> None:
    async with run_agent(agent(), clerk) as harness, asyncio.TaskGroup() as group:
        task = group.create_task(harness.bridge.collect([EMAIL, SEATS]))
        await harness.surface.hear("record_field")
        await harness.surface.type("email=nonsense")
        await harness.surface.hear("Not recorded: it must be an e-mail address")
        await harness.surface.type("email=ada@example.org")
        assert await harness.surface.next("task_field_updated") == {
            "type": "task_field_updated",
            "fieldId": "email",
            "fieldName": "E-mail",
            "value": "ada@example.org",
            "kind": "email",
            "source": "agent",
        }
        await harness.surface.hear("Ask next for: seats")
        await harness.surface.type("seats=3")
        done = await harness.surface.next("task_completed")
        assert (await task).values == {"email": "ada@example.org", "seats": 3}
    result = done["result"]
    assert result["results"] == {"email": "ada@example.org", "seats": 3}
    assert result["source"] == "agent"
    assert result["startedAt"] <= result["endedAt"]
    assert harness.surface.types().count("task_field_updated") == 2
    assert harness.surface.types().count("task_completed") == 1


async def test_the_tools_are_there_only_while_something_is_collected() -> None:
    async with run_agent(agent(), clerk) as harness:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(harness.bridge.collect([EMAIL, NOTE]))
            await harness.surface.hear("record_field")
            await harness.surface.type("email=ada@example.org")
            await harness.surface.hear("Only optional fields are left: note")
            await harness.surface.type("that is all")
            assert (await harness.surface.next("task_completed"))["result"][
                "summary"
            ] == "A booking."
            assert (await task).values == {"email": "ada@example.org"}
        harness.surface.heard.clear()
        await harness.surface.type("hello")
        assert "record_field" not in await harness.surface.hear("Tools:")


async def test_a_collection_that_takes_too_long_says_what_is_missing() -> None:
    async with run_agent(agent(), clerk) as harness:
        with pytest.raises(CollectionEndedError, match="email") as caught:
            await harness.bridge.collect([EMAIL], timeout=0.1)
        assert caught.value.missing == ("email",)
    assert "task_completed" not in harness.surface.types()


async def test_one_collection_at_a_time_and_none_survives_the_bridge() -> None:
    async with run_agent(agent(), clerk) as harness:
        task = asyncio.create_task(harness.bridge.collect([EMAIL]))
        await harness.surface.hear("record_field")
        with pytest.raises(CollectionBusyError):
            await harness.bridge.collect([SEATS])
        await harness.bridge.aclose()
        with pytest.raises(CollectionEndedError, match="closed"):
            await task


async def test_nothing_is_collected_without_the_capability_or_the_fields() -> None:
    async with run_agent(agent(), clerk, capabilities=["navigate"]) as harness:
        with pytest.raises(CapabilityNotGrantedError, match="collect_data"):
            await harness.bridge.collect([EMAIL])
        for fields in ([], [EMAIL, EMAIL]):
            with pytest.raises(MisuseError):
                await harness.bridge.collect(fields)


@pytest.mark.parametrize(
    ("kind", "said", "value"),
    [
        ("text", " Ada ", "Ada"),
        ("number", "2.5", 2.5),
        ("integer", "3", 3),
        ("boolean", "Yes", True),
        ("boolean", "no", False),
        ("date", "2026-03-01", "2026-03-01"),
        ("phone", "+49 30 123456", "+49 30 123456"),
        ("choice", "RED", "red"),
    ],
)
def test_values_become_what_their_field_is(kind: FieldKind, said: str, value: object) -> None:
    field = Field(id="x", kind=kind, options=("red", "blue"))
    assert check(field, said) == value


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("text", " "),
        ("number", "nan"),
        ("number", "many"),
        ("integer", "2.5"),
        ("boolean", "perhaps"),
        ("date", "tomorrow"),
        ("email", "ada"),
        ("phone", "call me"),
        ("choice", "green"),
        ("text", "x" * 2_000),
    ],
)
def test_what_is_no_value_is_told_without_repeating_it(kind: FieldKind, said: str) -> None:
    bad = check(Field(id="x", kind=kind, options=("red",)), said)
    assert isinstance(bad, BadValue)
    assert said.strip() not in bad.problem or not said.strip()


@given(
    st.sampled_from(["text", "number", "integer", "boolean", "date", "email", "phone", "choice"]),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=4
    ),
)
def test_no_value_whatever_breaks_a_check(kind: FieldKind, value: object) -> None:
    checked = check(Field(id="x", kind=kind, options=("a",)), value)
    assert isinstance(checked, BadValue | str | int | float)
