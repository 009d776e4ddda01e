"""Starts a benchmark's processes, gives each its job, reads its answers, and ends them all."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeVar, final, get_type_hints

import msgspec

from livelayer_bus.errors import BrokenError

END_SECONDS = 5.0  # for a process to end by itself once its pipe is closed

AnswerT = TypeVar("AnswerT")
JobT = TypeVar("JobT", bound=msgspec.Struct)

Send: TypeAlias = Callable[[msgspec.Struct], None]
"""Writes one line to the parent."""

Worker: TypeAlias = Callable[..., Any]
"""What a process does: a coroutine function of a module.

`work(job)` returns what it measured. `work(job, send, ended)` sends any number of lines to the
parent, until an event is set: the parent closed the pipe, or is gone. The annotation of `job` is
what it is decoded to. A plain function gets nothing, and reads its jobs from standard input.
"""


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The process does what it was started for."""


@final
class Process:
    """One process; its jobs and its answers are JSON lines."""

    def __init__(self, name: str, process: subprocess.Popen[bytes]) -> None:
        self._name = name
        self._process = process

    def ask(self, job: msgspec.Struct) -> None:
        """Give it a job; if it has ended, `answer` says so."""
        stdin = self._process.stdin
        if stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                stdin.write(msgspec.json.encode(job) + b"\n")
                stdin.flush()

    def answer(self, kind: type[AnswerT], seconds: float) -> AnswerT:
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
                f"the benchmark's process {self._name} ended, or took over {seconds:.0f} s: "
                "see what it wrote above",
                retryable=False,
            )
        return msgspec.json.decode(line, type=kind)

    def end(self) -> None:
        """Ask it to finish; its remaining answers can still be read."""
        if self._process.stdin is not None:
            self._process.stdin.close()


@contextmanager
def started(work: Worker, job: msgspec.Struct) -> Generator[Process]:
    """A process that does `work`, with its first job, ended with the block whatever happens.

    The job travels through a pipe: secrets appear neither in arguments nor in the environment.
    """
    name = f"{work.__module__}:{work.__qualname__}"
    command = [sys.executable, "-m", f"{__package__}.child", name]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as popen:
        process = Process(name, popen)
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


def ask(work: Callable[[JobT], Coroutine[Any, Any, AnswerT]], job: JobT, seconds: float) -> AnswerT:
    """Do one job in a fresh process and return what it measured.

    Raises:
        BrokenError: the process failed, or took over `seconds`.
    """
    with started(work, job) as process:
        answer: AnswerT = process.answer(get_type_hints(work)["return"], seconds)
        return answer
