from __future__ import annotations

from contextlib import AbstractAsyncContextManager

import anyio
import pytest

from livelayer_bus.errors import ClosedError, MicrophoneBusyError, MisuseError, NotConnectedError
from livelayer_bus.events import MicrophoneChanged
from livelayer_bus.media import AudioFrame
from livelayer_bus.session import Session, standalone
from livelayer_bus.state import LeaseState
from livelayer_bus.surfaces import Lease, SurfaceSession
from livelayer_bus.testing import (
    PATIENCE,
    ManualClock,
    ScriptedRoom,
    ScriptedRooms,
    settle,
    silence,
)

pytestmark = pytest.mark.anyio


async def test_nothing_is_published_before_a_frame_is_pushed(
    session: Session, room: ScriptedRoom
) -> None:
    async with session.microphone.acquire(owner="panel") as lease:
        await settle()
        assert not room.microphones
        await lease.push(silence(sample_rate=16_000))
        microphone = room.microphones[-1]
        assert (microphone.sample_rate, microphone.num_channels) == (16_000, 1)
        assert len(microphone.frames) == 1


async def test_the_lease_is_known_while_it_lasts(session: Session, room: ScriptedRoom) -> None:
    with session.subscribe(MicrophoneChanged) as changes:
        async with session.microphone.acquire(owner="panel") as lease:
            assert (session.microphone.owner, lease.owner) == ("panel", "panel")
            assert session.state.microphone == LeaseState("panel")
        state = session.state
        assert state.microphone is None
        assert await anext(changes) == MicrophoneChanged("panel")
        assert await anext(changes) == MicrophoneChanged(None)


async def test_a_second_owner_is_refused_with_the_firsts_name(
    session: Session, room: ScriptedRoom
) -> None:
    async with session.microphone.acquire(owner="panel"):
        with pytest.raises(MicrophoneBusyError, match="'panel'") as caught:
            async with session.microphone.acquire(owner="bubble"):
                pass
        assert caught.value.owner == "panel"
        with pytest.raises(MicrophoneBusyError):
            async with session.microphone.acquire(owner="panel"):
                pass
    async with session.microphone.acquire(owner="bubble"):
        assert session.microphone.owner == "bubble"


async def test_the_track_is_unpublished_with_the_lease(
    session: Session, room: ScriptedRoom
) -> None:
    async with session.microphone.acquire(owner="panel") as lease:
        await lease.push(silence())
    assert room.microphones[0].closed
    with pytest.raises(ClosedError):
        await lease.push(silence())
    with pytest.raises(ClosedError):
        lease.mute()
    async with session.microphone.acquire(owner="panel") as lease:
        await lease.push(silence())
    assert len(room.microphones) == 2


async def test_muting_is_told_and_reaches_the_track(session: Session, room: ScriptedRoom) -> None:
    async with session.microphone.acquire(owner="panel") as lease:
        lease.mute()
        assert session.state.microphone == LeaseState("panel", muted=True)
        await lease.push(silence())
        microphone = room.microphones[0]
        assert microphone.muted
        with session.subscribe(MicrophoneChanged) as changes:
            lease.unmute()
            lease.unmute()
            assert await anext(changes) == MicrophoneChanged("panel", muted=False)
            assert changes.lag == 0
        muted = microphone.muted
        assert not muted


async def test_a_full_buffer_holds_the_speaker_up_not_the_session(
    session: Session, room: ScriptedRoom
) -> None:
    async with session.microphone.acquire(owner="panel") as lease:
        await lease.push(silence())
        room.microphones[0].pushing.hold()
        async with anyio.create_task_group() as group:
            group.start_soon(lease.push, silence())
            await room.microphones[0].pushing.wait_held()
            await session.send_data({"type": "n"})
            room.microphones[0].pushing.open()
        assert len(room.microphones[0].frames) == 2


async def test_the_format_stays_for_a_lease(session: Session, room: ScriptedRoom) -> None:
    async with session.microphone.acquire(owner="panel") as lease:
        await lease.push(silence(sample_rate=48_000))
        with pytest.raises(MisuseError, match="48000"):
            await lease.push(silence(sample_rate=16_000))
    async with session.microphone.acquire(owner="panel") as lease:
        await lease.push(silence(sample_rate=16_000))


async def test_without_a_room_pushing_is_refused(session: Session) -> None:
    async with session.microphone.acquire(owner="panel") as lease:
        with pytest.raises(NotConnectedError):
            await lease.push(silence())


async def test_while_rejoining_frames_are_dropped_and_counted(
    session: Session,
    room: ScriptedRoom,
    scripted_rooms: ScriptedRooms,
    manual_clock: ManualClock,
) -> None:
    async with session.microphone.acquire(owner="panel") as lease:
        await lease.push(silence())
        room.lose()
        await lease.push(silence())
        await lease.push(silence())
        await manual_clock.wait_for_sleepers()
        manual_clock.advance(1.0)
        again = await scripted_rooms.next()
        await settle()
        await lease.push(silence())
        statistics = lease.statistics()
        assert (statistics.pushed, statistics.dropped) == (2, 2)
        assert len(again.microphones[0].frames) == 1
        assert session.microphone.owner == "panel"


async def test_a_muted_lease_stays_muted_in_the_next_room(
    session: Session,
    room: ScriptedRoom,
    scripted_rooms: ScriptedRooms,
    manual_clock: ManualClock,
) -> None:
    async with session.microphone.acquire(owner="panel") as lease:
        lease.mute()
        await lease.push(silence())
        room.lose()
        await manual_clock.wait_for_sleepers()
        manual_clock.advance(1.0)
        again = await scripted_rooms.next()
        await settle()
        await lease.push(silence())
        assert again.microphones[0].muted


async def test_callers_at_the_same_time_open_one_track(
    session: Session, room: ScriptedRoom
) -> None:
    room.publishing.hold()
    async with session.microphone.acquire(owner="panel") as lease:
        async with anyio.create_task_group() as group:
            group.start_soon(lease.push, silence())
            group.start_soon(lease.push, silence())
            await room.publishing.wait_held()
            await settle()
            room.publishing.open()
        assert len(room.microphones) == 1
        assert len(room.microphones[0].frames) == 2


async def test_a_lease_that_ends_while_its_track_opens_leaves_no_track(
    session: Session, room: ScriptedRoom
) -> None:
    room.publishing.hold()
    async with anyio.create_task_group() as group:
        async with session.microphone.acquire(owner="panel") as lease:
            group.start_soon(_push_in_vain, lease)
            await room.publishing.wait_held()
        room.publishing.open()
    assert [microphone.closed for microphone in room.microphones] in ([], [True])


async def _push_in_vain(lease: Lease[AudioFrame]) -> None:
    with pytest.raises(ClosedError):
        await lease.push(silence())


# In the hands of surfaces --------------------------------------------------------------------


async def test_the_lease_ends_with_its_surface(session: Session, room: ScriptedRoom) -> None:
    async def speaks(view: SurfaceSession) -> None:
        async with view.microphone.acquire() as lease:
            await lease.push(silence())
            await anyio.sleep_forever()

    surface = session.mount(speaks, key="panel")
    await room.wait_until(lambda: bool(room.microphones))
    owners = [session.microphone.owner]
    await surface.unmount()
    owners.append(session.microphone.owner)
    assert owners == ["panel", None]
    assert room.microphones[0].closed


async def test_the_lease_ends_with_a_surface_that_failed(
    session: Session, room: ScriptedRoom
) -> None:
    async def fails(view: SurfaceSession) -> None:
        async with view.microphone.acquire() as lease:
            await lease.push(silence())
            raise ValueError("a fault of its own")

    await session.mount(fails, key="panel", on_fault="unmount").wait()
    assert session.microphone.owner is None
    await room.microphones[0].wait_closed()


async def test_a_lease_that_a_surface_never_gave_back_ends_with_it(
    session: Session, room: ScriptedRoom
) -> None:
    contexts: list[AbstractAsyncContextManager[Lease[AudioFrame]]] = []

    async def forgets(view: SurfaceSession) -> None:
        contexts.append(view.microphone.acquire())
        lease = await contexts[0].__aenter__()
        await lease.push(silence())

    await session.mount(forgets, key="panel").wait()
    assert session.microphone.owner is None
    with anyio.fail_after(PATIENCE):
        await room.microphones[0].wait_closed()
    async with session.microphone.acquire(owner="bubble"):
        await contexts[0].__aexit__(None, None, None)  # too late to take it from the next owner
        assert session.microphone.owner == "bubble"


async def test_a_surface_that_asks_for_nothing_touches_nothing(
    session: Session, room: ScriptedRoom
) -> None:
    async def watches(view: SurfaceSession) -> None:
        with view.subscribe() as events:
            async for _ in events:
                pass

    session.mount(watches, key="panel")
    room.agent_state("speaking")
    await settle()
    assert session.microphone.owner is None
    assert room.microphones == ()


async def test_standalone_keeps_the_microphone_for_its_surface(
    scripted_rooms: ScriptedRooms,
) -> None:
    started = anyio.Event()

    async def speaks(view: SurfaceSession) -> None:
        async with view.microphone.acquire():
            started.set()
            await anyio.sleep_forever()

    async with standalone(
        speaks, "agt", tokens=scripted_rooms.tokens, room=scripted_rooms
    ) as session:
        await started.wait()
        with pytest.raises(MicrophoneBusyError, match="standalone"):
            async with session.microphone.acquire(owner="somebody"):
                pass


async def test_a_surface_reads_what_another_one_publishes_unless_it_is_muted(
    session: Session, room: ScriptedRoom
) -> None:
    spoken = [silence() for _ in range(3)]
    heard: list[AudioFrame] = []

    async def record(surface: SurfaceSession) -> None:
        with surface.microphone.sent.subscribe() as frames:
            async for frame in frames:
                assert isinstance(frame, AudioFrame)
                heard.append(frame)

    session.mount(record, key="recorder")
    await settle()
    async with session.microphone.acquire("panel") as lease:
        for frame in spoken:
            (lease.mute if frame is spoken[1] else lease.unmute)()
            await lease.push(frame)
            await settle()
    assert heard == [spoken[0], spoken[2]]


async def test_what_is_published_ends_with_the_session(
    session: Session, room: ScriptedRoom
) -> None:
    with session.camera.sent.subscribe() as pictures:
        await session.aclose()
        with anyio.fail_after(PATIENCE):
            assert [picture async for picture in pictures] == []
