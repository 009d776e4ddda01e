"""What the measured processes have in common: tasks for a block, waiting, CPU time and memory."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

import psutil

BEGIN_SECONDS: Final = 20.0  # for every reader to have its first frame
MEGABYTE: Final = 1 << 20


@asynccontextmanager
async def running(*work: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """Run coroutines as tasks; cancel them at the end of the block, and wait for their end."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


async def begun(true: Callable[[], bool]) -> None:
    """Wait until a condition holds. It is looked at now and then: a hook would cost the readers.

    Raises:
        TimeoutError: it did not hold within 20 s.
    """
    async with asyncio.timeout(BEGIN_SECONDS):
        while not true():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.05)


def cpu_seconds() -> float:
    """CPU time of every thread of this process, native ones included."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def resident_mb() -> float:
    """Megabytes of this process that are in memory."""
    return float(psutil.Process().memory_info().rss) / MEGABYTE
