"""Shows the results of the frames, audio, data, session and stalls benchmarks as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.table import Table


class Column(NamedTuple):
    """A field of a case, and how it is shown."""

    field: str
    title: str
    form: str = ""
    unit: str = ""
    scale: float = 1


_LATENCY: Final = tuple(Column(name, name, ".1f") for name in ("p50", "p95", "p99"))
_RIVAL: Final = Column("rival", "")

COLUMNS: Final[Mapping[str, tuple[Column, ...]]] = {
    "frames": (
        _RIVAL,
        Column("readers", "n"),
        Column("cpu", "CPU", ".2f"),
        Column("ratio", "", ".2f", "x"),
        *_LATENCY,
        Column("added", "adds", ".3f"),
        Column("dropped", "lost", ".1f", "%"),
        Column("copied", "copied", ".2f", "MB", 1e-6),
        Column("rss", "MB", ".0f"),
    ),
    "audio": (
        _RIVAL,
        Column("readers", "n"),
        Column("cpu", "CPU", ".1f"),
        Column("ratio", "", ".2f", "x"),
        *_LATENCY,
        Column("frames", "frames", ".1f"),
        Column("dropped", "lost"),
        Column("rss", "MB", ".0f"),
    ),
    "data": (
        _RIVAL,
        Column("readers", "n"),
        Column("p50", "p50", ".2f"),
        Column("ratio", "", ".2f", "x"),
        Column("p95", "p95", ".2f"),
        Column("p99", "p99", ".2f"),
        Column("sent_a_second", "sent/s", ",.0f"),
        Column("echoed_a_second", "echoed/s", ",.0f"),
        Column("lost", "lost"),
        Column("cpu", "CPU", ".2f"),
    ),
    "web": (
        _RIVAL,
        Column("readers", "n"),
        Column("cpu", "CPU", ".2f"),
        Column("ratio", "", ".2f", "x"),
        *_LATENCY,
        Column("frames", "frames", ".1f"),
        Column("rss", "MB", ".0f"),
    ),
    "stalls sleeping": (
        _RIVAL,
        *_LATENCY,
        Column("growth", "grows MB", ".2f"),
        Column("rss", "MB", ".0f"),
        Column("slept", "slept over"),
        Column("age", "woke on", ".1f"),
    ),
    "stalls blocked": (
        _RIVAL,
        Column("p50", "before", ".1f"),
        Column("p50_after", "after", ".1f"),
        Column("oldest", "oldest", ".1f"),
        Column("back", "back in", ".0f"),
        Column("missed", "lost"),
        Column("rss_before", "MB before", ".0f"),
        Column("rss_peak", "peak", ".0f"),
        Column("rss_after", "after", ".0f"),
    ),
    "session": (
        _RIVAL,
        Column("count", "n"),
        Column("cpu", "CPU", ".2f"),
        Column("ratio", "", ".2f", "x"),
        *_LATENCY,
        Column("memory", "MB", ".1f"),
        Column("heard", "heard/s", ".1f"),
    ),
}
"""Areas, or parts of areas, whose results can be shown here, and how."""

TITLES: Final[Mapping[str, str]] = {
    "frames server": "over a server: CPU ms a picture (x one VideoStream), sent to read in ms",
    "frames local": "from a local track: CPU ms a picture (x one VideoStream), sent to read in ms",
    "audio": "CPU ms a second (x one AudioStream), beep sent to heard in ms",
    "data": "round trips to an echo in ms (x the bare SDK), CPU ms a message",
    "web": "pages: server CPU ms a picture (x the same with the fewest), painted to decoded in ms",
    "stalls sleeping": "sent to read in ms, MB gained in the second half",
    "stalls blocked": "a blocked loop: sent to read in ms, back to normal in ms, MB",
    "session widgets": "widgets with picture, voice, events: CPU ms a picture, sent to read in ms",
    "session sessions": "sessions with data only: CPU ms a second and MB of each, joins in ms",
}


def show(area: str, result: Mapping[str, Any]) -> None:
    """Print a result, as `msgspec.to_builtins` gives it, to standard output."""
    console = Console(highlight=False)
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for case in result["cases"]:
        part = case.get("path") or case.get("kind") or ""
        groups.setdefault(f"{area} {part}".strip(), []).append(case)
    for name, cases in groups.items():
        console.print(
            _table(TITLES.get(name, name), COLUMNS[name if name in COLUMNS else area], cases)
        )
    for goal in result["goals"]:
        mark = "[green]met   [/green]" if goal["met"] else "[red]missed[/red]"
        console.print(f"{mark} {goal['name']}: {goal['measured']:g}, wanted {goal['wanted']}")
    for name, reason in result["skipped"].items():
        console.print(f"[dim]not measured: {name}: {reason}[/dim]")
    about = result["surroundings"]
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    console.print(
        f"[dim]{about['date']}, {about['python']}, {about['machine']}, "
        f"load {about['load']} before, {about['server']} server; {versions}[/dim]"
    )


def _table(title: str, columns: Iterable[Column], cases: Iterable[Mapping[str, Any]]) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="dim")
    columns = tuple(columns)
    for column in columns:
        table.add_column(
            column.title,
            justify="left" if column is _RIVAL else "right",
            no_wrap=column is not _RIVAL,
        )
    for case in cases:
        table.add_row(*(_cell(case[column.field], column) for column in columns))
    return table


def _cell(value: Any, column: Column) -> str:
    if isinstance(value, int | float):
        scaled = value if column.scale == 1 else value * column.scale
        return f"{scaled:{column.form}}{column.unit}"
    return "" if value is None else str(value)
