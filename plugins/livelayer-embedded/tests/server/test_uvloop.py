"""The whole server on uvloop as well."""

from __future__ import annotations

import pytest
from livekit import rtc

from .conftest import Camera, Join, frames

pytestmark = pytest.mark.anyio

pytest.importorskip("uvloop")


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """asyncio on uvloop's event loop."""
    return "asyncio", {"use_uvloop": True}


async def test_data_and_video_flow_on_uvloop(enter: Join) -> None:
    alice, bob = await enter("alice"), await enter("bob")
    await alice.sees("bob")
    await alice.me.publish_data(b"hello")
    assert (await bob.data()).data == b"hello"
    async with Camera(640, 360) as camera:
        await alice.me.publish_track(camera.track, rtc.TrackPublishOptions(simulcast=True))
        assert len(await frames((await bob.next("track_subscribed"))[0], 10)) == 10
