"""The rivals of an area, measured in rounds: a slow minute of the machine hits all alike."""

from __future__ import annotations

import pkgutil
import random
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import msgspec

AnswerT = TypeVar("AnswerT")
RowT = TypeVar("RowT")
SEED = 20261  # of the order within each round
_RIVALS = "livelayer_benchmarks.rivals"


class Rival(msgspec.Struct, frozen=True):
    """A way to do the work of an area: what its module says of itself."""

    module: str
    name: str
    """Its `NAME`; those of this project begin with "livelayer-bus"."""
    part: str
    """Its `PART`, where an area has several."""
    requires: tuple[str, ...]
    """Its `REQUIRES`: distributions beyond this one's own."""


class Row(msgspec.Struct, Generic[AnswerT], frozen=True):
    """One rival with one number of readers, and its answers, one a repetition."""

    rival: Rival
    readers: int
    answers: list[AnswerT]

    @property
    def label(self) -> str:
        """What the progress bar says of it."""
        return f"{self.rival.name}, {self.readers}"


class Step(NamedTuple):
    """Something else that is measured in rounds."""

    label: str
    measure: Callable[[], None]


def rivals_of(area: str) -> list[str]:
    """The modules of an area's rivals: one file each in `rivals/<area>`."""
    package = import_module(f"{_RIVALS}.{area}")
    names = (module.name for module in pkgutil.iter_modules(package.__path__))
    return [f"{package.__name__}.{name}" for name in names if not name.startswith("_")]


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
        rivals.append(Rival(module, str(rival.NAME), str(part), tuple(requires)))
    rivals.sort(key=lambda rival: not rival.name.startswith("livelayer-bus"))
    return rivals, skipped


def rows(rivals: Sequence[Rival], counts: Sequence[int]) -> list[Row[Any]]:
    """Every rival with every number of readers, not measured yet."""
    return [Row(rival, count, []) for rival in rivals for count in counts]


def rounds(everything: Sequence[RowT], repetitions: int, seed: int = SEED) -> Iterator[RowT]:
    """Everything once a repetition: first in its own order, then in a random one each time."""
    rng = random.Random(seed)
    for repetition in range(repetitions):
        yield from rng.sample(everything, len(everything)) if repetition else everything


class Labelled(Protocol):
    """What the progress bar can name."""

    @property
    def label(self) -> str: ...


LabelledT = TypeVar("LabelledT", bound=Labelled)


def run_rounds(
    title: str,
    everything: Sequence[LabelledT],
    repetitions: int,
    measure: Callable[[LabelledT], None],
) -> None:
    """Measure everything once a round, with a progress bar on a terminal's standard error."""
    with _progress(title, repetitions * len(everything)) as step:
        for row in rounds(everything, repetitions):
            step(row.label)
            measure(row)


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
