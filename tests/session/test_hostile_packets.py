"""Whatever bytes a participant sends end as events, never as an exception.

`LIVELAYER_FUZZ` is the number of generated packets, 20,000 unless it is set.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from typing import Any

import anyio
import msgspec
import pytest

from livelayer_bus.events import (
    AnyEvent,
    CommandReceived,
    CommandRefused,
    DataReceived,
    Event,
    HandlerFailed,
    MalformedMessage,
)
from livelayer_bus.messages import ALL, capability_of, is_command, read
from livelayer_bus.session import Session
from livelayer_bus.surfaces.surface import SurfaceSession
from livelayer_bus.testing import PATIENCE, ScriptedRoom, ScriptedRooms, settle
from tests.session.conftest import MakeSession

COUNT = int(os.environ.get("LIVELAYER_FUZZ", "20000"))
# A run of a million packets takes longer than one test may.
pytestmark = [pytest.mark.anyio, *([pytest.mark.timeout(0)] if COUNT > 20_000 else [])]

BATCH = 500  # packets between two looks: fewer than a session holds while it joins
DEEP = 101

KNOWN: list[dict[str, Any]] = [
    {"type": "click", "selector": "#buy", "requestId": "r"},
    {"type": "navigate", "href": "/pricing"},
    {"type": "scroll_to", "selector": "#a", "behavior": "smooth"},
    {"type": "fill_form", "formId": "f", "values": {"name": "Ada"}},
    {"type": "submit_form", "formId": "f", "requestId": "s"},
    {"type": "task_field_updated", "fieldId": "f", "fieldName": "F", "value": 1.5}
    | {"kind": "text", "source": "agent"},
    {"type": "agent_state", "state": "speaking"},
    {"type": "agent_error", "message": "m"},
    {"type": "bot_ready"},
    {"type": "command_result", "command": "click", "ok": True},
    {"type": "quiz", "question": ["a", {"b": None}]},
]
VALUES = (
    "1e999",
    "-1e999",
    "9" * 400,
    "-" + "9" * 5000,
    "1.5",
    "null",
    "true",
    '""',
    '"\\ud800"',
    '"\\u0000"',
    "[]",
    "{}",
    "[" * DEEP + "]" * DEEP,
    '{"a":' * DEEP + "1" + "}" * DEEP,
    '"' + "x" * 2000 + '"',
    "\u2028",
    "nul",
)

HOSTILE: list[bytes] = [
    b'{"type":"click","selector":"x","requestId":1e999}',
    b'{"type":"click","selector":"x","requestId":' + b"9" * 5000 + b"}",
    b'{"type":"quiz","number":1e999}',
    b'{"type":"quiz","number":-' + b"9" * 5000 + b"}",
    b'{"type":"click","selector":"\xff"}',
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'{"type":"click","type":5}',
    b'{"type":"click","selector":5}',
    b'{"type":"navigate","href":"javascript:alert(1)"}',
    b"",
]


def packets(seed: int) -> Iterator[bytes]:
    rng = random.Random(seed)
    while True:
        fields = {name: json.dumps(value) for name, value in rng.choice(KNOWN).items()}
        for _ in range(rng.choice((0, 0, 1, 1, 2))):
            name = rng.choice([*fields, "requestId", "extra", "selector"])
            fields[name] = rng.choice(VALUES)
        pairs = [f"{json.dumps(name)}:{value}" for name, value in fields.items()]
        if rng.random() < 0.1:
            pairs.append(rng.choice(pairs))
        if rng.random() < 0.1:
            pairs.append(f'"type":{rng.choice(VALUES)}')
        data = ("{" + ",".join(pairs) + "}").encode("utf-8", "surrogatepass")
        if rng.random() < 0.2:
            broken = bytearray(data)
            for _ in range(rng.randint(1, 3)):
                broken[rng.randrange(len(broken))] = rng.randrange(256)
            data = bytes(broken[: rng.randint(0, len(broken))] if rng.random() < 0.5 else broken)
        yield data


def without_payload(event: Event) -> Event:
    """The event without its bytes: white space around them does not survive a line of JSON."""
    if isinstance(event, DataReceived | CommandReceived):
        return msgspec.structs.replace(event, payload=msgspec.Raw(b"0"))
    return event


class Checked:
    """Sends packets into a room and compares the events with what the codec says of each."""

    def __init__(self, session: Session, seed: int) -> None:
        self.rng = random.Random(seed)
        self.session = session
        self.sent: list[tuple[bytes, bool, str | None]] = []

    def send(self, room: ScriptedRoom, data: bytes) -> None:
        from_agent, topic = self.rng.random() < 0.7, self.rng.choice((None, None, "own"))
        self.sent.append((data, from_agent, topic))
        sender = "agent" if from_agent else "somebody"
        room.packet(data, sender=sender, topic=topic, from_agent=from_agent)

    def check(self, events: list[Event]) -> None:
        assert not [event for event in events if isinstance(event, HandlerFailed)]
        for event in events:
            again = msgspec.json.decode(msgspec.json.encode(event), type=AnyEvent)
            assert without_payload(again) == without_payload(event)
        received = [event for event in events if isinstance(event, DataReceived)]
        assert [(e.data, e.from_agent, e.topic) for e in received] == self.sent
        for event in received:
            assert event.message == read(event.data).message
        found = [(read(data), from_agent, topic) for data, from_agent, topic in self.sent]
        malformed = [event for event in events if isinstance(event, MalformedMessage)]
        assert [(e.type, e.problem) for e in malformed] == [
            (one.type, one.problem)
            for one, _, topic in found
            if one.message is None and (one.type is not None or topic is None)
        ]
        commands = [event for event in events if isinstance(event, CommandReceived)]
        refused = [event for event in events if isinstance(event, CommandRefused)]
        wanted = [
            (one, from_agent)
            for one, from_agent, _ in found
            # Of a later upstream's task messages none is a command yet.
            if is_command(one.message) or (one.problem and one.type and capability_of(one.type))
        ]
        assert [(e.command, e.request_id) for e in commands] == [
            (one.type, one.request_id) for one, a in wanted if a and one.message is not None
        ]
        assert [(e.command, e.reason) for e in refused] == [
            (one.type, "invalid" if from_agent else "sender")
            for one, from_agent in wanted
            if one.message is None or not from_agent
        ]
        self.sent.clear()


async def obey(session: SurfaceSession) -> None:
    async for _ in session.commands():
        pass


async def joined_with(
    make_session: MakeSession, rooms: ScriptedRooms, seed: int, count: int
) -> int:
    """Send `count` packets into a room that is joined."""
    checked = 0
    stream = packets(seed)
    async with make_session() as session:
        session.mount(obey, key="obey", capabilities=ALL)
        await session.connect()
        room = await rooms.next()
        room.agent_joins()
        checker = Checked(session, seed)
        while checked < count:
            with session.subscribe() as events:
                for _ in range(BATCH // 2):
                    checker.send(room, next(stream))
                checked += BATCH // 2
                checker.check([await anext(events) for _ in range(events.lag)])
            await settle(10)
    return checked


async def joining_with(
    make_session: MakeSession, rooms: ScriptedRooms, seed: int, count: int
) -> int:
    """Send `count` packets into rooms that are being joined, `BATCH` into each."""
    checked = 0
    stream = packets(seed)
    while checked < count:
        async with make_session() as session, anyio.create_task_group() as group:
            rooms.joining.hold()
            checker = Checked(session, seed + checked)
            session.mount(obey, key="obey", capabilities=ALL)
            with session.subscribe() as events:
                group.start_soon(session.connect)
                await rooms.joining.wait_held()
                room = rooms.rooms[-1]
                for _ in range(BATCH):
                    checker.send(room, next(stream))
                    checked += 1
                before = [await anext(events) for _ in range(events.lag)]
                assert not any(isinstance(event, DataReceived) for event in before)
                rooms.joining.open()
                await rooms.next()
                await settle(5)
                assert session.connection_state == "connected"
                checker.check([await anext(events) for _ in range(events.lag)])
    return checked


async def test_generated_packets_are_events_and_nothing_else(
    make_session: MakeSession, scripted_rooms: ScriptedRooms
) -> None:
    assert await joined_with(make_session, scripted_rooms, seed=1, count=COUNT // 2) >= COUNT // 2


async def test_generated_packets_while_joining_are_events_and_nothing_else(
    make_session: MakeSession, scripted_rooms: ScriptedRooms
) -> None:
    assert await joining_with(make_session, scripted_rooms, seed=2, count=COUNT // 2) >= COUNT // 2


@pytest.mark.parametrize("from_agent", [True, False])
@pytest.mark.parametrize("data", HOSTILE, ids=lambda data: repr(data[:40]))
async def test_a_hostile_packet_while_joining_takes_nothing_with_it(
    session: Session, scripted_rooms: ScriptedRooms, data: bytes, from_agent: bool
) -> None:
    scripted_rooms.joining.hold()
    with anyio.fail_after(PATIENCE), session.subscribe(MalformedMessage) as malformed:
        async with anyio.create_task_group() as group:
            group.start_soon(session.connect)
            await scripted_rooms.joining.wait_held()
            room = scripted_rooms.rooms[-1]
            room.agent_joins()
            room.packet(data, sender="somebody", from_agent=from_agent)
            room.agent_says({"type": "bot_ready"})
            room.transcribes("one", "Good day")
            scripted_rooms.joining.open()
        assert (session.connection_state, session.state.agent_ready) == ("connected", True)
        assert [entry.text for entry in session.transcript] == ["Good day"]
        assert (await anext(malformed)).sender == "somebody"
        scripted_rooms.rooms[-1].packet(data, sender="somebody", from_agent=from_agent)
        assert (await anext(malformed)).sender == "somebody"


async def test_a_message_is_decoded_once_for_every_reader(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    await session.connect()
    room = await scripted_rooms.next()
    with session.subscribe(DataReceived) as one, session.subscribe(DataReceived) as two:
        commands = session.commands()
        room.agent_says({"type": "quiz", "number": 1})
        first, second, third = await anext(one), await anext(two), await anext(commands)
        commands.close()
    assert first.message is second.message is third


async def test_an_event_that_cannot_be_handled_does_not_take_the_others_with_it(
    make_session: MakeSession, scripted_rooms: ScriptedRooms
) -> None:
    scripted_rooms.joining.hold()
    async with make_session() as session:
        with anyio.fail_after(PATIENCE), session.subscribe(HandlerFailed) as failures:
            async with anyio.create_task_group() as group:
                group.start_soon(session.connect)
                await scripted_rooms.joining.wait_held()
                room = scripted_rooms.rooms[-1]
                room.agent_joins()
                # A fault of the session's own: no foreign bytes cause one.
                room.agent_state([])  # type: ignore[arg-type]
                room.transcribes("one", "Good day")
                scripted_rooms.joining.open()
            assert [entry.text for entry in session.transcript] == ["Good day"]
            assert (await anext(failures)).handler == "room event AgentStateReported"
