from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from contextlib import suppress
from itertools import pairwise

import anyio
import msgspec
import pytest

from livelayer_bus.errors import SurfaceFailedError
from livelayer_bus.events import (
    SurfaceDidNotStop,
    SurfaceFailed,
    SurfaceUnmounted,
)
from livelayer_bus.media import VideoWriter
from livelayer_bus.session import Session
from livelayer_bus.surfaces import SurfaceSession
from livelayer_bus.testing import PATIENCE, ManualClock, ScriptedRooms, settle

from ..conftest import MakeSession

pytestmark = pytest.mark.anyio
ON_ASYNCIO = pytest.mark.parametrize(
    "anyio_backend", [("asyncio", {}), ("asyncio", {"use_uvloop": True})]
)


async def idle(session: SurfaceSession) -> None:
    await anyio.sleep_forever()


async def broken(session: SurfaceSession) -> None:
    raise ValueError("a fault of its own")


async def test_a_fault_is_an_event_and_the_surface_is_restarted(
    session: Session, manual_clock: ManualClock
) -> None:
    runs: list[SurfaceSession] = []

    async def recovers(view: SurfaceSession) -> None:
        runs.append(view)
        if len(runs) == 1:
            raise ValueError("a fault of its own")
        await anyio.sleep_forever()

    with session.subscribe(SurfaceFailed) as failures:
        surface = session.mount(recovers, key="panel")
        failed = await anext(failures)
    assert (failed.key, failed.error) == ("panel", "ValueError: a fault of its own")
    assert failed.restarting
    assert (failed.where or "").startswith("test_faults.py:")
    assert surface.status == "restarting"
    await manual_clock.wait_for_sleepers()
    await manual_clock.elapse(1)
    assert len(runs) == 2
    assert (surface.status, session.state.surfaces) == ("running", ("panel",))


async def test_restarts_come_slower_and_end(session: Session, manual_clock: ManualClock) -> None:
    times: list[float] = []

    async def always(view: SurfaceSession) -> None:
        times.append(manual_clock.now())
        raise ValueError("a fault of its own")

    surface = session.mount(always, key="panel")
    for _ in range(60):
        await manual_clock.elapse(1)
    assert surface.status == "failed"
    assert session.state.surfaces == ()
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert 3 <= len(pauses) <= 20
    assert pauses[-1] > pauses[0]
    await surface.wait()


async def test_a_surface_that_ran_well_for_long_is_forgiven(
    session: Session, manual_clock: ManualClock
) -> None:
    runs = 0

    async def sometimes(view: SurfaceSession) -> None:
        nonlocal runs
        runs += 1
        await manual_clock.sleep(120)
        raise ValueError("a fault of its own")

    surface = session.mount(sometimes, key="panel")
    for _ in range(40):
        await manual_clock.elapse(130)
    assert runs >= 30
    assert surface.status in ("running", "restarting")


async def test_a_fault_can_unmount(session: Session) -> None:
    with session.subscribe(SurfaceFailed, SurfaceUnmounted) as events:
        surface = session.mount(broken, key="panel", on_fault="unmount")
        await surface.wait()
        failed = await anext(events)
        assert isinstance(failed, SurfaceFailed)
        assert (failed.error, failed.restarting) == ("ValueError: a fault of its own", False)
        assert await anext(events) == SurfaceUnmounted("panel")
    assert surface.status == "failed"
    assert session.state.surfaces == ()


async def test_a_fault_can_be_raised_by_wait(session: Session) -> None:
    surface = session.mount(broken, key="panel", on_fault="raise")
    with pytest.raises(SurfaceFailedError, match="'panel'") as caught:
        await surface.wait()
    assert isinstance(caught.value.__cause__, ValueError)
    await surface.wait()  # raised once


async def test_a_fault_that_nobody_waited_for_is_raised_by_closing(
    make_session: MakeSession,
) -> None:
    async def run() -> None:
        async with make_session() as session:
            session.mount(broken, key="panel", on_fault="raise")
            await settle()

    with pytest.raises(SurfaceFailedError, match="'panel'"):
        await run()


async def test_a_fault_while_closing_does_not_hide_the_blocks_own_error(
    make_session: MakeSession,
) -> None:
    async def run() -> None:
        async with make_session() as session:
            session.mount(broken, key="panel", on_fault="raise")
            await settle()
            raise KeyError("of the block")

    with pytest.raises(KeyError) as caught:
        await run()
    assert "panel" in str(caught.value.__notes__)


@pytest.mark.parametrize("on_fault", ["restart", "unmount"])
async def test_other_surfaces_and_the_session_go_on(
    session: Session, scripted_rooms: ScriptedRooms, on_fault: str
) -> None:
    heard: list[str] = []

    async def shows(view: SurfaceSession) -> None:
        with view.subscribe() as events:
            heard.extend([type(event).__name__ async for event in events])

    other = session.mount(idle, key="other")
    if on_fault == "restart":
        session.mount(broken, key="panel")
    else:
        session.mount(broken, key="panel", on_fault="unmount")
    session.mount(shows, key="third")
    await settle()
    await session.connect()
    assert other.status == "running"
    assert session.connection_state == "connected"


async def test_a_fault_while_unmounting_is_told(session: Session) -> None:
    async def breaks_at_its_end(view: SurfaceSession) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError("while cleaning up")

    surface = session.mount(breaks_at_its_end, key="panel")
    await settle()
    with session.subscribe(SurfaceFailed) as failures:
        await surface.unmount()
        assert "while cleaning up" in (await anext(failures)).error
    assert session.state.surfaces == ()


async def test_a_group_of_faults_is_one_fault(session: Session) -> None:
    async def grouped(view: SurfaceSession) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(broken, view)

    with session.subscribe(SurfaceFailed) as failures:
        session.mount(grouped, key="panel", on_fault="unmount")
        assert "ExceptionGroup" in (await anext(failures)).error


@ON_ASYNCIO
async def test_a_cancelled_error_that_nobody_asked_for_is_a_fault(session: Session) -> None:
    async def awaits_something_cancelled(view: SurfaceSession) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    with session.subscribe(SurfaceFailed) as failures:
        session.mount(awaits_something_cancelled, key="panel", on_fault="unmount")
        assert "cancelled" in (await anext(failures)).error


@ON_ASYNCIO
async def test_a_surface_that_swallows_cancellation_is_abandoned_and_named(
    make_session: MakeSession,
) -> None:
    over = anyio.Event()

    async def stubborn(view: SurfaceSession) -> None:
        while not over.is_set():
            with suppress(asyncio.CancelledError):
                await over.wait()

    async with make_session(close_timeout=0.1) as session:
        surface = session.mount(stubborn, key="panel")
        await settle()
        with session.subscribe(SurfaceDidNotStop, SurfaceUnmounted) as events:
            with anyio.fail_after(PATIENCE):
                await surface.unmount()
            assert await anext(events) == SurfaceDidNotStop("panel", 0.1)
            assert await anext(events) == SurfaceUnmounted("panel")
        assert surface.status == "abandoned"
        again = session.mount(idle, key="panel")  # its key is free again
        assert again.status == "running"
        over.set()
        await settle()
        assert session.state.surfaces == ("panel",)


@pytest.mark.parametrize("anyio_backend", [("trio", {})])
async def test_on_trio_unmounting_waits_for_a_surface_that_shields_itself(
    make_session: MakeSession,
) -> None:
    over = anyio.Event()

    async def stubborn(view: SurfaceSession) -> None:
        with anyio.CancelScope(shield=True):
            await over.wait()

    async with make_session(close_timeout=0.05) as session:
        surface = session.mount(stubborn, key="panel")
        await settle()
        with session.subscribe(SurfaceDidNotStop) as events:
            async with anyio.create_task_group() as group:
                group.start_soon(surface.unmount)
                assert (await anext(events)).key == "panel"
                await settle()
                assert surface.status == "running"
                over.set()
        assert surface.status == "ended"
        assert session.state.surfaces == ()


async def test_a_surface_that_keeps_the_loop_busy_in_small_steps_can_be_unmounted(
    session: Session,
) -> None:
    async def busy(view: SurfaceSession) -> None:
        while True:
            await anyio.lowlevel.checkpoint()

    surface = session.mount(busy, key="panel")
    await settle()
    with anyio.fail_after(PATIENCE):
        await surface.unmount()
    assert surface.status == "unmounted"


async def test_a_reader_under_load_can_be_unmounted(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    async def reads(view: SurfaceSession) -> None:
        with view.subscribe() as events:
            async for _ in events:
                pass

    surface = session.mount(reads, key="panel")
    await session.connect()
    room = await scripted_rooms.next()
    stop = False

    async def publish() -> None:
        while not stop:
            for _ in range(100):
                room.agent_says({"type": "n"})
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(publish)
        await settle()
        with anyio.fail_after(PATIENCE):
            await surface.unmount()
        stop = True
    assert surface.status == "unmounted"


class Odd(BaseException):
    """Neither an Exception nor a cancellation."""


class Mute(Exception):
    """Its text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Odd("odd"), "Odd: odd"),
        (GeneratorExit(), "GeneratorExit"),
        (Mute(), "Mute"),
        (ExceptionGroup("group", [ValueError("one")]), "ExceptionGroup: group (1 sub-exception)"),
        (BaseExceptionGroup("odds", [Odd("one")]), "BaseExceptionGroup: odds (1 sub-exception)"),
        (ValueError("cannot read caf\udce9"), "ValueError: cannot read caf\\udce9"),
        (ValueError("\x1b[2Jone\rline\x00\ntwo"), "ValueError: \\x1b[2Jone\\rline\\x00"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_whatever_a_surface_raises_is_an_event_that_json_can_carry(
    session: Session, fault: BaseException, told: str
) -> None:
    async def fails(view: SurfaceSession) -> None:
        raise fault

    with session.subscribe(SurfaceFailed) as failures:
        surface = session.mount(fails, key="panel", on_fault="raise")
        with pytest.raises(SurfaceFailedError) as caught:
            await surface.wait()
        failed = await anext(failures)
    assert (failed.error, surface.status) == (told, "failed")
    assert caught.value.__cause__ is fault
    assert msgspec.json.decode(msgspec.json.encode(failed), type=SurfaceFailed) == failed


async def test_a_fault_is_logged_with_its_stack_but_not_with_its_text(
    session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    async def reveals(view: SurfaceSession) -> None:
        raise ValueError("a secret payload".replace("secret", "s" + "ecret"))

    with caplog.at_level(logging.ERROR, "livelayer_bus"):
        await session.mount(reveals, key="panel", on_fault="unmount").wait()
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert "surface 'panel'" in caplog.text
    assert "in reveals" in caplog.text
    assert "ValueError" in caplog.text
    assert "secret payload" not in record.getMessage().replace(reveals_line(), "")


def reveals_line() -> str:
    """The source line that raises, which the stack quotes."""
    return 'raise ValueError("a secret payload".replace("secret", "s" + "ecret"))'


@ON_ASYNCIO
async def test_an_unmounted_surface_keeps_nothing(session: Session) -> None:
    kept: list[weakref.ref[VideoWriter]] = []

    async def holds(view: SurfaceSession) -> None:
        large = VideoWriter()
        kept.append(weakref.ref(large))
        await anyio.sleep_forever()

    async def fails(view: SurfaceSession) -> None:
        large = VideoWriter()
        kept.append(weakref.ref(large))
        raise ValueError(f"with {large}")

    gc.collect()
    gc.disable()
    try:
        held = session.mount(holds, key="holds")
        failed = session.mount(fails, key="fails", on_fault="unmount")
        await failed.wait()
        await settle()
        await held.unmount()
        await settle()
        assert len(kept) == 2
        assert [ref() for ref in kept] == [None, None]
    finally:
        gc.enable()
