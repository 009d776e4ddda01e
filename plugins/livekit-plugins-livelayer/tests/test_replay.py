"""What was said is shown again to who comes back to the room: each line once, in order."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest
from livekit import api
from livekit.agents import Agent, ConversationItemAddedEvent
from livekit.plugins.livelayer.testing import Prompt, Rehearsal, rehearse

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


def keys(stage: Rehearsal, *, resumed: bool = True) -> LocalKeys:
    server = stage.server
    return LocalKeys(
        server.url,
        server.key,
        server.secret,
        room_name="rehearsal",
        identity="guest",
        attributes={"livelayer.resumed": "true"} if resumed else None,
    )


async def until(session: Session, true: Callable[[], bool]) -> None:
    with session.subscribe(Event) as events, anyio.fail_after(PATIENCE):
        while not true():
            await anext(events)


async def say(stage: Rehearsal, text: str) -> None:
    """Have somebody else's line answered, and kept in the history."""
    kept = anyio.Event()

    def on_item(event: ConversationItemAddedEvent) -> None:
        if event.item.type == "message" and event.item.text_content == f"You said {text}.":
            kept.set()

    stage.session.on("conversation_item_added", on_item)
    await stage.surface.type(text)
    await stage.surface.hear(f"You said {text}.")
    with anyio.fail_after(PATIENCE):
        await kept.wait()


def lines(session: Session) -> list[tuple[str, str]]:
    return [(entry.role, entry.text) for entry in session.transcript if entry.final]


async def test_who_left_on_purpose_is_shown_each_line_once_and_in_order() -> None:
    async with rehearse(Agent(instructions=""), echo) as stage:
        await say(stage, "one")
        await say(stage, "two")
        heard = list(stage.surface.heard)
        async with Session("guide", tokens=keys(stage)) as session:
            for _ in range(2):
                await session.connect()
                await until(session, lambda: len(lines(session)) >= len(SAID))
                await session.send_text("three")
                await until(session, lambda: ("agent", "You said three.") in lines(session))
                assert lines(session)[: len(SAID)] == SAID
                assert lines(session).count(("agent", "You said two.")) == 1
                await session.disconnect()
                assert session.transcript == ()
        assert [text for text in stage.surface.heard if "three" not in text] == heard


async def test_who_comes_for_the_first_time_is_shown_nothing_that_was_said_before() -> None:
    async with rehearse(Agent(instructions=""), echo) as stage:
        await say(stage, "one")
        async with Session("guide", tokens=keys(stage, resumed=False)) as session:
            await session.connect()
            await session.send_text("two")
            await until(session, lambda: ("agent", "You said two.") in lines(session))
            assert ("agent", "You said one.") not in lines(session)


async def test_who_was_cut_off_is_shown_only_what_was_said_since() -> None:
    async with rehearse(Agent(instructions=""), echo) as stage:
        async with Session("guide", tokens=keys(stage), reconnect=None) as session:
            await session.connect()
            await say(stage, "one")
            await until(session, lambda: ("agent", "You said one.") in lines(session))
            gone = anyio.Event()
            stage.room.on("participant_disconnected", lambda _: gone.set())
            server = stage.server
            async with api.LiveKitAPI(server.url, server.key, server.secret) as client:
                cut = api.RoomParticipantIdentity(room="rehearsal", identity="guest")
                await client.room.remove_participant(cut)
            with anyio.fail_after(PATIENCE):
                await gone.wait()
        await say(stage, "two")
        async with Session("guide", tokens=keys(stage)) as session:
            await session.connect()
            await until(session, lambda: len(lines(session)) >= 2)
            await session.send_text("three")
            await until(session, lambda: ("agent", "You said three.") in lines(session))
            assert lines(session)[:2] == SAID[2:]
            assert ("agent", "You said one.") not in lines(session)
