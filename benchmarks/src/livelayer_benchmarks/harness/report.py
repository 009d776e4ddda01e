"""Prints a result: its tables, its goals, and what it was measured with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from string import Formatter
from typing import Any, TypeAlias

import msgspec
from rich.console import Console
from rich.table import Table as RichTable

from .area import Column, Table, Where
from .records import Result

Case: TypeAlias = Mapping[str, Any]


def show(tables: Iterable[Table], result: Result[Any, Any]) -> None:
    """Print a result to standard output."""
    console = Console(highlight=False)
    cases = cases_of(result)
    for table in tables:
        for title, group in _groups(table, cases):
            console.print(title, soft_wrap=True)
            console.print(_table(table.columns, group))
    for goal in result.goals:
        mark = "[green]met   [/green]" if goal.met else "[red]missed[/red]"
        line = f"{mark} {goal.name}: {goal.measured:g}, wanted {goal.wanted}"
        console.print(line, soft_wrap=True)
    for name, reason in result.skipped.items():
        console.print(f"[dim]not measured: {name}: {reason}[/dim]", soft_wrap=True)
    about = result.environment
    versions = ", ".join(f"{name} {number}" for name, number in about.versions.items())
    console.print(
        f"[dim]{about.date}, {about.python}, {about.machine}, "
        f"load {about.load} before, {about.server} server; {versions}[/dim]",
        soft_wrap=True,
    )


def cases_of(result: Result[Any, Any]) -> list[Case]:
    """The cases with their tags, as they are in the result's file."""
    cases: list[Case] = msgspec.to_builtins(result.cases)
    return cases


def chosen(cases: Iterable[Case], where: Where) -> list[Case]:
    """The cases that have all fields of `where`."""
    return [case for case in cases if all(case.get(key) == where[key] for key in where)]


def _groups(table: Table, cases: Iterable[Case]) -> Iterator[tuple[str, Sequence[Case]]]:
    """The table's titles and rows: one group for each of the values that its title names."""
    fields = [name for _, name, _, _ in Formatter().parse(table.title) if name]
    groups: dict[str, list[Case]] = {}
    for case in chosen(cases, table.where):
        title = table.title.format(**{field: case[field] for field in fields})
        groups.setdefault(title, []).append(case)
    for title, group in groups.items():
        if field := table.order_by.lstrip("-"):
            group.sort(key=lambda case: float(case[field]), reverse=table.order_by[0] == "-")
        yield title, group


def _table(columns: Sequence[Column], cases: Iterable[Case]) -> RichTable:
    table = RichTable(box=None, pad_edge=False, header_style="dim")
    for place, column in enumerate(columns):
        first = place == 0  # the rival's name
        table.add_column(column.title, justify="left" if first else "right", no_wrap=not first)
    for case in cases:
        table.add_row(*(_cell(case[column.field], column) for column in columns))
    return table


def _cell(value: Any, column: Column) -> str:
    if isinstance(value, int | float):
        scaled = value if column.scale == 1 else value * column.scale
        return f"{scaled:{column.form}}{column.unit}"
    return "" if value is None else str(value)
