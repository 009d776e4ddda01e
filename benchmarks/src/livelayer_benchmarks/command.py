"""`livelayer bench`: the one way to measure an area, or all of them."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import msgspec
import typer

from livelayer_bus.cli import FAILED, OK, complain
from livelayer_bus.errors import ConfigError

if TYPE_CHECKING:  # the help needs none of it
    from .harness import Area, Result

AREAS: Final[Mapping[str, str]] = {
    "bus": "events to many readers, beside queues, streams and emitters",
    "startup": "imports, joining a room, the first frame, beside the bare SDK",
    "frames": "video to many surfaces, beside a VideoStream each",
    "audio": "audio to many surfaces, beside an AudioStream each",
    "data": "data messages to an agent and back, beside the bare SDK",
    "session": "several widgets on one session, and many sessions in one process",
    "record": "recording a session, beside FFmpeg's encoders alone",
    "terminal": "the picture in a terminal, beside the session alone",
    "stalls": "surfaces that sleep, and a blocked event loop",
    "web": "web pages of one session, beside an encode for each page",
    "viewers": "web pages through this process and through the LiveKit server",
    "glass": "how old a frame is when Chromium shows it",
    "delivery": "messages that arrive while the server or the agent is killed",
    "scale": "sessions on other machines, through NATS, beside a bare round trip",
    "server": "the embedded server beside a real one (with --url)",
}
"""The areas, in the order of `all`, each with its line in the help."""

INTERRUPTED: Final = 130
INCOMPLETE: Final = 2  # something that was asked for cannot be measured
_LIST: Final = "\n".join(f"  {name:9}{line}" for name, line in AREAS.items())
HELP: Final = f"""\
Measure this package beside its alternatives, in one run, on this machine.

Read the ratios: rivals are measured in turns, so a busy machine slows all of them alike. At the end
are the goals that the project sets itself.

Areas:

\b
{_LIST}

Examples:

\b
  livelayer bench bus --quick
  livelayer bench frames --json frames.json --plot frames.svg
  livelayer bench all --json results/ --plot results/

Exits with 1 if a goal is missed, with 2 if something could not be measured.
"""


def command(
    area: Annotated[str, typer.Argument(help="One of the areas, or all.", metavar="AREA")],
    quick: Annotated[
        bool, typer.Option("--quick", help="One short repetition: to see that it runs.")
    ] = False,
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json",
            help="Write the result here; in a folder, AREA.json for each area.",
            metavar="FILE",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="Draw charts here (.png or .svg); in a folder, AREA.svg for each area.",
            metavar="FILE",
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            help="Measure with this LiveKit server, whose key and secret are in LIVEKIT_API_KEY "
            "and LIVEKIT_API_SECRET, instead of an embedded one.",
            metavar="URL",
        ),
    ] = None,
) -> None:
    if area != "all" and area not in AREAS:
        _refuse(f"{area!r} is not an area; there are: {', '.join(AREAS)}, all")
    names = list(AREAS) if area == "all" else [area]
    if json_file is not None:
        _check_target("--json", json_file, (".json",), several=len(names) > 1)
    if plot is not None:
        _check_target("--plot", plot, (".png", ".svg"))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ends the processes first
    try:
        code = _run(names, quick, json_file, plot, url)
    except KeyboardInterrupt:
        complain("interrupted")
        code = INTERRUPTED
    finally:
        signal.signal(signal.SIGINT, before)
    raise typer.Exit(code)


command.__doc__ = HELP


def _run(
    names: list[str], quick: bool, json_file: Path | None, plot: Path | None, url: str | None
) -> int:
    measured: list[tuple[Area, Result[Any, Any]]] = []
    incomplete = False
    for name in names:
        area, problem = _load(name)
        if area is not None and area.server == "real" and url is None:
            problem = "needs a real server to compare with: --url"
        elif area is not None and area.server == "none" and url is not None and len(names) == 1:
            problem = "takes no --url: it needs no server"
        if area is None or problem:
            complain(f"{name}: {problem}")
            incomplete |= area is None or len(names) == 1
            continue
        complain(f"measuring {name}")
        plan = area.quick if quick else area.plan
        result = area.measure(plan, None if area.server == "none" else url)
        import_module(".harness.report", __package__).show(area.tables, result)
        for rival, reason in result.skipped.items():
            complain(f"{name}: {rival} is not measured: {reason}")
        incomplete |= bool(result.skipped)
        measured.append((area, result))
        # Written at once, so that a later area that fails does not lose this result.
        if json_file is not None:
            _save(json_file / f"{name}.json" if json_file.is_dir() else json_file, result)
        if plot is not None and plot.is_dir() and area.charts:
            _draw(plot / f"{name}.svg", [(area, result)])
    if plot is not None and not plot.is_dir() and measured:
        _draw(plot, measured)
    missed = any(not goal.met for _, result in measured for goal in result.goals)
    return INCOMPLETE if incomplete else FAILED if missed else OK


def _load(name: str) -> tuple[Area | None, str]:
    """An area, or what it lacks."""
    try:
        return import_module(f".workloads.{name}", __package__).AREA, ""
    except ModuleNotFoundError as exc:
        extra = name if name in ("record", "scale") else "web"
        return None, f"{exc.name} is not installed: pip install 'livelayer-benchmarks[{extra}]'"


def _check_target(
    option: str, path: Path, suffixes: tuple[str, ...], *, several: bool = False
) -> None:
    """Refuse a place that cannot be written to before minutes of measuring."""
    if path.is_dir():
        return
    if several:
        _refuse(f"{option}: {path} is not a folder: each area writes a file into one")
    if not path.parent.is_dir():
        _refuse(f"{option}: the folder {path.parent} does not exist")
    if path.suffix not in suffixes:
        _refuse(f"{option}: {path.name} must end in {' or '.join(suffixes)}")


def _refuse(problem: str) -> NoReturn:
    complain(problem)
    raise typer.Exit(INCOMPLETE)


def _draw(path: Path, results: list[tuple[Area, Result[Any, Any]]]) -> None:
    import_module(".harness.charts", __package__).save_charts(path, results)


def _save(path: Path, result: Result[Any, Any]) -> None:
    data = msgspec.json.format(msgspec.json.encode(result), indent=2)
    try:
        path.write_bytes(data + b"\n")
    except OSError as exc:
        raise ConfigError(str(path), f"cannot be written ({exc.strerror})") from exc
