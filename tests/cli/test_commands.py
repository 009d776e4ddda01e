"""Commands that need no session: help, exit codes, one line for every error."""

from __future__ import annotations

import inspect
import json
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import jwt
import pytest
from typer.testing import CliRunner

from livelayer_bus.cli import complain
from livelayer_bus.cli.app import COMMANDS, GROUP, build
from livelayer_bus.cli.exits import exit_code
from livelayer_bus.errors import (
    ConfigError,
    ConnectError,
    ControlError,
    LivelayerError,
    PluginNotFoundError,
    RoomRefusedError,
    TokenRefusedError,
    TokenSourceError,
)
from livelayer_bus.testing import PATIENCE
from tests.support import LOOPBACK_ONLY, in_network

Livelayer = Callable[..., "subprocess.CompletedProcess[str]"]
SECRET = "a-secret-that-is-long-enough-for-hs256"


def invoke(*arguments: str, **environ: str | None) -> tuple[int, str]:
    """A command in this process, for what needs no process of its own."""
    result = CliRunner().invoke(build(arguments), list(arguments), env=environ)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def test_help_names_every_command_and_the_exit_codes(livelayer: Livelayer) -> None:
    done = livelayer("--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in COMMANDS)
    assert "130 interrupted" in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(name: str) -> None:
    code, output = invoke(name, "--help")
    assert code == 0
    assert f"livelayer {name}" in output
    assert "Examples" in output


@pytest.mark.parametrize("name", COMMANDS)
def test_what_help_shows_of_files_and_calls_keeps_its_lines(name: str) -> None:
    (point,) = entry_points(group=GROUP, name=name)
    shown = [line.strip() for line in invoke(name, "--help")[1].splitlines()]
    for line in (inspect.getdoc(point.load()) or "").splitlines():
        if line.startswith("  "):
            assert line.strip() in shown


def test_the_list_imports_no_command() -> None:
    program = (
        "import sys\nfrom importlib.metadata import entry_points\n"
        "from livelayer_bus.cli.app import GROUP, build\nbuild(['--help'])\n"
        "modules = {point.module for point in entry_points(group=GROUP)}\n"
        "assert len(modules) >= 6, modules\n"
        "print(sorted(modules & set(sys.modules)))"
    )
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=5 * PATIENCE,
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("missing", "name", "install"),
    [
        ("typer", "surfaces", "livelayer-bus[cli]"),
        ("rich", "doctor", "livelayer-bus[cli]"),
        ("livelayer_embedded", "serve", "livelayer-embedded"),
        ("livelayer_terminal", "demo", "livelayer-terminal"),
    ],
)
def test_without_a_module_one_line_says_what_to_install(
    missing: str, name: str, install: str
) -> None:
    program = (
        f"import sys\nsys.modules[{missing!r}] = None\nfrom livelayer_bus.cli import main\nmain()"
    )
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program, name],
        capture_output=True,
        text=True,
        check=False,
        timeout=5 * PATIENCE,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"pip install '{install}'" in done.stderr


@pytest.mark.parametrize(
    ("name", "distribution"),
    [(name, distribution) for name, (_, distribution) in COMMANDS.items()],
)
def test_a_command_without_its_distribution_says_what_to_install(
    name: str, distribution: str
) -> None:
    program = (
        "import importlib.metadata, sys\n"
        "importlib.metadata.entry_points = lambda **_: ()\n"
        "from livelayer_bus.cli import main\nmain()"
    )
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program, name],
        capture_output=True,
        text=True,
        check=False,
        timeout=5 * PATIENCE,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"pip install {distribution}" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run"], 2, "livelayer.toml: cannot be read"),
        (["send", "user_message"], 3, "no session is running: start one with"),
        (["tail", "--session", "zzz"], 3, "no session is running"),
        (["tail", "--session", "../x"], 3, "no session is running"),
        (["demo", "--url", "ws://127.0.0.1:1", "--seconds", "5"], 1, "set LIVEKIT_API_KEY"),
    ],
)
def test_an_error_is_one_line_with_what_to_do(
    livelayer: Livelayer, arguments: list[str], code: int, message: str
) -> None:
    done = livelayer(*arguments)
    assert done.returncode == code
    assert done.stderr.startswith("livelayer: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr


def test_debug_shows_the_traceback(livelayer: Livelayer) -> None:
    done = livelayer("--debug", "run")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["run", "--nonsense"],
        ["send"],
        ["send", "{not json"],
        ["send", '{"text": 1}'],
        ["send", "user_message", "text"],
        ["send", '{"type": "x"}', "more=1"],
        ["bench", "nonsense"],
        ["token", "--room", "r"],
        ["demo", "--seconds", "0"],
        ["dev-server", "--port", "70000"],
    ],
)
def test_wrong_usage_is_code_two(arguments: list[str]) -> None:
    code, output = invoke(*arguments, LIVEKIT_API_KEY=None, LIVEKIT_API_SECRET=None)
    assert code == 2
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LivelayerError("x"), 1),
        (ConfigError("f", "p"), 2),
        (PluginNotFoundError("n", "g", ()), 2),
        (ConnectError("u", "r"), 3),
        (ControlError("w", "r"), 3),
        (TokenSourceError("s", "r"), 3),
        (RoomRefusedError("u", "r"), 4),
        (TokenRefusedError("s", 401, "r"), 4),
        (ValueError("x"), 1),
    ],
)
def test_each_kind_of_error_has_its_exit_code(error: Exception, code: int) -> None:
    assert exit_code(error) == code


def test_no_token_of_a_foreign_error_reaches_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    complain(f"invalid token: {jwt.encode({'a': 1}, SECRET)}, sorry")
    assert capsys.readouterr().err == "livelayer: invalid token: <token>, sorry\n"


def test_surfaces_are_listed_for_scripts(livelayer: Livelayer) -> None:
    done = livelayer("surfaces", "--json", "--check")
    assert done.returncode == 0
    found = {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert found["console"]["distribution"] == "livelayer-terminal"
    assert found["jsonl"]["fault"] is None


@pytest.mark.parametrize(
    ("surface", "distribution"), [("console", "livelayer-terminal"), ("web", "livelayer-web")]
)
def test_a_surface_without_its_distribution_says_what_to_install(
    tmp_path: Path, surface: str, distribution: str
) -> None:
    path = tmp_path / "livelayer.toml"
    path.write_text(f"agent_id = 'a'\nbase_url = 'https://b.example.com'\n[surfaces.{surface}]\n")
    program = (
        "import importlib.metadata\n"
        "real = importlib.metadata.entry_points\n"
        "importlib.metadata.entry_points = lambda **wanted: (\n"
        "    () if wanted['group'] == 'livelayer_bus.surfaces' else real(**wanted))\n"
        "from livelayer_bus.cli import main\nmain()"
    )
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program, "run", "--config", str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=5 * PATIENCE,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"{surface!r} is not installed: pip install {distribution}" in done.stderr


def test_a_token_is_all_that_is_printed() -> None:
    code, output = invoke(
        *("token", "--room", "kitchen", "--identity", "ada", "--agent"),
        LIVEKIT_API_KEY="key",
        LIVEKIT_API_SECRET=SECRET,
    )
    assert code == 0
    claims = jwt.decode(output.strip(), SECRET, algorithms=["HS256"])
    assert (claims["sub"], claims["iss"], claims["kind"]) == ("ada", "key", "agent")
    assert (claims["video"]["room"], claims["video"]["roomJoin"]) == ("kitchen", True)


def test_the_doctor_finds_this_machine_fit() -> None:
    code, output = invoke("doctor", "--json", LIVEKIT_URL=None)
    findings = [json.loads(line) for line in output.splitlines()]
    assert {finding["what"] for finding in findings} >= {"python", "loopback", "surfaces", "server"}
    assert code == int(any(finding["verdict"] == "fail" for finding in findings))
    assert not [finding for finding in findings if finding["verdict"] == "fail"]


def test_the_doctor_knows_every_distribution_and_every_extra() -> None:
    _, output = invoke("doctor", "--json", LIVEKIT_URL=None)
    known = {json.loads(line)["what"] for line in output.splitlines()}
    root = Path(__file__).parents[2]
    wanted: set[str] = set()
    for path in (
        root / "pyproject.toml",
        *root.glob("*/pyproject.toml"),
        *root.glob("plugins/*/*.toml"),
    ):
        project = tomllib.loads(path.read_text())["project"]
        wanted |= {
            f"{project['name']}[{extra}]" for extra in project.get("optional-dependencies", ())
        }
        wanted.add(project["name"])
    assert len(wanted) >= 12
    # The template is no part of an installation; [all] and livelayer are the others together.
    assert wanted - known == {
        "livelayer",
        "livelayer-bus",
        "livelayer-bus[all]",
        "livelayer-surface-minimal",
    }


def test_the_doctor_says_what_to_do_about_a_server_that_does_not_answer() -> None:
    code, output = invoke("doctor", LIVEKIT_URL="ws://127.0.0.1:1")
    assert code == 1
    [line] = [line for line in output.splitlines() if line.startswith("fail")]
    assert "check the address and that the server runs" in line


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["demo"], 3), (["run"], 3), (["bench", "startup", "--quick"], 1), (["doctor"], 1)],
)
def test_a_command_that_needs_a_network_says_that_there_is_none(
    tmp_path: Path,
    command: list[str],
    environ: dict[str, str],
    arguments: list[str],
    code: int,
) -> None:
    (tmp_path / "livelayer.toml").write_text(
        "agent_id = 'a'\n[tokens]\nkind = 'local-keys'\nurl = 'ws://127.0.0.1:1'\n"
        f"api_key = 'key'\napi_secret = '{SECRET}'\n"
    )
    done = subprocess.run(  # noqa: S603 - our own command
        [*in_network(LOOPBACK_ONLY), *command, *arguments],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=5 * PATIENCE,
    )
    assert done.returncode == code
    assert "only loopback is up" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["dev-server", "serve"])
def test_a_server_that_nothing_can_join_says_so(
    tmp_path: Path, command: list[str], environ: dict[str, str], name: str
) -> None:
    with subprocess.Popen(  # noqa: S603 - our own command
        [*in_network(LOOPBACK_ONLY), *command, name, "--port", "0"],
        cwd=tmp_path,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        if process.stderr is None:
            pytest.fail("no pipe")
        assert "only loopback is up" in process.stderr.readline()
        assert "Ctrl-C ends it" in process.stderr.readline()
        process.terminate()
        assert process.wait(PATIENCE) == 128 + signal.SIGTERM


def test_a_configuration_is_checked_without_connecting(
    livelayer: Livelayer, tmp_path: Path
) -> None:
    path = tmp_path / "livelayer.toml"
    path.write_text(
        "agent_id = 'a'\nbase_url = 'https://b.example.com'\n[surfaces.jsonl]\n"
        "options = { file = 'x.jsonl' }"
    )
    done = livelayer("run", "--check")
    assert (done.returncode, done.stdout) == (0, "livelayer.toml is fine: a on jsonl\n")
    path.write_text(path.read_text().replace("surfaces.jsonl", "surfaces.jsnol"))
    done = livelayer("run", "--check")
    assert done.returncode == 2
    assert "did you mean 'jsonl'?" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_dev_server_serves_until_a_signal_stops_it(
    command: list[str], environ: dict[str, str], number: signal.Signals
) -> None:
    with subprocess.Popen(  # noqa: S603 - our own command
        [*command, "dev-server", "--port", "0", "--json"],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        if process.stdout is None or process.stderr is None:
            pytest.fail("no pipes")
        facts = json.loads(process.stdout.readline())
        keys = {"LIVEKIT_API_KEY": facts["key"], "LIVEKIT_API_SECRET": facts["secret"]}
        code, output = invoke("doctor", LIVEKIT_URL=facts["url"], **keys)
        assert (code, "the server accepts it" in output) == (0, True)
        process.send_signal(number)
        assert process.wait(PATIENCE) == 128 + number
        line = "livelayer: interrupted\n" if number == signal.SIGINT else ""
        assert process.stderr.read() == line
