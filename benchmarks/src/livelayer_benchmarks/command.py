"""`livelayer bench`: runs the measurements of `livelayer_benchmarks` and shows their results.

A measurement is a module `livelayer_benchmarks.<area>` with a function `run_<area>_benchmark`,
which takes `url` if it can use a server. Its result is a record with `goals`; the package shows it.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final

import anyio.to_thread
import msgspec
import typer

from livelayer_bus.cli import FAILED, OK, complain, run_async
from livelayer_bus.errors import ConfigError

AREAS: Final = ("bus", "frames", "audio", "data", "session", "stalls")
PACKAGE: Final = "livelayer_benchmarks"


def command(
    area: Annotated[
        str, typer.Argument(help=f"What to measure: {', '.join(AREAS)} or all.")
    ] = "all",
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the results here.", metavar="FILE")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Also draw the ratios here (.png or .svg).", metavar="FILE"),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Measure against this LiveKit server as well.")
    ] = None,
) -> None:
    """Measure this package beside its alternatives, in one run, on this machine.

    Every number is a ratio to a rival measured a moment before, so that a busy machine changes
    little. The goals that the project sets itself are listed at the end; exits with 1 if one of
    them is missed.

    Examples:

    \b
      livelayer bench bus
      livelayer bench all --json results.json --plot results.svg
    """
    there = [name for name in AREAS if find_spec(f"{PACKAGE}.{name}") is not None]
    wanted = there if area == "all" else [area]
    for name in wanted:
        if name not in AREAS:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(AREAS)}, all")
        if name not in there:
            raise typer.BadParameter(f"{name!r} is not available; there is {', '.join(there)}")

    async def main() -> int:
        results: dict[str, Any] = {}
        for name in wanted:
            complain(f"measuring {name}, this takes one to five minutes")
            result = await anyio.to_thread.run_sync(_measure, name, url, abandon_on_cancel=True)
            _show(name, result)
            results[name] = msgspec.to_builtins(result)
        if json_file is not None:
            _save(json_file, msgspec.json.format(msgspec.json.encode(results), indent=2))
        if plot is not None:
            import_module(f"{PACKAGE}.charts").save_charts(plot, results)
        missed = [goal for result in results.values() for goal in _missed(result)]
        return FAILED if missed else OK

    run_async(main)


def _measure(area: str, url: str | None) -> Any:
    run = getattr(import_module(f"{PACKAGE}.{area}"), f"run_{area}_benchmark")
    takes_url = "url" in inspect.signature(run).parameters
    return run(url=url) if takes_url else run()


def _save(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data + b"\n")
    except OSError as exc:
        raise ConfigError(str(path), f"cannot be written ({exc.strerror})") from exc


def _missed(result: dict[str, Any]) -> list[dict[str, Any]]:
    return [goal for goal in result.get("goals", ()) if not goal.get("met")]


def _show(area: str, result: Any) -> None:
    if area == "bus":
        import_module(f"{PACKAGE}.bus_report").show(result)
    else:
        import_module(f"{PACKAGE}.report").show(area, msgspec.to_builtins(result))
