"""Measured figures, read from `benchmarks/results` when the pages are built.

A page writes `{{ area | goal | form }}`, as `{{ audio | 16 listeners against 1, CPU | {:.2f}x }}`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
RESULTS: Final = ROOT / "benchmarks" / "results"
FIGURE: Final = re.compile(r"\{\{ (\w+) \| ([^|\n]+?) \| ([^|\n]*?\{[^}\n]*\}[^|\n]*?) \}\}")


def results(area: str) -> dict[str, Any]:
    """What one run of an area measured."""
    found: dict[str, Any] = json.loads((RESULTS / f"{area}.json").read_text())
    return found


def measured(area: str, goal: str) -> float:
    """What was measured for a goal.

    Raises:
        LookupError: the area has no such goal.
    """
    for one in results(area)["goals"]:
        if one["name"] == goal:
            return float(one["measured"])
    raise LookupError(f"{area}.json has no goal {goal!r}")


def fill(text: str) -> str:
    """`text` with every placeholder replaced by its figure."""
    return FIGURE.sub(lambda found: found[3].format(measured(found[1], found[2])), text)


def table() -> str:
    """Every goal of every area: what was measured, what is wanted, and when."""
    lines: list[str] = []
    for path in sorted(RESULTS.glob("*.json")):
        area = results(path.stem)
        about = area["environment"]
        lines += [f"## `{path.stem}`", ""]
        lines += [f"Measured on {about['date'][:10]} on {about['machine']}, {about['python']}.", ""]
        lines += ["| | measured | goal | |", "|---|---|---|---|"]
        for goal in area["goals"]:
            met = "" if goal["met"] else "not reached"
            lines.append(f"| {goal['name']} | {goal['measured']:g} | {goal['wanted']} | {met} |")
        lines.append("")
        if path.with_suffix(".svg").exists():
            lines += [f"![Chart of {path.stem}](../../benchmarks/results/{path.stem}.svg)", ""]
    return "\n".join(lines)
