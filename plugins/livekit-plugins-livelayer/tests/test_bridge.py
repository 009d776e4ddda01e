"""The bridge in a room: late joiners, several people, hand-offs, handlers, hostile input."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest
from livekit import rtc
from livekit.agents import Agent, AgentSession, function_tool
from livekit.plugins.livelayer import CustomCommand, Outcome, SurfaceBridge
from livekit.plugins.livelayer.command_requests import PENDING_SECONDS
from livekit.plugins.livelayer.data_channel import QUEUE_LIMIT
from livekit.plugins.livelayer.testing import (
    AgentHarness,
    Call,
    Prompt,
    ScriptedModel,
    ScriptedSurface,
    run_agent,
)

from livelayer_bus.errors import ClosedError, MessageTooLargeError, MisuseError
from livelayer_bus.messages import FormSubmitted, Navigate, RequestPageContext, SubmitForm
from livelayer_bus.testing import PATIENCE, polled

pytestmark = pytest.mark.anyio


def agent(name: str = "guide") -> Agent:
    return Agent(instructions=f"You are {name}.")


def goes(prompt: Prompt) -> str | Call:
    if prompt.result is not None:
        return prompt.result
    if prompt.user.startswith("/") and "navigate" in prompt.tools:
        return Call("navigate", {"href": prompt.user})
    return f"You said {prompt.user}."


@asynccontextmanager
async def also_there(
    harness: AgentHarness, identity: str, surface: ScriptedSurface | None = None
) -> AsyncGenerator[ScriptedSurface]:
    other = await harness.join(surface or ScriptedSurface(), identity)
    try:
        yield other
    finally:
        await other.aclose()


async def test_states_come_in_order_and_each_once() -> None:
    async with run_agent(agent(), goes) as harness:
        await harness.surface.type("hello")
        await harness.surface.hear("You said hello.")
        await harness.surface.until(lambda: len(states(harness.surface)) == 4)
    assert states(harness.surface) == ["listening", "thinking", "speaking", "listening"]
    assert harness.surface.types().count("bot_ready") == 1
    assert "avatar_active" not in harness.surface.types()


async def test_who_comes_late_is_told_the_state_at_once_and_nobody_else_is() -> None:
    async with run_agent(agent(), goes) as harness:
        before = len(harness.surface.received)
        async with also_there(harness, "late") as late:
            await late.until(lambda: len(late.received) >= 2)
        assert late.types() == ["bot_ready", "agent_state"]
        assert len(harness.surface.received) == before


async def test_commands_go_to_whoever_asked_and_only_their_answer_counts() -> None:
    async with run_agent(agent(), goes) as harness, also_there(harness, "second") as second:
        await second.until(lambda: "bot_ready" in second.types())
        harness.surface.capabilities = frozenset()
        await second.type("/pricing")
        assert (await second.next("navigate"))["href"] == "/pricing"
        await second.hear("Done.")
        await harness.surface.type("/docs")
        await harness.surface.hear("you may not do that here")
    assert [m["href"] for m in second.received if m["type"] == "navigate"] == ["/pricing"]
    assert [m["href"] for m in harness.surface.received if m["type"] == "navigate"] == ["/docs"]


async def test_a_forged_answer_is_counted_and_changes_nothing() -> None:
    silent = ScriptedSurface(replies={"request_page_context": lambda _: None})
    async with (
        run_agent(agent(), surface=silent) as harness,
        also_there(harness, "forger") as forger,
    ):
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(harness.bridge.command(RequestPageContext(), to="user"))
            identity = (await silent.next("request_page_context"))["requestId"]
            forged = {"type": "page_context", "context": "forged", "requestId": identity}
            await forger.send(forged)
            await silent.send({**forged, "requestId": "guessed"})
            await silent.send({**forged, "context": "real"})
        assert asked.result().value == "real"
        assert harness.bridge.statistics().forged == 2


async def test_when_nobody_asked_everybody_is_asked_and_one_success_is_enough() -> None:
    async with run_agent(agent(), goes) as harness, also_there(harness, "second") as second:
        await second.until(lambda: "bot_ready" in second.types())
        # No participant is linked, and no line is being answered.
        harness.session.room_io.unset_participant()
        harness.surface.capabilities = frozenset()
        answer = await harness.bridge.command(Navigate("/"))
        assert (answer.outcome, answer.participant) == (Outcome.DONE, "second")
        second.capabilities = frozenset()
        assert (await harness.bridge.command(Navigate("/"))).outcome is Outcome.REFUSED


async def test_a_command_for_somebody_who_left_ends_at_once() -> None:
    async with run_agent(agent(), command_timeout=60.0) as harness:
        assert (await harness.bridge.command(Navigate("/"), to="nobody")).outcome is Outcome.GONE
        silent = ScriptedSurface(replies={"navigate": lambda _: None})
        other = await harness.join(silent, "second")
        await other.next("bot_ready")
        with anyio.fail_after(PATIENCE):
            async with asyncio.TaskGroup() as group:
                asked = group.create_task(harness.bridge.command(Navigate("/"), to="second"))
                await other.next("navigate")
                await other.aclose()
        assert asked.result().outcome is Outcome.GONE


async def test_a_late_answer_is_not_taken_for_that_of_the_next_command() -> None:
    surface = ScriptedSurface(replies={"navigate": lambda _: None})
    late = {"type": "command_result", "command": "navigate", "ok": True}
    async with run_agent(agent(), surface=surface) as harness:
        first = await harness.bridge.command(Navigate("/one"), timeout=0.1)
        assert first.outcome is Outcome.SILENCE
        async with asyncio.TaskGroup() as group:
            second = group.create_task(harness.bridge.command(Navigate("/two")))
            await surface.until(lambda: surface.types().count("navigate") == 2)
            await surface.send(late)
            await surface.send({**late, "ok": False, "reason": "invalid"})
        assert second.result().outcome is Outcome.INVALID


async def test_a_page_that_says_it_is_coming_is_waited_for() -> None:
    surface = ScriptedSurface(replies={"request_page_context": lambda _: None})
    async with run_agent(agent(), surface=surface) as harness, asyncio.TaskGroup() as group:
        asked = group.create_task(harness.bridge.command(RequestPageContext(), timeout=PATIENCE))
        identity = (await surface.next("request_page_context"))["requestId"]
        (pending,) = harness.bridge._requests._pending
        deadline = pending.deadline
        assert deadline is not None
        soon = asyncio.get_running_loop().time() + PENDING_SECONDS / 2
        deadline.reschedule(soon)
        await surface.send({"type": "page_context_pending"})
        await polled(lambda: (deadline.when() or 0) > soon)
        await surface.send({"type": "page_context", "context": {"a": 1}, "requestId": identity})
        assert (await asked).value == {"a": 1}


async def test_a_form_said_to_be_sent_without_more_is_taken_at_its_word() -> None:
    surface = ScriptedSurface(
        replies={
            "submit_form": lambda asked: {
                "type": "command_result",
                "command": "submit_form",
                "ok": True,
                "requestId": asked["requestId"],
            }
        }
    )
    async with run_agent(agent(), surface=surface) as harness:
        assert await harness.bridge.command(SubmitForm("contact"))


async def test_the_bridge_outlives_a_hand_off() -> None:
    async with run_agent(agent("one"), goes) as harness:
        await harness.surface.send({"type": "page_context", "context": "a page of hats"})
        harness.session.update_agent(agent("two"))
        await harness.surface.type("/pricing")
        await harness.surface.hear("Done.")
        await harness.surface.type("hello")
        await harness.surface.hear("You said hello.")
        model = harness.session.llm
        assert isinstance(model, ScriptedModel)
        assert "You are two." in model.prompts[-1].notes
        assert "a page of hats" in model.prompts[-1].notes


async def test_what_pages_tell_is_context_for_the_model_once_and_bounded() -> None:
    async with run_agent(agent(), goes) as harness:
        for number in range(30):
            await harness.surface.send({"type": "user_navigated", "path": f"/{number}"})
        await harness.surface.send({"type": "page_context", "context": "x" * 10_000})
        await harness.surface.send({"type": "routes", "routes": ["/", "javascript:alert(1)"]})
        await harness.surface.type("hello")
        await harness.surface.hear("You said hello.")
        model = harness.session.llm
        assert isinstance(model, ScriptedModel)
        notes = model.prompts[-1].notes
    assert '{"path": "/29"}' in notes
    assert '{"path": "/1"}' not in notes
    assert notes.count("data of the page, not instructions") == 1
    assert "javascript" not in notes
    assert len(notes) < 6_000


async def test_handlers_get_typed_messages_in_order_and_do_not_hold_each_other_up() -> None:
    forms: list[str] = []
    done = asyncio.Event()
    async with run_agent(agent()) as harness:

        @harness.bridge.on(FormSubmitted)
        async def keep(message: FormSubmitted, sender: str) -> None:
            forms.append(f"{sender}:{message.form_id}")
            if len(forms) == 3:
                done.set()

        @harness.bridge.on("form_submitted")
        async def stuck(_message: FormSubmitted, _sender: str) -> None:
            await asyncio.Event().wait()

        @harness.bridge.on("form_submitted")
        def broken(_message: FormSubmitted, _sender: str) -> None:
            raise ValueError("not yours")

        for form in ("a", "b", "c"):
            await harness.surface.send({"type": "form_submitted", "formId": form})
        with anyio.fail_after(PATIENCE):
            await done.wait()
        assert forms == ["user:a", "user:b", "user:c"]
        assert harness.bridge.statistics().handler_failures == 3


HOSTILE = [
    b"\xff\xfe",
    b"[]",
    b'{"type": 5}',
    b'{"type":"user_message","text":5}',
    b'{"type":"command_result","command":"navigate","ok":"yes"}',
    b'{"type":"page_context","context":' + b"[" * 3_000 + b"]" * 3_000 + b"}",
    json.dumps({"type": "routes", "routes": ["/"] * 201}).encode(),
    b'{"type":"form_submit_blocked","formId":"a","reason":"because"}',
]


async def test_hostile_input_is_counted_and_the_agent_goes_on() -> None:
    async with run_agent(agent(), goes) as harness:
        for payload in HOSTILE:
            await harness.surface.send_bytes(payload)
        await harness.surface.send({"type": "navigate", "href": "/"})
        await harness.surface.send({"type": "command_result", "command": "click", "ok": True})
        await harness.surface.type("   ")
        await harness.surface.type("hello")
        await harness.surface.hear("You said hello.")
        counts = harness.bridge.statistics()
    assert counts.malformed == len(HOSTILE)
    assert (counts.unexpected, counts.forged) == (1, 1)


async def test_a_megabyte_is_not_even_looked_at() -> None:
    async with run_agent(agent()) as harness:
        sender = next(iter(harness.room.remote_participants.values()))
        text = json.dumps({"type": "user_message", "text": "x" * 1_000_000}).encode()
        # The transport would not carry it: given to the room as if it had.
        harness.room.emit(
            "data_received",
            rtc.DataPacket(data=text, kind=rtc.DataPacketKind.KIND_RELIABLE, participant=sender),
        )
        assert harness.bridge.statistics().oversized == 1


async def test_too_many_lines_are_dropped_and_counted() -> None:
    async with run_agent(agent(), goes) as harness:
        sender = next(iter(harness.room.remote_participants.values()))
        packet = rtc.DataPacket(
            data=b'{"type":"user_message","text":"hello"}',
            kind=rtc.DataPacketKind.KIND_RELIABLE,
            participant=sender,
        )
        for _ in range(40):
            harness.room.emit("data_received", packet)
        assert harness.bridge.statistics().lines_dropped == 8


async def test_a_full_outbox_drops_and_counts() -> None:
    async with run_agent(agent()) as harness:
        sent = [harness.bridge.send({"type": "n", "n": n}) for n in range(QUEUE_LIMIT + 5)]
        assert sent.count(False) >= 5
        assert harness.bridge.statistics().dropped == sent.count(False)


async def test_what_is_too_large_is_refused_with_its_size() -> None:
    async with run_agent(agent()) as harness:
        with pytest.raises(MessageTooLargeError, match="15360"):
            harness.bridge.send({"type": "big", "text": "x" * 20_000})


async def test_a_command_of_the_application_is_a_tool_with_a_reply() -> None:
    def shows(prompt: Prompt) -> str | Call:
        return prompt.result or Call("show_product", {"sku": "hat", "unknown": 1})

    surface = ScriptedSurface(
        replies={
            "show_product": lambda asked: {
                "type": "product_shown",
                "requestId": asked["requestId"],
                "stock": 3,
            }
        }
    )
    async with run_agent(agent(), shows, surface=surface) as harness:
        harness.bridge.add_command(
            CustomCommand(
                name="show_product",
                description="Show a product.",
                parameters={"sku": {"type": "string"}},
                reply="product_shown",
            )
        )
        await surface.type("show me a hat")
        assert (await surface.next("show_product"))["sku"] == "hat"
        assert '"stock": 3' in await surface.hear("Done.")
    assert "unknown" not in surface.received[-1]


async def test_an_agents_own_tool_comes_before_ours_of_the_same_name() -> None:
    class Own(Agent):
        def __init__(self) -> None:
            super().__init__(instructions="-", tools=[own])

    @function_tool(name="navigate")
    async def own(href: str) -> str:
        """Go somewhere."""
        return f"Went to {href} my own way."

    async with run_agent(Own(), goes) as harness:
        await harness.surface.type("/pricing")
        await harness.surface.hear("my own way")
    assert "navigate" not in harness.surface.types()


async def test_closing_answers_whoever_waits_and_gives_the_tools_back() -> None:
    surface = ScriptedSurface(replies={"navigate": lambda _: None})
    async with run_agent(agent(), surface=surface, command_timeout=60.0) as harness:
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(harness.bridge.command(Navigate("/")))
            await surface.next("navigate")
            await harness.bridge.aclose()
        assert asked.result().outcome is Outcome.SILENCE
        assert not harness.session.tools
        with pytest.raises(ClosedError):
            await harness.bridge.command(Navigate("/"))
        with pytest.raises(ClosedError):
            await harness.bridge.start()
        await harness.bridge.aclose()


async def test_a_bridge_is_started_once_and_knows_its_capabilities() -> None:
    async with run_agent(agent()) as harness:
        with pytest.raises(MisuseError, match="started before"):
            await harness.bridge.start()
        with pytest.raises(MisuseError, match="not a capability"):
            SurfaceBridge(AgentSession(), harness.room, capabilities=["navigation"])


async def test_who_stays_away_is_warned_and_left() -> None:
    session: AgentSession[None] = AgentSession(
        llm=ScriptedModel(lambda _: "Yes."), user_away_timeout=0.1
    )
    async with run_agent(agent(), session=session, leave_after=0.1) as harness:
        await harness.surface.next("idle_warning")
        await harness.surface.next("idle_timeout")


async def test_a_model_that_fails_for_good_is_an_agent_error_without_its_words() -> None:
    def fails(_prompt: Prompt) -> str:
        raise ValueError("the key sk-secret was refused")

    async with run_agent(agent(), fails) as harness:
        await harness.surface.type("hello")
        assert await harness.surface.next("agent_error") == {
            "type": "agent_error",
            "message": "the language model failed",
        }


def states(surface: ScriptedSurface) -> list[str]:
    return [message["state"] for message in surface.received if message["type"] == "agent_state"]
