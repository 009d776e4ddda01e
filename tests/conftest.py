"""What every test may assume: the backends, and warnings as errors."""

from __future__ import annotations

import asyncio
import sys

import pytest

ASYNCIO = pytest.param(("asyncio", {}), id="asyncio")
UVLOOP = pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop")
TRIO = pytest.param(("trio", {}), id="trio")


BACKENDS = [ASYNCIO, UVLOOP, TRIO]

if sys.version_info >= (3, 12):

    def eager_loop() -> asyncio.AbstractEventLoop:
        """A loop that runs a new task's first step inside `create_task`."""
        loop = asyncio.new_event_loop()
        loop.set_task_factory(asyncio.eager_task_factory)
        return loop

    BACKENDS.append(pytest.param(("asyncio", {"loop_factory": eager_loop}), id="eager"))


@pytest.fixture(params=BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    """Every loop the core runs on; folders that need asyncio override this fixture."""
    backend: tuple[str, dict[str, object]] = request.param
    return backend
