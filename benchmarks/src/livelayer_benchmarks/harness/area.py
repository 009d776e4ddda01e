"""One area: how much it measures, what runs it, and how its cases are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

from .records import Goal, Result, environment
from .rivals import Rival, load_rivals, rivals_of

Where: TypeAlias = Mapping[str, Any]
"""The cases to show: those that have all these fields with these values."""

ANY: Final[Where] = MappingProxyType({})


class Column(NamedTuple):
    """How a table shows a field of a case: the annotation of the field has it."""

    title: str | None = None
    """The field's name if None."""
    form: str = ""
    """A format, as of `format()`."""
    unit: str = ""
    scale: float = 1
    """The value is multiplied by it."""


Name: TypeAlias = Annotated[str, Column("")]
"""Of a rival."""
Readers: TypeAlias = Annotated[int, Column("n")]
Ratio: TypeAlias = Annotated[float, Column("", ".2f", "x")]
Milliseconds: TypeAlias = Annotated[float, Column(form=".1f")]
Megabytes: TypeAlias = Annotated[float, Column("MB", ".0f")]


class Table(NamedTuple):
    """Cases of one type as rows, their fields with a `Column` as columns."""

    title: str
    """May name fields of the cases in braces: then there is a table for each of their values."""
    case: type[msgspec.Struct]
    where: Where = ANY
    order_by: str = ""
    """A field to sort the rows by, or "-field" for the largest first; as measured if empty."""


class Lines(NamedTuple):
    """Fields against a number of readers; a line for each rival. The first is drawn solid."""

    title: str
    case: type[msgspec.Struct]
    fields: tuple[str, ...]
    where: Where = ANY
    x: str = "readers"
    x_title: str = "surfaces"
    logarithmic: bool = False


class Bars(NamedTuple):
    """A bar for each case."""

    title: str
    case: type[msgspec.Struct]
    field: str
    where: Where = ANY
    ours: bool = False
    """Every bar is livelayer-bus."""


def cost_and_latency(
    name: str,
    case: type[msgspec.Struct],
    unit: str = "a frame",
    where: Where = ANY,
    x: str = "readers",
    x_title: str = "surfaces",
) -> tuple[Lines, Lines]:
    """The two charts of most areas: CPU, and beside it the latency."""
    cost, latency = f"{name}: CPU, ms {unit}", f"{name}: p50 and (dashed) p99, ms"
    return (
        Lines(cost, case, ("cpu",), where, x, x_title),
        Lines(latency, case, ("p50", "p99"), where, x, x_title),
    )


class Measured(NamedTuple):
    """What a run yields."""

    cases: Sequence[msgspec.Struct]
    goals: Sequence[Goal]


class Area(NamedTuple):
    """What `livelayer bench` needs to know of an area."""

    name: str
    plan: Any
    """How much to measure: a record."""
    quick: Any
    """The same in one short repetition."""
    run: Callable[[Any, str | None, list[Rival]], Measured]
    """`run(plan, url, rivals)` measures, with the server at the URL, or with an embedded one."""
    tables: tuple[Table, ...]
    charts: tuple[tuple[Lines | Bars, ...], ...] = ()
    """Rows of at most two panels."""
    server: Literal["none", "any", "real"] = "any"
    """Whether a LiveKit server takes part, and whether it has to be a real one."""
    packages: tuple[str, ...] = ()
    """Distributions whose versions matter, beyond those of the rivals."""
    rivals: tuple[str, ...] = ()
    """Their modules; all of the area if empty."""

    def measure(self, plan: Any, url: str | None = None) -> Result[Any, Any]:
        """Measure with the server at the URL, or with an embedded one if it is None.

        Raises:
            BrokenError: a process failed.
            ConfigError: the URL without LIVEKIT_API_KEY and LIVEKIT_API_SECRET, or a server that
                the area cannot use.
        """
        rivals, skipped = load_rivals(self.rivals or rivals_of(self.name))
        server = "none" if self.server == "none" else "real" if url else "embedded"
        required = {name for rival in rivals for name in rival.requires}
        about = environment(server, required.union(self.packages))
        cases, goals = self.run(plan, url, rivals)
        return Result(
            environment=about, plan=plan, cases=list(cases), goals=list(goals), skipped=skipped
        )
