"""Random courses of events, and what must hold at every instant of each."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

import anyio
import pytest

from livelayer_bus.bus import Subscription
from livelayer_bus.clock import Backoff
from livelayer_bus.errors import ConnectError, LivelayerError, TokenRefusedError
from livelayer_bus.events import Event
from livelayer_bus.messages import Navigate, UserMessage
from livelayer_bus.session import Session
from livelayer_bus.state import SessionState, reduce
from livelayer_bus.surfaces import MountedSurface, SurfaceSession
from livelayer_bus.testing import ManualClock, ScriptedRoom, ScriptedRooms, settle

pytestmark = pytest.mark.anyio
STEPS = 120
COURSES = 12


async def obeys(session: SurfaceSession) -> None:
    async for _ in session.commands():
        pass


async def breaks(session: SurfaceSession) -> None:
    with session.subscribe() as events:
        async for event in events:
            if event.__class__.__name__ == "DataReceived":
                raise ValueError("a fault of its own")


class Course:
    """One session, and an actor that does anything to it at any time."""

    def __init__(self, session: Session, rooms: ScriptedRooms, clock: ManualClock, seed: int):
        self.session = session
        self.rooms = rooms
        self.clock = clock
        self.random = random.Random(seed)
        self.surfaces: list[MountedSurface] = []
        self.agents = 0

    def room(self) -> ScriptedRoom | None:
        return self.rooms.rooms[-1] if self.rooms.rooms and self.rooms.rooms[-1].joined else None

    async def connect(self) -> None:
        await self.session.connect()

    async def disconnect(self) -> None:
        await self.session.disconnect()

    async def switch(self) -> None:
        self.agents += 1
        await self.session.switch_agent(f"agt_{self.agents}")

    async def send(self) -> None:
        await self.session.send_data(UserMessage("hello"), timeout=0.001)

    async def wait(self) -> None:
        await self.clock.elapse(self.random.choice([0.5, 1.0, 3.0, 20.0, 400.0]))

    async def mount(self) -> None:
        key = str(self.random.randrange(4))
        surface = self.random.choice([obeys, breaks])
        self.surfaces.append(self.session.mount(surface, key=key, capabilities=["navigate"]))

    async def unmount(self) -> None:
        if self.surfaces:
            await self.surfaces.pop(self.random.randrange(len(self.surfaces))).unmount()

    async def room_does_something(self) -> None:
        room = self.room()
        if room is None:
            return
        room.agent_joins()
        number = self.random.randrange(5)
        acts: list[Callable[[], object]] = [
            room.agent_leaves,
            room.reconnecting,
            room.reconnected,
            lambda: room.agent_state(self.random.choice(["listening", "failed", "dancing"])),
            lambda: room.transcribes(f"line-{number}", f"words {number}"),
            lambda: room.open_stream(f"line-{number}").write("wo"),
            lambda: room.agent_says(Navigate("/")),
            lambda: room.agent_says(b"nonsense"),
            lambda: room.track_starts("video"),
            lambda: room.track_stops("video"),
        ]
        self.random.choice(acts)()

    async def lose(self) -> None:
        room = self.room()
        if room is not None:
            room.lose(rejoin=self.random.random() < 0.7, fault=self.random.random() < 0.8)

    async def break_something(self) -> None:
        acts: list[Callable[[], object]] = [
            lambda: self.rooms.joining.fail(ConnectError("ws://here", "no route"), times=2),
            lambda: self.rooms.tokens.gate.fail(
                TokenRefusedError("the endpoint", 403, "no"), times=1
            ),
            self.rooms.joining.hold,
            self.rooms.joining.open,
            self.rooms.tokens.gate.hold,
            self.rooms.tokens.gate.open,
        ]
        self.random.choice(acts)()

    def next_act(self) -> Callable[[], Awaitable[None]]:
        acts = [self.connect, self.room_does_something, self.wait]
        others = [self.disconnect, self.switch, self.send, self.mount, self.unmount, self.lose]
        return self.random.choice(acts * 3 + others + [self.break_something])


async def attempt(act: Callable[[], Awaitable[None]]) -> None:
    """Do it; a typed error is an answer, anything else fails the test."""
    try:
        await act()
    except LivelayerError:
        return


async def follow(events: Subscription[Event, SessionState], state: SessionState) -> SessionState:
    while events.lag:
        state = reduce(state, await anext(events))
    return state


def check(course: Course) -> None:
    state = course.session.state
    inside = [room for room in course.rooms.rooms if room.joined]
    assert len(inside) <= 1
    assert state.joined is bool(inside)
    assert not state.joined or state.connection_state == "connected"
    assert state.connection_state != "connected" or state.joined or state.reconnecting
    assert not state.agent_active or state.joined
    assert not state.can_resume or state.connection_state in ("disconnected", "error")
    assert state.connection_state != "error" or state.error
    assert not course.session.video.available or state.joined
    assert len({entry.id for entry in state.transcript}) == len(state.transcript)


@pytest.mark.parametrize("seed", range(COURSES))
async def test_state_and_events_agree_and_the_session_can_always_be_closed(
    scripted_rooms: ScriptedRooms, manual_clock: ManualClock, seed: int
) -> None:
    session = Session(
        "agt_0",
        tokens=scripted_rooms.tokens,
        room=scripted_rooms,
        clock=manual_clock,
        reconnect=Backoff(initial=1.0, maximum=2.0, jitter=0.0, attempts=3),
    )
    async with session:
        course = Course(session, scripted_rooms, manual_clock, seed)
        with session.subscribe() as events:
            state = events.snapshot
            async with anyio.create_task_group() as group:
                for _ in range(STEPS):
                    group.start_soon(attempt, course.next_act())
                    await settle(60)
                    check(course)
                    state = await follow(events, state)
                    assert state == session.state
                scripted_rooms.joining.open()
                scripted_rooms.tokens.gate.open()
                await manual_clock.elapse(60)
        await attempt(session.disconnect)
        await session.connect()
        assert session.connection_state == "connected"
    await settle()
    assert not [room for room in scripted_rooms.rooms if room.was_joined and not room.closed]
