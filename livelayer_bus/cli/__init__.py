"""The command `livelayer`."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Final

from .exits import FAILED, OK, Main, complain, end_on_interrupt, run_async

__all__ = ["main", "Main", "run_async", "complain", "OK", "FAILED"]

_NEEDED: Final = ("typer", "rich")


def main() -> None:
    """Run the command line of this process; ends with its exit code."""
    end_on_interrupt()
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
