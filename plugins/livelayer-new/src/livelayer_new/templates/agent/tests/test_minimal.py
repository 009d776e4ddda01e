"""The agent in a real room on this machine, with a scripted page: no key and no server."""

from __future__ import annotations

import pytest
from livekit.agents import AgentSession
from livekit.plugins.livelayer.testing import Call, Prompt, ScriptedSurface, StartAgent
from livelayer_agent_minimal import CAPABILITIES, MinimalAgent, NoModel, RuleAgent

pytestmark = pytest.mark.anyio


def model(prompt: Prompt) -> str | Call:
    """Stands for the model: calls a tool, then says what came of it."""
    return prompt.result or Call("navigate", {"href": "/pricing"})


async def test_its_model_can_go_to_a_page(livelayer_agent: StartAgent) -> None:
    harness = await livelayer_agent(MinimalAgent(), model, capabilities=CAPABILITIES)
    await harness.surface.type("show me the prices")
    assert (await harness.surface.next("navigate"))["href"] == "/pricing"
    await harness.surface.hear("Done.")


async def test_it_answers_without_a_model(livelayer_agent: StartAgent) -> None:
    session: AgentSession[None] = AgentSession(llm=NoModel())
    harness = await livelayer_agent(RuleAgent(), session=session, capabilities=CAPABILITIES)
    await harness.surface.type("hello")
    await harness.surface.hear("You said: hello")
    await harness.surface.type("go to pricing")
    assert (await harness.surface.next("navigate"))["href"] == "/pricing"


async def test_it_says_that_a_page_refused(livelayer_agent: StartAgent) -> None:
    harness = await livelayer_agent(
        RuleAgent(),
        session=AgentSession[None](llm=NoModel()),
        capabilities=CAPABILITIES,
        surface=ScriptedSurface(capabilities=[]),
    )
    await harness.surface.type("go to pricing")
    await harness.surface.hear("not")
