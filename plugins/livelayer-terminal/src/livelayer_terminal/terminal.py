"""`TerminalSurface`: sessions on this process's terminal, by Textual."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, final

import anyio
import anyio.to_thread

from livelayer_bus.errors import BusyError, MisuseError, NotSupportedError
from livelayer_bus.surfaces import SurfaceSession

from .kitty import has_graphics
from .model import SessionModel
from .surface import ConsoleSurface

if TYPE_CHECKING:  # Textual is imported when a surface runs
    from .app import TerminalApp

CLOSE_SECONDS: Final = 1.0  # for the app to end, and then for the terminal to take the last text
PictureMode: TypeAlias = Literal["auto", "blocks", "kitty", "off"]
_PICTURES: Final = ("auto", "blocks", "kitty", "off")

_terminal = threading.Lock()  # held while an app has this process's terminal


@final
class TerminalSurface:
    """Shows sessions on the whole terminal: picture, transcript, data messages, fields, figures.

    Guarantee: the event loop never waits for the terminal; a terminal that is slow, stuck or gone
    affects this surface alone. The picture takes at most 8 % of a core, and fewer pictures come
    when the event loop is busy. Text from the agent cannot control the terminal. The terminal is
    restored when the surface ends, and when the process is stopped or killed (by a shell that waits
    for that). Memory is bounded: 500 data messages, 100 fields, 500 lines of what is printed.

    One object can be mounted on several sessions of one event loop: each has a tab. Without a
    terminal (or on Windows) it is a `ConsoleSurface`.

    Args:
        picture: how the avatar is drawn: `blocks` in half-blocks, `kitty` by the kitty graphics
            protocol, `auto` by that protocol where the terminal is known to have it, `off` not.
        fps: pictures a second, at most.
        size: columns and rows of a screen in memory, which is used instead of the terminal: for
            tests and screenshots of `app`.

    Raises:
        MisuseError: `picture` is unknown, or `fps` is not above 0 and at most 60.
    """

    def __init__(
        self,
        *,
        picture: PictureMode = "auto",
        fps: float = 15.0,
        size: tuple[int, int] | None = None,
    ) -> None:
        if picture not in _PICTURES:
            raise MisuseError(f"picture must be one of {', '.join(_PICTURES)}, got {picture!r}")
        if not 0 < fps <= 60:
            raise MisuseError(f"fps must be above 0 and at most 60 a second, got {fps}")
        self._picture = picture
        self._fps = fps
        self._size = size
        self._models: list[SessionModel] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._app: TerminalApp | None = None
        self._starting = False
        self.shown = anyio.Event()
        """Set when the screen is there, or when it is clear that none will be: what the application
        prints from then on is in its log, and printed again at the end."""

    def __repr__(self) -> str:
        return f"TerminalSurface(picture={self._picture!r}, fps={self._fps:g})"

    @property
    def app(self) -> TerminalApp | None:
        """The Textual application; None while it does not run."""
        return self._app

    async def run(self, session: SurfaceSession) -> None:
        """Show the session until cancelled, or until a person leaves it or the terminal is gone.

        Raises:
            NotSupportedError: it runs on trio.
            MisuseError: it is mounted on sessions of two event loops, or outside the main thread.
            BusyError: another `TerminalSurface` has the terminal.
        """
        if self._size is None and not _has_terminal():
            self.shown.set()
            await ConsoleSurface(interactive=True).run(session)
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError as error:
            what = "the terminal surface: run on asyncio, or mount a ConsoleSurface"
            raise NotSupportedError(what, "trio") from error
        if self._models and self._loop is not loop:
            raise MisuseError("this surface shows a session of another event loop: make a new one")
        self._loop = loop
        model = SessionModel(session)
        self._models.append(model)
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(model.follow)
                group.start_soon(model.collect)
                await self._show(model)
                group.cancel_scope.cancel()
        except ExceptionGroup as group_error:
            # Raise the error of the task itself, not the groups.
            cause: Exception = group_error
            while isinstance(cause, ExceptionGroup):
                cause = cause.exceptions[0]
            raise cause from group_error
        finally:
            self.shown.set()
            self._models.remove(model)
            self._notify_app()

    async def _show(self, model: SessionModel) -> None:
        """Run the app if no other session's task does, or wait for it."""
        while not model.left:
            if self._app is None and not self._starting:
                await self._run_app(model)
                continue
            self._notify_app()
            await model.changed()

    def _notify_app(self) -> None:
        app = self._app
        if app is not None and app.is_running:
            app.call_later(app.sessions_changed)

    async def _run_app(self, model: SessionModel) -> None:
        """Run the app until `model` is left: another session's task runs the next one."""
        self._starting = True
        locked = False
        try:
            module = await anyio.to_thread.run_sync(import_module, f"{__package__}.app")
            if self._size is None:
                if threading.current_thread() is not threading.main_thread():
                    raise MisuseError(
                        "a TerminalSurface runs in the main thread: signals come there"
                    )
                locked = _terminal.acquire(blocking=False)
                if not locked:
                    hint = "mount the one TerminalSurface on each session"
                    raise BusyError("the terminal", f"another TerminalSurface has it: {hint}")
            app: TerminalApp = module.TerminalApp(
                self._models,
                fps=self._fps,
                picture=self._picture != "off",
                graphics=self._graphics(),
                headless=self._size is not None,
                shown=self.shown,
            )
            self._app = app
            await self._until_left(app, model)
        finally:
            if locked:
                _terminal.release()
            if self._app is not None:
                await _close(self._app)
            self._app, self._starting = None, False
            for other in self._models:
                other.wake()
        if app.fault is not None:
            raise app.fault
        if app.gone:
            for other in self._models:
                other.leave()

    async def _until_left(self, app: TerminalApp, model: SessionModel) -> None:
        from .driver import signals_kept

        # The app ends by itself, in order: Textual swallows a cancellation.
        shield = anyio.CancelScope(shield=True)
        async with anyio.create_task_group() as group:

            async def run() -> None:
                loop = asyncio.get_running_loop()
                # Textual replaces the loop's task factory, which is the application's.
                loop.call_soon(loop.set_task_factory, loop.get_task_factory())
                with shield:
                    if self._size is None:
                        with signals_kept():
                            await app.run_async()
                    else:
                        await app.run_async(headless=True, size=self._size)
                group.cancel_scope.cancel()

            group.start_soon(run)
            try:
                while not model.left:
                    await model.changed()
            finally:
                shield.deadline = anyio.current_time() + CLOSE_SECONDS
                app.exit()

    def _graphics(self) -> bool:
        return self._picture == "kitty" or (self._picture == "auto" and has_graphics(os.environ))


async def _close(app: TerminalApp) -> None:
    """Leave the terminal, and print again what the application printed."""
    with anyio.CancelScope(shield=True) as scope:
        if await app.output.aclose(CLOSE_SECONDS):
            scope.deadline = anyio.current_time() + CLOSE_SECONDS
            await anyio.to_thread.run_sync(_print, [*app.printed], abandon_on_cancel=True)


def _print(lines: list[str]) -> None:
    with suppress(OSError, ValueError):  # the terminal is gone
        for line in lines:
            print(line)


def _has_terminal() -> bool:
    """Whether this process has a terminal that can show a screen."""
    if sys.platform == "win32" or os.environ.get("TERM", "") in ("", "dumb"):
        return False
    ends = (sys.__stdin__, sys.__stdout__)
    try:
        whole = all(end is not None and end.isatty() for end in ends)
    except ValueError:  # one is closed
        return False
    encoding = getattr(sys.__stdout__, "encoding", None) or ""
    return whole and encoding.lower().replace("-", "") == "utf8"
