"""Microphone, camera and screen of pages, fed into the session's leases."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, TypeAlias, final

import anyio

from livelayer_bus import LivelayerError
from livelayer_bus.surfaces import Lease, SurfacePublisher, SurfaceSession

from .http import Problem
from .media import MediaConnection, SourceKind
from .problems import no_media
from .viewers import Viewer

logger = logging.getLogger(__name__)

Work: TypeAlias = Callable[[], Coroutine[Any, Any, None]]
Start: TypeAlias = Callable[[Work], None]


@final
class _Held:
    """A lease that a page holds, or waits for."""

    def __init__(self, viewer: Viewer, connection: MediaConnection) -> None:
        self.viewer: Final = viewer
        self.connection: Final = connection
        self.scope: Final = anyio.CancelScope()
        self.taken: Final[asyncio.Future[Lease[Any]]] = asyncio.get_running_loop().create_future()
        self.given_back: Final = anyio.Event()

    @property
    def lease(self) -> Lease[Any] | None:
        """The lease, once it is taken."""
        done = self.taken.done() and not self.taken.cancelled() and not self.taken.exception()
        return self.taken.result() if done else None

    async def owner(self) -> str:
        """Wait until the lease is taken; returns its owner. Raises the error of taking it."""
        await asyncio.wait({self.taken})
        if self.taken.cancelled():
            raise no_media()
        return self.taken.result().owner


@final
class Sources:
    """Microphone, camera and screen of one session's pages.

    Guarantee: at most one page holds each of them. A lease ends when it is given back, or when its
    page or its media connection ends. A page cannot keep it from the others.

    Args:
        session: the session that has the leases.
        start: starts a task that ends with the surface.
    """

    def __init__(self, session: SurfaceSession, start: Start) -> None:
        self._session = session
        self._start = start
        self._held: dict[SourceKind, _Held] = {}

    def __len__(self) -> int:
        return len(self._held)

    async def take(self, viewer: Viewer, kind: SourceKind) -> str:
        """Take the lease and feed the page's track into it; returns the owner's name. Idempotent.

        Raises:
            Problem: the page has no media connection.
            NotConnectedError: the session has not joined a room.
            SourceBusyError: another owner holds the lease.
        """
        connection = viewer.connection
        if connection is None:
            raise no_media()
        held = self._held.get(kind)
        if held is not None and held.viewer is viewer:
            if held.connection is connection and not held.scope.cancel_called:
                return await held.owner()
            # The page has a new connection, and the end of the old one was not noticed yet.
            held.scope.cancel()
            await held.given_back.wait()
        if (holder := self._held.get(kind)) is not None:
            raise Problem(409, "busy", f"{self._name(holder.viewer)} holds the {kind}")
        if self._session.connection_state != "connected":
            raise Problem(409, "not_connected", "the session is not connected to its agent")
        held = self._held[kind] = _Held(viewer, connection)
        self._start(partial(self._hold, kind, held))
        return await held.owner()

    def mute(self, viewer: Viewer, kind: SourceKind, muted: bool) -> None:
        """Mute or unmute the source.

        Raises:
            Problem: the page does not hold it.
        """
        lease = self._of(viewer, kind).lease
        if lease is None:
            raise _not_held(kind)
        if muted:
            lease.mute()
        else:
            lease.unmute()

    async def give_back(self, viewer: Viewer, kind: SourceKind) -> None:
        """End the lease. Returns when it has ended.

        Raises:
            Problem: the page does not hold it.
        """
        held = self._of(viewer, kind)
        held.scope.cancel()
        await held.given_back.wait()

    def end(self, viewer: Viewer, connection: MediaConnection | None = None) -> None:
        """End the page's leases (those over `connection`), without waiting."""
        for held in self._held.values():
            if held.viewer is viewer and connection in (None, held.connection):
                held.scope.cancel()

    def _of(self, viewer: Viewer, kind: SourceKind) -> _Held:
        held = self._held.get(kind)
        if held is None or held.viewer is not viewer:
            raise _not_held(kind)
        return held

    def _name(self, viewer: Viewer) -> str:
        return f"{self._session.key}/{viewer.id}"

    async def _hold(self, kind: SourceKind, held: _Held) -> None:
        publisher: SurfacePublisher[Any] = getattr(self._session, kind)
        try:
            with held.scope:
                async with publisher.acquire(self._name(held.viewer)) as lease:
                    held.taken.set_result(lease)
                    await held.connection.feed(kind, lease)
        except LivelayerError as error:
            # The lease or the connection ended, or another owner holds the lease.
            if not held.taken.done():
                held.taken.set_exception(error)
        except Exception as error:  # noqa: BLE001 - one page's media must not end the surface
            logger.error("a page's %s failed: %s", kind, type(error).__name__)
            if not held.taken.done():
                held.taken.set_exception(error)
        finally:
            held.taken.cancel()
            if held.taken.done() and not held.taken.cancelled():
                held.taken.exception()  # retrieved, in case its caller has gone
            if self._held.get(kind) is held:
                del self._held[kind]
            held.given_back.set()


def _not_held(kind: SourceKind) -> Problem:
    return Problem(404, "source", f"this page does not hold the {kind}")
