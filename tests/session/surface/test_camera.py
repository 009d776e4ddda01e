"""The camera and the screen are leased as the microphone is, each for itself."""

from __future__ import annotations

import anyio
import pytest

from livelayer_bus.errors import MicrophoneBusyError, SourceBusyError
from livelayer_bus.events import CameraChanged, Event, ScreenChanged
from livelayer_bus.media import FrameMetadata, VideoFrame
from livelayer_bus.session import Session
from livelayer_bus.state import LeaseState
from livelayer_bus.surfaces import SurfaceSession
from livelayer_bus.testing import (
    PATIENCE,
    ManualClock,
    ScriptedRoom,
    ScriptedRooms,
    grey_picture,
    settle,
    silence,
)

pytestmark = pytest.mark.anyio

SOURCES = pytest.mark.parametrize("source", ["camera", "screen"])
CHANGES: dict[str, type[CameraChanged] | type[ScreenChanged]] = {
    "camera": CameraChanged,
    "screen": ScreenChanged,
}


@SOURCES
async def test_a_lease_publishes_with_its_first_frame_and_is_known_while_it_lasts(
    session: Session, room: ScriptedRoom, source: str
) -> None:
    changed = CHANGES[source]
    publisher = getattr(session, source)
    seen: list[Event] = []
    with session.subscribe(changed) as changes:
        async with publisher.acquire(owner="panel") as lease:
            await settle()
            assert not room.video_tracks
            frame = grey_picture()
            await lease.push(frame)
            pictures = room.video_tracks[-1]
            assert pictures.frames == (frame,)
            assert (pictures.source, pictures.width, pictures.height) == (
                source,
                frame.width,
                frame.height,
            )
            lease.mute()
            assert pictures.muted
            assert getattr(session.state, source) == LeaseState("panel", muted=True)
        assert pictures.closed
        seen = [await anext(changes) for _ in range(3)]
    assert seen == [changed("panel"), changed("panel", muted=True), changed(None)]
    assert getattr(session.state, source) is None


async def test_each_source_has_an_owner_of_its_own(session: Session, room: ScriptedRoom) -> None:
    async with (
        session.camera.acquire("panel"),
        session.screen.acquire("bubble"),
        session.microphone.acquire("desk"),
    ):
        state = session.state
        assert state.camera == LeaseState("panel")
        assert state.screen == LeaseState("bubble")
        assert state.microphone == LeaseState("desk")
        with pytest.raises(SourceBusyError, match=r"the camera .* 'panel'") as caught:
            async with session.camera.acquire("bubble"):
                pass
        assert (caught.value.source, caught.value.owner) == ("camera", "panel")
        assert not isinstance(caught.value, MicrophoneBusyError)


async def test_pictures_may_change_their_size_under_one_lease(
    session: Session, room: ScriptedRoom
) -> None:
    async with session.camera.acquire("panel") as lease:
        await lease.push(VideoFrame(bytes(24), 4, 4))
        await lease.push(VideoFrame(bytes(96), 8, 8))
    assert len(room.video_tracks) == 1
    assert len(room.video_tracks[0].frames) == 2


@pytest.mark.parametrize("metadata", [None, FrameMetadata(capture_us=1)])
async def test_a_lease_whose_first_picture_is_stamped_sends_the_stamps(
    session: Session, room: ScriptedRoom, metadata: FrameMetadata | None
) -> None:
    async with session.camera.acquire("panel") as lease:
        await lease.push(VideoFrame(bytes(24), 4, 4, metadata=metadata))
    assert room.video_tracks[0].stamped is (metadata is not None)


async def test_a_lease_is_published_again_in_the_next_room(
    session: Session, room: ScriptedRoom, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    async with session.screen.acquire("panel") as lease:
        lease.mute()
        await lease.push(grey_picture())
        room.lose()
        await lease.push(grey_picture())
        await manual_clock.wait_for_sleepers()
        manual_clock.advance(1.0)
        again = await scripted_rooms.next()
        await settle()
        await lease.push(grey_picture())
        assert (lease.statistics().pushed, lease.statistics().dropped) == (2, 1)
        assert again.video_tracks[0].muted


async def test_everything_a_surface_publishes_ends_with_it(
    session: Session, room: ScriptedRoom
) -> None:
    forgotten = []

    async def shows(view: SurfaceSession) -> None:
        camera, screen = view.camera.acquire(), view.screen.acquire()
        forgotten.extend([camera, screen])
        await (await camera.__aenter__()).push(grey_picture())
        await (await screen.__aenter__()).push(grey_picture())
        async with view.microphone.acquire() as microphone:
            await microphone.push(silence())

    await session.mount(shows, key="panel").wait()
    owners = (session.microphone.owner, session.camera.owner, session.screen.owner)
    assert owners == (None, None, None)
    with anyio.fail_after(PATIENCE):
        for pictures in room.video_tracks:
            await pictures.wait_closed()
        await room.microphones[0].wait_closed()
    for context in forgotten:
        await context.__aexit__(None, None, None)
