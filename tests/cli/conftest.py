"""The command in a separate process, with a runtime directory of the test."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from livelayer_bus.testing import PATIENCE


class Livelayer(Protocol):
    def __call__(
        self, *arguments: str, text: str | None = None, **environ: str
    ) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture
def runtime() -> Iterator[Path]:
    """$XDG_RUNTIME_DIR; short, because a socket's path has about a hundred bytes."""
    with tempfile.TemporaryDirectory(prefix="ll") as folder:
        yield Path(folder)


@pytest.fixture
def environ(runtime: Path) -> dict[str, str]:
    """This process's environment, without the address and keys of the developer's server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LIVEKIT")}
    return kept | {"XDG_RUNTIME_DIR": str(runtime), "COLUMNS": "100"}


@pytest.fixture
def command() -> list[str]:
    return [sys.executable, "-c", "from livelayer_bus.cli import main; main()"]


@pytest.fixture
def livelayer(tmp_path: Path, environ: dict[str, str], command: list[str]) -> Livelayer:
    """Run a command to its end."""

    def run(
        *arguments: str, text: str | None = None, **more: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own command
            [*command, *arguments],
            cwd=tmp_path,
            env=environ | more,
            input=text or "",
            capture_output=True,
            text=True,
            timeout=5 * PATIENCE,
            check=False,
        )

    return run
