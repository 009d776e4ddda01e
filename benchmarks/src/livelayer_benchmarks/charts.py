"""The picture of a benchmark's results: cost and latency against the number of surfaces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final, TypeAlias

from livelayer_bus.errors import ConfigError

Case: TypeAlias = Mapping[str, Any]
Draw: TypeAlias = Callable[[Any], None]

OURS: Final = "#1f6feb"
OTHERS: Final = ("#d1495b", "#8d6a9f", "#66a182", "#b08900", "#777777", "#3f8f8f", "#a65e2e")
ROW_INCHES: Final = 3.2


def save_charts(path: Path, results: Mapping[str, Mapping[str, Any]]) -> None:
    """Draw the results of any areas, as `msgspec.to_builtins` gives them, into one file.

    Args:
        path: ends with .png or .svg.
        results: by area: "bus", "frames", "audio", "data", "session", "stalls".

    Raises:
        ConfigError: matplotlib is not installed, there is nothing to draw, or the file cannot be
            written.
    """
    try:
        matplotlib = import_module("matplotlib")
        matplotlib.use("Agg")
        pyplot = import_module("matplotlib.pyplot")
    except ModuleNotFoundError as exc:
        problem = "drawing needs matplotlib: pip install matplotlib"
        raise ConfigError("--plot", problem) from exc
    rows = [row for area, result in results.items() for row in _rows(area, result["cases"])]
    if not rows:
        raise ConfigError("--plot", "there is nothing to draw in these results")
    figure, axes = pyplot.subplots(
        len(rows), 2, figsize=(11, ROW_INCHES * len(rows)), squeeze=False, layout="constrained"
    )
    for pair, row in zip(axes, rows, strict=True):
        for axis, draw in zip(pair, row, strict=True):
            draw(axis)
    try:
        figure.savefig(path, dpi=110)
    except (OSError, ValueError) as exc:
        raise ConfigError(str(path), f"cannot be written ({exc})") from exc
    finally:
        pyplot.close(figure)


def _rows(area: str, cases: Iterable[Case]) -> list[tuple[Draw, Draw]]:
    """Pairs of panels: what it costs, and how long it takes."""
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(str(case.get("path") or case.get("kind") or ""), []).append(case)
    if area == "bus":
        return _bus_rows(groups)
    if area == "stalls":
        return [_stalls_row(kind, group) for kind, group in groups.items()]
    rows: list[tuple[Draw, Draw]] = []
    for part, group in groups.items():
        where = f"{area}, {part}" if part else area
        if part == "sessions":
            rows.append((_bars(f"{where}: CPU ms a second", group, "cpu"), _bars_of_joins(group)))
            continue
        unit = {"audio": "ms a second of sound", "data": "ms a message"}.get(area, "ms a frame")
        x = "count" if area == "session" else "readers"
        rows.append(
            (
                _lines(f"{where}: CPU, {unit}", group, x, ("cpu",)),
                _lines(f"{where}: p50 and (dashed) p99, ms", group, x, ("p50", "p99")),
            )
        )
    return rows


def _bus_rows(groups: Mapping[str, list[Case]]) -> list[tuple[Draw, Draw]]:
    if "fan_out" not in groups or "wake" not in groups:
        return []
    title = "bus: deliveries, times asyncio.Queue"
    lines = _lines(title, groups["fan_out"], "readers", ("ratio",), logarithmic=True)
    return [(lines, _bars("bus: wake-up, times a bare future", groups["wake"], "ratio"))]


def _stalls_row(kind: str, cases: list[Case]) -> tuple[Draw, Draw]:
    if kind == "blocked":
        back = _bars("stalls: normal after a blocked loop, ms", cases, "back", ours=True)
        return _bars("stalls: memory at most, blocked loop, MB", cases, "rss_peak", ours=True), back
    memory = _bars("stalls: memory, MB", cases, "rss", ours=True)
    return memory, _bars("stalls: p99 of the surfaces awake, ms", cases, "p99", ours=True)


def _lines(
    title: str, cases: Iterable[Case], x: str, fields: tuple[str, ...], *, logarithmic: bool = False
) -> Draw:
    by_rival: dict[str, list[Case]] = {}
    for case in cases:
        by_rival.setdefault(case["rival"], []).append(case)

    def draw(axis: Any) -> None:
        others = iter(OTHERS * len(by_rival))
        places = sorted({case[x] for group in by_rival.values() for case in group})
        for rival, group in by_rival.items():
            color = OURS if rival.startswith("livelayer-bus") else next(others)
            ordered = sorted(group, key=lambda case: int(case[x]))
            for field, style in zip(fields, ("o-", "o--"), strict=False):
                values = [case[field] for case in ordered]
                label = rival if style == "o-" else None
                numbers = [case[x] for case in ordered]
                axis.plot(numbers, values, style, color=color, label=label, markersize=4)
        axis.set_xscale("log", base=2)
        axis.set_xticks(places, [str(place) for place in places])
        axis.set_xlabel("widgets" if x == "count" else "surfaces")
        if logarithmic:
            axis.set_yscale("log")
        else:
            axis.set_ylim(bottom=0)
        axis.set_title(title, loc="left", fontsize=10)
        axis.grid(alpha=0.25)
        axis.legend(fontsize=8, frameon=False)

    return draw


def _bars(title: str, cases: Iterable[Case], field: str, *, ours: bool = False) -> Draw:
    rows = [(case["rival"], case[field]) for case in cases]

    def draw(axis: Any) -> None:
        names = [name for name, _ in rows]
        mine = [ours or name.startswith("livelayer-bus") for name in names]
        colors = [OURS if own else OTHERS[0] for own in mine]
        bars = axis.barh(names, [value for _, value in rows], color=colors)
        axis.bar_label(bars, fmt="%.2f", padding=3, fontsize=8)
        axis.set_title(title, loc="left", fontsize=10)
        axis.margins(x=0.15)
        axis.invert_yaxis()

    return draw


def _bars_of_joins(cases: Iterable[Case]) -> Draw:
    return _bars("session, sessions: a join, p50, ms", cases, "p50")
