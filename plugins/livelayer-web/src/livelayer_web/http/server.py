"""Runs an ASGI application with uvicorn for a block, and ends it in bounded time."""

from __future__ import annotations

import asyncio
import signal
import socket
import struct
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Any, Final, final

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from livelayer_bus.errors import BrokenError

if sys.platform != "win32":
    import resource

BACKLOG: Final = 2048  # connections the kernel holds while the loop is busy
CLOSE_SECONDS: Final = 3
"""How long requests that are under way may take once the block is left."""
HEADER_SECONDS: Final = 10.0
"""How long a connection may take to send the headers of its first or next request."""
MAX_CONNECTIONS: Final = 4096
"""Connections at once; fewer where the process may open fewer than twice as many files."""
ABORT: Final = "livelayer.abort"
"""Extension of a request's scope: a function that closes its connection at once and discards what
is still to be written."""
_NOT_READ_SECONDS: Final = 10.0
"""How long the kernel keeps data that the client does not acknowledge."""


class PortTakenError(BrokenError):
    """A server cannot listen on its address, most often because another program does."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(
            f"cannot listen on {host}:{port}: {reason}; end the program that uses it, choose "
            "another port, or 0 for a free one"
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
    header_seconds: float = HEADER_SECONDS,
    max_connections: int = MAX_CONNECTIONS,
) -> AsyncGenerator[str, None]:
    """Serve the application on this event loop; gives its base address, `http://host:port`.

    Guarantee: it listens when the block begins. Leaving the block takes at most about twice
    `close_seconds`: requests under way have that long, then their connections are closed. A
    connection that sends no complete headers is closed after `header_seconds`; beyond
    `max_connections`, the one that has waited longest for its headers is closed at once. Signals
    stay with the caller, and requests are not logged.

    Args:
        app: the application; its lifespan is not run. Its scopes have the extension `ABORT`.
        host: the address to listen on.
        port: the TCP port; 0 takes a free one.
        close_seconds: how long requests under way may take once the block is left.
        header_seconds: how long a connection may take to send a request's headers.
        max_connections: connections at once.

    Raises:
        PortTakenError: the server cannot listen there.
    """
    with _listening(host, port) as listener:
        waiting = _Waiting(header_seconds, min(max_connections, _file_limit() // 2))
        server = _Server(app, close_seconds, waiting)
        # Not a task group: it also has to close gently when the block is cancelled.
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
    """uvicorn that reports when it listens, and leaves the process's signals alone."""

    def __init__(self, app: ASGIApp, close_seconds: int, waiting: _Waiting) -> None:
        protocol: Any = partial(_Connection, waiting)
        config = uvicorn.Config(
            self._with_abort,
            http=protocol,
            ws="none",
            access_log=False,
            log_config=None,
            log_level="error",
            lifespan="off",
            interface="asgi3",
            # Any client can send these headers: the guard accepts them from trusted proxies only.
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=close_seconds,
        )
        super().__init__(config)
        self._app = app
        self._waiting = waiting
        self.listens = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()

    async def on_tick(self, counter: int) -> bool:
        """Called by uvicorn ten times a second."""
        self._waiting.close_overdue()
        return await super().on_tick(counter)

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    def abort_all(self) -> None:
        """Close every connection at once and discard what is still to be written."""
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


@final
class _Waiting:
    """The connections that have not sent the headers of their next request."""

    def __init__(self, seconds: float, limit: int) -> None:
        self._seconds = seconds
        self._limit = limit
        self._since: dict[_Connection, float] = {}  # in the order of waiting
        self._open: set[_Connection] = set()

    def opened(self, connection: _Connection) -> None:
        self._open.add(connection)
        self.waits(connection)
        if len(self._open) > self._limit:
            next(iter(self._since)).transport.abort()

    def waits(self, connection: _Connection) -> None:
        self._since.setdefault(connection, asyncio.get_running_loop().time())

    def waits_no_more(self, connection: _Connection) -> None:
        self._since.pop(connection, None)

    def closed(self, connection: _Connection) -> None:
        self._open.discard(connection)
        self.waits_no_more(connection)

    def close_overdue(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection, since in tuple(self._since.items()):
            if now - since < self._seconds:
                return
            del self._since[connection]
            connection.transport.abort()


@final
class _Connection(H11Protocol):
    """One connection, known to `_Waiting`."""

    def __init__(self, waiting: _Waiting, **options: Any) -> None:
        super().__init__(**options)
        self._waiting = waiting

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._waiting.opened(self)

    def handle_events(self) -> None:
        super().handle_events()
        cycle: Any = self.cycle  # None before the first request
        if cycle is not None and not cycle.response_complete:
            self._waiting.waits_no_more(self)

    def on_response_complete(self) -> None:
        self._waiting.waits(self)
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._waiting.closed(self)
        super().connection_lost(exc)


def server_is_shutting_down() -> bool:
    """Whether a uvicorn that runs this process's application was told by a signal to exit.

    It waits for all requests under way without telling them, so an event stream would keep it
    running. The handler of the process's signals is the server's method.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        server = getattr(signal.getsignal(number), "__self__", None)
        if isinstance(server, uvicorn.Server) and server.should_exit:
            return True
    return False


def _file_limit() -> int:
    """How many files the process may open."""
    if sys.platform == "win32":
        return 2 * MAX_CONNECTIONS
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2 * MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else soft


def _cut_off(transport: asyncio.Transport) -> None:
    """Close the connection at once and discard what waits in the kernel."""
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
            # Connections inherit it: it detects a client that vanished, without keep-alive probes.
            milliseconds = int(_NOT_READ_SECONDS * 1000)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        yield listener
