"""The charts of the committed results can be read: no two lines look alike, no legend hides one."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from livelayer_benchmarks.harness import Area, Result
from livelayer_benchmarks.harness.charts import draw_charts

RESULTS = Path(__file__).parents[1] / "results"
DRAWN = ("audio", "bus", "data", "frames", "session", "web")  # with lines and legends


@pytest.mark.parametrize("name", DRAWN)
def test_lines_differ_and_the_legend_is_beside_them(
    name: str, read_result: Callable[[Area, bytes], Result[Any, Any]]
) -> None:
    area = import_module(f"livelayer_benchmarks.workloads.{name}").AREA
    result = read_result(area, (RESULTS / f"{name}.json").read_bytes())

    figure = draw_charts([(area, result)])

    figure.draw_without_rendering()
    legends = 0
    for axes in figure.axes:
        legend = axes.get_legend()
        if legend is None:
            continue
        legends += 1
        labels = [text.get_text() for text in legend.get_texts()]
        named = [line for line in axes.get_lines() if line.get_label() in labels]
        assert len({line.get_color() for line in named}) == len(named) == len(labels)
        assert not legend.get_window_extent().overlaps(axes.get_window_extent())
    assert legends
