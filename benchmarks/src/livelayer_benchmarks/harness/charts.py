"""The charts of results: cost and latency against the number of surfaces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from matplotlib import colormaps
from matplotlib.figure import Figure

from livelayer_bus.errors import ConfigError

from .area import Area, Bars, Lines
from .records import Result
from .report import chosen

Panel: TypeAlias = tuple[Lines | Bars, list[Any]]

OURS: Final = ("#1f6feb", "#0a3069", "#54aeff")
_TAB20: Final = [colormaps["tab20"](number) for number in range(20)]
OTHERS: Final = (*_TAB20[2::2], *_TAB20[3::2])  # all but its blues; the strong ones first
ROW_INCHES: Final = 3.6


def save_charts(path: Path, results: Sequence[tuple[Area, Result[Any, Any]]]) -> None:
    """Draw the results of any areas into one file, which ends with .png or .svg.

    Raises:
        ConfigError: there is nothing to draw, or the file cannot be written.
    """
    figure = draw_charts(results)
    try:
        figure.savefig(path, dpi=110)
    except (OSError, ValueError) as exc:
        raise ConfigError(str(path), f"cannot be written ({exc})") from exc


def draw_charts(results: Sequence[tuple[Area, Result[Any, Any]]]) -> Figure:
    """Draw the results of any areas; those without charts are left out.

    Raises:
        ConfigError: there is nothing to draw.
    """
    rows = [row for area, result in results for row in _rows(area, result)]
    if not rows:
        raise ConfigError("--plot", "there is nothing to draw in these results")
    figure = Figure(figsize=(13, ROW_INCHES * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), 2, squeeze=False)
    for pair, row in zip(axes, rows, strict=True):
        for axis, (panel, cases) in zip(pair, row, strict=False):
            if isinstance(panel, Lines):
                _draw_lines(axis, panel, cases)
            else:
                _draw_bars(axis, panel, cases)
        for axis in pair[len(row) :]:
            axis.set_visible(False)
    return figure


def _rows(area: Area, result: Result[Any, Any]) -> Iterable[list[Panel]]:
    for panels in area.charts:
        row = [(panel, chosen(result, panel)) for panel in panels]
        if drawn := [(panel, found) for panel, found in row if found]:
            yield drawn


def _colors(rivals: Iterable[str]) -> Mapping[str, Any]:
    """A colour for each rival: room for three ways of ours and 18 others."""
    ours, others = iter(OURS), iter(OTHERS)
    return {name: next(ours if name.startswith("livelayer-bus") else others) for name in rivals}


def _draw_lines(axis: Any, panel: Lines, cases: Iterable[Any]) -> None:
    by_rival: dict[str, list[Any]] = {}
    for case in cases:
        by_rival.setdefault(case.rival, []).append(case)
    colors = _colors(by_rival)
    for rival, group in by_rival.items():
        group.sort(key=lambda case: int(getattr(case, panel.x)))
        numbers = [getattr(case, panel.x) for case in group]
        for field, style in zip(panel.fields, ("o-", "o--"), strict=False):
            label = rival if style == "o-" else None
            values = [getattr(case, field) for case in group]
            axis.plot(numbers, values, style, color=colors[rival], label=label, markersize=4)
    places = sorted({getattr(case, panel.x) for group in by_rival.values() for case in group})
    axis.set_xscale("log", base=2)
    axis.set_xticks(places, [str(place) for place in places])
    axis.set_xlabel(panel.x_title)
    if panel.logarithmic:
        axis.set_yscale("log")
    else:
        axis.set_ylim(bottom=0)
    axis.set_title(panel.title, loc="left", fontsize=10)
    axis.grid(alpha=0.25)
    # Beside the data, never over it.
    axis.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))


def _draw_bars(axis: Any, panel: Bars, cases: Sequence[Any]) -> None:
    names = [case.rival for case in cases]
    ours = [panel.ours or name.startswith("livelayer-bus") for name in names]
    bars = axis.barh(
        names,
        [getattr(case, panel.field) for case in cases],
        color=[OURS[0] if own else OTHERS[0] for own in ours],
    )
    axis.bar_label(bars, fmt="%.2f", padding=3, fontsize=8)
    axis.set_title(panel.title, loc="left", fontsize=10)
    axis.margins(x=0.15)
    axis.invert_yaxis()
