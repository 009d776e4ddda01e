"""Install the programs that tests need, where that is possible: bounded in time, never an error.

`make test` runs it once for each environment. Without a browser or a server its tests are skipped,
and the run's last line says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Final

from playwright.sync_api import sync_playwright

from tests.browsers import SHELL, shells, whole_browsers

SECONDS: Final = 300.0  # for each attempt
ANSWER_SECONDS: Final = 30.0  # for a browser to say its version: without its libraries it cannot
PACKAGES: Final = {"nginx": "nginx", "caddy": "caddy", "turnserver": "coturn"}
"""Servers that tests start, and the packages that bring them."""
_PACKAGE: Final = ("apt-get", "install", "-y", "-qq", "--no-install-recommends")
_SYSTEM_PROGRAMS: Final = "/usr/sbin"
"""Where a system keeps servers, often outside of a user's PATH."""


def program(name: str) -> str | None:
    """The program's path; None if it is not installed."""
    return shutil.which(name) or shutil.which(name, path=_SYSTEM_PROGRAMS)


def main() -> None:
    """Try Playwright's own browser, then the system's packages."""
    _install_browser()
    missing = [name for name in PACKAGES if program(name) is None]
    if missing and _has_packages():
        print(f"no {' or '.join(missing)} yet; apt-get install", flush=True)
        _runs(("apt-get", "update", "-qq"), SECONDS)
        for name in missing:  # a system may have one of them only
            # A package starts its server, which nobody asked for: the tests start their own.
            _runs(("env", "RUNLEVEL=1", *_PACKAGE, PACKAGES[name]), SECONDS)
    if missing := [name for name in PACKAGES if program(name) is None]:
        print(f"no {' or '.join(missing)} could be installed: tests that need it will be skipped")


def _install_browser() -> None:
    for command in ((), *_attempts()):
        if command:
            print(f"no Chromium or no headless shell yet; {' '.join(command)}", flush=True)
            _runs(command, SECONDS)
        if _found(whole_browsers) and _found(shells):
            return
    if not _found(whole_browsers):
        print("no Chromium could be installed: the tests that need one will be skipped")


def _attempts() -> Iterator[Sequence[str]]:
    yield sys.executable, "-m", "playwright", "install", "chromium"
    if _has_packages():
        yield sys.executable, "-m", "playwright", "install-deps", "chromium"
        yield "apt-get", "update", "-qq"
        yield *_PACKAGE, "chromium"
        yield *_PACKAGE, SHELL  # alone, since not every system has it


def _has_packages() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def _found(paths: Callable[[str], Iterator[str]]) -> bool:
    with sync_playwright() as playwright:
        bundled = playwright.chromium.executable_path
    return any(_runs((path, "--version"), ANSWER_SECONDS) for path in paths(bundled))


def _runs(command: Sequence[str], seconds: float) -> bool:
    with suppress(OSError, subprocess.TimeoutExpired):
        ran = subprocess.run(command, capture_output=True, timeout=seconds, check=False)  # noqa: S603 - fixed commands
        return ran.returncode == 0
    return False


if __name__ == "__main__":
    main()
