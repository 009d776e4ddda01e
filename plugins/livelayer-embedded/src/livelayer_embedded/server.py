"""`EmbeddedServer`: a LiveKit-protocol server for this machine's loopback, in this event loop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import secrets as random_secrets
import socket
import sys
from collections.abc import Coroutine, Iterable
from time import monotonic
from typing import Any, Final, Self

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler
from livekit import api
from livekit.protocol.room import RoomConfiguration

from livelayer_bus.errors import ClosedError

from .agents.dispatcher import Dispatcher
from .agents.socket import AgentSockets
from .agents.workers import WorkerPool
from .aiortc_private import Certificate
from .api import api_routes
from .auth import Access, Kind, TokenAuthority, kind_of
from .errors import AccessDeniedError, EmbeddedServerError, LoopbackOnlyError
from .faults import Faults
from .housekeeping import keep_house
from .ice import LOOPBACK
from .registry import RoomRegistry
from .session import ServerState
from .signalling import Signalling

logger = logging.getLogger(__name__)

LISTENS_BESIDE = sys.platform == "linux"
"""A socket can listen on a port that another one is bound to, if both reuse addresses: the port
stays reserved from the first start to the close, without a gap at a restart."""
CLOSE_WITHIN = 5.0  # seconds `aclose()` takes at most
RESTART_WITHIN = 5.0  # seconds the system has to free the port of a server that restarts
TASKS_WITHIN = 2.0  # seconds connections have to send their leave messages
MAX_LINE = 1 << 16  # bytes of a request line or a header: tokens and join requests are long

http_logger = logging.getLogger(f"{__name__}.http")


class EmbeddedServer:
    """A LiveKit-protocol server that real LiveKit SDKs connect to unchanged.

    It listens on 127.0.0.1 only; no setting changes that. Everything it starts ends with
    `aclose()`. Key and secret are random unless given; no repr and no log shows the secret. It
    runs in the event loop that starts it, and stalls with that loop.

    Args:
        port: TCP port of the HTTP and WebSocket side; 0 takes a free one.
        key: API key, the `iss` of tokens.
        secret: API secret tokens are signed with.
        host: "127.0.0.1" or "localhost".

    Raises:
        LoopbackOnlyError: another host was asked for.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        key: str | None = None,
        secret: str | None = None,
        host: str = LOOPBACK,
    ) -> None:
        if host not in (LOOPBACK, "localhost"):
            raise LoopbackOnlyError(host)
        self.key: Final = key or "API" + random_secrets.token_hex(6)
        self.secret: Final = secret or random_secrets.token_urlsafe(32)
        self.authority = TokenAuthority(self.key, self.secret)
        self._port = port
        self._certificate: Certificate | None = None
        self._running: _Running | None = None
        self._reserved: socket.socket | None = None
        self._closed = False

    def __repr__(self) -> str:
        state = self.url if self._running is not None else "not running"
        return f"<EmbeddedServer {state}>"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    @property
    def url(self) -> str:
        """The address for SDKs, such as `ws://127.0.0.1:7880`."""
        return f"ws://{LOOPBACK}:{self._port}"

    @property
    def port(self) -> int:
        """The TCP port; the free one that was taken if 0 was given."""
        return self._port

    @property
    def rooms(self) -> RoomRegistry:
        """The rooms, and the operations of the server APIs.

        Raises:
            ClosedError: the server is not running.
        """
        return self._state().state.registry

    @property
    def faults(self) -> Faults:
        """Simulated faults, for tests.

        Raises:
            ClosedError: the server is not running.
        """
        return self._state().state.faults

    def token(
        self,
        identity: str,
        room: str = "",
        *,
        name: str = "",
        metadata: str = "",
        attributes: dict[str, str] | None = None,
        kind: Kind = "standard",
        ttl: float = 6 * 3600,
        room_config: RoomConfiguration | None = None,
        **grants: Any,
    ) -> str:
        """A token that this server accepts.

        Args:
            identity: the bearer's identity.
            room: the room that it may join; an empty name allows none.
            name: the display name.
            metadata: the participant's first metadata.
            attributes: the participant's first attributes.
            kind: "standard", "agent" and so on.
            ttl: seconds until it expires; negative for an expired token.
            room_config: the room's configuration if this token creates it.
            grants: fields of `livekit.api.VideoGrants`, such as `can_publish=False`.
        """
        grants.setdefault("room_join", bool(room))
        grants.setdefault("can_update_own_metadata", True)
        access = Access(
            identity,
            api.VideoGrants(room=room, **grants),
            name,
            metadata,
            attributes or {},
            kind_of(kind),
            room_config,
        )
        return self.authority.mint(access, ttl)

    async def start(self) -> None:
        """Listen; does nothing if the server runs already.

        Raises:
            EmbeddedServerError: the port cannot be bound.
            ClosedError: the server was closed.
        """
        if self._closed:
            raise ClosedError("the embedded server")
        if self._running is not None:
            return
        if self._certificate is None:
            self._certificate = Certificate()
        running = _Running(self.authority, self._certificate)
        try:
            if self._reserved is None:
                self._reserve_port()
            if not LISTENS_BESIDE:
                self._release_port()
            self._port = await running.listen(self._port)
        except OSError as exc:
            await running.aclose(graceful=False)
            reason = os.strerror(exc.errno) if exc.errno else type(exc).__name__
            raise EmbeddedServerError(self._port, reason) from exc
        self._running = running

    async def restart(self) -> None:
        """Stop without leave messages and start again on the same port with the same keys.

        All rooms and connections are lost, as when a server process is killed and started again.
        """
        await self.stop()
        # The port is ours; some systems free it only when its last connection is gone.
        until = monotonic() + RESTART_WITHIN
        while True:
            try:
                return await self.start()
            except EmbeddedServerError as error:
                cause = error.__cause__
                is_taken = isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE
                if not is_taken or monotonic() > until:
                    raise
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """Stop without leave messages; `start()` restarts the server on the same port.

        Until then the port stays reserved, and connections to it are refused.
        """
        running, self._running = self._running, None
        if running is not None:
            await running.aclose(graceful=False)
            if self._reserved is None and not self._closed:  # closed meanwhile
                with contextlib.suppress(OSError):  # taken by another program: `start()` raises
                    self._reserve_port()

    async def aclose(self) -> None:
        """Send leave messages and stop, within five seconds; a second call does nothing."""
        self._closed = True
        self._release_port()
        running, self._running = self._running, None
        if running is not None:
            await running.aclose(graceful=True)

    def _reserve_port(self) -> None:
        # Bound but not listening: another program that asks for any free port gets another one.
        with contextlib.ExitStack() as failed:
            reserved = failed.enter_context(socket.socket())
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            reserved.bind((LOOPBACK, self._port))
            failed.pop_all()
        self._reserved, self._port = reserved, int(reserved.getsockname()[1])

    def _release_port(self) -> None:
        reserved, self._reserved = self._reserved, None
        if reserved is not None:
            reserved.close()

    def _state(self) -> _Running:
        if self._running is None:
            raise ClosedError("the embedded server", "start() it first")
        return self._running


class _Running:
    """Everything that lives from one start to the next stop."""

    def __init__(self, authority: TokenAuthority, certificate: Certificate) -> None:
        self._tasks: set[asyncio.Task[object]] = set()
        self.state = ServerState(authority, certificate, self.spawn)
        registry = self.state.registry
        self._housekeeping: asyncio.Task[None] | None = None
        workers = WorkerPool(authority)
        dispatcher = Dispatcher(workers, self.spawn, self.state.call_later)
        registry.observers.append(dispatcher)
        self._agents = AgentSockets(authority, workers, dispatcher)
        app = application(
            Signalling(self.state).routes(),
            self._agents.routes(),
            api_routes(authority, registry, dispatcher),
        )
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=http_logger,
            max_line_size=MAX_LINE,
            max_field_size=MAX_LINE,
            shutdown_timeout=TASKS_WITHIN,
        )

    def spawn(self, work: Coroutine[Any, Any, object]) -> None:
        """Run a task; `aclose()` waits for it, then cancels it."""
        task = asyncio.get_running_loop().create_task(work, name="livelayer embedded task")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def listen(self, port: int) -> int:
        """Bind the TCP port and begin; the port that was bound."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, LOOPBACK, port, reuse_address=True)
        await site.start()
        self._housekeeping = asyncio.get_running_loop().create_task(
            keep_house(self.state), name="livelayer embedded housekeeping"
        )
        return int(self._runner.addresses[0][1])

    async def aclose(self, *, graceful: bool) -> None:
        """End everything: with leave messages, or as a process that is killed."""
        if self._housekeeping is not None:
            self._housekeeping.cancel()
            await asyncio.gather(self._housekeeping, return_exceptions=True)
        if not graceful:
            self._agents.vanish()
            for session in list(self.state.sessions.values()):
                session.vanish()
        try:
            async with asyncio.timeout(CLOSE_WITHIN):
                self.state.registry.close()
                await self._settle()
                await self._agents.aclose()
                await self._runner.cleanup()
        except TimeoutError:
            logger.warning("the embedded server's connections did not end in time")
        await self._settle()

    async def _settle(self) -> None:
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=TASKS_WITHIN)
        rest = list(self._tasks)
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


def application(*parts: Iterable[web.RouteDef]) -> web.Application:
    """The HTTP side: every route of the server is added here and nowhere else."""
    app = web.Application(client_max_size=1 << 20, middlewares=[_preflight, _refuse])
    app.on_response_prepare.append(_allow_cross_origin)
    app.add_routes([web.get("/", _alive)])
    for routes in parts:
        app.add_routes(routes)
    return app


async def _alive(request: web.Request) -> web.Response:
    del request
    return web.Response(text="OK")


# Pages of any origin may call, as on a LiveKit server: the token says who may do what, and no
# cookie does.


@web.middleware
async def _preflight(request: web.Request, handler: Handler) -> web.StreamResponse:
    if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
        return await handler(request)
    allowed = {
        "Access-Control-Allow-Methods": "GET, HEAD, POST, OPTIONS",
        "Access-Control-Allow-Headers": request.headers.get("Access-Control-Request-Headers", "*"),
        "Access-Control-Max-Age": "86400",
    }
    return web.Response(status=204, headers=allowed)


@web.middleware
async def _refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except AccessDeniedError as exc:  # clients show the text as the reason
        return web.Response(status=401, text=exc.reason)


async def _allow_cross_origin(request: web.Request, response: web.StreamResponse) -> None:
    del request
    response.headers["Access-Control-Allow-Origin"] = "*"


def _without_request_line(record: logging.LogRecord) -> bool:
    # aiohttp quotes a request that it cannot parse, and its URL may hold an access token.
    exc = record.exc_info[1] if record.exc_info else None
    if isinstance(exc, HttpProcessingError):
        record.exc_info = None
        record.msg += f": {type(exc).__name__}"
    return True


http_logger.addFilter(_without_request_line)
