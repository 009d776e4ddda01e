"""Mounts surfaces, isolates their faults, and ends them in bounded time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Final, Literal, TypeAlias, final
from weakref import WeakKeyDictionary

import anyio

from ..bus import Subscription
from ..clock import Backoff, Clock, SystemClock
from ..contract import ControlledSession
from ..errors import DuplicateSurfaceError, MisuseError, SurfaceFailedError, describe, place_of
from ..events import Event, SurfaceDidNotStop, SurfaceFailed, SurfaceMounted, SurfaceUnmounted
from ..messages import check_capabilities
from ..tasks import RootTask, fault_of, log_fault, start
from .commands import CommandRouter
from .surface import Surface, SurfaceFunction, SurfaceSession, surface_function

logger = logging.getLogger(__name__)

OnFault: TypeAlias = Literal["restart", "unmount", "raise"]
SurfaceStatus: TypeAlias = Literal[
    "running", "restarting", "ended", "failed", "unmounted", "abandoned"
]

RESTARTS = Backoff(initial=0.1, maximum=5.0, attempts=8)
STEADY = 60.0  # seconds of running after which earlier faults are forgiven
CLOSE_TIMEOUT = 5.0  # seconds until a surface that ignores its cancellation is abandoned


@final
class MountedSurface:
    """A surface that is attached to a session, from `mount` until it ended or was unmounted."""

    def __init__(
        self, function: SurfaceFunction, view: SurfaceSession, on_fault: OnFault, host: Supervisor
    ) -> None:
        self.key: Final = view.key
        self.capabilities: Final = view.capabilities
        self._function = function
        self._view = view
        self.on_fault: Final = on_fault
        self._host = host
        self._status: SurfaceStatus = "running"
        self._error: BaseException | None = None  # kept only with on_fault="raise"
        self._stopping = False
        self._ended = anyio.Event()
        self._task: RootTask = start(self._supervise, f"surface {view.key}", self._on_end)

    @property
    def status(self) -> SurfaceStatus:
        return self._status

    @property
    def last_used(self) -> int:
        """Orders surfaces by when a person last used them; 0 for never."""
        return self._view.last_used

    async def wait(self) -> None:
        """Return when the surface has ended, for whatever reason.

        Raises:
            SurfaceFailedError: it failed and was mounted with `on_fault="raise"`.
        """
        await self._ended.wait()
        self.raise_fault()

    async def unmount(self) -> None:
        """End the surface; the session goes on. Returns when it has ended.

        A surface that ignores its cancellation is abandoned after the session's `close_timeout`
        on asyncio, and named in `SurfaceDidNotStop`; on trio this call waits for it. Called by
        the surface itself, it takes effect at the surface's next wait. Unmounting twice is fine.
        """
        await self.end(self._host.close_timeout)

    async def end(self, seconds: float) -> None:
        """Unmount, waiting `seconds` before the surface is abandoned."""
        self.cancel()
        if self._task.is_current():
            return
        if not await self._task.wait(seconds):
            self._host.publish(SurfaceDidNotStop(self.key, seconds))
            if self._task.can_be_abandoned:
                self._finish("abandoned")
            else:
                await self._task.wait()

    def cancel(self) -> None:
        """Ask the surface to end, without waiting."""
        self._stopping = True
        self._task.cancel()

    def raise_fault(self) -> None:
        """Raise the fault of a surface that was mounted with `on_fault="raise"`, once."""
        if self._error is not None:
            error, self._error = self._error, None
            raise SurfaceFailedError(self.key, describe(error)) from error

    async def _supervise(self) -> None:
        pauses = RESTARTS.pauses()
        while not self._stopping:
            began = self._host.clock.now()
            fault = await fault_of(lambda: self._function(self._view))
            if fault is None:
                self._status = "ended"
                return
            if self._host.clock.now() - began > STEADY:
                pauses = RESTARTS.pauses()
            # A BaseException that is not an Exception asks for an end, not for another run; a
            # BrokenError that is not retryable says that another run will not help.
            may_restart = isinstance(fault, Exception) and getattr(fault, "retryable", True)
            # A fault while it was being cancelled has used the cancellation up.
            restarts = may_restart and self.on_fault == "restart" and not self._stopping
            pause = next(pauses, None) if restarts else None
            self._error = fault if self.on_fault == "raise" else None
            self._status = "failed" if pause is None else "restarting"
            self._view.fail_commands()
            self._host.failed(self, fault, restarting=pause is not None)
            del fault  # its traceback keeps what the surface held, frames too
            if pause is None:
                return
            await self._host.clock.sleep(pause)
            self._status = "running"

    def _on_end(self, _: RootTask) -> None:
        self._finish("unmounted" if self._status in ("running", "restarting") else self._status)

    def _finish(self, status: SurfaceStatus) -> None:
        if not self._ended.is_set():
            self._status = status
            self._ended.set()
            self._view.detach()
            self._host.ended(self)


@final
@dataclass(eq=False, repr=False)
class Supervisor:
    """The surfaces of one session."""

    session: ControlledSession
    _: KW_ONLY
    publish: Callable[[Event], None]
    subscribe: Callable[..., Subscription[Event, Any]] | None = None
    mounted: dict[str, MountedSurface] = field(default_factory=dict[str, MountedSurface])
    router: CommandRouter[Any] | None = None
    on_ended: Callable[[MountedSurface], None] = lambda _: None
    clock: Clock = field(default_factory=SystemClock)
    close_timeout: float = CLOSE_TIMEOUT
    _faults: list[MountedSurface] = field(default_factory=list[MountedSurface])

    @property
    def surfaces(self) -> tuple[MountedSurface, ...]:
        """What is mounted now, in mount order."""
        return tuple(self.mounted.values())

    def mount(
        self,
        surface: Surface | SurfaceFunction,
        *,
        key: str,
        capabilities: Iterable[str] = (),
        on_fault: OnFault = "restart",
    ) -> MountedSurface:
        if key in self.mounted:
            raise DuplicateSurfaceError(key)
        if on_fault not in ("restart", "unmount", "raise"):
            raise MisuseError(f"on_fault is 'restart', 'unmount' or 'raise', not {on_fault!r}")
        function = surface_function(surface)
        allowed = check_capabilities(capabilities)
        self.publish(SurfaceMounted(key))
        session, router = self.session, self.router
        view = SurfaceSession(session, key, allowed, router, self.publish, self.subscribe)
        mounted = self.mounted[key] = MountedSurface(function, view, on_fault, self)
        return mounted

    def failed(self, surface: MountedSurface, error: BaseException, *, restarting: bool) -> None:
        """A surface ended with an exception. Called by the surface's own task."""
        log_fault(logger, f"surface {surface.key!r}", error)
        if surface.on_fault == "raise":
            self._faults.append(surface)
        self.publish(SurfaceFailed(surface.key, describe(error), restarting, place_of(error)))

    def ended(self, surface: MountedSurface) -> None:
        del self.mounted[surface.key]
        self.on_ended(surface)
        self.publish(SurfaceUnmounted(surface.key))

    async def aclose(self, seconds: float) -> None:
        """Unmount everything, side by side, within `seconds`."""
        async with anyio.create_task_group() as group:
            for surface in self.surfaces:
                group.start_soon(surface.end, seconds)

    def raise_faults(self) -> None:
        """Raise the first fault that `wait()` has not raised, as a `SurfaceFailedError`."""
        for surface in self._faults:
            surface.raise_fault()


_supervisors: WeakKeyDictionary[ControlledSession, Supervisor] = WeakKeyDictionary()


def mount(
    surface: Surface | SurfaceFunction,
    session: ControlledSession,
    *,
    key: str,
    capabilities: Iterable[str] = (),
    on_fault: OnFault = "restart",
) -> MountedSurface:
    """Attach `surface` to any session: the same as `session.mount` where the session has one.

    Args:
        surface: an object with `async def run(session)`, or such a function.
        session: what it shows.
        key: its name, unique among the session's mounted surfaces.
        capabilities: what the agent may do with it.
        on_fault: `restart` it with growing pauses, `unmount` it, or `raise` the fault from
            `MountedSurface.wait()` (and from closing the session, if it was not waited for).

    Raises:
        DuplicateSurfaceError: a surface with this key is mounted.
        MisuseError: `surface` is not a surface, or a capability does not exist.
    """
    own: Callable[..., MountedSurface] | None = getattr(session, "mount", None)
    if own is not None:
        return own(surface, key=key, capabilities=capabilities, on_fault=on_fault)
    supervisor = _supervisors.get(session)
    if supervisor is None:

        def forget(_: MountedSurface) -> None:
            # A supervisor refers to its session: it is kept only while something is mounted.
            if not made.surfaces:
                _supervisors.pop(session, None)

        # Another kind of session has no bus for the events about surfaces.
        supervisor = made = Supervisor(session, publish=lambda _: None, on_ended=forget)
    mounted = supervisor.mount(surface, key=key, capabilities=capabilities, on_fault=on_fault)
    _supervisors[session] = supervisor
    return mounted
