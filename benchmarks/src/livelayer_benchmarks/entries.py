"""The rivals that take part in a benchmark, by the modules they are in."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

import msgspec


class Entry(msgspec.Struct, frozen=True):
    """A rival that takes part."""

    module: str
    name: str
    path: str
    """Its `PATH`, where rivals have one."""
    requires: tuple[str, ...]


def enter(rivals: Iterable[str]) -> tuple[list[Entry], dict[str, str]]:
    """The rivals that can take part here, and why the others cannot."""
    entries: list[Entry] = []
    skipped: dict[str, str] = {}
    for module in rivals:
        try:
            rival = import_module(module)
        except ModuleNotFoundError as error:
            skipped[module.rpartition(".")[2]] = f"{error.name} is not installed"
            continue
        path = str(getattr(rival, "PATH", ""))
        entries.append(Entry(module, str(rival.NAME), path, tuple(rival.REQUIRES)))
    return entries, skipped


def packages(entries: Iterable[Entry]) -> set[str]:
    """What the rivals are made of, for the surroundings."""
    return {name for entry in entries for name in entry.requires}
