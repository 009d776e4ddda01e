"""The bytes on the wire, both ways, against files: a change of layout is a change of the files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from livekit.agents import Agent
from livekit.plugins.livelayer import Outcome
from livekit.plugins.livelayer.status_announcer import StatusAnnouncer
from livekit.plugins.livelayer.testing import run_agent

from livelayer_bus.messages import (
    AdvanceStep,
    AgentCaption,
    AgentError,
    AgentFalseInterruption,
    AgentToolCall,
    AgentTurnEnded,
    AgentUsage,
    ApprovalWithdrawn,
    Click,
    FillForm,
    FocusField,
    FormSubmitBlocked,
    FormSubmitted,
    FormSubmitUncertain,
    GoBack,
    IdleTimeout,
    IdleWarning,
    Interrupt,
    Message,
    ModelUsage,
    Navigate,
    PageContext,
    PageScreenshot,
    RawMessage,
    RequestApproval,
    RequestPageContext,
    RequestRoutes,
    Routes,
    ScrollPage,
    ScrollTo,
    SubmitFlow,
    SubmitForm,
    TaskCompleted,
    TaskFieldUpdated,
    TaskResult,
    UserMessage,
    encode,
)

pytestmark = pytest.mark.anyio

FOLDER = Path(__file__).parent / "golden"


def golden(name: str) -> list[bytes]:
    return (FOLDER / name).read_bytes().splitlines()


def status_messages() -> list[Message]:
    """What an agent with an avatar says of itself from its start to its end."""
    said: list[Message] = []
    announcer = StatusAnnouncer(lambda message, _to: said.append(message))
    announcer.set_avatar(True)
    announcer.set_state("listening")
    announcer.set_ready()
    for state in ("thinking", "speaking", "idle"):
        announcer.set_state(state)
    return said


SAID: list[Message] = [
    *status_messages(),
    AgentError(),
    AgentError("the voice failed"),
    IdleWarning(),
    IdleTimeout(),
    AgentCaption("Good day", "c1", final=False),
    AgentToolCall(call_id="c1", name="look_up", status="started"),
    AgentToolCall(
        call_id="c1", name="look_up", status="done", arguments='{"id": 7}', message="found"
    ),
    AgentTurnEnded("agent", interrupted=True),
    AgentFalseInterruption(resumed=True),
    AgentUsage((ModelUsage("llm", "acme", "big", {"input_tokens": 812}),)),
    Navigate("/pricing"),
    ScrollTo("#faq", "smooth"),
    ScrollPage("down", "smooth"),
    Click("#buy"),
    AdvanceStep(),
    GoBack(),
    SubmitFlow(),
    FillForm("contact", {"name": "Ada Löwe"}),
    FocusField("contact", "name"),
    SubmitForm("contact", "r1"),
    RequestPageContext("r2"),
    RequestRoutes("r3"),
    RequestApproval("Pay 20 euros?", "To Acme.", 30.0, "r4"),
    ApprovalWithdrawn("r4"),
    TaskFieldUpdated(
        field_id="email",
        field_name="E-mail",
        value="ada@example.org",
        kind="email",
        source="agent",
    ),
    TaskCompleted(
        TaskResult(
            session_id="s",
            started_at="2026-01-01T00:00:00.000Z",
            ended_at="2026-01-01T00:01:00.000Z",
            source="agent",
            results={"email": "ada@example.org"},
            summary="An address.",
        )
    ),
]


def test_every_message_of_the_agent_has_its_bytes() -> None:
    assert [encode(message) for message in SAID] == golden("from_agent.jsonl")


async def test_those_bytes_arrive_in_order() -> None:
    async with run_agent(Agent(instructions="-")) as harness:
        before = len(harness.surface.packets)
        for message in SAID:
            harness.bridge.send(message)
        await harness.surface.until(lambda: len(harness.surface.packets) == before + len(SAID))
        assert harness.surface.packets[before:] == golden("from_agent.jsonl")


async def test_every_message_of_a_surface_is_understood() -> None:
    seen: list[tuple[Any, str]] = []
    async with run_agent(Agent(instructions="-")) as harness:
        for kind in {json.loads(line)["type"] for line in golden("from_surface.jsonl")}:
            harness.bridge.on(kind)(lambda message, sender: seen.append((message, sender)))
        harness.surface.replies["navigate"] = lambda _: None
        for line in golden("from_surface.jsonl")[:-1]:
            await harness.surface.send_bytes(line)
        # The last one is an answer: it belongs to the participant that asked.
        harness.surface.replies["navigate"] = lambda _: json.loads(golden("from_surface.jsonl")[-1])
        answer = await harness.bridge.command(Navigate("/"))
    assert (answer.outcome, answer.surface) == (Outcome.REFUSED, "panel")
    assert {sender for _, sender in seen} == {"user"}
    # Each handler has its own pace: what counts is that everything was given to one.
    expected = [
        UserMessage("go to pricing"),
        Interrupt(),
        PageContext({"title": "Pricing"}),
        Routes(("/", {"path": "/docs"})),
        FormSubmitted("contact"),
        FormSubmitBlocked("contact", "validation"),
        FormSubmitted("contact", "r1", "form_removed"),
        FormSubmitBlocked("contact", "validation", "r1", ("Name: is required",)),
        FormSubmitUncertain("contact", "spa_prevented", "r1"),
        PageScreenshot(
            "https://shots.example/1.png",
            "/plans",
            "step_change",
            "0f3c5a7788990011",
            "2026-11-29T10:00:00.000Z",
        ),
        RawMessage("user_navigated", {"path": "/pricing"}),
        RawMessage("quiz_response", {"answer": 42, "nested": {"a": [1, None, True]}}),
    ]
    assert sorted((message for message, _ in seen), key=str) == sorted(expected, key=str)
