"""The conformance check in one line, and what makes this surface itself."""

from __future__ import annotations

import pytest
from livelayer_surface_minimal import MinimalSurface

from livelayer_bus import Session
from livelayer_bus.config import load_surface
from livelayer_bus.messages import Navigate
from livelayer_bus.testing import ScriptedRooms, check_surface, settle


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_it_keeps_the_contract_of_surfaces() -> None:
    await check_surface(lambda: MinimalSurface(show=lambda _: None), capabilities=["navigate"])


@pytest.mark.anyio
async def test_an_utterance_is_shown_once_and_addresses_are_shown() -> None:
    lines: list[str] = []
    rooms = ScriptedRooms(agent="agent")
    async with Session("agt", tokens=rooms.tokens, room=rooms) as session:
        await session.connect()
        room = await rooms.next()
        room.transcribes("1", "before the surface came")
        session.mount(MinimalSurface("> ", lines.append), key="m", capabilities=["navigate"])
        await settle()
        room.transcribes("2", "after it came")
        room.transcribes("2", "after it came")
        room.agent_says(Navigate("/pricing"))
        await room.next_sent("command_result")
    assert sorted(lines) == [
        "> -> /pricing",
        "> agent: after it came",
        "> agent: before the surface came",
    ]


def test_the_name_in_livelayer_toml_finds_it() -> None:
    assert load_surface("minimal") is MinimalSurface
