"""What every result has: cases, goals, the environment; and statistics made one way."""

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
    """A number the project promises, and what was measured."""

    name: str
    wanted: str
    measured: float
    met: bool


class Environment(msgspec.Struct, frozen=True):
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
    """The result of one run of one area."""

    environment: Environment
    plan: PlanT
    cases: list[CaseT]
    goals: list[Goal]
    skipped: dict[str, str]
    """Rivals left out, and why."""


def environment(server: str, packages: Iterable[str]) -> Environment:
    """This machine, now, with the versions of the SDK and of other distributions.

    Args:
        server: "embedded", "real" or "none".
        packages: the other distributions.
    """
    return Environment(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        load=round(os.getloadavg()[0], 2),
        server=server,
        versions={name: version(name) for name in sorted({"livekit", *packages})},
    )


def at_most(name: str, limit: float, measured: float, unit: str = "x") -> Goal:
    """A goal that is met when `measured` is not above `limit`."""
    return Goal(name, f"<= {limit:g}{unit}", round(measured, 3), measured <= limit)


def at_least(name: str, limit: float, measured: float, unit: str = "x") -> Goal:
    """A goal that is met when `measured` is not below `limit`."""
    return Goal(name, f">= {limit:g}{unit}", round(measured, 3), measured >= limit)


def median(values: Iterable[float], digits: int = 3) -> float:
    """The median, rounded; 0 of no values."""
    found = list(values)
    return round(statistics.median(found), digits) if found else 0.0


def spread(ordered: Sequence[float], digits: int) -> dict[str, float]:
    """The fields p50, p95 and p99 of a case, of sorted values, rounded."""
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    return {name: round(percentile(ordered, share), digits) for name, share in shares.items()}


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` of the sorted values lie; 0 of no values."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def median_of_ratios(mine: Sequence[float], base: Sequence[float]) -> float:
    """The median of the ratios within each repetition; 0 where the base is 0."""
    return median(a / b for a, b in zip(mine, base, strict=True) if b)
