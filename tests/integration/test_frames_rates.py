"""Surfaces that want fewer pictures get fewer, each at its own rate, out of the same frames."""

from __future__ import annotations

import pytest

from livelayer_bus.media.frames import NS_PER_SECOND
from tests.integration.frames_kit import Watcher, session_in, showing
from tests.rooms.kit import Stage

pytestmark = [pytest.mark.anyio, pytest.mark.realtime]

RATES = 5.0, 10.0, 15.0
PICTURES = 12  # that the slowest is to get


async def test_four_surfaces_get_the_rates_they_asked_for_out_of_the_same_frames(
    stage: Stage,
) -> None:
    every = Watcher()
    limited = {rate: Watcher(max_fps=rate) for rate in RATES}
    agent = await stage.agent()
    async with session_in(stage) as session, showing(agent):
        session.mount(every, key="every", on_fault="raise")
        for rate, watcher in limited.items():
            session.mount(watcher, key=f"{rate} fps", on_fault="raise")
        for watcher in limited.values():
            await watcher.sees(PICTURES)
        for rate, watcher in limited.items():
            # By the frames' own times, never more often than asked for: on average, wherever
            # they fall around the grid.
            interval = NS_PER_SECOND / rate
            first = watcher.received_ns[0]
            for number, received in enumerate(watcher.received_ns):
                assert received - first >= number * interval - number
            assert watcher.reader is not None
            counted = watcher.reader.statistics()
            assert counted.received == counted.delivered + counted.dropped + counted.waiting
        # That whatever is due is shown is tested of the channel, on frames of known times.
        slowest = limited[min(RATES)].reader
        assert slowest is not None
        await every.until(lambda: slowest.statistics().dropped > 0)
        assert set(limited[min(RATES)].received_ns) & set(every.received_ns)
