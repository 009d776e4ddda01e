"""What every test may assume: the backends, and warnings as errors."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from livekit import rtc

from livelayer_bus.rooms.sdk_private import keep

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


@pytest.fixture(scope="session", autouse=True)
def plain_rooms_are_kept() -> Iterator[None]:
    """Rooms that a test joins without an adapter are kept as the adapter's: see `keep`."""
    connect = rtc.Room.connect

    async def joined(room: rtc.Room, *args: Any, **options: Any) -> None:
        await connect(room, *args, **options)
        keep(room)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rtc.Room, "connect", joined)
        yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once, instead of a line for each test, why those of a real server did not run."""
    skipped = [
        report
        for report in terminalreporter.stats.get("skipped", [])
        if "livekit" in getattr(report, "keywords", {})
    ]
    if skipped:
        terminalreporter.write_line(
            f"{len(skipped)} tests of a real LiveKit server skipped: set LIVEKIT_URL, "
            "LIVEKIT_API_KEY and LIVEKIT_API_SECRET to run them"
        )
