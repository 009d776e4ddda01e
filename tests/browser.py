"""Install a browser for the tests where that is possible: bounded in time, and never an error.

`make test` runs it once for each environment. Without a browser its tests are skipped, and the
run's last line says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

from playwright.sync_api import sync_playwright

SECONDS: Final = 300.0  # for each attempt
ANSWER_SECONDS: Final = 30.0  # for a browser to say its version: without its libraries it cannot


def main() -> None:
    """Try Playwright's own browser, then the system's package."""
    for command in ((), *_attempts()):
        if command:
            print(f"no Chromium yet; {' '.join(command)}", flush=True)
            _runs(command, SECONDS)
        if _found():
            return
    print("no Chromium could be installed: the tests that need one will be skipped")


def _attempts() -> Iterator[Sequence[str]]:
    yield sys.executable, "-m", "playwright", "install", "chromium"
    if os.geteuid() == 0 and shutil.which("apt-get"):
        yield sys.executable, "-m", "playwright", "install-deps", "chromium"
        yield "apt-get", "update", "-qq"
        yield "apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"


def _found() -> bool:
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    names = (shutil.which("chromium"), shutil.which("chromium-browser"), own)
    return any(name and _runs((name, "--version"), ANSWER_SECONDS) for name in names)


def _runs(command: Sequence[str], seconds: float) -> bool:
    with suppress(OSError, subprocess.TimeoutExpired):
        ran = subprocess.run(command, capture_output=True, timeout=seconds, check=False)  # noqa: S603 - fixed commands
        return ran.returncode == 0
    return False


if __name__ == "__main__":
    main()
