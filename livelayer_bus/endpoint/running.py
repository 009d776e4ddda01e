"""Runs an ASGI application with uvicorn inside a block: for `livelayer serve`, and for tests."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Final, final

import uvicorn
from starlette.types import ASGIApp

from ..errors import BrokenError

BACKLOG: Final = 2048  # connections the kernel holds while the loop is busy
CLOSE_SECONDS: Final = 3
"""How long requests that are under way may take once the block is left."""


@asynccontextmanager
async def serving(
    app: ASGIApp, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncGenerator[str, None]:
    """Serve the application on this event loop; gives its base address, `http://host:port`.

    Guarantee: it listens when the block begins. Leaving ends it within a few seconds, and answers
    what is under way first. Signals stay with the caller.

    Args:
        app: the application; its lifespan is not run.
        host: the address to listen on.
        port: the TCP port; 0 takes a free one.

    Raises:
        BrokenError: the address cannot be had.
    """
    with _listening(host, port) as listener:
        server = _Server(app)
        # Not a task group: the block may be left by a cancellation, and is still to close gently.
        task = asyncio.get_running_loop().create_task(
            server.serve([listener]), name="livelayer endpoint"
        )
        try:
            await server.listens.wait()
            name = f"[{host}]" if ":" in host else host
            yield f"http://{name}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            done, _ = await asyncio.wait({task}, timeout=2 * CLOSE_SECONDS)
            if not done:
                task.cancel()
                await asyncio.wait({task})


@final
class _Server(uvicorn.Server):
    """uvicorn that says when it listens, and leaves the process's signals alone."""

    def __init__(self, app: ASGIApp) -> None:
        config = uvicorn.Config(
            app,
            access_log=False,
            log_config=None,
            log_level="error",
            lifespan="off",
            # A header anybody can send would otherwise be taken for the client's address.
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=CLOSE_SECONDS,
        )
        super().__init__(config)
        self.listens = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@contextmanager
def _listening(host: str, port: int) -> Generator[socket.socket, None, None]:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as exc:
        reason = exc.strerror or type(exc).__name__
        raise BrokenError(
            f"cannot listen on {host}:{port}: {reason}; choose another port, or 0 for a free one"
        ) from exc
    with listener:
        yield listener
