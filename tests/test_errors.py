"""Every error is of exactly one of the five kinds, which say whose fault it was."""

from __future__ import annotations

import importlib
from contextlib import suppress
from pathlib import Path

import pytest

from livelayer_bus.errors import (
    BrokenError,
    BusyError,
    ClosedError,
    ConnectionLostError,
    LivelayerError,
    MisuseError,
    NotConnectedError,
    RefusedError,
    not_connected,
)

ROOT = Path(__file__).parents[1]
KINDS = (ClosedError, BrokenError, BusyError, MisuseError, RefusedError)


def all_errors() -> list[type[LivelayerError]]:
    """The errors of the core and of every distribution in this repository."""
    for package in (ROOT / "livelayer_bus", *ROOT.glob("plugins/*/src")):
        source = ROOT if package.parent == ROOT else package
        for path in package.rglob("*.py"):
            name = ".".join(path.relative_to(source).with_suffix("").parts)
            if path.name != "__main__.py":
                with suppress(ModuleNotFoundError):  # of an extra that is not installed
                    importlib.import_module(name.removesuffix(".__init__"))
    found: list[type[LivelayerError]] = []
    waiting: list[type[LivelayerError]] = [LivelayerError]
    while waiting:
        for error in waiting.pop().__subclasses__():
            found.append(error)
            waiting.append(error)
    return found


def test_every_error_is_of_exactly_one_kind() -> None:
    found = all_errors()
    assert {error.__module__.partition(".")[0] for error in found} >= {
        "livelayer_bus",
        "livelayer_embedded",
        "livelayer_web",
    }
    of = {error: [kind for kind in KINDS if issubclass(error, kind)] for error in found}
    assert [error for error, kinds in of.items() if len(kinds) != 1] == []


@pytest.mark.parametrize("state", ["idle", "connecting", "disconnected"])
def test_a_call_before_connecting_is_a_misuse(state: str) -> None:
    assert isinstance(not_connected(state, None), NotConnectedError)


def test_a_lost_room_is_broken_and_retryable() -> None:
    error = not_connected("error", "the server went away")
    assert isinstance(error, ConnectionLostError)
    assert error.retryable
    assert "the server went away" in str(error)
