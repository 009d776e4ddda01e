"""The bytes on the wire, both ways, against files: a change of layout is a change of the files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from livekit.agents import Agent
from livekit.plugins.livelayer import Outcome
from livekit.plugins.livelayer.status_announcer import Presence
from livekit.plugins.livelayer.testing import rehearse

from livelayer_bus.messages import (
    AgentError,
    Click,
    FillForm,
    FocusField,
    FormSubmitBlocked,
    FormSubmitted,
    IdleTimeout,
    IdleWarning,
    Message,
    Navigate,
    PageContext,
    RawMessage,
    RequestPageContext,
    RequestRoutes,
    Routes,
    ScrollPage,
    ScrollTo,
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


def told_by_presence() -> list[Message]:
    """What an agent with an avatar says of itself from its start to its end."""
    said: list[Message] = []
    presence = Presence(lambda message, _to: said.append(message))
    presence.set_avatar(True)
    presence.set_state("listening")
    presence.set_ready()
    for state in ("thinking", "speaking", "idle"):
        presence.set_state(state)
    return said


SAID: list[Message] = [
    *told_by_presence(),
    AgentError(),
    AgentError("the voice failed"),
    IdleWarning(),
    IdleTimeout(),
    Navigate("/pricing"),
    ScrollTo("#faq", "smooth"),
    ScrollPage("down", "smooth"),
    Click("#buy"),
    FillForm("contact", {"name": "Ada Löwe"}),
    FocusField("contact", "name"),
    SubmitForm("contact", "r1"),
    RequestPageContext("r2"),
    RequestRoutes("r3"),
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
    async with rehearse(Agent(instructions="-")) as stage:
        before = len(stage.surface.packets)
        for message in SAID:
            stage.bridge.send(message)
        await stage.surface.until(lambda: len(stage.surface.packets) == before + len(SAID))
        assert stage.surface.packets[before:] == golden("from_agent.jsonl")


async def test_every_message_of_a_surface_is_understood() -> None:
    seen: list[tuple[Any, str]] = []
    async with rehearse(Agent(instructions="-")) as stage:
        for line in golden("from_surface.jsonl"):
            kind = json.loads(line)["type"]
            stage.bridge.on(kind)(lambda message, sender: seen.append((message, sender)))
        stage.surface.replies["navigate"] = lambda _: None
        for line in golden("from_surface.jsonl")[:-1]:
            await stage.surface.send_bytes(line)
        # The last one is an answer: it belongs to whoever asked.
        stage.surface.replies["navigate"] = lambda _: json.loads(golden("from_surface.jsonl")[-1])
        answer = await stage.bridge.command(Navigate("/"))
    assert (answer.outcome, answer.surface) == (Outcome.REFUSED, "panel")
    assert {sender for _, sender in seen} == {"user"}
    # Each handler has its own pace: what counts is that everything was given to one.
    expected = [
        UserMessage("go to pricing"),
        PageContext({"title": "Pricing"}),
        Routes(("/", {"path": "/docs"})),
        FormSubmitted("contact"),
        FormSubmitBlocked("contact", "validation"),
        RawMessage("user_navigated", {"path": "/pricing"}),
        RawMessage("quiz_response", {"answer": 42, "nested": {"a": [1, None, True]}}),
    ]
    assert [message for message, _ in seen] == expected
