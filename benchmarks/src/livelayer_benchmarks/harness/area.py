"""One area: how much it measures, what runs it, and how its cases are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from .records import Result

Where: TypeAlias = Mapping[str, Any]
"""The cases to show: those that have all these fields with these values."""

ANY: Final[Where] = MappingProxyType({})


class Column(NamedTuple):
    """A field of a case, and how it is written."""

    field: str
    title: str
    form: str = ""
    """A format, as of `format()`."""
    unit: str = ""
    scale: float = 1
    """The value is multiplied by it."""


RIVAL: Final = Column("rival", "")
READERS: Final = Column("readers", "n")
RATIO: Final = Column("ratio", "", ".2f", "x")
LATENCY: Final = tuple(Column(name, name, ".1f") for name in ("p50", "p95", "p99"))
RSS: Final = Column("rss", "MB", ".0f")


class Table(NamedTuple):
    """Cases as rows."""

    title: str
    """May name fields of the cases in braces: then there is a table for each of their values."""
    columns: tuple[Column, ...]
    where: Where = ANY
    order_by: str = ""
    """A field to sort the rows by, or "-field" for the largest first; as measured if empty."""


class Lines(NamedTuple):
    """Fields against a number of readers; a line for each rival. The first is drawn solid."""

    title: str
    fields: tuple[str, ...]
    where: Where = ANY
    x: str = "readers"
    x_title: str = "surfaces"
    logarithmic: bool = False


class Bars(NamedTuple):
    """A bar for each case."""

    title: str
    field: str
    where: Where = ANY
    ours: bool = False
    """Every bar is livelayer-bus."""


class Area(NamedTuple):
    """What `livelayer bench` needs to know of an area."""

    plan: Any
    """How much to measure: a record."""
    quick: Any
    """The same in one short repetition."""
    run: Callable[[Any, str | None], Result[Any, Any]]
    """`run(plan, url)` measures, with the server at the URL, or with an embedded one if it is None.

    Those of areas with rivals take their modules as a third argument; all of the area by default.

    Raises:
        BrokenError: a process failed.
        ConfigError: the URL without LIVEKIT_API_KEY and LIVEKIT_API_SECRET, or a server that the
            area cannot use.
    """
    tables: tuple[Table, ...]
    charts: tuple[tuple[Lines | Bars, ...], ...] = ()
    """Rows of at most two panels."""
    server: Literal["none", "any", "real"] = "any"
    """Whether a LiveKit server takes part, and whether it has to be a real one."""
