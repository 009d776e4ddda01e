"""The picture of `livelayer bench --plot`: ratios as bars, one panel a situation."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import ConfigError

_OTHER_NUMBERS = {"nanoseconds", "ratio", "lowest_ratio", "highest_ratio"}


def save_plot(path: Path, results: dict[str, Any]) -> None:
    """Draw every case that has a `rival` and a `ratio`.

    Raises:
        ConfigError: matplotlib is not installed, or the file cannot be written.
    """
    try:
        matplotlib = import_module("matplotlib")
        matplotlib.use("Agg")
        pyplot = import_module("matplotlib.pyplot")
    except ModuleNotFoundError as exc:
        problem = "drawing needs matplotlib: pip install 'livelayer-bus[bench]'"
        raise ConfigError("--plot", problem) from exc
    panels = _panels(results)
    if not panels:
        raise ConfigError("--plot", "there is nothing to draw in these results")
    figure, axes = pyplot.subplots(
        len(panels), 1, figsize=(8, 1 + 2 * len(panels)), squeeze=False, layout="constrained"
    )
    for axis, (title, bars) in zip(axes[:, 0], panels.items(), strict=True):
        axis.barh([name for name, _ in bars], [ratio for _, ratio in bars], color="#3b6ea5")
        axis.axvline(1.0, color="black", linewidth=0.8)
        axis.set_title(title, loc="left", fontsize=10)
        axis.invert_yaxis()
    try:
        figure.savefig(path)
    except (OSError, ValueError) as exc:
        raise ConfigError(str(path), f"cannot be written ({exc})") from exc
    finally:
        pyplot.close(figure)


def _panels(results: dict[str, Any]) -> dict[str, list[tuple[str, float]]]:
    panels: dict[str, list[tuple[str, float]]] = {}
    for area, result in results.items():
        for case in result.get("cases", ()):
            if "rival" not in case or "ratio" not in case:
                continue
            rest = [
                f"{value} {name}" if isinstance(value, int | float) else str(value)
                for name, value in case.items()
                if name not in _OTHER_NUMBERS | {"rival", "delivers_to"}
            ]
            panels.setdefault(", ".join([area, *rest]), []).append((case["rival"], case["ratio"]))
    return panels
