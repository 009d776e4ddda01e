"""A benchmark's process and its pipes: one job in, JSON lines out, an end with its parent."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from types import ModuleType
from typing import Any, TypeAlias, TypeVar

import msgspec

JobT = TypeVar("JobT", bound=msgspec.Struct)

Say: TypeAlias = Callable[[msgspec.Struct], None]
"""Writes one line to the parent."""

ORPHAN_SECONDS = 4.0  # a process may go on after its parent closed the pipe


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The process does what it was started for."""


class Missing(msgspec.Struct, frozen=True, tag="missing"):
    """The process cannot do it on this machine."""

    reason: str


def serve(job_type: type[JobT], work: Callable[[JobT, Say, asyncio.Event], Awaitable[Any]]) -> None:
    """Read one job from standard input and do it; never outlive the parent by much.

    Args:
        job_type: what the job's line is decoded to.
        work: gets the job, what writes lines to the parent, and an event that is set when the
            parent closes standard input or is gone.
    """
    logging.getLogger("livekit").setLevel(logging.ERROR)  # it warns of each frame it drops
    # Ctrl-C reaches every process of the terminal; the parent alone decides, by closing the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=job_type)

    def say(message: msgspec.Struct) -> None:
        sys.stdout.buffer.write(msgspec.json.encode(message) + b"\n")
        sys.stdout.buffer.flush()

    async def main() -> None:
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        threading.Thread(target=_follow_parent, args=(loop, ended), daemon=True).start()
        await work(job, say, ended)

    asyncio.run(main())
    # Everything is said and closed. An ordinary end lets the SDK's native threads, which still log,
    # call into an interpreter that is going away: now and then that aborts the process, loudly.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _follow_parent(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    # Not through sys.stdin: its lock would be held when the interpreter ends.
    while os.read(0, 4096):
        continue
    if not loop.is_closed():
        loop.call_soon_threadsafe(ended.set)
    time.sleep(ORPHAN_SECONDS)
    os._exit(1)


def load_rival(module: str, say: Say) -> ModuleType | None:
    """Import a rival's module; without what it needs, say so and return None."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        say(Missing(f"{error.name} is not installed"))
        return None
