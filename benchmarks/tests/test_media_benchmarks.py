"""Every case of the frames, audio, data and session benchmarks runs once, as small as it can be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from livelayer_benchmarks import audio, data, frames, session
from livelayer_benchmarks.charts import save_charts
from livelayer_benchmarks.main_frames import PEERS
from livelayer_benchmarks.places import server_for
from livelayer_benchmarks.report import show

from livelayer_bus.errors import ConfigError

WIDTH, HEIGHT = 320, 180

pytestmark = [pytest.mark.slow, pytest.mark.realtime]


def shown(area: str, result: msgspec.Struct, directory: Path) -> dict[str, Any]:
    """The result after a round trip through JSON, the table and the chart."""
    builtins: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(result))
    show(area, builtins)
    chart = directory / f"{area}.svg"
    save_charts(chart, {area: builtins})
    assert chart.stat().st_size > 1000
    return builtins


def test_frames_on_both_paths_with_every_peer(tmp_path: Path) -> None:
    plan = frames.Plan(
        width=WIDTH, height=HEIGHT, readers=(2,), seconds=0.6, warm_up=0.1, repetitions=1, turns=1
    )

    result = frames.run_frames_benchmark(plan, (*frames.INSTALLED_RIVALS, *PEERS))

    assert {(case.path, case.rival) for case in result.cases} == {
        ("local", "livelayer-bus"),
        ("local", "n VideoStreams"),
        ("local", "aiortc MediaRelay"),
        ("local", "aiortc MediaRelay, unbuffered"),
        ("server", "livelayer-bus"),
        ("server", "n VideoStreams"),
        ("server", "n rooms"),
    }
    assert all(case.cpu > 0 and 0 < case.p50 <= case.p99 for case in result.cases)
    assert [(one.path, one.few, one.many, one.turns) for one in result.growths] == [
        ("local", 2, 2, 1),
        ("server", 2, 2, 1),
    ]
    assert all(one.cpu > 0 and one.p50 > 0 for one in result.growths)
    copied = {case.rival: case.copied for case in result.cases if case.path == "server"}
    picture = WIDTH * HEIGHT * 3 // 2
    assert copied == {"livelayer-bus": 0, "n VideoStreams": picture, "n rooms": picture}
    assert {goal.name.partition(":")[0] for goal in result.goals} == {"server", "local"}
    assert shown("frames", result, tmp_path)["surroundings"]["server"] == "embedded"


def test_audio(tmp_path: Path) -> None:
    plan = audio.Plan(readers=(2,), seconds=1.5, warm_up=0.1, repetitions=1)

    result = audio.run_audio_benchmark(plan)

    assert [case.rival for case in result.cases] == ["livelayer-bus", "n AudioStreams"]
    assert all(case.cpu > 0 and case.frames > 0 for case in result.cases)
    assert all(0 < case.p50 <= case.p99 for case in result.cases)
    assert result.together.picture > 0
    assert result.together.voice > 0
    assert shown("audio", result, tmp_path)["goals"]


def test_data(tmp_path: Path) -> None:
    plan = data.Plan(readers=(2,), round_trips=10, warm_up=2, burst=20, repetitions=1)

    result = data.run_data_benchmark(plan)

    assert [case.rival for case in result.cases] == ["livelayer-bus", "bare SDK"]
    assert all(case.p50 > 0 and case.sent_a_second > 0 for case in result.cases)
    assert [case.lost for case in result.cases] == [0, 0]
    assert shown("data", result, tmp_path)["goals"]


def test_session(tmp_path: Path) -> None:
    plan = session.Plan(
        widgets=(1, 2),
        width=WIDTH,
        height=HEIGHT,
        sessions=2,
        every=0.1,
        seconds=0.6,
        warm_up=0.1,
        repetitions=1,
    )

    result = session.run_session_benchmark(plan)

    assert [(case.kind, case.count) for case in result.cases] == [
        *[("widgets", 1), ("widgets", 2)] * 2,
        *[("sessions", 2)] * 2,
    ]
    assert all(case.p50 > 0 for case in result.cases)
    assert all(case.heard > 0 for case in result.cases if case.kind == "sessions")
    assert shown("session", result, tmp_path)["goals"]


def test_a_real_server_needs_its_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIVEKIT_API_KEY", raising=False)

    with pytest.raises(ConfigError, match="LIVEKIT_API_KEY"), server_for("ws://127.0.0.1:7880"):
        pass


def test_a_rival_that_is_not_installed_is_named_and_left_out() -> None:
    plan = data.Plan(readers=(1,), round_trips=3, warm_up=1, burst=3, repetitions=1)

    result = data.run_data_benchmark(plan, (data.INSTALLED_RIVALS[0], "rivals.not_there"))

    assert list(result.skipped) == ["not_there"]
    assert [case.rival for case in result.cases] == ["livelayer-bus"]
