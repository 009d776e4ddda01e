"""The encoder's thread: in order, of low priority, and it keeps no process from ending."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from functools import partial

import pytest
from livelayer_recorder.encoder_thread import NICE, EncoderThread

from livelayer_bus.testing import PATIENCE


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
@pytest.mark.anyio
async def test_calls_run_in_order_and_what_they_raise_comes_out() -> None:
    thread = EncoderThread()
    done: list[int] = []
    for number in range(3):
        await thread.run(partial(done.append, number))
    assert done == [0, 1, 2]

    def fail() -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        await thread.run(fail)
    await thread.run(partial(done.append, 3))
    thread.close()
    assert done == [0, 1, 2, 3]


@pytest.mark.skipif(sys.platform != "linux", reason="priorities of threads are Linux's")
@pytest.mark.anyio
async def test_only_its_own_priority_is_low() -> None:
    thread = EncoderThread()
    found: list[tuple[int, int]] = []

    def look() -> None:
        own = threading.get_native_id()
        found.append((own, os.getpriority(os.PRIO_PROCESS, own)))

    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    await thread.run(look)
    thread.close()
    [(_, priority)] = found
    assert priority == max(before, NICE)
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before


def test_a_call_that_never_ends_does_not_keep_the_process() -> None:
    program = (
        "import threading, anyio, anyio.to_thread\n"
        "from livelayer_recorder.encoder_thread import EncoderThread\n"
        "async def main():\n"
        "    begun = threading.Event()\n"
        "    def hang():\n"
        "        begun.set()\n"
        "        threading.Event().wait()\n"
        "    async with anyio.create_task_group() as tasks:\n"
        "        tasks.start_soon(EncoderThread().run, hang)\n"
        "        await anyio.to_thread.run_sync(begun.wait)\n"
        "        tasks.cancel_scope.cancel()\n"
        "anyio.run(main)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, timeout=2 * PATIENCE)  # noqa: S603 - our own program
    assert done.returncode == 0
