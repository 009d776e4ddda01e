"""The conformance check of surfaces: one line in the tests of a plugin."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Final, TypeAlias, final

import anyio

from ..clock import Backoff
from ..events import SurfaceDidNotStop, SurfaceFailed
from ..messages import Capability, check_capabilities
from ..session.session import Session
from ..surfaces.supervision import MountedSurface
from ..surfaces.surface import Surface, SurfaceFunction, SurfaceSession, surface_function
from .check_thread import CheckThread
from .clock import ManualClock
from .room import ScriptedRooms
from .rules import in_time, require
from .scenario import COMMANDS, STEPS, Scenario
from .tasks import no_leaked_tasks
from .waiting import settle

SurfaceFactory: TypeAlias = Callable[[], Surface | SurfaceFunction]

KEY: Final = "checked"
SMALL_RING: Final = 16  # events: a surface that does not read for a moment falls out of it
BURST: Final = 100  # events that are published before any surface can run
HANDLE: Final = "handle Lagged from a reader, errors of sending, and ends of tracks"
LET_THROUGH: Final = "let cancellation through: no `except BaseException`, no loop around the wait"


async def check_surface(
    factory: SurfaceFactory,
    *,
    capabilities: Iterable[str] = (),
    microphone: bool = False,
    seconds: float = 5.0,
) -> None:
    """Prove that a surface keeps its contract, on scripted sessions: no server, no network.

    Shown: it runs through a whole scenario (connecting, an agent that comes and goes, a transcript
    with repeated and late segments, tracks that vanish and return, a reconnect, a lost room, a
    disconnect, another agent, malformed and unknown messages, falling behind) without a fault; it
    can be unmounted after every step and ends at once; two run side by side and can be mounted
    anew; it leaves no task and no frame reader; it leaves the microphone alone; it settles the
    commands that it was given the capability for; it never blocks the event loop.

    The check runs on a loop of the caller's kind in a thread of its own, and ends in bounded time:
    a surface that ignores its cancellation or blocks the loop is named, and its thread abandoned.

    Args:
        factory: makes a new surface each time, one that can run beside others (port 0, a
            temporary file). It is called in the check's thread.
        capabilities: what the surface is made to carry out; an example command of each is sent.
        microphone: the surface may take the microphone without being asked.
        seconds: how long it may take to end, or to settle a command.

    Raises:
        CheckFailedError: a rule is broken; the error says which, what was found, and what to do.
            What the surface raised is its cause.
    """
    allowed = check_capabilities(capabilities)
    check = _SurfaceCheck(factory, allowed, microphone, seconds)
    await check.thread.run(check.run, lambda: check.name, closing=2 * seconds)


@final
class _SurfaceCheck:
    def __init__(
        self,
        factory: SurfaceFactory,
        capabilities: frozenset[Capability],
        microphone: bool,
        seconds: float,
    ) -> None:
        self.thread = CheckThread()
        self.name = "the surface"
        self._factory = factory
        self._capabilities = capabilities
        self._microphone = microphone
        self._seconds = seconds
        self._fault: BaseException | None = None

    async def run(self) -> None:
        await self._runs_through_the_scenario()
        await self._unmounts_after_every_step()
        await self._survives_falling_behind()
        await self._runs_beside_another_and_again()
        if self._capabilities:
            await self._settles_commands()
        await self._ends_with_its_session()

    # The parts -------------------------------------------------------------------------------

    async def _runs_through_the_scenario(self) -> None:
        async with self._scenario() as scenario:
            surface = self._mount(scenario)
            for name, step in STEPS:
                await step(scenario)
                await self._require_healthy(scenario, surface, f"at the step: {name}")
            await self._unmount(scenario, surface, "after the scenario")

    async def _unmounts_after_every_step(self) -> None:
        for number, (name, _) in enumerate(STEPS):
            async with self._scenario() as scenario:
                surface = self._mount(scenario)
                for _, step in STEPS[: number + 1]:
                    await step(scenario)
                await self._unmount(scenario, surface, f"after the step: {name}")

    async def _survives_falling_behind(self) -> None:
        async with self._scenario(capacity=SMALL_RING) as scenario:
            surface = self._mount(scenario)
            await scenario.join()
            for number in range(BURST):
                scenario.room.transcribes(f"burst-{number}", "words")
            await self._require_healthy(scenario, surface, "when it lost events (Lagged)")
            scenario.room.transcribes("after", "words")
            await self._require_healthy(scenario, surface, "after it lost events")
            await self._unmount(scenario, surface, "after it lost events")

    async def _runs_beside_another_and_again(self) -> None:
        async with self._scenario() as scenario:
            first, second = self._mount(scenario, "first"), self._mount(scenario, "second")
            await scenario.join()
            for surface in (first, second):
                await self._require_healthy(scenario, surface, "beside another one of its kind")
            await self._unmount(scenario, first, "beside another one")
            scenario.room.transcribes("later", "words")
            await self._require_healthy(scenario, second, "after the other one was unmounted")
            again = self._mount(scenario, "first")
            scenario.room.transcribes("again", "words")
            await self._require_healthy(scenario, again, "mounted a second time under its key")
            await self._unmount(scenario, again, "the second time")
            await self._unmount(scenario, second, "as the last one")

    async def _settles_commands(self) -> None:
        async with self._scenario() as scenario:
            surface = self._mount(scenario)
            await scenario.join()
            await settle()
            for capability in sorted(self._capabilities):
                for command in COMMANDS[capability]:
                    async with in_time(
                        self._seconds,
                        f"a surface settles each command that its capability {capability!r} allows",
                        f"{self.name} did not settle {command.wire_type()!r}",
                        "take commands with `async for command in session.commands()`: asking for "
                        "the next one settles the last one; or call `finish`",
                    ):
                        scenario.room.agent_says(command)
                        for asked in scenario.session.state.approvals:  # a person answers
                            await scenario.session.answer_approval(asked.number, approved=True)
                        await scenario.room.next_sent("command_result")
                    when = f"given {command.wire_type()!r}"
                    await self._require_healthy(scenario, surface, when)
            await self._unmount(scenario, surface, "after its commands")

    async def _ends_with_its_session(self) -> None:
        async with self._scenario() as scenario:
            surface = self._mount(scenario)
            await scenario.join()
            await settle()
        self._require_status(surface, "when its session was closed")
        require(
            surface.status in ("unmounted", "ended"),
            "a surface ends with its session",
            f"{self.name} is {surface.status}",
            LET_THROUGH,
        )

    # What all parts use ----------------------------------------------------------------------

    @asynccontextmanager
    async def _scenario(self, capacity: int = 4096) -> AsyncGenerator[Scenario]:
        """A session on scripted rooms, closed in bounded time whatever the surface does."""
        rooms, clock = ScriptedRooms(agent="agent"), ManualClock()
        session = Session(
            "agt_first",
            tokens=rooms.tokens,
            room=rooms,
            clock=clock,
            reconnect=Backoff(initial=1.0, maximum=1.0, jitter=0.0),
            close_timeout=self._seconds,
            capacity=capacity,
        )
        async with no_leaked_tasks(self._seconds):
            await session.__aenter__()
            faults = session.subscribe(SurfaceFailed, SurfaceDidNotStop)
            try:
                with faults:
                    yield Scenario(session, rooms, clock, faults)
            except Exception as error:
                self.thread.fail(error)  # on trio closing waits for the surface
                raise
            finally:
                with anyio.move_on_after(2 * self._seconds):
                    await session.__aexit__(None, None, None)

    def _mount(self, scenario: Scenario, key: str = KEY) -> MountedSurface:
        surface = self._factory()
        run = surface_function(surface)
        self.name = getattr(surface, "__qualname__", type(surface).__qualname__)

        async def watched(session: SurfaceSession) -> None:
            try:
                await run(session)
            except anyio.get_cancelled_exc_class():
                raise  # not kept: its traceback refers to the surface's readers
            except BaseException as error:
                self._fault = error
                raise

        return scenario.session.mount(
            watched, key=key, capabilities=self._capabilities, on_fault="unmount"
        )

    async def _unmount(self, scenario: Scenario, surface: MountedSurface, when: str) -> None:
        rule = f"a surface ends when it is unmounted ({when})"
        found = f"{self.name} ignored its cancellation and did not end"
        async with in_time(2 * self._seconds, rule, found, LET_THROUGH):
            await surface.unmount()
        require(
            surface.status != "abandoned",
            rule,
            f"{found} within {self._seconds:g} s",
            LET_THROUGH,
            self._fault,
        )
        await self._require_healthy(scenario, surface, f"when it was unmounted, {when}")
        if not scenario.session.state.surfaces:
            self._require_no_readers(scenario, when)

    def _require_no_readers(self, scenario: Scenario, when: str) -> None:
        if scenario.rooms.rooms:
            # A reader that was dropped without being closed counts until the next frame.
            scenario.room.push_video()
            scenario.room.push_audio()
        for channel in (scenario.session.video, scenario.session.audio):
            require(
                channel.demand == 0,
                f"an unmounted surface reads no frames any more ({when})",
                f"{self.name} left {channel.demand} readers of the {type(channel).__name__}",
                "use `with channel.subscribe() as frames`",
            )

    async def _require_healthy(
        self, scenario: Scenario, surface: MountedSurface, when: str
    ) -> None:
        await settle()
        if scenario.faults.lag:
            fault = await anext(scenario.faults)
            found = fault.error if isinstance(fault, SurfaceFailed) else "it did not stop"
            self._require_survival(False, when, f"{self.name} failed with {found}")
        microphone = scenario.session.microphone.owner
        require(
            self._microphone or microphone is None,
            "a mounted surface touches the microphone only if it is meant to",
            f"{microphone!r} ({self.name}) holds it, {when}",
            "acquire it when a person asks; or check_surface(..., microphone=True)",
        )
        self._require_status(surface, when)

    def _require_status(self, surface: MountedSurface, when: str) -> None:
        healthy = surface.status in ("running", "ended", "unmounted")
        self._require_survival(healthy, when, f"{self.name} is {surface.status}")

    def _require_survival(self, healthy: bool, when: str, found: str) -> None:
        rule = f"a surface survives what a session goes through ({when})"
        require(healthy, rule, found, HANDLE, self._fault)
