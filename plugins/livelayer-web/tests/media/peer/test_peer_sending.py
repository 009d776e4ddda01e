"""What is sent follows what is wanted and what the receiver reports; the rest is not sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from aiortc.rtp import RTCP_PSFB_APP, RTCP_PSFB_PLI, RtcpPsfbPacket, pack_remb_fci
from livelayer_web import MediaSettings, Quality
from livelayer_web.media import Media
from livelayer_web.media.aiortc_private import forward_reports

from livelayer_bus.testing import ManualClock

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("agent")]

Serve = Callable[..., Awaitable[Media]]
View = Callable[[Media], Awaitable[Any]]
Until = Callable[[Callable[[], bool]], Awaitable[None]]

LARGE = Quality("large", 360, 600_000, 30)
SMALL = Quality("small", 180, 200_000, 15)
SETTINGS = MediaSettings(ladder=(LARGE, SMALL))


def running(media: Media) -> list[str]:
    """The qualities that are encoded now."""
    return [one.quality.name for one in media.statistics().video.streams if one.running]


def key_frames(media: Media) -> int:
    return sum(one.key_frames for one in media.statistics().video.streams)


async def watching(viewer: Any, until: Until) -> None:
    """Return once three pictures' worth of packets have come after now."""
    before = viewer.packets["video"]
    await until(lambda: viewer.packets["video"] >= before + 10)


async def test_what_the_last_viewer_does_not_want_is_not_encoded(
    serve: Serve, view: View, until: Until
) -> None:
    media = await serve(SETTINGS)
    assert running(media) == []
    first, second = await view(media), await view(media)
    await watching(first, until)
    await watching(second, until)
    assert running(media) == ["large"]

    first.connection.want(video=False, audio=True)
    assert first.connection.quality is None
    assert running(media) == ["large"]
    second.connection.want(video=False, audio=True)
    await until(lambda: running(media) == [])
    audio = first.packets["audio"]
    await until(lambda: first.packets["audio"] >= audio + 10)  # what was on its way has arrived
    stopped = first.packets["video"]
    await until(lambda: first.packets["audio"] >= audio + 20)
    assert first.packets["video"] == stopped

    first.connection.want(video=True, audio=True)
    await watching(first, until)
    assert running(media) == ["large"]


async def test_sound_that_is_not_wanted_is_not_sent(serve: Serve, view: View, until: Until) -> None:
    media = await serve(SETTINGS)
    viewer = await view(media)
    viewer.connection.want(video=True, audio=False)
    await watching(viewer, until)
    stopped = viewer.packets["audio"]
    await watching(viewer, until)
    assert viewer.packets["audio"] == stopped
    assert not media.statistics().audio.running


async def test_a_lost_picture_gets_a_key_frame(serve: Serve, view: View, until: Until) -> None:
    clock = ManualClock()
    media = await serve(SETTINGS, clock=clock)
    viewer = await view(media)
    await watching(viewer, until)
    before = key_frames(media)
    await clock.elapse(1)  # the limit of the join's own key frame is over
    await viewer.send_feedback(RTCP_PSFB_PLI)
    await until(lambda: key_frames(media) == before + 1)
    await viewer.send_feedback(RTCP_PSFB_PLI)
    await watching(viewer, until)
    assert key_frames(media) == before + 1
    await clock.elapse(1)
    await until(lambda: key_frames(media) == before + 2)


async def test_a_link_that_carries_less_gets_less_and_nobody_else_does(
    serve: Serve, view: View, until: Until
) -> None:
    clock = ManualClock()
    media = await serve(SETTINGS, clock=clock)
    good = await view(media)
    await watching(good, until)
    await clock.elapse(1)  # a key frame for each who joins, but not two at once
    bad = await view(media)
    await watching(bad, until)
    for _ in range(4):
        await bad.send_loss(0.5)
        await watching(bad, until)
        await clock.elapse(1)
    await until(lambda: bad.connection.quality == SMALL)
    await watching(bad, until)
    assert good.connection.quality == LARGE
    assert sorted(running(media)) == ["large", "small"]


async def test_an_estimate_is_heard_if_it_is_about_the_picture() -> None:
    handled: list[object] = []
    heard: list[int] = []

    async def handle(packet: object) -> None:
        handled.append(packet)

    sender: Any = SimpleNamespace(_ssrc=7, _handle_rtcp_packet=handle)
    reports: Any = SimpleNamespace(bandwidth_estimated=heard.append)
    forward_reports(sender, reports)
    told = vars(sender)["_handle_rtcp_packet"]
    for fci in (pack_remb_fci(150_000, [7]), pack_remb_fci(90_000, [8]), b"other"):
        await told(RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=fci))
    assert heard == [150_000]
    assert len(handled) == 3  # aiortc does with them what it did before


async def test_a_small_picture_is_sent_small(serve: Serve, view: View, until: Until) -> None:
    clock = ManualClock()
    media = await serve(SETTINGS, clock=clock)
    viewer = await view(media)
    viewer.connection.want(video=True, audio=True, height=150)
    await watching(viewer, until)
    await clock.elapse(5)
    await until(lambda: viewer.connection.quality == SMALL)
    await until(lambda: running(media) == ["small"])
    viewer.connection.want(video=True, audio=True, height=400)
    await until(lambda: viewer.connection.quality == LARGE)


async def test_packets_go_on_in_order_over_a_change_of_quality(
    serve: Serve, view: View, until: Until
) -> None:
    clock = ManualClock()
    media = await serve(SETTINGS, clock=clock)
    viewer = await view(media)
    seen: list[tuple[int, int]] = []
    viewer.on_packet = lambda packet: seen.append((packet.sequence_number, packet.timestamp))
    await watching(viewer, until)
    viewer.connection.want(video=True, audio=True, height=150)
    await clock.elapse(5)
    await until(lambda: viewer.connection.quality == SMALL)
    await watching(viewer, until)
    numbers = [number for number, _ in seen]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    times = [(stamp - seen[0][1]) % (1 << 32) for _, stamp in seen]
    assert times == sorted(times)
    largest = max(after - before for before, after in pairwise(times))
    assert largest < 90_000  # a second: both qualities share one clock
