"""Shows the result of the bus's benchmark: as tables with rich, as plain lines without."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from .bus import BusBenchmark, Case

TITLES = {
    "fan_out": "{readers} readers, bursts of {burst}: CPU time a delivery, against asyncio.Queue",
    "fan_out_text": "{readers} readers, bursts of {burst}, transcript updates only: the same",
    "wake": "publish to a reader that waits, p50, and how many bare futures long",
}
COLUMNS = ("", "to a", "ns", "ratio", "lowest", "highest")


def show(result: BusBenchmark) -> None:
    """Print the result to standard output."""
    tables = list(_tables(result.cases))
    notes = list(_notes(result))
    if find_spec("rich") is None:
        for title, rows in tables:
            print(f"\n{title}")
            for row in (COLUMNS, *rows):
                print(
                    "  ".join(
                        cell.ljust(22) if n == 0 else cell.rjust(9) for n, cell in enumerate(row)
                    )
                )
        print("\n" + "\n".join(notes))
        return
    from rich.console import Console  # optional: the `cli` extra
    from rich.table import Table

    console = Console()
    for title, rows in tables:
        table = Table(*COLUMNS, title=title, title_justify="left")
        for column in table.columns[2:]:
            column.justify = "right"
        for row in rows:
            table.add_row(*row)
        console.print(table)
    console.print("\n".join(notes), markup=False, highlight=False)


def _tables(cases: list[Case]) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(
            TITLES[case.kind].format(readers=case.readers, burst=case.burst), []
        ).append(case)
    for title, group in groups.items():
        slowest_first = group[0].kind == "wake"
        group.sort(key=lambda case: case.ratio, reverse=not slowest_first)
        yield title, [_row(case) for case in group]


def _row(case: Case) -> tuple[str, ...]:
    numbers = (case.ratio, case.lowest_ratio, case.highest_ratio)
    return (
        case.rival,
        case.delivers_to,
        f"{case.nanoseconds:,.0f}",
        *(f"{number:.3g}x" for number in numbers),
    )


def _notes(result: BusBenchmark) -> Iterator[str]:
    for goal in result.goals:
        outcome = "met   " if goal.met else "MISSED"
        yield f"{outcome}  {goal.name}: {goal.measured:.3g}x ({goal.wanted})"
    for name, reason in result.skipped.items():
        yield f"skipped {name}: {reason}"
    versions = ", ".join(f"{name} {number}" for name, number in result.versions.items())
    yield f"{result.python}, {result.machine}; {versions}"
    plan = result.plan
    yield (
        f"bursts of {plan.burst}, {plan.deliveries:,} deliveries, medians of {plan.repetitions} "
        f"interleaved repetitions, seed {plan.seed}"
    )
