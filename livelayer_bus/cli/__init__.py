"""The command `livelayer`."""

from __future__ import annotations

import os
import sys
from importlib import import_module

# Imported when first used: until `main` runs, Ctrl-C ends in Python's own traceback.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from .doctor import Finding, Verdict, check_port
    from .exits import FAILED, OK, Main, complain, run_async

_DOCTOR = ("Finding", "Verdict", "check_port")
__all__ = [
    "main", "Main", "run_async", "complain", "OK", "FAILED",
    # For checks of `livelayer doctor`
    "Finding", "Verdict", "check_port",
]  # fmt: skip

_NEEDED = ("typer", "rich")
_INTERRUPTED = 130


def __getattr__(name: str) -> Any:
    if name in __all__:
        module = ".doctor" if name in _DOCTOR else ".exits"
        return getattr(import_module(module, __package__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def main() -> None:
    """Run the command line of this process; ends with its exit code.

    Ctrl-C ends the process at once, with one line; `run_async` takes over later. Python's own
    handler would print a traceback of the import that it interrupts. A handler that the application
    installed, or an ignored signal, stays.
    """
    import signal  # a third of what is left to import

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end_at_once)
    try:
        # Not at the top: without the extra [cli] there is only one line to say.
        app = import_module(".app", __package__)
    except ModuleNotFoundError as exc:
        if exc.name not in _NEEDED:
            raise
        sys.exit(
            f"livelayer: the command line needs {exc.name!r}: pip install 'livelayer-bus[cli]'"
        )
    app.run(sys.argv[1:])


def _end_at_once(_number: int, _frame: FrameType | None) -> None:
    os.write(2, b"livelayer: interrupted\n")  # `print` may be what was interrupted
    os._exit(_INTERRUPTED)
