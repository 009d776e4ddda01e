"""The thread and event loop that a bus belongs to, and how a task waits there until it is woken."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from types import coroutine
from typing import Any, Protocol, cast

import anyio
import anyio.lowlevel

from ..errors import WrongLoopError


class Slot(Protocol):
    """Where one task waits once, until it is woken with a number."""

    def done(self) -> bool: ...
    def set_result(self, result: int, /) -> None: ...
    def __await__(self) -> Generator[object, None, int]: ...


class _EventSlot:
    """A slot for every backend but asyncio, on anyio's event."""

    def __init__(self) -> None:
        self._event = anyio.Event()
        self._result = 0

    def done(self) -> bool:
        return self._event.is_set()

    def set_result(self, result: int, /) -> None:
        self._result = result
        self._event.set()

    def __await__(self) -> Generator[object, None, int]:
        yield from cast(Generator[object, None, None], self._event.wait().__await__())
        return self._result


def _native_token() -> object:
    return anyio.lowlevel.current_token().native_token


@coroutine
def _asyncio_yield() -> Generator[None, None, int]:
    """Let an asyncio loop run once, like `sleep(0)`, for the price of one generator."""
    yield
    return 0


async def _anyio_checkpoint() -> int:
    await anyio.lowlevel.checkpoint()
    return 0


class LoopGuard:
    """Binds an object to the thread that made it and to the first event loop that uses it.

    Guarantee: while that loop is open, no other loop is accepted. Once it is closed, the next loop
    in the same thread is bound (a second `asyncio.run`).
    """

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.loop: object | None = None
        self.running_loop: Callable[[], object] = asyncio.get_running_loop
        self.new_slot: Callable[[], Slot] = _EventSlot
        self.checkpoint: Callable[[], Awaitable[int]] = _anyio_checkpoint
        self.waits_check_the_loop = False
        self.on_adopt: Callable[[], Callable[[], object] | None] = lambda: None

    def adopt_running_loop(self, what: str) -> None:
        """Bind the running loop, if any; `WrongLoopError` if another one is bound and open."""
        loop = _current_loop()
        if loop is None or loop is self.loop:
            return
        if self.loop is not None and self._loop_is_open():
            hint = "use publish_from_thread() from there"
            raise WrongLoopError(what, _name(self.loop), _name(loop), hint)
        self._adopt(loop)

    def move_to_running_loop(self) -> bool:
        """Bind the calling thread and its loop, if it runs one; return whether it does."""
        loop = _current_loop()
        if loop is None:
            return False
        self.thread = threading.get_ident()
        self._adopt(loop)
        return True

    def require_running_loop(self, what: str) -> None:
        """As `adopt_running_loop`, as cheaply as a wait allows."""
        try:
            if self.running_loop() is self.loop:
                return
        except RuntimeError:
            pass  # another backend's loop: the full check below names both
        self.adopt_running_loop(what)

    def convert_wait_error(self, error: RuntimeError) -> None:
        """Raise what explains an error of a wait: on asyncio a task refuses another loop's future.

        Returns if the running loop is bound now, so that the wait can be begun again.
        """
        before = self.loop
        self.adopt_running_loop("a subscription")
        if self.loop is before:
            raise error

    def call_soon(self, call: Callable[[], object]) -> bool:
        """Have the bound loop make `call`, from any thread; False if no loop is bound (yet)."""
        loop = self.loop
        if loop is None:
            return False
        try:
            if isinstance(loop, asyncio.AbstractEventLoop):
                loop.call_soon_threadsafe(call)
            else:
                cast(Any, loop).run_sync_soon(call)  # trio's token
        except RuntimeError:  # the loop has ended; trio's RunFinishedError is one of these too
            return False
        return True

    def wrong_thread(self, what: str, hint: str) -> WrongLoopError:
        return WrongLoopError(what, _thread_name(self.thread), _here(), hint)

    def _adopt(self, loop: object) -> None:
        self.loop = loop
        self.waits_check_the_loop = isinstance(loop, asyncio.AbstractEventLoop)
        if isinstance(loop, asyncio.AbstractEventLoop):
            self.running_loop = asyncio.get_running_loop
            self.new_slot = _future_maker(loop)
            self.checkpoint = _asyncio_yield
        else:
            self.running_loop = _native_token
            self.new_slot = _EventSlot
            self.checkpoint = _anyio_checkpoint
        if (hook := self.on_adopt()) is not None:
            hook()

    def _loop_is_open(self) -> bool:
        if isinstance(self.loop, asyncio.AbstractEventLoop):
            return not self.loop.is_closed()
        return self.call_soon(lambda: None)


def _future_maker(loop: asyncio.AbstractEventLoop) -> Callable[[], Slot]:
    # Without the call of `create_future`, where that does nothing else.
    if getattr(type(loop), "create_future", None) is asyncio.BaseEventLoop.create_future:
        return partial(asyncio.Future, loop=loop)
    return loop.create_future


def _current_loop() -> object | None:
    """Return the loop that runs the current task: asyncio's loop, or another backend's token."""
    try:
        return _native_token()
    except RuntimeError:  # anyio: no task is running in this thread
        return None


def _thread_name(ident: int) -> str:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return f"thread {names[ident]!r}" if ident in names else f"thread {ident} (ended)"


def _here() -> str:
    loop, thread = _current_loop(), _thread_name(threading.get_ident())
    return thread if loop is None else f"{thread} running {_name(loop)}"


def _name(loop: object) -> str:
    kind = type(loop)
    return f"{kind.__module__}.{kind.__qualname__} at {id(loop):#x}"
