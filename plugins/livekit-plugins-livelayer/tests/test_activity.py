"""What the surfaces learn of the agent's work, how they stop it, and what they are asked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import anyio
import pytest
from livekit.agents import (
    Agent,
    AgentFalseInterruptionEvent,
    AgentSession,
    ConversationItemAddedEvent,
    RunContext,
    SessionUsageUpdatedEvent,
    function_tool,
)
from livekit.agents.llm import ChatMessage
from livekit.agents.metrics import AgentSessionUsage, LLMModelUsage
from livekit.agents.voice import room_io
from livekit.plugins.livelayer import CapabilityNotGrantedError, Outcome, SurfaceBridge, ToolSharing
from livekit.plugins.livelayer.activity import DETAIL_CHARACTERS
from livekit.plugins.livelayer.testing import (
    AgentHarness,
    Call,
    FakeTTS,
    Prompt,
    ScriptedModel,
    ScriptedSurface,
    run_agent,
)

from livelayer_bus.errors import ClosedError, MalformedMessageError
from livelayer_bus.testing import PATIENCE, polled

pytestmark = pytest.mark.anyio
SECRET = "4711-secret"


class Clerk(Agent):
    """Has tools that end, report, fail and ask."""

    def __init__(self) -> None:
        super().__init__(instructions="You are a clerk.")
        self.bridge: SurfaceBridge | None = None
        self.gate = asyncio.Event()

    @function_tool
    async def look_up(self, number: str) -> str:
        """Look up an order."""
        return f"order {number}: {'sent ' * 1000}"

    @function_tool
    async def search(self, context: RunContext[Any], what: str) -> str:
        """Search."""
        await context.update("to the model alone", silent=True)
        await context.update(f"half of {what}")
        await self.gate.wait()
        return "found"

    @function_tool
    async def fail(self, why: str) -> str:
        """Fail."""
        raise ValueError(why)

    @function_tool
    async def pay(self) -> str:
        """Pay, if the user approves."""
        assert self.bridge is not None
        approval = await self.bridge.request_approval("Pay 20 euros?", details="To Acme.")
        return "Paid." if approval else approval.words


def clerk(prompt: Prompt) -> str | Call:
    if prompt.result is not None:
        return prompt.result[:80]
    tool, _, argument = prompt.user.partition(" ")
    names = {"look_up": "number", "search": "what", "fail": "why"}
    return Call(tool, {names[tool]: argument} if tool in names else {})


def calls(surface: ScriptedSurface) -> list[tuple[str, str]]:
    told = [one for one in surface.received if one["type"] == "agent_tool_call"]
    return [(one["name"], one["status"]) for one in told]


async def test_a_tool_s_name_and_state_are_told_and_nothing_of_what_it_does() -> None:
    async with run_agent(Clerk(), clerk) as harness:
        surface = harness.surface
        await surface.type(f"look_up {SECRET}")
        await surface.until(lambda: len(calls(surface)) == 2)
        await surface.type(f"fail {SECRET}")
        await surface.until(lambda: len(calls(surface)) == 4)
        assert calls(surface) == [
            ("look_up", "started"),
            ("look_up", "done"),
            ("fail", "started"),
            ("fail", "error"),
        ]
        told = [one for one in surface.received if one["type"] == "agent_tool_call"]
        assert told[0].keys() == {"type", "callId", "name", "status"}
        assert told[0]["callId"] == told[1]["callId"] != told[2]["callId"]
        assert SECRET not in str(told)


@pytest.mark.parametrize("share", ["nothing", "details"])
async def test_the_application_says_what_is_told_of_tools(share: ToolSharing) -> None:
    async with run_agent(Clerk(), clerk, share_tools=share) as harness:
        surface = harness.surface
        await surface.type(f"look_up {SECRET}")
        await surface.hear(f"order {SECRET}")
        told = [one for one in surface.received if one["type"] == "agent_tool_call"]
        if share == "nothing":
            assert told == []
            return
        assert [SECRET in one["arguments"] for one in told] == [True, True]
        assert told[1]["message"].startswith(f"order {SECRET}: sent sent")
        assert len(told[1]["message"]) == DETAIL_CHARACTERS


async def test_progress_is_told_but_not_what_is_for_the_model_alone() -> None:
    agent = Clerk()
    async with run_agent(agent, clerk, share_tools="details") as harness:
        surface = harness.surface
        await surface.type("search shoes")
        await surface.until(lambda: ("search", "updated") in calls(surface))
        late = await harness.join(ScriptedSurface(), "late")
        try:
            # Who comes now is told what runs.
            assert (await late.next("agent_tool_call"))["message"] == "half of shoes"
        finally:
            await late.aclose()
        agent.gate.set()
        await surface.until(lambda: ("search", "done") in calls(surface))
        assert "to the model alone" not in str(surface.received)


async def test_ends_of_turns_and_usage_are_told() -> None:
    async with run_agent(Agent(instructions="-"), lambda _: "Good day.") as harness:
        await harness.surface.type("hello")
        assert (await harness.surface.next("agent_turn_ended"))["role"] == "user"
        ended = await harness.surface.next("agent_turn_ended")
        assert ended == {"type": "agent_turn_ended", "role": "agent"}
        cut = ChatMessage(role="assistant", content=["A long"], interrupted=True)
        harness.session.emit("conversation_item_added", ConversationItemAddedEvent(item=cut))
        assert (await harness.surface.next("agent_turn_ended"))["interrupted"] is True
        # The scripted model uses nothing, and an interruption needs a voice: emitted for them.
        used = LLMModelUsage(provider="acme", model="big", input_tokens=812)
        usage = AgentSessionUsage([used, LLMModelUsage(provider="acme", model="unused")])
        for _ in range(2):
            harness.session.emit("session_usage_updated", SessionUsageUpdatedEvent(usage=usage))
        harness.session.emit("agent_false_interruption", AgentFalseInterruptionEvent(resumed=True))
        assert await harness.surface.next("agent_false_interruption")
        model = {"kind": "llm", "provider": "acme", "model": "big", "counts": {"input_tokens": 812}}
        told = [one for one in harness.surface.received if one["type"] == "agent_usage"]
        assert told == [{"type": "agent_usage", "models": [model]}]


async def test_a_person_stops_what_is_being_said() -> None:
    voice: AgentSession[Any] = AgentSession(
        llm=ScriptedModel(lambda _: "-"), tts=FakeTTS(), user_away_timeout=None
    )
    options = room_io.RoomOptions(audio_input=False, audio_output=True)
    heard: list[str] = []
    async with run_agent(Agent(instructions="-"), session=voice, room_options=options) as harness:
        harness.bridge.on("interrupt")(lambda _, sender: heard.append(sender))
        handle = voice.say("A long story. " * 100)  # more than a minute
        await harness.surface.until(
            lambda: {"type": "agent_state", "state": "speaking"} in harness.surface.received
        )
        await harness.surface.send({"type": "interrupt"})
        with anyio.fail_after(PATIENCE):
            await handle
        assert handle.interrupted
        await harness.surface.until(
            lambda: harness.surface.received[-1] == {"type": "agent_state", "state": "listening"}
        )

        # What allows no interruption goes on, and nothing fails.
        last = voice.say("Terms and conditions. " * 500, allow_interruptions=False)
        await polled(lambda: voice.agent_state == "speaking")
        await harness.surface.send({"type": "interrupt"})
        await polled(lambda: len(heard) == 2)
        assert not last.interrupted
        last.interrupt(force=True)
    assert heard == ["user", "user"]


ANSWERS: list[tuple[dict[str, Any] | None, Outcome, str]] = [
    ({"ok": True}, Outcome.DONE, "Paid."),
    ({"ok": False, "reason": "declined"}, Outcome.DECLINED, "The user refused it."),
    ({"ok": False, "reason": "timeout"}, Outcome.TIMEOUT, "nobody answered"),
    ({"ok": False, "reason": "capability"}, Outcome.REFUSED, "cannot be asked here"),
]


@pytest.mark.parametrize(("answer", "outcome", "words"), ANSWERS)
async def test_the_model_hears_what_a_person_answered(
    answer: Mapping[str, Any], outcome: Outcome, words: str
) -> None:
    agent = Clerk()
    async with run_agent(agent, clerk) as harness:
        agent.bridge = harness.bridge
        harness.surface.replies["request_approval"] = lambda asked: result(asked, **answer)
        await harness.surface.type("pay")
        await harness.surface.hear(words)
        asked = await harness.surface.next("request_approval")
        assert (asked["question"], asked["details"]) == ("Pay 20 euros?", "To Acme.")
        approval = await harness.bridge.request_approval("Again?")
        assert (approval.outcome, bool(approval)) == (outcome, outcome is Outcome.DONE)
        assert "approval_withdrawn" not in harness.surface.types()


def result(asked: Mapping[str, Any], **answer: Any) -> dict[str, Any]:
    head = {"type": "command_result", "command": "request_approval"}
    return {**head, "requestId": asked["requestId"], **answer}


async def test_the_first_of_several_people_decides_and_the_others_are_not_asked_any_more() -> None:
    async with run_agent(Agent(instructions="-")) as harness:
        harness.surface.replies["request_approval"] = lambda _: None
        others = [
            await harness.join(ScriptedSurface(replies={"request_approval": lambda _: None}), name)
            for name in ("second", "third")
        ]
        try:
            for other in others:
                await other.next("bot_ready")
            asking = asyncio.create_task(ask_all(harness))
            asked = await others[0].next("request_approval")
            await harness.surface.next("request_approval")
            await others[0].send(result(asked, ok=False, reason="declined"))
            assert (await asking) is Outcome.DECLINED
            for surface in (harness.surface, others[1]):
                withdrawn = await surface.next("approval_withdrawn")
                assert withdrawn["requestId"] == asked["requestId"]
            await others[1].send(result(asked, ok=True))  # too late
            await polled(lambda: harness.bridge.statistics().forged == 1)
            assert "approval_withdrawn" not in others[0].types()
        finally:
            for other in others:
                await other.aclose()


async def ask_all(harness: AgentHarness) -> Outcome:
    # Without a linked participant, all are asked.
    harness.session.room_io.unset_participant()
    return (await harness.bridge.request_approval("Go?")).outcome


async def test_a_question_that_nobody_waits_for_is_taken_back() -> None:
    async with run_agent(Agent(instructions="-")) as harness:
        harness.surface.replies["request_approval"] = lambda _: None
        asking = asyncio.create_task(harness.bridge.request_approval("Go?"))
        asked = await harness.surface.next("request_approval")
        asking.cancel()
        withdrawn = await harness.surface.next("approval_withdrawn")
        assert withdrawn["requestId"] == asked["requestId"]


async def test_asking_needs_the_capability_and_words() -> None:
    async with run_agent(Agent(instructions="-"), capabilities=["navigate"]) as harness:
        with pytest.raises(CapabilityNotGrantedError, match="ask_approval"):
            await harness.bridge.request_approval("Go?")
        harness.bridge.grant("ask_approval")
        for question, timeout in (("", 60.0), ("Go?", 0.0), ("Go?", 601.0)):
            with pytest.raises(MalformedMessageError):
                await harness.bridge.request_approval(question, timeout=timeout)
    with pytest.raises(ClosedError):
        await harness.bridge.request_approval("Go?")
