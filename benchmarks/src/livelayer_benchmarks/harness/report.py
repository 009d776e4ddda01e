"""Prints a result: its tables, its goals, and what it was measured with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from string import Formatter
from typing import Any, get_type_hints

import msgspec
from rich.console import Console
from rich.table import Table as RichTable

from .area import Bars, Column, Lines, Table
from .records import Result


def show(tables: Iterable[Table], result: Result[Any, Any]) -> None:
    """Print a result to standard output."""
    console = Console(highlight=False)
    for table in tables:
        columns = _columns(table.case)
        for title, group in _groups(table, result):
            console.print(title, soft_wrap=True)
            console.print(_table(columns, group))
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


def chosen(result: Result[Any, Any], shown: Table | Lines | Bars) -> list[Any]:
    """The cases of its type that have all fields of its `where`."""
    return [
        case
        for case in result.cases
        if isinstance(case, shown.case)
        and all(getattr(case, field) == value for field, value in shown.where.items())
    ]


def _columns(case: type[msgspec.Struct]) -> Mapping[str, Column]:
    hints = get_type_hints(case, include_extras=True)
    return {
        field: hints[field].__metadata__[0]
        for field in case.__struct_fields__
        if hasattr(hints[field], "__metadata__")
    }


def _groups(table: Table, result: Result[Any, Any]) -> Iterator[tuple[str, Sequence[Any]]]:
    """The table's titles and rows: one group for each of the values that its title names."""
    fields = [name for _, name, _, _ in Formatter().parse(table.title) if name]
    groups: dict[str, list[Any]] = {}
    for case in chosen(result, table):
        title = table.title.format(**{field: getattr(case, field) for field in fields})
        groups.setdefault(title, []).append(case)
    for title, group in groups.items():
        if field := table.order_by.lstrip("-"):
            descending = table.order_by[0] == "-"
            group.sort(key=lambda case: float(getattr(case, field)), reverse=descending)
        yield title, group


def _table(columns: Mapping[str, Column], cases: Iterable[Any]) -> RichTable:
    table = RichTable(box=None, pad_edge=False, header_style="dim")
    for field, column in columns.items():
        title = field if column.title is None else column.title
        first = not table.columns  # the rival's name
        table.add_column(title, justify="left" if first else "right", no_wrap=not first)
    for case in cases:
        table.add_row(*(_cell(getattr(case, field), column) for field, column in columns.items()))
    return table


def _cell(value: Any, column: Column) -> str:
    if isinstance(value, int | float):
        scaled = value if column.scale == 1 else value * column.scale
        return f"{scaled:{column.form}}{column.unit}"
    return "" if value is None else str(value)
