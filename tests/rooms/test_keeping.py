"""A room is heard whenever the one before it is freed."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import pytest

from livelayer_bus.testing import PATIENCE
from tests.rooms import keeping_program as program

pytestmark = [pytest.mark.anyio, pytest.mark.realtime]


@pytest.fixture
def anyio_backend() -> str:
    """The program brings its own loop."""
    return "asyncio"


@pytest.mark.parametrize("before", program.FIRST)
async def test_a_room_joined_while_the_one_before_is_freed_is_heard(before: str) -> None:
    with anyio.fail_after(5 * PATIENCE):
        ran = await anyio.run_process(
            [sys.executable, "-m", program.__name__, before],
            cwd=Path(__file__).parents[2],
            check=False,
        )
    assert ran.stdout.split() == [b"heard"], ran.stderr.decode()
    assert ran.returncode == 0
