"""Sessions with the bridges of real agents in one room: confirmed delivery, and two agents."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import anyio
import msgspec
import pytest
from livekit import api, rtc
from livekit.agents import Agent, AgentSession
from livekit.agents.voice import room_io
from livekit.plugins.livelayer import Approval, Outcome, SurfaceBridge
from livekit.plugins.livelayer.data_listeners import QUEUE_LIMIT
from livekit.plugins.livelayer.testing import ScriptedModel
from livelayer_embedded import EmbeddedServer

from livelayer_bus import Event, LocalKeys, RawMessage, Session, SessionState
from livelayer_bus.errors import NotSupportedError, SendTimeoutError
from livelayer_bus.events import ApprovalRequested, DataReceived, TurnEnded
from livelayer_bus.messages import AgentStateMessage, Navigate, UserMessage
from livelayer_bus.rooms import keep, names
from livelayer_bus.surfaces import SurfaceSession
from livelayer_bus.testing import PATIENCE, polled

pytestmark = pytest.mark.anyio
SOON = 0.3  # seconds


class Place(msgspec.Struct, frozen=True):
    """A room of a server."""

    url: str
    key: str
    secret: str
    room: str

    def agent_token(self, identity: str) -> api.AccessToken:
        grants = api.VideoGrants(
            room_join=True, room=self.room, agent=True, can_update_own_metadata=True
        )
        token = api.AccessToken(self.key, self.secret).with_identity(identity).with_kind("agent")
        return token.with_grants(grants)


class Guide(msgspec.Struct, frozen=True):
    """One agent with a bridge in the room."""

    room: rtc.Room
    session: AgentSession[None]
    bridge: SurfaceBridge


@asynccontextmanager
async def guide_in(
    place: Place, identity: str, *, capabilities: Sequence[str] = ("navigate",)
) -> AsyncGenerator[Guide]:
    room = rtc.Room()
    agent: AgentSession[None] = AgentSession(
        llm=ScriptedModel(lambda prompt: f"{identity} heard {prompt.user}."), user_away_timeout=None
    )
    options = room_io.RoomOptions(audio_input=False, audio_output=False)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(room.disconnect)
        two = rtc.RoomOptions(single_peer_connection=False)
        bridge = SurfaceBridge(agent, room, capabilities=capabilities)
        await stack.enter_async_context(bridge)  # before the room is connected: it announces then
        await room.connect(place.url, place.agent_token(identity).to_jwt(), two)
        keep(room)
        stack.push_async_callback(agent.aclose)
        await agent.start(
            Agent(instructions="Guide."), room=room, room_options=options, record=False
        )
        yield Guide(room, agent, bridge)


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.livekit)])
async def place(request: pytest.FixtureRequest, anyio_backend: str) -> AsyncGenerator[Place]:
    """On the embedded server and, where it is given, on a real one."""
    room = f"together-{uuid.uuid4().hex[:8]}"
    if request.param == "embedded":
        async with EmbeddedServer() as server:
            yield Place(server.url, server.key, server.secret, room)
        return
    names = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")
    url, key, secret = (os.environ.get(name, "") for name in names)
    if not (url and key and secret):
        pytest.skip("need LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET")
    yield Place(url, key, secret, room)


@pytest.fixture
async def session(place: Place) -> AsyncGenerator[Session]:
    keys = LocalKeys(place.url, place.key, place.secret, room_name=place.room, identity="user")
    async with Session("agt", tokens=keys) as session:
        await session.connect()
        yield session


async def until(session: Session, ready: Callable[[SessionState], bool]) -> None:
    """Return once the session's state is so."""
    with anyio.fail_after(PATIENCE), session.subscribe() as events:
        while not ready(session.state):
            await anext(events)


async def event_of(session: Session, found: Callable[[Event], bool]) -> None:
    """Return once there was such an event."""
    with anyio.fail_after(PATIENCE), session.subscribe(after=0) as events:
        async for event in events:
            if found(event):
                return


async def test_a_confirmed_message_is_with_the_bridge_when_the_call_returns(
    place: Place, session: Session
) -> None:
    async with guide_in(place, "guide") as guide:
        got: list[int] = []
        guide.bridge.on("quiz")(lambda message, _: got.append(message.fields["number"]))
        for number in range(20):
            quiz = {"type": "quiz", "number": number}
            await session.send_data(quiz, confirm=True, timeout=PATIENCE)
            assert guide.bridge.statistics().received == number + 1
        await polled(lambda: len(got) == 20)
        assert got == list(range(20))
        assert session.statistics().confirmed == 20
        await session.send_text("hello", timeout=PATIENCE)
        assert session.statistics().confirmed == 21


async def test_what_comes_again_is_confirmed_and_not_taken_again(
    place: Place, session: Session
) -> None:
    async with guide_in(place, "guide") as guide:
        got: list[RawMessage] = []
        guide.bridge.on("quiz")(lambda message, _: got.append(message))
        await until(session, lambda state: state.agent_confirms)
        native = session.room
        assert native is not None
        confirmed: list[bytes] = []
        native.on("data_received", lambda packet: confirmed.append(packet.data))
        message_id = f"{'0' * 31}1.1"
        for _ in range(3):
            await native.local_participant.publish_data(
                b'{"type":"quiz"}', topic=names.CONFIRM_TOPIC + message_id
            )
        await polled(lambda: confirmed.count(message_id.encode()) == 3)
        assert guide.bridge.statistics().repeated == 2
        assert len(got) == 1


async def test_what_comes_of_who_is_not_reported_yet_comes_again_with_its_sender(
    place: Place, session: Session
) -> None:
    async with guide_in(place, "guide") as guide:
        got: list[tuple[str, str]] = []
        guide.bridge.on("user_message")(lambda _, sender: got.append(("user_message", sender)))
        guide.bridge.on("quiz")(lambda _, sender: got.append(("quiz", sender)))
        await until(session, lambda state: state.agent_confirms)
        native = session.room
        assert native is not None
        confirmed: list[bytes] = []
        native.on("data_received", lambda packet: confirmed.append(packet.data))

        def arrive(number: int, message: bytes, sender: rtc.RemoteParticipant | None) -> str:
            message_id = f"{'0' * 31}1.{number}"
            kind, topic = rtc.DataPacketKind.KIND_RELIABLE, names.CONFIRM_TOPIC + message_id
            packet = rtc.DataPacket(data=message, kind=kind, participant=sender, topic=topic)
            guide.room.emit("data_received", packet)
            return message_id

        quiz = arrive(1, b'{"type":"quiz"}', None)
        line = arrive(2, b'{"type":"user_message","text":"hello"}', None)
        assert guide.bridge.statistics().deferred == 2
        await polled(lambda: "user" in guide.room.remote_participants)
        user = guide.room.remote_participants["user"]
        arrive(1, b'{"type":"quiz"}', user)
        arrive(2, b'{"type":"user_message","text":"hello"}', user)
        await polled(lambda: {quiz.encode(), line.encode()} <= set(confirmed))
        statistics = guide.bridge.statistics()
        assert (statistics.repeated, statistics.deferred, statistics.unexpected) == (0, 2, 0)
        await polled(lambda: len(got) == 2)
        assert sorted(got) == [("quiz", "user"), ("user_message", "user")]


async def test_a_session_that_has_just_joined_is_confirmed(place: Place) -> None:
    keys = LocalKeys(place.url, place.key, place.secret, room_name=place.room)
    async with guide_in(place, "guide") as guide, Session("agt", tokens=keys) as session:
        await session.connect()
        await session.send_text("hello", timeout=PATIENCE)
        assert session.statistics().confirmed == 1
        await session.send_data({"type": "quiz"}, confirm=True, timeout=PATIENCE)
        assert guide.bridge.statistics().unexpected == 0


async def test_a_typed_line_that_comes_as_another_message_is_taken_once(
    place: Place, session: Session
) -> None:
    async with guide_in(place, "guide") as guide:
        got: list[UserMessage] = []
        guide.bridge.on(UserMessage)(lambda message, _: got.append(message))
        line, other = UserMessage("hello", "line-1"), UserMessage("hello?", "line-1")
        for message in (line, line, other, UserMessage("hello"), UserMessage("hello"), line):
            await session.send_data(message, confirm=True, timeout=PATIENCE)
        assert guide.bridge.statistics().repeated == 2
        await polled(lambda: len(got) == 4)
        assert got == [line, other, UserMessage("hello"), UserMessage("hello")]


async def test_a_bridge_without_room_for_a_message_gets_it_later(
    place: Place, session: Session
) -> None:
    async with guide_in(place, "guide") as guide:
        go_on, got = anyio.Event(), 0

        async def slow(_message: RawMessage, _sender: str) -> None:
            nonlocal got
            await go_on.wait()
            got += 1

        guide.bridge.on("quiz")(slow)
        await session.send_data({"type": "quiz"}, confirm=True, timeout=PATIENCE)
        for _ in range(QUEUE_LIMIT):
            await session.send_data({"type": "quiz"}, confirm=True, timeout=PATIENCE)
        with pytest.raises(SendTimeoutError, match="not confirmed"):
            await session.send_data({"type": "quiz"}, confirm=True, timeout=SOON)
        assert guide.bridge.statistics().deferred == 1
        async with anyio.create_task_group() as group:
            group.start_soon(send_quiz, session)
            await polled(lambda: guide.bridge.statistics().deferred == 2)
            go_on.set()
        await polled(lambda: got == QUEUE_LIMIT + 2)
        assert guide.bridge.statistics().notices_dropped == 0


async def send_quiz(session: Session) -> None:
    await session.send_data({"type": "quiz"}, confirm=True, timeout=PATIENCE)


async def test_an_agent_without_a_bridge_is_a_typed_error(place: Place, session: Session) -> None:
    room = rtc.Room()
    token = place.agent_token("plain").with_attributes({names.AGENT_STATE: "listening"})
    await room.connect(place.url, token.to_jwt(), rtc.RoomOptions(single_peer_connection=False))
    keep(room)
    try:
        with pytest.raises(NotSupportedError, match="SurfaceBridge"):
            await session.send_data({"type": "quiz"}, confirm=True, timeout=PATIENCE)
    finally:
        await room.disconnect()


async def test_of_two_bridges_the_session_follows_the_chosen_one_until_it_leaves(
    place: Place, session: Session
) -> None:
    routed: list[str] = []

    async def page(surface: SurfaceSession) -> None:
        async for command in surface.commands():
            assert isinstance(command, Navigate)
            routed.append(command.href)

    session.mount(page, key="page", capabilities=["navigate"])
    async with AsyncExitStack() as stack, guide_in(place, "expert") as expert:
        # The first one in the room is the chosen one: the host leaves first.
        await until(session, lambda state: state.agent_identity == "expert" and state.agent_ready)
        host = await stack.enter_async_context(guide_in(place, "host"))
        await event_of(session, lambda e: isinstance(e, DataReceived) and e.sender == "host")
        await until(session, lambda state: state.agent_state == "listening")
        before = session.state
        assert before.agent_identity == "expert"

        # The host speaks, is not ready any more, commands: it stays a participant's data.
        host.bridge.send(AgentStateMessage("speaking"), to="user")
        host.bridge.send({"type": "bot_ready"}, to="user")
        host.bridge.send(Navigate("/of-the-host"), to="user")
        host.bridge.send({"type": "end of the host"}, to="user")
        await event_of(
            session, lambda e: isinstance(e, DataReceived) and e.type == "end of the host"
        )
        told = [
            event
            for event in [event async for event in events_so_far(session)]
            if isinstance(event, DataReceived) and event.sender == "host"
        ]
        assert {event.from_agent for event in told} == {False}
        now = session.state
        assert (now.agent_identity, now.agent_state, now.agent_ready) == (
            "expert",
            "listening",
            True,
        )

        # Typed lines and confirmed messages go to the chosen one; so do its commands to the page.
        await session.send_text("who are you", timeout=PATIENCE)
        assert expert.bridge.statistics().received == 1
        assert host.bridge.statistics().received == 0
        answer = await expert.bridge.command(
            Navigate("/of-the-expert"), to="user", timeout=PATIENCE
        )
        assert answer
        assert routed == ["/of-the-expert"]

        # The chosen one leaves: the host is the agent, with what it says from now on.
        await expert.bridge.aclose()
        await expert.room.disconnect()
        await until(session, lambda state: state.agent_identity == "host" and state.agent_confirms)
        await session.send_data({"type": "quiz"}, confirm=True, timeout=PATIENCE)
        assert host.bridge.statistics().received == 1
        host.bridge.send({"type": "bot_ready"}, to="user")
        await until(session, lambda state: state.agent_ready)

        # It comes back, speaks and commands: by now it is the other one.
        back = await stack.enter_async_context(guide_in(place, "expert"))
        back.bridge.send(AgentStateMessage("speaking"), to="user")
        back.bridge.send(Navigate("/of-the-expert-again"), to="user")
        back.bridge.send({"type": "end of the expert"}, to="user")
        await event_of(
            session, lambda e: isinstance(e, DataReceived) and e.type == "end of the expert"
        )
        now = session.state
        assert (now.agent_identity, now.agent_state, now.agent_ready) == (
            "host",
            "listening",
            True,
        )
        assert await host.bridge.command(Navigate("/of-the-host"), to="user", timeout=PATIENCE)
        assert routed == ["/of-the-expert", "/of-the-host"]


async def events_so_far(session: Session) -> AsyncGenerator[Event]:
    with session.subscribe(after=0) as events:
        for _ in range(events.lag):
            yield await anext(events)


async def test_a_session_interrupts_and_answers_the_agent_of_a_bridge(
    place: Place, session: Session
) -> None:
    async with guide_in(place, "guide", capabilities=["ask_approval"]) as guide:
        interrupted: list[str] = []
        guide.bridge.on("interrupt")(lambda _, sender: interrupted.append(sender))
        await until(session, lambda state: state.agent_ready)
        await session.interrupt(timeout=PATIENCE)
        await polled(lambda: interrupted == ["user"])

        asked = partial(guide.bridge.request_approval, "Pay?", to="user", timeout=PATIENCE)
        answers: list[Approval] = []

        async def ask() -> None:
            answers.append(await asked())

        async def person(view: SurfaceSession) -> None:
            with view.subscribe(ApprovalRequested) as questions:
                async for question in questions:
                    approved = len(answers) == 1
                    assert await view.answer_approval(question.number, approved=approved)

        await ask()
        session.mount(person, key="panel", capabilities=["ask_approval"])
        await ask()
        await ask()
        assert [(one.outcome, one.surface) for one in answers] == [
            (Outcome.REFUSED, None),
            (Outcome.DONE, "panel"),
            (Outcome.DECLINED, "panel"),
        ]
        assert session.state.approvals == ()
        await session.send_text("hello", timeout=PATIENCE)
        await event_of(session, lambda event: event == TurnEnded("agent"))
