"""Exit codes, one-line errors, and ending on Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, Final, NoReturn, TypeAlias

from .. import errors

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3
REFUSED: Final = 4

GRACE_SECONDS: Final = 10.0  # how long a command may take to end after Ctrl-C

EPILOG: Final = (
    "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 cannot reach a server or a "
    "session, 4 refused (token), 130 interrupted."
)

Main: TypeAlias = Callable[[], Coroutine[Any, Any, int | None]]


def exit_code(error: Exception) -> int:
    match error:
        case errors.RefusedError():
            return REFUSED
        case errors.ConnectError() | errors.ControlError() | errors.TokenSourceError():
            return UNREACHABLE
        case errors.ConfigError() | errors.PluginNotFoundError():
            return USAGE
        case _:
            return FAILED


def fail(error: Exception) -> NoReturn:
    text = " ".join(str(error).split())
    notes = " ".join(getattr(error, "__notes__", ()))
    module = (getattr(error, "name", None) or "").partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and (offer := errors.distribution_of(module)):
        text = f"this command needs {module!r}: pip install '{offer}'"
    elif not isinstance(error, errors.LivelayerError):
        text = f"unexpected {type(error).__name__}: {text}"
        notes = "run 'livelayer --debug ...' for the traceback, and report it"
    complain(f"{text}; {notes}" if notes else text)
    sys.exit(exit_code(error))


def complain(text: str) -> None:
    """Print one line on stderr; tokens in a foreign error's text are replaced."""
    print(f"livelayer: {errors.without_tokens(text)}", file=sys.stderr)


def run_async(main: Main, on_interrupt: Callable[[], bool] | None = None) -> None:
    """Run a command's coroutine to its end, then exit with the code it returns.

    Ctrl-C and SIGTERM cancel it, so that it cleans up; after ten seconds the process ends anyway,
    also if something blocks the event loop.

    Args:
        main: the command.
        on_interrupt: called at the first Ctrl-C; True: the command ends by itself, uncancelled.
    """
    import asyncio  # not at the top: help needs no event loop, and this is half of its imports

    sys.exit(asyncio.run(_interruptible(main, on_interrupt)) or OK)


async def _interruptible(main: Main, on_interrupt: Callable[[], bool] | None) -> int | None:
    import asyncio

    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    received, first = list[int](), threading.Event()
    ended = False

    def on_signal(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        first.set()
        loop.call_soon_threadsafe(stop)

    def stop() -> None:
        if received == [signal.SIGINT] and on_interrupt is not None and on_interrupt():
            return
        if task is not None:
            task.cancel()

    def end_late() -> None:
        first.wait()
        time.sleep(GRACE_SECONDS)
        if received[0] == signal.SIGINT and not ended:
            # In a thread: a terminal that takes no text would keep the process.
            threading.Thread(target=complain, args=("interrupted",), daemon=True).start()
            time.sleep(0.1)
        os._exit(128 + received[0])

    threading.Thread(target=end_late, daemon=True).start()
    # Not by the loop: what blocks it would keep the signal from everyone.
    both = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, on_signal) for number in both}
    try:
        return await main()
    except asyncio.CancelledError:
        if not received:
            raise
        if received[0] == signal.SIGINT:
            complain("interrupted")
        return 128 + received[0]
    finally:
        ended = True
        for number, handler in before.items():
            signal.signal(number, handler)
