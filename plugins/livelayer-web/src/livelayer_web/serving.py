"""Runs the web surface's own server, uvicorn, for a block; and ends it in bounded time."""

from __future__ import annotations

import asyncio
import signal
import socket
import struct
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Any, Final, final

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from livelayer_bus import BrokenError

from .stream import ABORT

BACKLOG: Final = 2048  # connections the kernel holds while the loop is busy
CLOSE_SECONDS: Final = 1
"""How long requests that are under way may take once the block is left."""
_NOT_READ_SECONDS: Final = 10.0
"""How long the kernel keeps what nobody acknowledges."""


class PortTakenError(BrokenError):
    """The web surface cannot listen where it should; most often another program does."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(
            f"the web surface cannot listen on {host}:{port}: {reason}; end the program that does, "
            "choose another port, or 0 for a free one"
        )
        self.host = host
        self.port = port


@asynccontextmanager
async def serving(app: ASGIApp, *, host: str, port: int) -> AsyncGenerator[tuple[str, int], None]:
    """Serve the application on this event loop; gives its address, `http://host:port`, and port.

    Guarantee: it listens when the block begins. Leaving it takes at most about two seconds: what
    is under way is given `CLOSE_SECONDS`, and whoever does not read by then is cut off. Signals
    stay with the caller, nothing is logged of requests.

    Args:
        app: the application; its lifespan is not run.
        host: the address to listen on.
        port: the TCP port; 0 takes a free one.

    Raises:
        PortTakenError: the address cannot be had.
    """
    with _listening(host, port) as listener:
        server = _Server(app)
        # Not a task group: the block may be left by a cancellation, and is still to close gently.
        task = asyncio.get_running_loop().create_task(
            server.serve([listener]), name="livelayer web server"
        )
        try:
            await server.listens.wait()
            number: int = listener.getsockname()[1]
            name = f"[{host}]" if ":" in host else host
            yield f"http://{name}:{number}", number
        finally:
            server.should_exit = True
            done, _ = await asyncio.wait({task}, timeout=CLOSE_SECONDS)
            if not done:
                server.abort_all()
                done, _ = await asyncio.wait({task}, timeout=CLOSE_SECONDS)
            if not done:
                task.cancel()
                await asyncio.wait({task})


@final
class _Server(uvicorn.Server):
    """uvicorn that says when it listens, and leaves the process's signals alone."""

    def __init__(self, app: ASGIApp) -> None:
        config = uvicorn.Config(
            self._with_abort,
            access_log=False,
            log_config=None,
            log_level="error",
            lifespan="off",
            interface="asgi3",
            # A header anybody can send would otherwise be taken for the client's address.
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=CLOSE_SECONDS,
        )
        super().__init__(config)
        self._app = app
        self.listens = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    def abort_all(self) -> None:
        """Cut every connection off, without writing what waits for it."""
        for connection in tuple(self.server_state.connections):
            _cut_off(connection.transport)

    def _abort(self, client: object) -> None:
        for connection in tuple(self.server_state.connections):
            peer: Any = connection
            if peer.client == client:
                _cut_off(peer.transport)

    async def _with_abort(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (client := scope.get("client")) is not None:
            abort: Callable[[], None] = partial(self._abort, client)
            extensions: dict[str, Any] = scope.get("extensions") or {}
            scope = {**scope, "extensions": {**extensions, ABORT: abort}}
        await self._app(scope, receive, send)


def _cut_off(transport: asyncio.Transport) -> None:
    """Close the connection now, what waits in the kernel included."""
    with suppress(OSError):
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
    transport.abort()


def foreign_server_is_leaving() -> bool:
    """Whether a uvicorn that runs the application was told to end, by a signal.

    It waits for every request that is under way, and tells none of them: an event stream would
    hold it up for ever. What it has told the process is who handles its signals.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        server = getattr(signal.getsignal(number), "__self__", None)
        if isinstance(server, uvicorn.Server) and server.should_exit:
            return True
    return False


@contextmanager
def _listening(host: str, port: int) -> Generator[socket.socket, None, None]:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as exc:
        raise PortTakenError(host, port, exc.strerror or type(exc).__name__) from exc
    with listener:
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # Connections inherit it: a machine that vanished is noticed without keep-alive probes.
            milliseconds = int(_NOT_READ_SECONDS * 1000)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        yield listener
