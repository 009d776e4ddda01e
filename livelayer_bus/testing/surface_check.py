"""The conformance check of surfaces: one line in the tests of a plugin."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import anyio

from .. import messages as wire
from ..bus import Subscription
from ..clock import Backoff
from ..events import Event, SurfaceDidNotStop, SurfaceFailed
from ..messages import Capability, check_capabilities
from ..session.session import Session
from ..state import SessionState
from ..surfaces.supervision import MountedSurface
from ..surfaces.surface import Surface, SurfaceFunction, SurfaceSession, surface_function
from .check_thread import CheckThread, Rule, in_time, no_leaked_tasks
from .room import ScriptedRoom, ScriptedRooms
from .waiting import ManualClock, settle

Faults: TypeAlias = Subscription[Event, SessionState]

_RESULT: Final = wire.TaskResult(
    session_id="s", started_at=0, ended_at=1, source="agent", results={"name": "Ada"}
)
_FIELD: Final = wire.TaskFieldUpdated(
    field_id="name", field_name="Name", value="Ada", kind="text", source="agent"
)
COMMANDS: Final[dict[Capability, tuple[wire.Command, ...]]] = {
    "navigate": (wire.Navigate("/pricing"),),
    "scroll": (wire.ScrollTo("#price"), wire.ScrollPage("down")),
    "click": (wire.Click("#buy"), wire.AdvanceStep(), wire.GoBack(), wire.SubmitFlow()),
    "fill_forms": (wire.FillForm("order", {"name": "Ada"}), wire.FocusField("order", "name")),
    "submit_forms": (wire.SubmitForm("order", request_id="1"),),
    "read_page": (wire.RequestPageContext(request_id="2"), wire.RequestRoutes(request_id="3")),
    "collect_data": (_FIELD, wire.TaskCompleted(_RESULT)),
    "ask_approval": (wire.RequestApproval("Shall I order it?", request_id="4"),),
}


@dataclass(frozen=True)
class Scenario:
    """One scripted session, and the rooms that it joins."""

    session: Session
    rooms: ScriptedRooms
    clock: ManualClock
    faults: Faults

    @property
    def room(self) -> ScriptedRoom:
        return self.rooms.rooms[-1]

    async def join(self) -> None:
        await self.session.connect()
        await self.rooms.next()
        self.room.agent_says(wire.BotReady())


Step: TypeAlias = Callable[[Scenario], Awaitable[None]]


async def _agent_works(scenario: Scenario) -> None:
    for raw in ("initializing", "listening", "thinking", "speaking", "unheard-of", "failed"):
        scenario.room.agent_state(raw)
    scenario.room.agent_says({"type": "agent_state", "state": "listening"})
    scenario.room.agent_says({"type": "idle_warning"})
    call = wire.AgentToolCall(call_id="1", name="look_up", status="started")
    scenario.room.agent_says(call)


async def _transcript(scenario: Scenario) -> None:
    first, second = scenario.room.open_stream("one"), scenario.room.open_stream("two", "user")
    second.write("How much?")
    first.write("Good ")
    first.write("day")
    second.close()
    scenario.room.transcribes("two", "How much?", "user")  # replayed
    scenario.room.open_stream("three").write("a trailer that is lost")
    first.close()
    scenario.room.agent_says(wire.AgentCaption("Good day", id="one"))  # in the other dialect
    scenario.room.agent_says(wire.AgentCaption("Anything", id="four", final=False))
    scenario.room.agent_says(wire.AgentCaption("Anything else?", id="four"))
    scenario.room.agent_says(wire.AgentCaption("Good-bye"))


async def _strange_messages(scenario: Scenario) -> None:
    scenario.room.agent_says({"type": "quiz_question", "number": 1})
    scenario.room.agent_says({"type": "navigate"})
    scenario.room.agent_says({"type": "navigate", "href": "javascript:alert(1)"})
    scenario.room.agent_says(b"\xff\x00 no JSON")
    scenario.room.packet({"type": "navigate", "href": "/"}, sender="person")


async def _tracks(scenario: Scenario) -> None:
    for _ in range(2):  # the second time: the avatar is renewed
        scenario.room.track_starts("video")
        scenario.room.track_starts("audio")
        for _ in range(5):
            scenario.room.push_video()
            scenario.room.push_audio()
            await settle(5)
        scenario.room.track_stops("video")
        scenario.room.track_stops("audio")


async def _agent_leaves(scenario: Scenario) -> None:
    scenario.room.agent_leaves()
    await settle()
    scenario.room.agent_joins(active=False)
    scenario.room.agent_activates()


async def _reconnect(scenario: Scenario) -> None:
    scenario.room.reconnecting()
    await settle()
    scenario.room.reconnected()


async def _rejoin(scenario: Scenario) -> None:
    scenario.room.lose("the server went away")
    await scenario.clock.wait_for_sleepers()
    await scenario.clock.elapse(1.0)
    await scenario.rooms.next()


async def _fail(scenario: Scenario) -> None:
    scenario.room.lose("the room was deleted", rejoin=False)


STEPS: Final[tuple[tuple[str, Step], ...]] = (
    ("mounted on an idle session", lambda _: settle()),
    ("connected", Scenario.join),
    ("the agent's states", _agent_works),
    ("a transcript", _transcript),
    ("unknown and malformed messages", _strange_messages),
    ("tracks that come, go and come back", _tracks),
    ("the agent leaves and comes back", _agent_leaves),
    ("the SDK reconnects", _reconnect),
    ("the room is lost and rejoined", _rejoin),
    ("disconnected", lambda scenario: scenario.session.disconnect()),
    ("connected again", Scenario.join),
    ("switched to another agent", lambda scenario: scenario.session.switch_agent("agt_second")),
    ("connected to the other agent", Scenario.join),
    ("the room is lost for good", _fail),
)

SurfaceFactory: TypeAlias = Callable[[], Surface | SurfaceFunction]

KEY: Final = "checked"
SMALL_RING: Final = 16  # events: a surface that does not read for a moment falls out of it
BURST: Final = 100  # events that are published before any surface can run
HANDLE: Final = "handle Lagged from a reader, errors of sending, and ends of tracks"
LET_THROUGH: Final = "let cancellation through: no `except BaseException`, no loop around the wait"
SETTLE: Final = (
    "take commands with `async for command in session.commands()`: asking for the next one settles "
    "the last one; or call `finish`"
)
MICROPHONE: Final = Rule(
    "a mounted surface touches the microphone only if it is meant to",
    "acquire it when a person asks; or check_surface(..., microphone=True)",
)


async def check_surface(
    factory: SurfaceFactory,
    *,
    capabilities: Iterable[str] = (),
    microphone: bool = False,
    seconds: float = 5.0,
) -> None:
    """Prove that a surface keeps its contract, on scripted sessions: no server, no network.

    Shown: it runs through a whole scenario (an agent and tracks that come and go, a transcript, a
    reconnect, a lost room, another agent, malformed messages, falling behind) without a fault; it
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


@dataclass(eq=False)
class _SurfaceCheck:
    factory: SurfaceFactory
    capabilities: frozenset[Capability]
    microphone: bool
    seconds: float
    thread: CheckThread = field(default_factory=CheckThread)
    name: str = "the surface"
    fault: BaseException | None = None

    async def run(self) -> None:
        for number in range(len(STEPS), 0, -1):
            await self._unmounts_after(number)
        await self._survives_falling_behind()
        await self._runs_beside_another_and_again()
        if self.capabilities:
            await self._settles_commands()
        await self._ends_with_its_session()

    async def _unmounts_after(self, number: int) -> None:
        async with self._scenario() as scenario:
            surface = self._mount(scenario)
            for name, step in STEPS[:number]:
                await step(scenario)
                await self._require_healthy(scenario, surface, f"at the step: {name}")
            await self._unmount(scenario, surface, f"after the step: {STEPS[number - 1][0]}")

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
            for capability in sorted(self.capabilities):
                allowed = f"each command that its capability {capability!r} allows"
                settles = Rule(f"a surface settles {allowed}", SETTLE)
                for command in COMMANDS[capability]:
                    found = f"{self.name} did not settle {command.wire_type()!r}"
                    async with in_time(self.seconds, settles, found):
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
        ended = surface.status in ("unmounted", "ended")
        rule = Rule("a surface ends with its session", LET_THROUGH)
        rule.check(ended, f"{self.name} is {surface.status}")

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
            close_timeout=self.seconds,
            capacity=capacity,
        )
        async with no_leaked_tasks(self.seconds):
            await session.__aenter__()
            faults = session.subscribe(SurfaceFailed, SurfaceDidNotStop)
            try:
                with faults:
                    yield Scenario(session, rooms, clock, faults)
            except Exception as error:
                self.thread.fail(error)  # on trio closing waits for the surface
                raise
            finally:
                with anyio.move_on_after(2 * self.seconds):
                    await session.__aexit__(None, None, None)

    def _mount(self, scenario: Scenario, key: str = KEY) -> MountedSurface:
        surface = self.factory()
        run = surface_function(surface)
        self.name = getattr(surface, "__qualname__", type(surface).__qualname__)

        async def watched(session: SurfaceSession) -> None:
            try:
                await run(session)
            except anyio.get_cancelled_exc_class():
                raise  # not kept: its traceback refers to the surface's readers
            except BaseException as error:
                self.fault = error
                raise

        return scenario.session.mount(
            watched, key=key, capabilities=self.capabilities, on_fault="unmount"
        )

    async def _unmount(self, scenario: Scenario, surface: MountedSurface, when: str) -> None:
        rule = Rule(f"a surface ends when it is unmounted ({when})", LET_THROUGH)
        found = f"{self.name} ignored its cancellation and did not end"
        async with in_time(2 * self.seconds, rule, found):
            await surface.unmount()
        found += f" within {self.seconds:g} s"
        rule.check(surface.status != "abandoned", found, self.fault)
        await self._require_healthy(scenario, surface, f"when it was unmounted, {when}")
        if scenario.session.state.surfaces:
            return
        if scenario.rooms.rooms:
            # A reader that was dropped without being closed counts until the next frame.
            scenario.room.push_video()
            scenario.room.push_audio()
        reads = f"an unmounted surface reads no frames any more ({when})"
        for channel in (scenario.session.video, scenario.session.audio):
            found = f"{self.name} left {channel.demand} readers of the {type(channel).__name__}"
            rule = Rule(reads, "use `with channel.subscribe() as frames`")
            rule.check(channel.demand == 0, found)

    async def _require_healthy(
        self, scenario: Scenario, surface: MountedSurface, when: str
    ) -> None:
        await settle()
        if scenario.faults.lag:
            fault = await anext(scenario.faults)
            found = fault.error if isinstance(fault, SurfaceFailed) else "it did not stop"
            self._require_survival(False, when, f"{self.name} failed with {found}")
        microphone = scenario.session.microphone.owner
        found = f"{microphone!r} ({self.name}) holds it, {when}"
        MICROPHONE.check(self.microphone or microphone is None, found)
        self._require_status(surface, when)

    def _require_status(self, surface: MountedSurface, when: str) -> None:
        healthy = surface.status in ("running", "ended", "unmounted")
        self._require_survival(healthy, when, f"{self.name} is {surface.status}")

    def _require_survival(self, healthy: bool, when: str, found: str) -> None:
        rule = Rule(f"a surface survives what a session goes through ({when})", HANDLE)
        rule.check(healthy, found, self.fault)
