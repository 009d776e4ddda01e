"""`livelayer bench`: what is wrong is said in one line, before anything is measured."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
from livelayer_benchmarks import command
from livelayer_benchmarks.harness import Area, Result
from livelayer_benchmarks.workloads.bus.area import Plan
from typer.testing import CliRunner

RESULTS = Path(__file__).parents[1] / "results"
TINY = Plan(readers=(1, 16), deliveries=64, burst=4, small_burst=2, wake_turns=5, repetitions=1)


def bench(*arguments: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(command.command)
    done = CliRunner().invoke(app, arguments)
    return done.exit_code, done.output


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["buss"], "livelayer: 'buss' is not an area; there are: bus, startup, frames"),
        (["bus", "--json", "nowhere/bus.json"], "livelayer: --json: the folder nowhere does not"),
        (["bus", "--json", "bus.txt"], "livelayer: --json: bus.txt must end in .json"),
        (["bus", "--plot", "nowhere/bus.svg"], "livelayer: --plot: the folder nowhere does not"),
        (["bus", "--plot", "bus.gif"], "livelayer: --plot: bus.gif must end in .png or .svg"),
        (["all", "--json", "all.json"], "livelayer: --json: all.json is not a folder"),
        (["bus", "--url", "ws://127.0.0.1:1"], "livelayer: bus: takes no --url"),
        (["server"], "livelayer: server: needs a real server"),
    ],
)
def test_wrong_usage_is_one_line_and_code_two(
    arguments: list[str], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    code, output = bench(*arguments)

    assert code == 2
    assert output.startswith(line)
    assert output.count("\n") == 1


def measures(monkeypatch: pytest.MonkeyPatch, modules: list[str]) -> None:
    """The bus is measured with these rivals and next to no work."""
    area = import_module("livelayer_benchmarks.workloads.bus").AREA
    tiny = area._replace(quick=TINY, rivals=tuple(modules))
    monkeypatch.setattr("livelayer_benchmarks.workloads.bus.AREA", tiny)


def rivals(*names: str) -> list[str]:
    return [f"livelayer_benchmarks.rivals.bus.{name}" for name in names]


def test_the_result_and_its_chart_are_written_into_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measures(monkeypatch, rivals("asyncio_queue", "bare_future"))

    code, output = bench("bus", "--quick", "--json", str(tmp_path), "--plot", str(tmp_path))

    assert code == 0
    assert "asyncio.Queue" in output
    written = msgspec.json.decode((tmp_path / "bus.json").read_bytes())
    assert {case["rival"] for case in written["cases"]} == {"asyncio.Queue", "bare future"}
    assert (tmp_path / "bus.svg").stat().st_size > 1000


def test_a_peer_that_is_missing_is_one_line_and_code_two(monkeypatch: pytest.MonkeyPatch) -> None:
    measures(monkeypatch, rivals("asyncio_queue", "bare_future", "not_there"))

    code, output = bench("bus", "--quick")

    assert code == 2
    (line,) = (line for line in output.splitlines() if "livelayer: bus: " in line)
    assert "is not installed" in line


@pytest.mark.parametrize("name", command.AREAS)
def test_every_area_has_plans_tables_and_a_result_as_the_committed_one(
    name: str, read_result: Callable[[Area, bytes], Result[Any, Any]]
) -> None:
    area: Area = import_module(f"livelayer_benchmarks.workloads.{name}").AREA
    assert type(area.plan) is type(area.quick)
    assert area.name == name
    assert area.tables
    committed = RESULTS / f"{name}.json"
    if committed.exists():
        assert read_result(area, committed.read_bytes()).cases
