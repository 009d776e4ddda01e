"""What every benchmark's result has: the goals, the machine, and percentiles made one way."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Generic, TypeVar

import msgspec

PlanT = TypeVar("PlanT")
CaseT = TypeVar("CaseT")


class Goal(msgspec.Struct, frozen=True):
    """A number the project promises, and what came out."""

    name: str
    wanted: str
    measured: float
    met: bool


class Surroundings(msgspec.Struct, frozen=True):
    """What a result was measured with."""

    date: str
    python: str
    machine: str
    load: float
    """Processes that wanted a core when the run began, the benchmark's own not among them."""
    server: str
    """"embedded", "real" or "none"."""
    versions: dict[str, str]


class Result(msgspec.Struct, Generic[PlanT, CaseT], frozen=True, kw_only=True):
    """The result of one run."""

    surroundings: Surroundings
    plan: PlanT
    cases: list[CaseT]
    goals: list[Goal]
    skipped: dict[str, str]
    """Rivals left out, and why."""


def surroundings(server: str, packages: Iterable[str] = ()) -> Surroundings:
    """This machine, now."""
    return Surroundings(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        load=round(os.getloadavg()[0], 2),
        server=server,
        versions={name: version(name) for name in sorted({"livekit", *packages})},
    )


def at_most(name: str, limit: float, measured: float, unit: str = "x") -> Goal:
    """A goal that holds when `measured` is not above `limit`."""
    return Goal(name, f"<= {limit:g}{unit}", round(measured, 3), measured <= limit)


def at_least(name: str, limit: float, measured: float, unit: str = "x") -> Goal:
    """A goal that holds when `measured` is not below `limit`."""
    return Goal(name, f">= {limit:g}{unit}", round(measured, 3), measured >= limit)


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` of the sorted values lie; 0 of none."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def median_of_ratios(mine: Sequence[float], base: Sequence[float]) -> float:
    """The median of ratios taken within each repetition; 0 where the base is nothing."""
    ratios = [a / b for a, b in zip(mine, base, strict=True) if b]
    return round(statistics.median(ratios), 3) if ratios else 0.0
