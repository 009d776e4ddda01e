"""Runs an ASGI application with uvicorn for a block, and ends it in bounded time."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Any, Final, final

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from livelayer_bus.errors import BrokenError

BACKLOG: Final = 2048  # connections the kernel holds while the loop is busy
CLOSE_SECONDS: Final = 3
"""How long requests that are under way may take once the block is left."""
ABORT: Final = "livelayer.abort"
"""Extension of a request's scope: a function that cuts its connection off, what waits to be written
included."""
_NOT_READ_SECONDS: Final = 10.0
"""How long the kernel keeps what nobody acknowledges."""


class PortTakenError(BrokenError):
    """A server cannot listen where it should; most often another program does."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(
            f"cannot listen on {host}:{port}: {reason}; end the program that does, choose another "
            "port, or 0 for a free one"
        )
        self.host = host
        self.port = port


@asynccontextmanager
async def serving(
    app: ASGIApp,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    close_seconds: int = CLOSE_SECONDS,
) -> AsyncGenerator[str, None]:
    """Serve the application on this event loop; gives its base address, `http://host:port`.

    Guarantee: it listens when the block begins. Leaving it takes at most about twice
    `close_seconds`: what is under way is given that long, and whoever does not read by then is cut
    off. Signals stay with the caller, nothing is logged of requests.

    Args:
        app: the application; its lifespan is not run. Its scopes have the extension `ABORT`.
        host: the address to listen on.
        port: the TCP port; 0 takes a free one.
        close_seconds: how long requests that are under way may take once the block is left.

    Raises:
        PortTakenError: the address cannot be had.
    """
    with _listening(host, port) as listener:
        server = _Server(app, close_seconds)
        # Not a task group: the block may be left by a cancellation, and is still to close gently.
        task = asyncio.get_running_loop().create_task(
            server.serve([listener]), name="livelayer server"
        )
        try:
            await server.listens.wait()
            name = f"[{host}]" if ":" in host else host
            yield f"http://{name}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            done, _ = await asyncio.wait({task}, timeout=close_seconds)
            if not done:
                server.abort_all()
                done, _ = await asyncio.wait({task}, timeout=close_seconds)
            if not done:
                task.cancel()
                await asyncio.wait({task})


@final
class _Server(uvicorn.Server):
    """uvicorn that says when it listens, and leaves the process's signals alone."""

    def __init__(self, app: ASGIApp, close_seconds: int) -> None:
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
            timeout_graceful_shutdown=close_seconds,
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
