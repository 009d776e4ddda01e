"""The other end of a benchmark's pipes: `python -m livelayer_benchmarks.harness.child MODULE:NAME`.

One job in, JSON lines out, an end with its parent.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import signal
import sys
import threading
import time
from importlib import import_module
from typing import get_type_hints

import msgspec

from .processes import Worker

ORPHAN_SECONDS = 4.0  # a process may go on after its parent closed the pipe


def main() -> None:
    """Do the work that the command line names."""
    logging.getLogger("livekit").setLevel(logging.ERROR)  # it warns of each frame it drops
    # Ctrl-C reaches every process of the terminal; the parent alone decides, by closing the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    module, _, name = sys.argv[1].partition(":")
    work = getattr(import_module(module), name)
    if inspect.iscoroutinefunction(work):
        _serve(work)
    else:
        work()


def _serve(work: Worker) -> None:
    """Read one job from standard input and do it; never outlive the parent by much."""
    hints = get_type_hints(work)
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=hints["job"])

    def send(message: object) -> None:
        sys.stdout.buffer.write(msgspec.json.encode(message) + b"\n")
        sys.stdout.buffer.flush()

    async def run() -> None:
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        threading.Thread(target=_follow_parent, args=(loop, ended), daemon=True).start()
        if "send" in hints:
            await work(job, send, ended)
        else:
            send(await work(job))

    asyncio.run(run())
    # Everything is sent and closed. An ordinary end lets the SDK's native threads, which still log,
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


if __name__ == "__main__":
    main()
