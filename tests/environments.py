"""Import every module of the wheels, and run a part of the tests, with other dependencies.

    python -m tests.environments [lowest] [newest] [core] [--python 3.13] [-- PYTEST ARGUMENTS]

`lowest` has the oldest versions that the requirements allow, `newest` the newest, and `core` the
newest without livekit-agents, which holds the SDK back. Each is an environment made by uv, in which
our own distributions are installed from their wheels; the tests run in a copy of the repository
that lacks the sources.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.requirements import Requirement
from uv import find_uv_bin

from .distributions import ROOT, build, distributions, needed_by, wheel

WITHOUT_AGENTS = [
    "livelayer-embedded",
    "livelayer-nats",
    "livelayer-new",
    "livelayer-recorder",
    "livelayer-terminal",
    "livelayer-web",
]
WITH_AGENTS = [*WITHOUT_AGENTS, "livekit-plugins-livelayer", "livelayer-demo"]
AGENT_PACKAGE = "livekit.plugins.livelayer"
TOOLS = [
    "hypothesis",
    "psutil",
    "pyjwt",
    "pytest",
    "pytest-timeout",
    "pytest-xdist",
    "trio",
    "uvloop",
]
TESTS = [
    "tests/rooms/test_joining.py",
    "tests/rooms/test_sdk_process.py",
    "tests/messages",
    "tests/tokens",
]
IMPORTS = """
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, f"{name}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
"""


def check(kind: str, python: str | None, arguments: list[str], dist: Path) -> None:
    """Make the environment `kind`, import everything there, and run the tests."""
    plugins = WITHOUT_AGENTS if kind == "core" else WITH_AGENTS
    packages = ["livelayer_bus", *(name.replace("-", "_") for name in plugins)]
    packages = [AGENT_PACKAGE if name == "livekit_plugins_livelayer" else name for name in packages]
    with tempfile.TemporaryDirectory() as place:
        folder, copy = Path(place, "venv"), Path(place, "copy")
        environ = {**os.environ, "VIRTUAL_ENV": str(folder)}
        uv = find_uv_bin()
        run([uv, "venv", "--quiet", "--python", python or sys.executable, str(folder)])
        resolution = "lowest-direct" if kind == "lowest" else "highest"
        install = [uv, "pip", "install", "--quiet"]
        names = {name for one in (*plugins, "livelayer-benchmarks") for name in needed_by(one)}
        wheels = [str(wheel(dist, name)) for name in sorted(names - {"livelayer-bus"})]
        core = f"{wheel(dist, 'livelayer-bus')}[cli,telemetry]"
        # Named here, too: "direct" is what is named, not what a wheel requires.
        direct = _requirements(names)
        run([*install, "--resolution", resolution, core, *wheels, *direct], environ)
        run([*install, *TOOLS], environ)
        own = str(folder / "bin" / "python")
        _copy(copy)
        run([own, "-W", "ignore", "-c", IMPORTS, *packages], cwd=copy)
        # Every command is tried there, also those of distributions that `core` does not have.
        tests = TESTS if kind == "core" else ["tests/cli/test_commands.py", *TESTS]
        run([own, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(arguments or tests)], cwd=copy)


def _requirements(names: set[str]) -> list[str]:
    """What distributions of ours require of others, the core's commands and metrics included."""
    ours = distributions()
    extras = ours["livelayer-bus"].project["optional-dependencies"]
    lines = [*extras["cli"], *extras["telemetry"]]
    for name in names:
        lines += ours[name].project.get("dependencies", ())
    return sorted(line for line in lines if Requirement(line).name not in ours)


def _copy(folder: Path) -> None:
    """A copy of the repository without what is installed: tests, and what they read."""
    listed = subprocess.run(
        ["git", "ls-files"],  # noqa: S607 - the developer's git
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if name.startswith("livelayer_bus/") or "/src/" in name:
            continue
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)


def run(command: list[str], environ: dict[str, str] | None = None, cwd: Path = ROOT) -> None:
    """Run a command; ends the program if it fails."""
    print("+", *command[:6], "...", flush=True)
    done = subprocess.run(command, cwd=cwd, env=environ, check=False)  # noqa: S603 - ours
    if done.returncode:
        raise SystemExit(done.returncode)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("kinds", nargs="*", default=["lowest", "newest", "core"])
    parser.add_argument("--python")
    given, rest = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as built:
        build(Path(built))
        for each in given.kinds:
            check(each, given.python, [word for word in rest if word != "--"], Path(built))
