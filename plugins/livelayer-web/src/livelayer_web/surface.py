"""The web surface: one session on any number of pages, with its own server or in an app."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, TypeVar, final
from urllib.parse import urlsplit

import anyio
import msgspec
from starlette.types import ASGIApp

from livelayer_bus import BusyError, MisuseError
from livelayer_bus.clock import Clock, SystemClock
from livelayer_bus.surfaces import SurfaceSession

from .assets import START
from .embedding import Embedding
from .http import Guard, serving
from .media import IceServer, MediaMode, MediaSettings, Ports
from .network_policy import (
    NetworkLimits,
    NetworkPolicy,
    check_reach,
    content_security_policy,
)
from .permissions import PERMISSIONS, Permission, check_permissions
from .problems import problem_of
from .routes import BASE, below, site_app, surface_app
from .session_pool import SessionPool, SessionsOnDemand
from .session_view import Agent, SessionView, SurfaceMemory, ViewOptions
from .statistics import WebStatistics, commands_of, messages_of, streams_of, viewers_of
from .token_format import GRANTS, Grant
from .tokens import ViewerTokens
from .viewers import ViewerInfo

T = TypeVar("T")

CLOSE_SECONDS: Final = 1
"""How long requests may take after unmounting; the session view has ended them before."""
MAX_VIEWERS: Final = 256
_PATH: Final = re.compile(r"(/[A-Za-z0-9._~-]+)+")


@final
class WebSurface:
    """Shows a session on web pages: `session.mount(WebSurface(port=8080), key="web")`.

    Guarantee: pages are served while it is mounted; otherwise requests are answered with
    `503 unmounted`. A page that vanishes is detected five seconds after its event stream broke, and
    30 s after its last request at the latest. A page that reloads misses no event and sends no
    message twice. No page can block another one. Unmounting ends every stream, connection and lease
    in bounded time, and frees the port. Asyncio only.

    Args:
        host: the address to listen on. Any but this machine's loopback needs `allow_origins` and
            viewer tokens.
        port: the TCP port; 0 takes a free one and keeps it when mounted again. None: no server of
            its own; mount `asgi` into an application.
        allow_origins: other origins whose pages may ask, as `https://shop.example.com`.
        allow_hosts: names of this server besides the loopback's, `host` and those of
            `allow_origins`.
        embed_origins: sites that may show the widget in a frame, as `https://shop.example.com`.
        tokens: viewer tokens, without which pages cannot join; None: every page may join.
        secret: instead of `tokens`, for a configuration file: what tokens are signed with.
        name: the session's name in viewer tokens; None: its `id`.
        root_path: the path at which a reverse proxy serves this server, as `/assistant`, whether
            or not the proxy strips it from requests.
        site: a folder of pages to serve at `/`, beside `/livelayer`; None: one page that shows the
            agent.
        agents: the agents that pages may switch the session to.
        sessions: sessions that pages may open for themselves; None: none.
        media: how audio and video are served: settings, or their `mode` alone. With `"sfu"`, pages
            get them from the LiveKit server; see README.
        media_ports: the UDP ports of media, one for each page: a port, `(first, last)` or
            `"first-last"`; None: any free ones.
        media_address: the IP address that pages are told for media, if it is not this machine's
            own: that of a router or of a container's host.
        ice_servers: STUN and TURN servers for pages, addresses or `IceServer` records.
        max_viewers: pages at once, of each session.
        max_message_bytes: of one message's JSON to the agent; the session has its own limit, too.
        allow: what people may send from its pages; what a page's attributes say can only be less.
        policy: limits of requests, and the reverse proxies in front.
        clock: for tests.

    Raises:
        MisuseError: a value is invalid; the error says what to do.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int | None = 8080,
        *,
        allow_origins: Iterable[str] = (),
        allow_hosts: Iterable[str] = (),
        embed_origins: Iterable[str] = (),
        tokens: ViewerTokens | None = None,
        secret: str | bytes | None = None,
        name: str | None = None,
        root_path: str = "",
        site: str | os.PathLike[str] | None = None,
        agents: Iterable[Agent | Mapping[str, Any]] = (),
        sessions: SessionsOnDemand | None = None,
        media: MediaSettings | Mapping[str, Any] | MediaMode | None = None,
        media_ports: Ports | None = None,
        media_address: str | None = None,
        ice_servers: Iterable[str | IceServer | Mapping[str, Any]] = (),
        max_viewers: int = MAX_VIEWERS,
        max_message_bytes: int = 15_360,
        allow: Iterable[Permission] = PERMISSIONS,
        policy: NetworkPolicy | None = None,
        clock: Clock | None = None,
    ) -> None:
        if tokens is not None and secret is not None:
            raise MisuseError("give WebSurface either tokens or secret, not both")
        if max_viewers < 1 or max_message_bytes < 1:
            raise MisuseError("max_viewers and max_message_bytes must be at least 1")
        if port is None and site is not None:
            raise MisuseError("site needs a server: give a port, or serve it by your application")
        self._root_path = _check_root_path(root_path, port)
        self._tokens = ViewerTokens(secret) if secret is not None else tokens
        self._host = host
        self._port = port
        hosts, origins, local_only = check_reach(
            host, port, allow_origins, allow_hosts, self._tokens
        )
        self._options = ViewOptions(
            clock=clock or SystemClock(),
            tokens=self._tokens,
            name=name,
            agents=tuple(_record(agent, Agent, "agents") for agent in agents),
            media=_media(media, media_ports, media_address, ice_servers),
            local_only=local_only,
            max_viewers=max_viewers,
            max_message_bytes=max_message_bytes,
            allow=check_permissions(allow),
        )
        on_demand = msgspec.structs.replace(self._options, name=None)
        self._pool: SessionPool | None = None
        if sessions is not None:
            self._pool = SessionPool(sessions, on_demand, automatic=port is None)
        content_policy = content_security_policy(self._options.media)
        embedding = Embedding(embed_origins, BASE if port is not None else "", content_policy)
        app = surface_app(lambda: self._view, self._pool, self._tokens, embedding)
        if port is not None:
            app = site_app(app, Path(site) if site is not None else START)
        policy = policy or NetworkPolicy()
        self._guard = Guard(
            app,
            hosts=hosts,
            origins=origins,
            limits=NetworkLimits(policy, self._options.clock, self._is_viewer),
            may_load=embedding.may_load if len(embedding) else None,
            max_body=policy.max_body,
            problem_of=problem_of,
            policy=content_policy,
            trusted_proxies=policy.trusted_proxies,
        )
        self._memory = SurfaceMemory(self._options.clock)
        self._view: SessionView | None = None
        self._running = False
        self._url: str | None = None
        self._served = anyio.Event()

    def __repr__(self) -> str:
        where = self._url or ("in an application" if self._port is None else "not serving")
        return f"<WebSurface {where}>"

    # Being mounted ------------------------------------------------------------------------------

    async def run(self, session: SurfaceSession) -> None:
        """Show the session until cancelled, or until it ends. Called by `Session.mount`.

        Raises:
            BusyError: it is mounted already.
            PortTakenError: the server cannot listen on its address.
        """
        await self._run(session)

    async def serve(self) -> None:
        """Serve the sessions that pages open, without a mounted session, until cancelled.

        In an application (`port=None`) they are served without it, from the first request on; then
        `aclose` closes them, or the end of the event loop.

        Raises:
            MisuseError: it was made without `sessions`.
            BusyError: it is running already.
            PortTakenError: the server cannot listen on its address.
        """
        if self._pool is None:
            raise MisuseError("there is nothing to serve: give WebSurface sessions, or mount it")
        await self._run(None)

    async def aclose(self) -> None:
        """Close the sessions that pages opened, in at most 10 s; no others are opened.

        For the shutdown of an application that neither mounts the surface nor runs `serve`: both
        do it themselves, and so does the lifespan of `asgi` where a server runs that. Idempotent.
        """
        if self._pool is not None:
            await self._pool.aclose()

    @property
    def asgi(self) -> ASGIApp:
        """The application to mount: `app.mount("/livelayer", surface.asgi)`.

        Raises:
            MisuseError: it has a server of its own.
        """
        if self._port is not None:
            raise MisuseError(
                "this WebSurface has a server of its own: make it with port=None to mount it "
                "into an application"
            )
        return self._guard

    @property
    def url(self) -> str | None:
        """Its own server's address, `http://host:port`; None while it does not listen."""
        return self._url

    async def wait_url(self) -> str:
        """Wait until pages are served; returns its own server's address.

        Raises:
            MisuseError: it has no server of its own.
        """
        if self._port is None:
            raise MisuseError("a WebSurface in an application has no address of its own")
        while self._url is None:
            await self._served.wait()
        return self._url

    # Pages --------------------------------------------------------------------------------------

    def token(
        self,
        grants: Iterable[Grant] = GRANTS,
        *,
        ttl: float | None = None,
        agent: str | None = None,
    ) -> str:
        """A viewer token; it lets one page in, once.

        Args:
            grants: what the page may do.
            ttl: seconds that it is valid; None: the default of `tokens`.
            agent: allow the page to open its own session with this agent, instead of joining the
                mounted one.

        Raises:
            MisuseError: the surface has no viewer tokens, or no session is mounted.
        """
        if self._tokens is None:
            raise MisuseError("this WebSurface asks for no tokens: give it tokens or secret")
        if agent is not None:
            return self._tokens.issue(f"agent:{agent}", tuple(grants), ttl)
        session = self._options.name or (self._view.session.id if self._view else None)
        if session is None:
            raise MisuseError("no session is mounted: mount this WebSurface first")
        return self._tokens.issue(session, tuple(grants), ttl)

    def viewers(self) -> tuple[ViewerInfo, ...]:
        """The pages of the mounted session, in the order of joining."""
        return self._view.viewer_infos() if self._view is not None else ()

    def statistics(self) -> WebStatistics:
        """Its statistics so far."""
        shown = self._views()
        return WebStatistics(
            viewers=viewers_of(shown),
            streams=streams_of(shown),
            messages=messages_of(shown),
            commands=commands_of(shown),
            media=tuple(view.media.statistics() for view in shown),
            guard=self._guard.statistics(),
            tokens=self._tokens.statistics() if self._tokens is not None else None,
            sessions=self._pool.statistics() if self._pool is not None else None,
            resumable=len(self._memory.resume_store),
        )

    # --------------------------------------------------------------------------------------------

    async def _run(self, session: SurfaceSession | None) -> None:
        if self._running:
            raise BusyError("this WebSurface", "it is mounted already; make another one")
        self._running = True
        try:
            async with AsyncExitStack() as stack:
                url: str | None = None
                if self._port is not None:
                    own = serving(
                        below(self._root_path, self._guard),
                        host=self._host,
                        port=self._port,
                        close_seconds=CLOSE_SECONDS,
                    )
                    url = await stack.enter_async_context(own)
                    self._port = urlsplit(url).port
                await self._show(session, url)
        except ExceptionGroup as group:
            raise _first(group) from group
        finally:
            self._running = False

    async def _show(self, session: SurfaceSession | None, url: str | None) -> None:
        def started() -> None:
            self._url = url
            self._served.set()

        try:
            async with anyio.create_task_group() as group:
                if self._pool is not None:
                    group.start_soon(self._pool.run)
                if session is not None:
                    self._view = SessionView(session, self._options, self._memory)
                    await self._view.run(started)
                else:
                    started()
                    await anyio.sleep_forever()
                group.cancel_scope.cancel()
        finally:
            self._view = None
            self._url = None
            self._served = anyio.Event()

    def _views(self) -> tuple[SessionView, ...]:
        shown = self._pool.views() if self._pool is not None else ()
        return (self._view, *shown) if self._view is not None else tuple(shown)

    def _is_viewer(self, key: str) -> bool:
        return any(view.viewers.has_key(key) for view in self._views())


def _record(value: object, kind: type[T], where: str) -> T:
    """The value, converted if it is a table from a configuration file."""
    if isinstance(value, kind):
        return value
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as exc:
        raise MisuseError(f"{where}: {exc}") from exc


def _media(
    media: MediaSettings | Mapping[str, Any] | MediaMode | None,
    ports: Ports | None,
    address: str | None,
    servers: Iterable[str | IceServer | Mapping[str, Any]],
) -> MediaSettings:
    """The settings, and what was given beside them."""
    given = {"mode": media} if isinstance(media, str) else media or MediaSettings()
    chosen = _record(given, MediaSettings, "media")
    listed = tuple(
        one if isinstance(one, str) else _record(one, IceServer, "ice_servers") for one in servers
    )
    return msgspec.structs.replace(
        chosen,
        ports=chosen.ports if ports is None else ports,
        address=chosen.address if address is None else address,
        ice_servers=chosen.ice_servers + listed,
    )


def _check_root_path(root_path: str, port: int | None) -> str:
    if not root_path:
        return root_path
    if port is None:
        raise MisuseError("root_path is for a server of its own: an application's has its own")
    if not _PATH.fullmatch(root_path):
        raise MisuseError(f'root_path is {root_path[:80]!r}: give a path as "/assistant"')
    if f"{root_path}/".startswith(f"{BASE}/"):
        raise MisuseError(f"root_path is {root_path!r}: choose a path that is not below {BASE}")
    return root_path


def _first(group: ExceptionGroup[Exception]) -> Exception:
    """The error itself, so that its message is reported and not the group's."""
    error: Exception = group
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
