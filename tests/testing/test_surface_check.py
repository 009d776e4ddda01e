from __future__ import annotations

import threading
import traceback
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import anyio
import anyio.to_thread
import pytest

from livelayer_bus.errors import Lagged
from livelayer_bus.messages import ALL
from livelayer_bus.messages import COMMANDS as KNOWN
from livelayer_bus.surfaces import SurfaceFunction, SurfaceSession
from livelayer_bus.testing import PATIENCE, CheckFailedError, check_surface
from livelayer_bus.testing.surface_check import COMMANDS

pytestmark = pytest.mark.anyio


class WholeSurface:
    """Reads everything there is, and keeps the contract."""

    def __init__(self) -> None:
        self.commands = 0

    async def run(self, session: SurfaceSession) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(self._read, session)
            group.start_soon(self._watch, session)
            group.start_soon(self._obey, session)

    async def _read(self, session: SurfaceSession) -> None:
        with session.subscribe() as events:
            while True:
                try:
                    async for _ in events:
                        pass
                except Lagged:
                    events.resync()
                else:
                    return

    async def _watch(self, session: SurfaceSession) -> None:
        with session.video.subscribe() as frames:
            async for _ in frames:
                pass

    async def _obey(self, session: SurfaceSession) -> None:
        async for _ in session.commands():
            self.commands += 1


async def test_a_surface_that_keeps_the_contract_passes() -> None:
    surfaces: list[WholeSurface] = []

    def factory() -> WholeSurface:
        surfaces.append(WholeSurface())
        return surfaces[-1]

    await check_surface(factory, capabilities=ALL)
    assert max(surface.commands for surface in surfaces) >= 11


async def test_a_surface_that_ends_by_itself_passes() -> None:
    async def prints_once(session: SurfaceSession) -> None:
        assert session.agent_id == "agt_first"

    await check_surface(lambda: prints_once)


async def lags(session: SurfaceSession) -> None:
    with session.subscribe() as events:
        async for _ in events:
            pass


async def needs_a_picture(session: SurfaceSession) -> None:
    with session.subscribe() as events:
        async for _ in events:
            if session.connection_state == "connected":
                raise RuntimeError("no picture")


async def listens(session: SurfaceSession) -> None:
    async with session.microphone.acquire():
        await anyio.sleep_forever()


async def keeps_frames(session: SurfaceSession) -> None:
    KEPT.append(session.video.subscribe().__enter__())
    await anyio.sleep_forever()


async def disobeys(session: SurfaceSession) -> None:
    await anyio.sleep_forever()


KEPT: list[object] = []


class Alone:
    """Cannot run beside another one."""

    running = False

    async def run(self, session: SurfaceSession) -> None:
        async with self._place():
            await anyio.sleep_forever()

    @asynccontextmanager
    async def _place(self) -> AsyncGenerator[None]:
        if Alone.running:
            raise RuntimeError("the port is taken")
        Alone.running = True
        try:
            yield
        finally:
            Alone.running = False


@pytest.mark.parametrize(
    ("surface", "found"),
    [
        (lags, "Lagged"),
        (needs_a_picture, "no picture"),
        (listens, "microphone"),
        (keeps_frames, "reads no frames any more"),
        (disobeys, "settles each command"),
        (Alone().run, "the port is taken"),
    ],
)
async def test_a_broken_rule_is_named(surface: SurfaceFunction, found: str) -> None:
    # One rule is broken by what never happens; no other may fail for a slow machine.
    seconds = 2.0 if surface is disobeys else PATIENCE
    with pytest.raises(CheckFailedError, match=found):
        await check_surface(lambda: surface, capabilities=["navigate"], seconds=seconds)


async def test_a_surface_may_be_meant_to_take_the_microphone() -> None:
    async def asks(session: SurfaceSession) -> None:
        if session.microphone.owner is None:
            async with session.microphone.acquire():
                await anyio.sleep_forever()
        await anyio.sleep_forever()

    await check_surface(lambda: asks, microphone=True)


async def test_what_the_surface_raised_is_the_cause() -> None:
    with pytest.raises(CheckFailedError, match="needs_a_picture failed with") as caught:
        await check_surface(lambda: needs_a_picture)
    cause = caught.value.__cause__
    assert isinstance(cause, RuntimeError)
    assert traceback.extract_tb(cause.__traceback__)[-1].name == "needs_a_picture"


async def test_a_surface_that_swallows_its_cancellation_is_named() -> None:
    over = threading.Event()

    async def stubborn(session: SurfaceSession) -> None:
        while not over.is_set():
            with suppress(BaseException):
                await anyio.sleep(0.01)

    with (
        anyio.fail_after(PATIENCE),
        pytest.raises(CheckFailedError, match=r"ends when it is unmounted.*stubborn ignored"),
    ):
        await check_surface(lambda: stubborn, seconds=1.0)
    over.set()


async def test_a_surface_that_blocks_the_loop_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livelayer_bus.testing.check_thread.LOOP_SECONDS", 2.0)
    over = threading.Event()

    async def greedy(session: SurfaceSession) -> None:
        over.wait()

    with (
        anyio.fail_after(PATIENCE),
        pytest.raises(CheckFailedError, match=r"never blocks.*greedy kept it") as caught,
    ):
        await check_surface(lambda: greedy)
    over.set()
    [place] = caught.value.__notes__
    assert "in greedy" in place


async def test_a_check_that_is_cancelled_ends_its_surface() -> None:
    started, ended = threading.Event(), threading.Event()

    async def waits(session: SurfaceSession) -> None:
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    async with anyio.create_task_group() as group:
        group.start_soon(check_surface, lambda: waits)
        await anyio.to_thread.run_sync(started.wait)
        group.cancel_scope.cancel()
    with anyio.fail_after(PATIENCE):
        assert await anyio.to_thread.run_sync(ended.wait, PATIENCE)


def test_the_scenario_has_every_command_under_its_capability() -> None:
    played = {type(one) for commands in COMMANDS.values() for one in commands}
    assert played == set(KNOWN)
    for capability, commands in COMMANDS.items():
        assert {one.capability for one in commands} == {capability}
