from __future__ import annotations

import os
import sys
import time
from functools import partial
from pathlib import Path

import anyio
import pytest

from livelayer_bus.clock import SLICE, SystemClock, now_ns
from livelayer_bus.testing import PATIENCE
from tests import suspended_program as program
from tests.virtual_time import VIRTUAL_TIME

pytestmark = pytest.mark.anyio


def test_the_clock_goes_on_while_the_machine_is_suspended() -> None:
    """Where the platform has such a clock; a container rarely sleeps, so it is asked by name."""
    if sys.platform == "linux":
        assert isinstance(now_ns, partial)
        assert now_ns.args == (time.CLOCK_BOOTTIME,)
    elif sys.platform == "darwin":
        assert isinstance(now_ns, partial)
        assert now_ns.args == (time.CLOCK_MONOTONIC_RAW,)
    else:
        assert now_ns is time.monotonic_ns
    before = now_ns()
    assert before / 1e9 <= SystemClock().now() <= now_ns() / 1e9


@pytest.mark.parametrize("anyio_backend", VIRTUAL_TIME)
@pytest.mark.parametrize("seconds", [-1.0, 0.0, SLICE / 2, 7.5 * SLICE])
async def test_a_sleep_takes_as_long_on_the_loops_own_clock(
    anyio_backend: object, seconds: float
) -> None:
    """No slice adds to it, and none is repeated when only the loop's time moves."""
    began, began_ns = anyio.current_time(), now_ns()
    await SystemClock().sleep(seconds)
    slept, passed = anyio.current_time() - began, (now_ns() - began_ns) / 1e9
    assert max(0.0, seconds - passed) - 1e-6 <= slept <= max(0.0, seconds) + 1e-6


@pytest.mark.skipif(sys.platform != "linux", reason="time namespaces are Linux's")
@pytest.mark.parametrize(
    "mode",
    [
        pytest.param("asked", id="connect() before any timer has run"),
        pytest.param("waits", id="nothing but timers"),
    ],
)
@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # the program brings its own loop
async def test_a_session_survives_a_night_of_the_machine(anyio_backend: str, mode: str) -> None:
    with anyio.fail_after(PATIENCE):
        ran = await anyio.run_process(
            [sys.executable, "-m", program.__name__, mode],
            cwd=Path(__file__).parents[1],
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # numpy starts no thread
            check=False,
        )
    if ran.returncode == program.NOT_ALLOWED:
        pytest.skip("may not make a time namespace")
    assert ran.returncode == 0, ran.stderr.decode()
    rooms = "None None" if mode == "asked" else "None"  # it returned to no room
    assert ran.stdout.decode().split("\n") == ["False 8", rooms, ""]
