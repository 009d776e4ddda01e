"""Sessions that pages open for themselves, within a limit: one for each stand-alone avatar."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import secrets
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, TypeAlias, final

import anyio
import anyio.abc
import msgspec

from livelayer_bus import LivelayerError, MisuseError, Session
from livelayer_bus.clock import Clock
from livelayer_bus.messages import Capability, check_capabilities
from livelayer_bus.surfaces import SurfaceSession

from .http import Problem
from .problems import full, not_connecting, unknown_agent, unmounted
from .resume_store import RESUME_SECONDS
from .session_view import SessionView, SurfaceMemory, ViewOptions
from .workers import check_process, stamp

logger = logging.getLogger(__name__)
CLOSE_SECONDS: Final = 10.0
"""How long closing all sessions may take."""
KEY: Final = "web"
"""The surface's key in each of these sessions."""

OpenSession: TypeAlias = Callable[[str], AbstractAsyncContextManager[Session]]
"""Opens a session with an agent, by its id: `lambda agent_id: Session(agent_id, tokens=...)`."""


class SessionPoolStatistics(msgspec.Struct, frozen=True):
    """The sessions that pages opened."""

    open: int
    opened: int
    failed: int
    """Sessions that could not be opened, or ended with an error."""


@final
class SessionsOnDemand:
    """Sessions that pages may open: each page its own, with one of these agents.

    Args:
        open: makes a session. It is called with the id of one of `agents`.
        agents: ids of the agents that a page may talk to.
        capabilities: what the agents may do on the page; nothing by default.
        limit: sessions at once.
        linger: seconds from when its last page has gone until a session is closed.
        linger_silent: the same, if that page fell silent without leaving: a phone suspends the
            pages behind the one it shows, and a page that is shown again continues its
            conversation. A session that waits for such a page makes room when the limit is
            reached, the one that has waited longest first.

    Raises:
        MisuseError: there are no agents, a capability does not exist, or a number is out of range.
    """

    def __init__(
        self,
        open: OpenSession,  # noqa: A002 - a keyword that reads well
        *,
        agents: Iterable[str],
        capabilities: Iterable[str] = (),
        limit: int = 16,
        linger: float = 10.0,
        linger_silent: float = RESUME_SECONDS,
    ) -> None:
        if isinstance(agents, str):
            raise MisuseError(f"agents is the text {agents!r}: give a list, as in [{agents!r}]")
        self.agents: Final = frozenset(agents)
        self.open: Final = open
        self.capabilities: Final[frozenset[Capability]] = check_capabilities(capabilities)
        self.limit: Final = limit
        self.linger: Final = linger
        self.linger_silent: Final = linger_silent
        if not self.agents or limit < 1 or not linger >= 0 or not linger_silent >= 0:
            raise MisuseError(
                "sessions on demand need at least one agent, a limit of at least 1, and a linger "
                "and linger_silent that are not negative"
            )


@final
class _PooledSession:
    """One session that a page opened."""

    def __init__(self, agent_id: str, token_id: str | None, now: float) -> None:
        self.id: Final = stamp(secrets.token_urlsafe(16))
        self.agent_id: Final = agent_id
        self.token_id: Final = token_id
        self.view: SessionView | None = None
        self.idle_since: float | None = now
        self.left = anyio.Event()
        """Set when its last page has gone; another one while it has pages."""
        self.silent = False
        """Its last page fell silent: it may be suspended, and come back."""
        self.closed: Final = anyio.Event()
        self.settled: Final = anyio.Event()
        """Set when its view is open, or opening it failed."""
        self.error: Exception | None = None
        self.scope: Final = anyio.CancelScope()


@final
class SessionPool:
    """The open sessions of one surface's pages.

    Guarantee: a session is closed `linger` seconds after its last page has left (or after it was
    opened, if no page joins), `linger_silent` seconds after it fell silent, earlier only to make
    room for another session, with the surface, and when the token that opened it is revoked. Its
    pages' streams end with `closed`. With the surface they end with `unmounted`: a page then opens
    another session as soon as the surface is mounted again. One task owns them all: `run`, `aclose`
    or the end of its event loop ends it and them.

    Args:
        wish: which sessions may be opened.
        options: options of their views.
        automatic: open sessions before `run`, too.
    """

    def __init__(
        self, wish: SessionsOnDemand, options: ViewOptions, *, automatic: bool = False
    ) -> None:
        self._wish = wish
        self._options = options
        self._automatic = automatic
        self._task: asyncio.Task[None] | None = None
        self._clock: Clock = options.clock
        self._opened: dict[str, _PooledSession] = {}
        self._group: anyio.abc.TaskGroup | None = None
        self._ready = anyio.Event()
        self._ending = False
        self._total = 0
        self._failed = 0

    async def run(self) -> None:
        """Open sessions when asked, until cancelled; then close them all."""
        self._start()
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await self.aclose()

    async def aclose(self) -> None:
        """Close all sessions, in bounded time, and open none until `run`. Idempotent."""
        self._automatic = False
        task, self._task = self._task, None
        if task is None or task.done():
            return
        task.cancel()
        _, pending = await asyncio.wait({task}, timeout=CLOSE_SECONDS)
        if pending:
            logger.error("sessions on demand did not close within %g s", CLOSE_SECONDS)

    def _start(self) -> None:
        if self._task is None or self._task.done():
            self._ready = anyio.Event()
            # Not in a task group: whatever asks first, a request or `run`, must not end it.
            self._task = asyncio.get_running_loop().create_task(
                self._own(), name="livelayer sessions on demand", context=contextvars.Context()
            )

    async def _own(self) -> None:
        tokens = self._options.tokens
        forget = tokens.on_revoke(self._revoke) if tokens is not None else None
        self._ending = False
        try:
            async with anyio.create_task_group() as self._group:
                self._ready.set()
                try:
                    await anyio.sleep_forever()
                finally:
                    self._ending = True
                    # Pages must not learn of their sessions' end: they continue with others.
                    for view in self.views():
                        view.close()
        finally:
            self._group = None
            if forget is not None:
                forget()

    def check(self, agent_id: str) -> None:
        """Check that a session with the agent can be opened now.

        Raises:
            Problem: there is no such agent, or the limit is reached.
        """
        if agent_id not in self._wish.agents:
            raise unknown_agent()
        if not self._automatic and (self._task is None or self._task.done()):
            raise unmounted()
        if self._full and self._longest_silent() is None:
            raise full("session")

    @property
    def _full(self) -> bool:
        return len(self._opened) >= self._wish.limit

    def _longest_silent(self) -> _PooledSession | None:
        """The session that has waited longest for a page that fell silent."""
        silent = [o for o in self._opened.values() if o.silent and o.idle_since is not None]
        return min(silent, key=lambda o: o.idle_since or 0.0, default=None)

    async def open(self, agent_id: str, token_id: str | None) -> tuple[str, str]:
        """Open a session with the agent; returns its name in addresses, and its id.

        Raises:
            Problem: there is no such agent, the limit is reached, or opening it failed.
        """
        self.check(agent_id)
        if self._automatic:
            self._start()
        await self._ready.wait()
        while self._full and (waiting := self._longest_silent()) is not None:
            waiting.scope.cancel()
            await waiting.closed.wait()
        self.check(agent_id)
        group = self._group
        if group is None:
            raise unmounted()
        opened = _PooledSession(agent_id, token_id, self._clock.now())
        self._opened[opened.id] = opened
        group.start_soon(self._live, opened)
        await opened.settled.wait()
        if opened.view is None:
            if isinstance(opened.error, LivelayerError):
                raise not_connecting(opened.error)
            raise Problem(502, "connect", "the session could not be opened: it is in the log")
        return opened.id, opened.view.session.id

    def find(self, name: str) -> SessionView:
        """The view of the session with this name.

        Raises:
            Problem: there is no such session, it is closed, or a sibling process has it.
        """
        opened = self._opened.get(name)
        if opened is None or opened.view is None:
            check_process([name])
            raise Problem(404, "session", "this session is closed: open another")
        return opened.view

    def views(self) -> Sequence[SessionView]:
        """The views of all open sessions."""
        return [o.view for o in self._opened.values() if o.view is not None]

    def statistics(self) -> SessionPoolStatistics:
        """The sessions so far."""
        return SessionPoolStatistics(
            open=len(self._opened), opened=self._total, failed=self._failed
        )

    def _revoke(self, token_id: str) -> None:
        for opened in tuple(self._opened.values()):
            if opened.token_id == token_id:
                opened.scope.cancel()

    async def _live(self, opened: _PooledSession) -> None:
        try:
            with opened.scope:
                async with self._wish.open(opened.agent_id) as session:
                    await self._show(opened, session)
        except Exception as error:  # noqa: BLE001 - one session's fault must not end the others
            opened.error = error
            self._failed += 1
            logger.error("a session on demand failed: %s", type(error).__name__)
        finally:
            del self._opened[opened.id]
            opened.settled.set()
            opened.closed.set()

    async def _show(self, opened: _PooledSession, session: Session) -> None:
        # As long as the session waits for it, a page may return to it.
        memory = SurfaceMemory(self._clock, max(RESUME_SECONDS, self._wish.linger_silent))

        async def surface(surface_session: SurfaceSession) -> None:
            view = SessionView(
                surface_session,
                self._options,
                memory,
                last_word=lambda: "unmounted" if self._ending else "closed",
                changed=lambda: self._look(opened),
            )
            opened.view = view
            await view.run(started=opened.settled.set)

        mounted = session.mount(
            surface, key=KEY, capabilities=self._wish.capabilities, on_fault="unmount"
        )
        self._total += 1
        async with anyio.create_task_group() as group:

            async def watch() -> None:
                await self._until_left(opened)
                group.cancel_scope.cancel()

            group.start_soon(watch)
            await mounted.wait()
            group.cancel_scope.cancel()
        opened.view = None

    def _look(self, opened: _PooledSession) -> None:
        view = opened.view
        if view is None or len(view.viewers):
            if opened.left.is_set():
                opened.left = anyio.Event()
            opened.idle_since = None
            opened.silent = False
        elif opened.idle_since is None:
            opened.idle_since = self._clock.now()
            opened.silent = view.viewers.last_end == "silent"
            opened.left.set()

    async def _until_left(self, opened: _PooledSession) -> None:
        while True:
            since = opened.idle_since
            if since is None:
                await opened.left.wait()
                continue
            linger = self._wish.linger_silent if opened.silent else self._wish.linger
            due = since + linger - self._clock.now()
            if due <= 0:
                return
            await self._clock.sleep(due)
