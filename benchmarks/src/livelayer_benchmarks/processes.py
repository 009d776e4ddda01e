"""Starts the processes of a benchmark, gives each its job, reads its answers, and ends them all."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, final

import msgspec

from livelayer_bus.errors import BrokenError

END_SECONDS = 5.0  # for a process to end by itself once its pipe is closed


@final
class Process:
    """One process; its jobs and its answers are JSON lines."""

    def __init__(self, module: str, process: subprocess.Popen[bytes]) -> None:
        self._module = module
        self._process = process

    def ask(self, job: msgspec.Struct) -> None:
        """Give it a job; one that has ended gets none, and its answer says so."""
        stdin = self._process.stdin
        if stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                stdin.write(msgspec.json.encode(job) + b"\n")
                stdin.flush()

    def answer(self, kind: Any, seconds: float) -> Any:
        """Return the next line, decoded as `kind`.

        Raises:
            BrokenError: the process ended instead, or `seconds` passed; it is ended then.
        """
        stdout = self._process.stdout
        watchdog = threading.Timer(seconds, self._process.kill)
        watchdog.start()
        try:
            line = stdout.readline() if stdout is not None else b""
        finally:
            watchdog.cancel()
        if not line:
            raise BrokenError(
                f"the benchmark's process {self._module} ended, or took over {seconds:.0f} s: "
                "see what it wrote above",
                retryable=False,
            )
        return msgspec.json.decode(line, type=kind)

    def end(self) -> None:
        """Ask it to finish; what it still has to say can be read."""
        if self._process.stdin is not None:
            self._process.stdin.close()


@contextmanager
def started(module: str, job: msgspec.Struct) -> Generator[Process]:
    """A process `python -m module` with its first job, ended with the block whatever happens.

    The job travels through a pipe: secrets appear neither in arguments nor in the environment.
    """
    command = [sys.executable, "-m", module]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as popen:
        process = Process(module, popen)
        try:
            process.ask(job)
            yield process
            process.end()
            try:
                popen.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                return  # ended below; what it measured was read before
        finally:
            popen.kill()
