"""Our own microphone, as another participant hears it."""

from __future__ import annotations

import asyncio

import anyio
import numpy as np
import pytest
from livekit import rtc

from livelayer_bus.errors import ClosedError, MisuseError
from livelayer_bus.media import AudioFrame
from livelayer_bus.rooms import PublishedTrack
from livelayer_bus.rooms.publishing import QUEUE_MS, LiveKitMicrophone
from livelayer_bus.testing import PATIENCE, polled
from tests.rooms.kit import Joined, RecordingSink, Stage

pytestmark = [pytest.mark.anyio, pytest.mark.realtime]

RATE = 24_000
LOUD = AudioFrame((b"\x00\x20" * 20 + b"\x00\xe0" * 20) * 6, RATE, 1, 240)


class Ear:
    """Another participant that waits for our microphone."""

    def __init__(self, room: rtc.Room) -> None:
        self.track: asyncio.Future[rtc.Track] = asyncio.get_running_loop().create_future()
        self.muted = asyncio.Event()
        self.unmuted = asyncio.Event()
        self.gone = asyncio.Event()
        room.on("track_subscribed", self._subscribed)
        room.on("track_muted", lambda *_: self.muted.set())
        room.on("track_unmuted", lambda *_: self.unmuted.set())
        room.on("track_unpublished", lambda *_: self.gone.set())

    def _subscribed(self, track: rtc.Track, publication: rtc.RemoteTrackPublication) -> None:
        assert publication.source == rtc.TrackSource.SOURCE_MICROPHONE
        self.track.set_result(track)

    async def hears(self) -> None:
        """Return once something loud came in."""
        stream = rtc.AudioStream.from_track(track=await self.track, capacity=10)
        async for event in stream:
            if np.abs(np.frombuffer(event.frame.data, np.int16)).max() > 1000:
                break
        await stream.aclose()


async def speak(microphone: PublishedTrack[AudioFrame]) -> None:
    """Push without end."""
    while True:
        await microphone.push(LOUD)


async def test_what_is_pushed_is_heard_until_it_is_muted_or_closed(
    stage: Stage, joined: Joined
) -> None:
    ear = Ear(await stage.agent())
    microphone = await joined.room.open_track("microphone", LOUD)
    speaking = asyncio.create_task(speak(microphone))
    with anyio.fail_after(PATIENCE):
        await ear.hears()
        microphone.set_muted(True)
        await ear.muted.wait()
        microphone.set_muted(False)
        await ear.unmuted.wait()
        speaking.cancel()
        await asyncio.wait([speaking])
        await microphone.aclose()
        await microphone.aclose()
        await ear.gone.wait()
    with pytest.raises(ClosedError):
        await microphone.push(LOUD)
    with pytest.raises(ClosedError):
        microphone.set_muted(True)


async def test_pushing_waits_for_the_bounded_buffer(joined: Joined) -> None:
    microphone = await joined.room.open_track("microphone", LOUD)
    assert isinstance(microphone, LiveKitMicrophone)
    source = microphone._source
    for _ in range(100):  # a second of sound: five times what may be queued
        await microphone.push(LOUD)
        assert source.queued_duration < 2 * QUEUE_MS / 1000
    await microphone.aclose()


async def test_a_frame_of_another_form_is_refused(joined: Joined) -> None:
    microphone = await joined.room.open_track("microphone", LOUD)
    with pytest.raises(MisuseError, match="24000"):
        await microphone.push(AudioFrame(bytes(960), 48_000, 1, 480))
    await microphone.aclose()


async def test_closing_the_room_takes_its_microphones_along(
    stage: Stage, joined: Joined, sink: RecordingSink
) -> None:
    microphone = await joined.room.open_track("microphone", LOUD)
    await microphone.push(LOUD)
    await joined.room.aclose()
    with pytest.raises(ClosedError):
        await microphone.push(LOUD)


@pytest.mark.parametrize("passes", [1, 3])
async def test_a_cancelled_opening_publishes_nothing(
    stage: Stage, joined: Joined, passes: int
) -> None:
    opening = asyncio.ensure_future(joined.room.open_track("microphone", LOUD))
    for _ in range(passes):
        await asyncio.sleep(0)
    opening.cancel()
    await asyncio.wait([opening])
    assert opening.cancelled()
    native = joined.room.native
    assert native is not None
    # Requests are answered in order: what was being published is there, or gone, by now.
    await (await joined.room.open_track("microphone", LOUD)).aclose()
    await polled(lambda: not native.local_participant.track_publications)
