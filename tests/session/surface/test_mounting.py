from __future__ import annotations

import anyio
import pytest

from livelayer_bus.errors import DuplicateSurfaceError, MisuseError
from livelayer_bus.events import SurfaceMounted, SurfaceUnmounted
from livelayer_bus.messages import UserMessage
from livelayer_bus.session import Session, standalone
from livelayer_bus.surfaces import SurfaceSession, mount
from livelayer_bus.testing import ManualClock, ScriptedRooms, settle

from ...session.conftest import MakeSession

pytestmark = pytest.mark.anyio


async def idle(session: SurfaceSession) -> None:
    await anyio.sleep_forever()


async def once(session: SurfaceSession) -> None:
    await anyio.lowlevel.checkpoint()


class Panel:
    def __init__(self) -> None:
        self.sessions: list[SurfaceSession] = []
        self.started = anyio.Event()
        self.ended = 0

    async def run(self, session: SurfaceSession) -> None:
        self.sessions.append(session)
        self.started.set()
        try:
            await anyio.sleep_forever()
        finally:
            self.ended += 1


async def test_an_object_or_an_async_function_is_a_surface(session: Session) -> None:
    panel = Panel()
    first = session.mount(panel, key="panel")
    second = session.mount(idle, key="bubble")
    await panel.started.wait()
    assert session.state.surfaces == ("panel", "bubble")
    assert (first.key, first.status, second.status) == ("panel", "running", "running")
    assert panel.sessions[0].key == "panel"


async def test_mounting_and_unmounting_are_events(session: Session) -> None:
    with session.subscribe(SurfaceMounted, SurfaceUnmounted) as events:
        surface = session.mount(idle, key="panel")
        await surface.unmount()
        assert await anext(events) == SurfaceMounted("panel")
        assert await anext(events) == SurfaceUnmounted("panel")
    assert surface.status == "unmounted"
    assert session.state.surfaces == ()


async def test_unmounting_waits_for_the_end_and_twice_is_harmless(session: Session) -> None:
    panel = Panel()
    surface = session.mount(panel, key="panel")
    await panel.started.wait()
    await surface.unmount()
    assert panel.ended == 1
    await surface.unmount()
    await surface.wait()
    assert panel.ended == 1


async def test_unmounting_never_disconnects(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    surfaces = [session.mount(idle, key=str(number)) for number in range(3)]
    await session.connect()
    for surface in surfaces:
        await surface.unmount()
    panel = Panel()
    session.mount(panel, key="new")
    await panel.started.wait()
    assert panel.sessions[0].connection_state == "connected"
    assert len(scripted_rooms.rooms) == 1


async def test_disconnecting_never_unmounts(session: Session) -> None:
    surface = session.mount(idle, key="panel")
    await session.connect()
    await session.disconnect()
    await session.connect()
    assert surface.status == "running"


async def test_a_live_key_cannot_be_used_twice(session: Session) -> None:
    surface = session.mount(idle, key="panel")
    with pytest.raises(DuplicateSurfaceError, match="'panel'"):
        session.mount(idle, key="panel")
    await surface.unmount()
    again = session.mount(idle, key="panel")
    assert again.status == "running"
    assert session.state.surfaces == ("panel",)


async def test_a_surface_that_ends_by_itself_is_gone(session: Session) -> None:
    surface = session.mount(once, key="panel")
    await surface.wait()
    assert surface.status == "ended"
    assert session.state.surfaces == ()
    session.mount(idle, key="panel")


async def test_unmounting_before_the_first_step_runs_nothing(session: Session) -> None:
    panel = Panel()
    surface = session.mount(panel, key="panel")
    await surface.unmount()
    assert surface.status == "unmounted"
    assert panel.ended in (0, len(panel.sessions))
    assert session.state.surfaces == ()


async def test_a_surface_may_unmount_itself(session: Session) -> None:
    async def leaves(view: SurfaceSession) -> None:
        await surface.unmount()
        await anyio.sleep_forever()

    surface = session.mount(leaves, key="panel")
    await surface.wait()
    assert surface.status == "unmounted"


async def test_a_surface_may_mount_another(session: Session) -> None:
    panel = Panel()

    async def opens(view: SurfaceSession) -> None:
        session.mount(panel, key="child")

    await session.mount(opens, key="parent").wait()
    await panel.started.wait()
    assert session.state.surfaces == ("child",)


@pytest.mark.parametrize("surface", [Panel, 5, object()])
async def test_what_is_no_surface_is_refused(session: Session, surface: object) -> None:
    with pytest.raises(MisuseError):
        session.mount(surface, key="panel")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - the misuse under test
    assert session.state.surfaces == ()


async def test_a_function_that_is_not_async_is_refused_with_the_fix(session: Session) -> None:
    def shows(view: SurfaceSession) -> None: ...

    with pytest.raises(MisuseError, match="write 'async def shows'"):
        session.mount(shows, key="panel")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - the misuse under test
    assert session.state.surfaces == ()


async def test_an_unknown_capability_is_refused_with_a_hint(session: Session) -> None:
    with pytest.raises(MisuseError, match="navigate"):
        session.mount(idle, key="panel", capabilities=["navigat"])
    with pytest.raises(MisuseError, match="on_fault"):
        session.mount(idle, key="panel", on_fault="explode")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - the misuse under test
    assert session.state.surfaces == ()


async def test_a_surface_sees_the_session_it_is_mounted_on(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    panel = Panel()
    session.mount(panel, key="panel", capabilities=["navigate"])
    await panel.started.wait()
    view = panel.sessions[0]
    await view.connect()
    room = await scripted_rooms.next()
    room.agent_joins()
    room.transcribes("one", "Good day")
    assert view.state == session.state
    assert (view.id, view.agent_id, view.connection_state) == (session.id, "agt", "connected")
    assert view.transcript == session.transcript
    assert view.video.demand == session.video.demand == 0
    with view.video.subscribe():
        assert session.video.demand == 1
    assert view.capabilities == {"navigate"}
    await view.send_data(UserMessage("hello"))
    assert room.sent[0].message == UserMessage("hello")
    await view.disconnect()
    assert session.connection_state == "disconnected"


async def test_a_late_surface_starts_from_a_full_snapshot(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    await session.connect()
    room = await scripted_rooms.next()
    room.transcribes("one", "Good day")
    heard: list[str] = []
    started = anyio.Event()

    async def shows(view: SurfaceSession) -> None:
        with view.subscribe() as events:
            heard.extend(entry.text for entry in events.snapshot.transcript)
            started.set()
            await anyio.sleep_forever()

    session.mount(shows, key="late")
    await started.wait()
    assert heard == ["Good day"]


async def test_mount_takes_a_session_too(session: Session) -> None:
    surface = mount(idle, session, key="panel")
    assert session.state.surfaces == ("panel",)
    await surface.unmount()


# Lingering ----------------------------------------------------------------------------------


async def test_some_time_after_the_last_surface_the_session_disconnects(
    make_session: MakeSession, manual_clock: ManualClock
) -> None:
    async with make_session(linger=30) as session:
        first, second = session.mount(idle, key="1"), session.mount(idle, key="2")
        await session.connect()
        await first.unmount()
        await manual_clock.elapse(60)
        assert session.connection_state == "connected"
        await second.unmount()
        await manual_clock.elapse(29)
        assert session.state.connection_state == "connected"
        await manual_clock.elapse(1)
        state = session.state
        assert state.connection_state == "disconnected"
        assert session.can_resume


async def test_a_surface_that_comes_in_time_keeps_the_session(
    make_session: MakeSession, manual_clock: ManualClock
) -> None:
    async with make_session(linger=30) as session:
        await session.connect()
        await session.mount(idle, key="1").unmount()
        await manual_clock.elapse(29)
        session.mount(idle, key="2")
        await manual_clock.elapse(60)
        assert session.connection_state == "connected"


async def test_a_surface_that_ends_by_itself_counts_as_left(
    make_session: MakeSession, manual_clock: ManualClock
) -> None:
    async with make_session(linger=30) as session:
        await session.connect()
        await session.mount(once, key="1").wait()
        await manual_clock.elapse(30)
        assert session.connection_state == "disconnected"


async def test_without_lingering_a_session_stays_for_ever(
    session: Session, manual_clock: ManualClock
) -> None:
    await session.connect()
    await session.mount(idle, key="1").unmount()
    await manual_clock.elapse(86_400)
    assert session.connection_state == "connected"


# Standalone ---------------------------------------------------------------------------------


async def test_standalone_is_a_connected_session_with_one_surface(
    scripted_rooms: ScriptedRooms,
) -> None:
    panel = Panel()
    async with standalone(
        panel, "agt", tokens=scripted_rooms.tokens, room=scripted_rooms
    ) as session:
        await panel.started.wait()
        assert session.connection_state == "connected"
        assert session.state.surfaces == ("standalone",)
        await settle()
        assert scripted_rooms.rooms[0].microphones == ()
    assert panel.ended == 1


async def test_a_surface_turns_the_session_to_another_agent(session: Session) -> None:
    panel = Panel()
    mounted = session.mount(panel, key="panel")
    await panel.started.wait()
    [view] = panel.sessions
    await view.switch_agent("agt_other")
    assert (session.agent_id, session.state.epoch) == ("agt_other", 2)
    assert mounted.last_used > 0
    assert mounted.status == "running"
