"""The rivals of an area, measured in rounds: a slow minute of the machine hits all alike."""

from __future__ import annotations

import pkgutil
import random
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import msgspec

from .records import median, median_of_ratios

AnswerT = TypeVar("AnswerT")
ItemT = TypeVar("ItemT")
SEED: Final = 20261  # of the order within each round
_PACKAGE: Final = "livelayer_benchmarks.rivals"
_FOLDER: Final = Path(__file__).parent.parent / "rivals"


class Rival(msgspec.Struct, frozen=True):
    """A way to do the work of an area: what its module says of itself."""

    name: str
    """Its `NAME`; those of this project begin with "livelayer-bus"."""
    module: str = ""
    """Empty for what is measured in rounds without a module."""
    part: str = ""
    """Its `PART`, where an area has several."""
    requires: tuple[str, ...] = ()
    """Its `REQUIRES`: distributions beyond this one's own."""


class Row(msgspec.Struct, Generic[AnswerT], frozen=True):
    """One rival with one number of readers, and its answers, one a repetition."""

    rival: Rival
    readers: int
    answers: list[AnswerT]
    note: str = ""
    """What else the progress bar says of it."""

    def values(self, field: str) -> list[float]:
        """A field of each answer; dots lead to a field's own fields."""
        return [float(attrgetter(field)(answer)) for answer in self.answers]

    def median(self, field: str, digits: int = 3) -> float:
        """The median of `values`, rounded."""
        return median(self.values(field), digits)

    def ratio(self, field: str, base: Row[AnswerT] | None) -> float:
        """The median ratio of `values` to those of another row, within the repetitions."""
        return median_of_ratios(self.values(field), (base or self).values(field))


def rivals_of(area: str) -> list[str]:
    """The modules of an area's rivals: one file each in `rivals/<area>`."""
    names = (module.name for module in pkgutil.iter_modules([str(_FOLDER / area)]))
    return [f"{_PACKAGE}.{area}.{name}" for name in names if not name.startswith("_")]


def load_rivals(modules: Iterable[str]) -> tuple[list[Rival], dict[str, str]]:
    """The rivals that can take part here, ours first, and why the others cannot."""
    rivals: list[Rival] = []
    skipped: dict[str, str] = {}
    for module in modules:
        try:
            rival = import_module(module)
        except ModuleNotFoundError as error:
            skipped[module.rpartition(".")[2]] = f"{error.name} is not installed"
            continue
        part, requires = getattr(rival, "PART", ""), getattr(rival, "REQUIRES", ())
        rivals.append(Rival(str(rival.NAME), module, str(part), tuple(requires)))
    rivals.sort(key=lambda rival: not rival.name.startswith("livelayer-bus"))
    return rivals, skipped


def rows(rivals: Iterable[Rival], counts: Sequence[int] = (1,)) -> list[Row[Any]]:
    """Every rival with every number of readers, not measured yet."""
    return [Row(rival, count, []) for rival in rivals for count in counts]


def fewest(measured: Iterable[Row[AnswerT]], name: str) -> Row[AnswerT] | None:
    """The row of the rival with that name that has the fewest readers; None if there is none."""
    named = (row for row in measured if row.rival.name == name)
    return min(named, key=lambda row: row.readers, default=None)


def rounds(everything: Sequence[ItemT], repetitions: int, seed: int = SEED) -> Iterator[ItemT]:
    """Everything once a repetition: first in its own order, then in a random one each time."""
    rng = random.Random(seed)
    for repetition in range(repetitions):
        yield from rng.sample(everything, len(everything)) if repetition else everything


def run_rounds(
    title: str,
    everything: Sequence[Row[AnswerT]],
    repetitions: int,
    measure: Callable[[Row[AnswerT]], AnswerT],
) -> None:
    """Measure each row once a round, with a progress bar on a terminal's standard error."""
    with _progress(title, repetitions * len(everything)) as step:
        for row in rounds(everything, repetitions):
            step(f"{row.rival.name}, {row.readers}{row.note}")
            row.answers.append(measure(row))


@contextmanager
def _progress(title: str, total: int) -> Generator[Callable[[str], None]]:
    # Not at the top: the measured processes import this module, and draw nothing.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn(title),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    visible = sys.stderr.isatty()
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not visible) as bar:
        task = bar.add_task("", total=total, completed=-1)
        yield lambda label: bar.update(task, advance=1, description=label)
