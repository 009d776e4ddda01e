"""The conformance check of surfaces: one line in the tests of a plugin."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

import anyio
import msgspec

from ..clock import Backoff
from ..events import SurfaceDidNotStop, SurfaceFailed
from ..messages.capabilities import Capability, check_capabilities
from ..session.session import Session
from ..surfaces.supervision import MountedSurface
from ..surfaces.surface import Surface, SurfaceFunction
from .clock import ManualClock
from .course import COMMANDS, COURSE, Stage
from .rooms import ScriptedRooms
from .rules import in_time, require
from .tasks import no_leaked_tasks
from .waiting import settle

SurfaceFactory: TypeAlias = Callable[[], Surface | SurfaceFunction]

KEY: Final = "checked"
SMALL_RING = 16  # events: a surface that is not read for a moment falls out of it
BURST = 100  # events that are published before any surface can run


class _Wish(msgspec.Struct, frozen=True):
    factory: SurfaceFactory
    capabilities: frozenset[Capability]
    microphone: bool
    seconds: float


async def check_surface(
    factory: SurfaceFactory,
    *,
    capabilities: Iterable[str] = (),
    microphone: bool = False,
    seconds: float = 5.0,
) -> None:
    """Prove that a surface keeps its contract, on scripted sessions: no server, no network.

    Shown: it runs through a whole course of events (connecting, an agent that comes and goes, a
    transcript with repeated and late segments, tracks that vanish and return, a reconnect, a lost
    room, a disconnect, another agent, malformed and unknown messages, falling behind) without a
    fault; it can be unmounted at every stage and ends at once; two run side by side and can be
    mounted anew; it leaves no task and no frame reader; it leaves the microphone alone; it answers
    the commands that it was given the capability for. Runs on any backend; a surface that ignores
    its cancellation fails the check on asyncio, but on trio holds it up for ever.

    Args:
        factory: makes a new surface each time, one that can run beside others (port 0, a
            temporary file).
        capabilities: what the surface is made to carry out; an example command of each is sent.
        microphone: the surface may take the microphone of its own accord.
        seconds: how long it may take to end, or to answer a command.

    Raises:
        CheckFailedError: a rule is broken; the error says which, what was found, and what to do.
    """
    wish = _Wish(factory, check_capabilities(capabilities), microphone, seconds)
    parts: tuple[Callable[[_Wish], Awaitable[None]], ...] = (
        _runs_through_the_course,
        _unmounts_at_every_stage,
        _survives_falling_behind,
        _runs_beside_another_and_again,
        _answers_commands,
        _ends_with_its_session,
    )
    for part in parts:
        await part(wish)


# The parts ----------------------------------------------------------------------------------


async def _runs_through_the_course(wish: _Wish) -> None:
    async with _scene(wish) as stage:
        surface = _mount(wish, stage)
        for name, act in COURSE:
            await act(stage)
            await _require_sound(wish, stage, surface, f"during the course, at: {name}")
        await _unmount(wish, stage, surface, "after the course")


async def _unmounts_at_every_stage(wish: _Wish) -> None:
    for number, (name, _) in enumerate(COURSE):
        async with _scene(wish) as stage:
            surface = _mount(wish, stage)
            for _, act in COURSE[: number + 1]:
                await act(stage)
            await _unmount(wish, stage, surface, f"after: {name}")


async def _survives_falling_behind(wish: _Wish) -> None:
    async with _scene(wish, capacity=SMALL_RING) as stage:
        surface = _mount(wish, stage)
        await stage.join()
        for number in range(BURST):
            stage.room.transcribes(f"burst-{number}", "words")
        await _require_sound(wish, stage, surface, "when it lost events (Lagged)")
        stage.room.transcribes("after", "words")
        await _require_sound(wish, stage, surface, "after it lost events")
        await _unmount(wish, stage, surface, "after it lost events")


async def _runs_beside_another_and_again(wish: _Wish) -> None:
    async with _scene(wish) as stage:
        first, second = _mount(wish, stage, "first"), _mount(wish, stage, "second")
        await stage.join()
        await _require_sound(wish, stage, first, "beside another one of its kind")
        await _require_sound(wish, stage, second, "beside another one of its kind")
        await _unmount(wish, stage, first, "beside another one")
        stage.room.transcribes("later", "words")
        await _require_sound(wish, stage, second, "after the other one was unmounted")
        again = _mount(wish, stage, "first")
        stage.room.transcribes("again", "words")
        await _require_sound(wish, stage, again, "mounted a second time under its key")
        await _unmount(wish, stage, again, "the second time")
        await _unmount(wish, stage, second, "as the last one")


async def _answers_commands(wish: _Wish) -> None:
    if not wish.capabilities:
        return
    async with _scene(wish) as stage:
        surface = _mount(wish, stage)
        await stage.join()
        await settle()
        for capability in sorted(wish.capabilities):
            for command in COMMANDS[capability]:
                rule = f"a surface settles every command that its capability {capability!r} allows"
                hint = (
                    "take commands with `async for command in session.commands()`: asking for the "
                    "next one settles the last one; or call `finish`"
                )
                async with in_time(wish.seconds, rule, hint):
                    stage.room.agent_says(command)
                    await stage.room.next_sent("command_result")
                await _require_sound(wish, stage, surface, f"given {command.wire_type()!r}")
        await _unmount(wish, stage, surface, "after its commands")


async def _ends_with_its_session(wish: _Wish) -> None:
    async with _scene(wish) as stage:
        surface = _mount(wish, stage)
        await stage.join()
        await settle()
    await _require_sound(wish, stage, surface, "when its session was closed", live=False)
    require(
        surface.status in ("unmounted", "ended"),
        "a surface ends with its session",
        f"its status is {surface.status!r}",
        "let cancellation through",
    )


# What all parts use -------------------------------------------------------------------------


@asynccontextmanager
async def _scene(wish: _Wish, capacity: int = 4096) -> AsyncGenerator[Stage]:
    """A session on scripted rooms, closed in bounded time whatever the surface does."""
    rooms = ScriptedRooms(agent="agent")
    clock = ManualClock()
    session = Session(
        "agt_first",
        tokens=rooms.tokens,
        room=rooms,
        clock=clock,
        reconnect=Backoff(initial=1.0, maximum=1.0, jitter=0.0),
        close_timeout=wish.seconds,
        capacity=capacity,
    )
    async with no_leaked_tasks(wish.seconds):
        await session.__aenter__()
        faults = session.subscribe(SurfaceFailed, SurfaceDidNotStop)
        try:
            with faults:
                yield Stage(session, rooms, clock, faults)
        finally:
            with anyio.move_on_after(2 * wish.seconds):  # on trio closing waits for the surface
                await session.__aexit__(None, None, None)


def _mount(wish: _Wish, stage: Stage, key: str = KEY) -> MountedSurface:
    return stage.session.mount(
        wish.factory(), key=key, capabilities=wish.capabilities, on_fault="unmount"
    )


async def _unmount(wish: _Wish, stage: Stage, surface: MountedSurface, when: str) -> None:
    rule = f"a surface ends when it is unmounted ({when})"
    hint = "let cancellation through: no `except BaseException`, no loop around the wait"
    async with in_time(wish.seconds, rule, hint):
        await surface.unmount()
    require(surface.status != "abandoned", rule, "it ignored its cancellation", hint)
    await _require_sound(wish, stage, surface, f"when it was unmounted, {when}")
    if not stage.session.state.surfaces:
        _require_no_readers(stage, when)


def _require_no_readers(stage: Stage, when: str) -> None:
    if stage.rooms.rooms:
        # A reader that was dropped without being closed counts until the next frame.
        stage.room.push_video()
        stage.room.push_audio()
    for channel in (stage.session.video, stage.session.audio):
        require(
            channel.demand == 0,
            f"an unmounted surface reads no frames any more ({when})",
            f"{channel.demand} readers of {type(channel).__name__} are left",
            "use `with channel.subscribe() as frames`",
        )


async def _require_sound(
    wish: _Wish, stage: Stage, surface: MountedSurface, when: str, *, live: bool = True
) -> None:
    await settle()
    if live:
        await _require_no_fault(stage, when)
        microphone = stage.session.microphone.owner
        require(
            wish.microphone or microphone is None,
            "a mounted surface touches the microphone only if it is meant to",
            f"{microphone!r} holds it, {when}",
            "acquire it when a person asks; or check_surface(..., microphone=True)",
        )
    require(
        surface.status in ("running", "ended", "unmounted"),
        f"a surface survives what a session goes through ({when})",
        f"its status is {surface.status!r}",
        "catch what can happen: Lagged from a reader, errors of sending, ends of tracks",
    )


async def _require_no_fault(stage: Stage, when: str) -> None:
    while stage.faults.lag:
        fault = await anext(stage.faults)
        found = fault.error if isinstance(fault, SurfaceFailed) else "it did not stop"
        require(
            False,
            f"a surface survives what a session goes through ({when})",
            found,
            "catch what can happen: Lagged from a reader, errors of sending, ends of tracks",
        )
