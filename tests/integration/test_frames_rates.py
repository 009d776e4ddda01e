"""Surfaces that want fewer pictures get fewer, each at its own rate, out of the same frames."""

from __future__ import annotations

import pytest

from livelayer_bus.media.frames import NS_PER_SECOND
from tests.integration.frames_kit import Watcher, session_in, showing
from tests.rooms.kit import Stage

pytestmark = pytest.mark.anyio

RATES = 5.0, 10.0, 15.0
PICTURES = 75  # two and a half seconds of them


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
        await every.sees(PICTURES)
        for rate, watcher in limited.items():
            interval = NS_PER_SECOND / rate
            times = watcher.received_ns
            first = times[0]
            # On average never more often, wherever the frames fall around the grid.
            for number, received in enumerate(times):
                assert received - first >= number * interval - number
            assert set(times) <= set(every.received_ns)
            # And as often as it asked for: whatever was due was shown.
            due, expected = first, list[int]()
            for received in every.received_ns[every.received_ns.index(first) :]:
                if received >= due:
                    expected.append(received)
                    late = received - due
                    due = (due if late < interval else received) + round(interval)
            assert times == expected[: len(times)]
            assert len(times) >= len(expected) - 1
            assert watcher.reader is not None
            counted = watcher.reader.statistics()
            assert counted.received == counted.delivered + counted.dropped + counted.waiting
        slowest = limited[min(RATES)].reader
        assert slowest is not None
        assert slowest.statistics().dropped > 0
