"""The progress bar of a benchmark: on standard error, and only where somebody watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TypeAlias

Step: TypeAlias = Callable[[str], None]
"""Called when a step begins, with what it is."""


@contextmanager
def steps(title: str, total: int) -> Generator[Step]:
    """Show `total` steps as they begin; silent without rich or a terminal."""
    if find_spec("rich") is None or not sys.stderr.isatty():
        yield lambda what: None
        return
    from rich.console import Console  # optional: the `cli` extra
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn(title),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total, completed=-1)

        def step(what: str) -> None:
            bar.update(task, advance=1, description=what)

        yield step
