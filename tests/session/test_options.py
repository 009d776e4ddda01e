from __future__ import annotations

from typing import Any

import pytest

from livelayer_bus.clock import Backoff
from livelayer_bus.errors import MessageTooLargeError, MisuseError
from livelayer_bus.messages import UserMessage
from livelayer_bus.session import Session
from livelayer_bus.testing import ScriptedRooms

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "options",
    [
        {"resume_window": -1},
        {"linger": -1},
        {"close_timeout": -0.1},
        {"max_message_bytes": -1},
        {"resume_window": float("nan")},
        {"capacity": 0},
        {"max_bytes": -1},
    ],
)
async def test_a_value_that_cannot_be_is_refused(
    scripted_rooms: ScriptedRooms, options: dict[str, Any]
) -> None:
    with pytest.raises(MisuseError):
        Session("agt", tokens=scripted_rooms.tokens, room=scripted_rooms, **options)


async def test_a_token_instead_of_a_token_source_is_refused_with_the_fix() -> None:
    with pytest.raises(MisuseError, match=r"tokens=LiteralToken\(url, token\)") as refused:
        Session("agt", tokens="eyJ")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - the misuse under test
    assert "eyJ" not in str(refused.value)


@pytest.mark.parametrize(
    "options",
    [
        {"initial": 0},
        {"initial": 2.0, "maximum": 1.0},
        {"factor": 0.5},
        {"jitter": 1.5},
        {"attempts": 0},
    ],
)
async def test_a_backoff_that_cannot_be_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(MisuseError):
        Backoff(**options)


async def test_a_backoff_grows_to_its_maximum_and_ends() -> None:
    backoff = Backoff(initial=1, maximum=5, factor=2, jitter=0, attempts=5)
    assert list(backoff.pauses()) == [1, 2, 4, 5, 5]


async def test_jitter_stays_within_its_share() -> None:
    pauses = list(Backoff(initial=1, maximum=1, jitter=0.25, attempts=1000).pauses())
    assert all(0.75 <= pause <= 1.25 for pause in pauses)
    assert len(set(pauses)) > 900


async def test_the_limit_of_a_message_can_be_chosen(scripted_rooms: ScriptedRooms) -> None:
    async with Session(
        "agt", tokens=scripted_rooms.tokens, room=scripted_rooms, max_message_bytes=64
    ) as session:
        await session.connect()
        (await scripted_rooms.next()).agent_joins()
        await session.send_data(UserMessage("short"))
        with pytest.raises(MessageTooLargeError) as caught:
            await session.send_data(UserMessage("x" * 64))
        assert caught.value.limit == 64


async def test_a_repr_tells_no_secret_and_no_transcript(scripted_rooms: ScriptedRooms) -> None:
    async with Session("agt", tokens=scripted_rooms.tokens, room=scripted_rooms) as session:
        await session.connect()
        room = await scripted_rooms.next()
        room.transcribes("one", "a private word")
        assert "private" not in repr(session)
        assert "token-1" not in repr(session)
