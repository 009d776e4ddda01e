"""A session's media as metrics: read when they are collected, named by surface, taken back."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint

from livelayer_bus.media import FrameMetadata, VideoFrame, VideoWriter
from livelayer_bus.session import Session
from livelayer_bus.surfaces import SurfaceSession
from livelayer_bus.telemetry import instrument
from livelayer_bus.testing import ScriptedRooms, settle, silence

pytestmark = pytest.mark.anyio


class Metrics:
    """An in-memory exporter."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self.provider = MeterProvider([self._reader])

    def read(self) -> dict[str, list[tuple[Mapping[str, Any], float]]]:
        """The data points of each metric, without its prefix."""
        data = self._reader.get_metrics_data()
        return {
            metric.name.removeprefix("livelayer.media."): [
                (point.attributes or {}, point.value)
                for point in metric.data.data_points
                if isinstance(point, NumberDataPoint)
            ]
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


def stamped(ago_ms: int) -> VideoFrame:
    """A picture that says when it was captured."""
    captured_us = time.time_ns() // 1000 - ago_ms * 1000
    return VideoFrame(bytes(24), 4, 4, metadata=FrameMetadata(capture_us=captured_us))


async def test_each_surface_has_its_latencies_and_counts(scripted_rooms: ScriptedRooms) -> None:
    async def watches(view: SurfaceSession) -> None:
        async for _ in view.video.subscribe():
            pass

    metrics = Metrics()
    async with Session("agt", tokens=scripted_rooms.tokens, room=scripted_rooms) as session:
        stop = instrument(session, meter_provider=metrics.provider)
        session.mount(watches, key="panel")
        session.mount(watches, key="bubble")
        await session.connect()
        room = await scripted_rooms.next()
        room.agent_joins()
        room.track_starts("video")
        await settle()
        for _ in range(3):
            room.push_video(stamped(ago_ms=50))
            await settle()
        room.push_audio(silence())
        seen = metrics.read()
        stop()
        after = metrics.read()
        view = session.video.readings()
    video = {"session": session.id, "media": "video"}
    for name in ("latency", "hold"):
        found = {(a["surface"], a["quantile"]) for a, value in seen[name] if value >= 0}
        assert found == {(s, q) for s in ("panel", "bubble") for q in ("p50", "p95", "max")}
    assert {a["surface"]: value for a, value in seen["delivered"]} == {"panel": 3, "bubble": 3}
    assert [value for _, value in seen["dropped"]] == [0, 0]
    assert seen["received"] == [(video, 3), ({**video, "media": "audio"}, 1)]
    transit = {a["quantile"]: value for a, value in seen["transit"]}
    assert 0.05 <= transit["p50"] <= transit["max"] < 5
    assert after == {}
    assert {reading.label for reading in view} == {"panel", "bubble"}


async def test_sessions_share_the_instruments_and_leave_with_themselves(
    scripted_rooms: ScriptedRooms, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = Metrics()
    async with Session("a", tokens=scripted_rooms.tokens, room=scripted_rooms) as first:
        instrument(first, meter_provider=metrics.provider)
        async with Session("b", tokens=scripted_rooms.tokens, room=scripted_rooms) as second:
            instrument(second, meter_provider=metrics.provider)
            sessions = {a["session"] for a, _ in metrics.read()["received"]}
            assert sessions == {first.id, second.id}
    assert not caplog.records


async def test_metrics_are_read_in_an_exporters_thread(scripted_rooms: ScriptedRooms) -> None:
    metrics = Metrics()
    async with Session("a", tokens=scripted_rooms.tokens, room=scripted_rooms) as session:
        instrument(session, meter_provider=metrics.provider)
        await session.connect()
        room = await scripted_rooms.next()
        with session.audio.subscribe():
            async with anyio.create_task_group() as group:

                async def push() -> None:
                    for _ in range(2_000):
                        room.push_audio(silence())
                        await anyio.lowlevel.checkpoint()

                group.start_soon(push)
                for _ in range(20):
                    await anyio.to_thread.run_sync(metrics.read)
        received = {a["media"]: value for a, value in metrics.read()["received"]}
    assert received == {"video": 0, "audio": 2_000}


def test_a_stamp_that_is_no_wall_clock_time_is_not_measured() -> None:
    writer = VideoWriter()
    writer.push(VideoFrame(bytes(24), 4, 4, metadata=FrameMetadata(capture_us=1_000_001)))
    assert writer.channel.statistics().transit.measured == 0
    writer.push(stamped(ago_ms=20))
    transit = writer.channel.statistics().transit
    assert transit.measured == 1
    assert 20e6 <= transit.last_ns < 5e9


def test_nobody_imports_opentelemetry_unasked() -> None:
    code = "import sys, livelayer_bus; print('opentelemetry' in sys.modules)"
    done = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
