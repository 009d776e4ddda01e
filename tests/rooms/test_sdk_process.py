"""No join ends the process, and no end of the process ends in the native part's abort."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio
import pytest

from livelayer_bus.testing import PATIENCE
from tests.rooms import sdk_process_program as program
from tests.rooms.kit import Stage

pytestmark = pytest.mark.anyio

ENDS = int(os.environ.get("LIVELAYER_TEST_ENDS", "10"))


@pytest.fixture
def anyio_backend() -> str:
    """The programs bring their own loops."""
    return "asyncio"


@pytest.mark.parametrize(
    ("mode", "joins"),
    [
        pytest.param("given_up", len(program.INSTANTS), id="sessions left while they join"),
        pytest.param("forgotten", 2, id="loops closed while the SDK joins"),
        pytest.param("blocked", 2, id="a loop blocked while a session joins"),
        pytest.param("ending", ENDS, id="processes that end after a join"),
    ],
)
async def test_the_process_lives_as_long_as_it_wants(stage: Stage, mode: str, joins: int) -> None:
    tokens = [stage.access(f"user-{number}").token for number in range(joins)]
    command = [sys.executable, "-m", program.__name__, mode, stage.access().url, *tokens]
    with anyio.fail_after((2 + joins / 10) * PATIENCE):
        ran = await anyio.run_process(
            command,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "LIVEKIT_RTC_DEBUG": "1"},
            check=False,
        )
    assert ran.returncode == 0, ran.stderr.decode()
