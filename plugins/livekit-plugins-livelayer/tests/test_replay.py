"""What was said is shown again to who comes back to the room: each line once, in order."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest
from livekit import api
from livekit.agents import Agent, ConversationItemAddedEvent
from livekit.plugins.livelayer.testing import AgentHarness, Prompt, run_agent
from livekit.plugins.livelayer.testing.harness import ROOM

from livelayer_bus import Event, Session
from livelayer_bus.testing import PATIENCE
from livelayer_bus.tokens import LocalKeys

pytestmark = pytest.mark.anyio
SAID = [
    ("user", "one"),
    ("agent", "You said one."),
    ("user", "two"),
    ("agent", "You said two."),
]


def echo(prompt: Prompt) -> str:
    return f"You said {prompt.user}."


def keys(harness: AgentHarness, *, resumed: bool = True) -> LocalKeys:
    server = harness.server
    return LocalKeys(
        server.url,
        server.key,
        server.secret,
        room_name=ROOM,
        identity="guest",
        attributes={"livelayer.resumed": "true"} if resumed else None,
    )


async def until(session: Session, true: Callable[[], bool]) -> None:
    with session.subscribe(Event) as events, anyio.fail_after(PATIENCE):
        while not true():
            await anext(events)


async def say(harness: AgentHarness, text: str) -> None:
    """Have another participant's line answered, and kept in the history."""
    kept = anyio.Event()

    def on_item(event: ConversationItemAddedEvent) -> None:
        if event.item.type == "message" and event.item.text_content == f"You said {text}.":
            kept.set()

    harness.session.on("conversation_item_added", on_item)
    await harness.surface.type(text)
    await harness.surface.hear(f"You said {text}.")
    with anyio.fail_after(PATIENCE):
        await kept.wait()


def lines(session: Session) -> list[tuple[str, str]]:
    return [(entry.role, entry.text) for entry in session.transcript if entry.final]


async def test_who_left_on_purpose_is_shown_each_line_once_and_in_order() -> None:
    async with run_agent(Agent(instructions=""), echo) as harness:
        await say(harness, "one")
        await say(harness, "two")
        heard = list(harness.surface.heard)
        async with Session("guide", tokens=keys(harness)) as session:
            for _ in range(2):
                await session.connect()
                await until(session, lambda: len(lines(session)) >= len(SAID))
                await session.send_text("three")
                await until(session, lambda: ("agent", "You said three.") in lines(session))
                assert lines(session)[: len(SAID)] == SAID
                assert lines(session).count(("agent", "You said two.")) == 1
                await session.disconnect()
                assert session.transcript == ()
        assert [text for text in harness.surface.heard if "three" not in text] == heard


async def test_who_comes_for_the_first_time_is_shown_nothing_that_was_said_before() -> None:
    async with run_agent(Agent(instructions=""), echo) as harness:
        await say(harness, "one")
        async with Session("guide", tokens=keys(harness, resumed=False)) as session:
            await session.connect()
            await session.send_text("two")
            await until(session, lambda: ("agent", "You said two.") in lines(session))
            assert ("agent", "You said one.") not in lines(session)


async def test_who_was_cut_off_is_shown_only_what_was_said_since() -> None:
    async with run_agent(Agent(instructions=""), echo) as harness:
        async with Session("guide", tokens=keys(harness), reconnect=None) as session:
            await session.connect()
            await say(harness, "one")
            await until(session, lambda: ("agent", "You said one.") in lines(session))
            gone = anyio.Event()
            harness.room.on("participant_disconnected", lambda _: gone.set())
            server = harness.server
            async with api.LiveKitAPI(server.url, server.key, server.secret) as client:
                cut = api.RoomParticipantIdentity(room=ROOM, identity="guest")
                await client.room.remove_participant(cut)
            with anyio.fail_after(PATIENCE):
                await gone.wait()
        await say(harness, "two")
        async with Session("guide", tokens=keys(harness)) as session:
            await session.connect()
            await until(session, lambda: len(lines(session)) >= 2)
            await session.send_text("three")
            await until(session, lambda: ("agent", "You said three.") in lines(session))
            assert lines(session)[:2] == SAID[2:]
            assert ("agent", "You said one.") not in lines(session)
