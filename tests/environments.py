"""Import every module, and run a part of the tests, with other versions of the dependencies.

    python -m tests.environments [lowest] [newest] [core] [--python 3.13] [-- PYTEST ARGUMENTS]

`lowest` has the oldest versions that the requirements allow, `newest` the newest, and `core` the
newest without livekit-agents, which holds the SDK back. Each is an environment made by uv.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
WITHOUT_AGENTS = [
    "livelayer-embedded",
    "livelayer-nats",
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


def check(kind: str, python: str | None, arguments: list[str]) -> None:
    """Make the environment `kind`, import everything there, and run the tests."""
    plugins = WITHOUT_AGENTS if kind == "core" else WITH_AGENTS
    packages = ["livelayer_bus", *(name.replace("-", "_") for name in plugins)]
    packages = [AGENT_PACKAGE if name == "livekit_plugins_livelayer" else name for name in packages]
    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, "VIRTUAL_ENV": folder}
        run(["uv", "venv", "--quiet", "--clear", "--python", python or sys.executable, folder])
        folders = ["./benchmarks", *(f"./plugins/{name}" for name in plugins)]
        editable = [word for path in folders for word in ("-e", path)]
        resolution = "lowest-direct" if kind == "lowest" else "highest"
        install = ["uv", "pip", "install", "--quiet"]
        ours = [*install, "--resolution", resolution, "-e", ".[cli,telemetry]", *editable]
        run(ours, environ)
        run([*install, *TOOLS], environ)
        own = str(Path(folder, "bin", "python"))
        run([own, "-W", "ignore", "-c", IMPORTS, *packages])
        # Every command is tried there, also those of distributions that `core` does not have.
        tests = TESTS if kind == "core" else ["tests/cli/test_commands.py", *TESTS]
        run([own, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(arguments or tests)])


def run(command: list[str], environ: dict[str, str] | None = None) -> None:
    """Run a command in the repository's folder; ends the program if it fails."""
    print("+", *command[:6], "...", flush=True)
    done = subprocess.run(command, cwd=ROOT, env=environ, check=False)  # noqa: S603 - ours
    if done.returncode:
        raise SystemExit(done.returncode)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("kinds", nargs="*", default=["lowest", "newest", "core"])
    parser.add_argument("--python")
    given, rest = parser.parse_known_args()
    for each in given.kinds:
        check(each, given.python, [word for word in rest if word != "--"])
