"""The page as tools: carried out, refused, malformed, silent; and the agent says which."""

from __future__ import annotations

from typing import Any

import pytest
from livekit.agents import Agent
from livekit.agents.llm import RawFunctionTool
from livekit.plugins.livelayer import Answer, Outcome
from livekit.plugins.livelayer.capabilities import REFUSAL_SECONDS, GrantedCapabilities
from livekit.plugins.livelayer.data_channel import Outgoing
from livekit.plugins.livelayer.testing import Call, Prompt, ScriptedSurface, run_agent
from livekit.plugins.livelayer.tools import command_tool

from livelayer_bus.messages import COMMANDS, SubmitForm
from livelayer_bus.testing import ManualClock

pytestmark = pytest.mark.anyio


def guide(prompt: Prompt) -> str | Call:
    """Calls the tool that the user names, and reads its result out."""
    if prompt.result is not None:
        return prompt.result
    name, _, argument = prompt.user.partition(" ")
    arguments: dict[str, dict[str, Any]] = {
        "navigate": {"href": argument},
        "scroll_to": {"selector": argument},
        "scroll_page": {"direction": argument},
        "click": {"selector": argument},
        "fill_form": {"form_id": "contact", "values": [{"name": "name", "value": argument}]},
        "focus_field": {"form_id": "contact", "field_name": argument},
        "submit_form": {"form_id": "contact"},
    }
    if name in prompt.tools:
        return Call(name, arguments.get(name, {}))
    return f"I have no tool for {name}."


def agent() -> Agent:
    return Agent(instructions="Guide the user.")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("navigate /pricing", {"type": "navigate", "href": "/pricing"}),
        ("scroll_to #faq", {"type": "scroll_to", "selector": "#faq", "behavior": "smooth"}),
        ("scroll_page down", {"type": "scroll_page", "direction": "down", "behavior": "smooth"}),
        ("click #buy", {"type": "click", "selector": "#buy"}),
        ("advance_step", {"type": "advance_step"}),
        ("go_back", {"type": "go_back"}),
        ("submit_flow", {"type": "submit_flow"}),
        (
            "fill_form Ada",
            {"type": "fill_form", "formId": "contact", "values": {"name": "Ada"}},
        ),
        (
            "focus_field name",
            {"type": "focus_field", "formId": "contact", "fieldName": "name"},
        ),
    ],
)
async def test_a_tool_sends_its_command_and_says_that_it_was_done(
    line: str, message: dict[str, Any]
) -> None:
    async with run_agent(agent(), guide) as harness:
        await harness.surface.type(line)
        assert await harness.surface.next(str(message["type"])) == message
        assert await harness.surface.hear("Done.") == "Done."


async def test_a_refusal_is_told_and_withdraws_the_tool() -> None:
    surface = ScriptedSurface(capabilities=["scroll"])
    async with run_agent(agent(), guide, surface=surface) as harness:
        await surface.type("navigate /pricing")
        await surface.hear("you may not do that here")
        assert "navigate" not in harness.bridge.capabilities
        await surface.type("navigate /pricing")
        await surface.hear("I have no tool for navigate.")
        await surface.type("scroll_page down")
        await surface.hear("Done.")
    assert surface.types().count("navigate") == 1


def test_a_refusal_counts_for_a_minute_and_not_for_a_night_of_the_machine() -> None:
    clock = ManualClock()
    granted = GrantedCapabilities(["navigate", "scroll"], clock=clock)
    granted.record("navigate", refused=True)
    clock.advance(REFUSAL_SECONDS - 1)
    assert granted.current == {"scroll"}
    clock.suspend(8 * 3600)
    assert granted.current == {"navigate", "scroll"}


async def test_only_what_was_granted_is_offered() -> None:
    async with run_agent(agent(), guide, capabilities=["scroll"]) as harness:
        await harness.surface.type("navigate /pricing")
        await harness.surface.hear("I have no tool for navigate.")
        harness.bridge.grant("navigate")
        await harness.surface.type("navigate /pricing")
        await harness.surface.hear("Done.")


@pytest.mark.parametrize("href", ["javascript:alert(1)", "//evil.example", "data:text/html,x"])
async def test_a_dangerous_address_is_never_sent(href: str) -> None:
    async with run_agent(agent(), guide) as harness:
        await harness.surface.type(f"navigate {href}")
        await harness.surface.hear("Not done, and not sent: href")
    assert "navigate" not in harness.surface.types()


async def test_a_page_and_its_routes_are_read() -> None:
    surface = ScriptedSurface(
        page={"title": "Pricing"}, routes=["/", "javascript:alert(1)", "/docs"]
    )
    async with run_agent(agent(), guide, surface=surface):
        await surface.type("read_page")
        await surface.hear('{"title": "Pricing"}')
        await surface.type("list_routes")
        assert await surface.hear("pages are") == "The pages are: /, /docs"


async def test_a_form_that_is_blocked_is_not_called_sent() -> None:
    surface = ScriptedSurface(
        replies={
            "submit_form": lambda asked: {
                "type": "form_submit_blocked",
                "formId": "contact",
                "reason": "validation",
                "invalidFields": ["E-mail: is required"],
                "requestId": asked["requestId"],
            }
        }
    )
    async with run_agent(agent(), guide, surface=surface):
        await surface.type("submit_form")
        assert "E-mail: is required" in await surface.hear("missing or not valid")


@pytest.mark.parametrize("command", ["advance_step", "submit_flow"])
async def test_a_step_that_a_form_holds_back_names_the_wrong_field(command: str) -> None:
    surface = ScriptedSurface(
        replies={
            command: lambda _: {
                "type": "form_submit_blocked",
                "formId": "contact",
                "reason": "validation",
                "invalidFields": ["E-mail: is required"],
            }
        }
    )
    async with run_agent(agent(), guide, surface=surface) as harness:
        await surface.type(command)
        assert "E-mail: is required" in await surface.hear("missing or not valid")
        assert harness.bridge.statistics().forged == 0


async def test_a_form_that_the_page_says_nothing_about_is_not_called_sent() -> None:
    surface = ScriptedSurface(
        replies={
            "submit_form": lambda asked: {
                "type": "form_submit_uncertain",
                "formId": "contact",
                "reason": "spa_prevented",
                "requestId": asked["requestId"],
            }
        }
    )
    async with run_agent(agent(), guide, surface=surface) as harness:
        await surface.type("submit_form")
        await surface.hear("Do not claim that it was")
        answer = await harness.bridge.command(SubmitForm("contact"))
        assert (bool(answer), answer.outcome) == (False, Outcome.UNCERTAIN)


async def test_silence_is_not_called_success() -> None:
    surface = ScriptedSurface(replies={"navigate": lambda _: None})
    async with run_agent(agent(), guide, surface=surface, command_timeout=0.2):
        await surface.type("navigate /pricing")
        await surface.hear("Do not claim that it worked")


class NoSurface:
    """Sends nothing."""

    async def command(self, message: Outgoing, /, *, reply: str | None = None) -> Answer:
        return Answer(Outcome.GONE)


def test_every_command_with_a_tool_describes_all_that_the_model_chooses() -> None:
    found: dict[str, list[str]] = {}
    for kind in COMMANDS:
        if kind.tool is not None:
            tool = command_tool(kind, NoSurface())
            assert isinstance(tool, RawFunctionTool)
            schema = tool.info.raw_schema["parameters"]
            assert all(one["description"] for one in schema["properties"].values())
            found[tool.id] = schema["required"]
    assert found == {
        "navigate": ["href"],
        "scroll_to": ["selector"],
        "scroll_page": ["direction"],
        "click": ["selector"],
        "advance_step": [],
        "go_back": [],
        "submit_flow": [],
        "fill_form": ["form_id", "values"],
        "focus_field": ["form_id", "field_name"],
        "submit_form": ["form_id"],
        "read_page": [],
        "list_routes": [],
    }


@pytest.mark.parametrize(
    ("tool", "arguments", "problem"),
    [
        ("fill_form", {"form_id": "a", "values": 5}, "values"),
        ("fill_form", {"form_id": "a", "values": [{"name": "x"}]}, "values"),
        ("scroll_page", {"direction": "sideways"}, "direction must be one of"),
        ("click", {}, "selector"),
    ],
)
async def test_wrong_arguments_are_reported_and_not_sent(
    tool: str, arguments: dict[str, Any], problem: str
) -> None:
    def model(prompt: Prompt) -> str | Call:
        return prompt.result or Call(tool, arguments)

    async with run_agent(agent(), model) as harness:
        await harness.surface.type("go")
        assert problem in await harness.surface.hear("Not done, and not sent")
    assert tool not in harness.surface.types()
