"""Surfaces that carry out commands, and the agent's side of their answers."""

from __future__ import annotations

import anyio

from livelayer_bus.messages import Command, CommandResult, RawMessage
from livelayer_bus.surfaces import SurfaceSession
from livelayer_bus.testing import PATIENCE, ScriptedRoom

COMMAND_TIMEOUT = 10.0  # seconds


class Obedient:
    """Carries out every command at once, and keeps what it was given."""

    def __init__(self) -> None:
        self.given: list[Command | RawMessage] = []
        self.view: SurfaceSession | None = None

    async def run(self, session: SurfaceSession) -> None:
        self.view = session
        async for command in session.commands():
            self.given.append(command)


class ByHand:
    """Takes commands, and settles them when the test says so."""

    def __init__(self) -> None:
        self.given: list[Command | RawMessage] = []

    async def run(self, session: SurfaceSession) -> None:
        commands = session.commands(auto=False)
        self.finish = commands.finish
        async for command in commands:
            self.given.append(command)


async def idle(session: SurfaceSession) -> None:
    """Takes no command."""
    await anyio.sleep_forever()


async def result(room: ScriptedRoom) -> CommandResult:
    """The next answer that the agent gets."""
    with anyio.fail_after(PATIENCE):
        message = (await room.next_sent("command_result")).message
    assert isinstance(message, CommandResult)
    return message
