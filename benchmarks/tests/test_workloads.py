"""Every case of every area runs once, as small as it can be; figures are not judged here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from livelayer_benchmarks.harness import Area, Result, rivals_of, server_for
from livelayer_benchmarks.harness.charts import save_charts
from livelayer_benchmarks.harness.report import show
from livelayer_benchmarks.workloads import (
    audio,
    data,
    delivery,
    frames,
    record,
    scale,
    session,
    stalls,
    startup,
    terminal,
    web,
)
from livelayer_benchmarks.workloads.stalls.blocked import Blocked
from livelayer_benchmarks.workloads.stalls.sleeping import Sleeping
from livelayer_benchmarks.workloads.stalls.surfaces import Plan as StallsPlan
from livelayer_benchmarks.workloads.viewers import area as viewers
from livelayer_benchmarks.workloads.web.area import Plan as WebPlan

from livelayer_bus.errors import ConfigError
from livelayer_bus.testing import PATIENCE

WIDTH, HEIGHT = 320, 180


@pytest.fixture
def shown(tmp_path: Path, capsys: pytest.CaptureFixture[str], read_result: Any) -> Any:
    """Checks that a result can be encoded, printed and drawn; returns what was printed."""

    def check(area: Area, result: Result[Any, Any]) -> str:
        assert read_result(area, msgspec.json.encode(result)) == result
        show(area.tables, result)
        chart = tmp_path / "chart.svg"
        save_charts(chart, [(area, result)])
        assert chart.stat().st_size > 1000
        return capsys.readouterr().out

    return check


def goals(result: Result[Any, Any]) -> set[str]:
    return {goal.name for goal in result.goals}


def test_a_recorded_session_beside_one_that_is_not_and_encoders_alone(shown: Any) -> None:
    result = record.AREA.measure(record.Plan(WIDTH, HEIGHT, seconds=0.5, repetitions=1))

    assert {case.rival for case in result.cases} == {record.RECORDED, record.ALONE, record.ENCODER}
    assert all(case.cpu > 0 for case in result.cases)
    assert len(goals(result)) == 2
    assert "FFmpeg alone" in shown(record.AREA, result)


def test_a_session_in_a_terminal_beside_one_that_is_not_shown(shown: Any) -> None:
    plan = terminal.Plan(WIDTH, HEIGHT, columns=40, rows=12, seconds=0.5, repetitions=1)

    result = terminal.AREA.measure(plan)

    cases = {case.rival: case for case in result.cases}
    assert set(cases) == {terminal.SHOWN, terminal.ALONE}
    assert cases[terminal.SHOWN].pictures > 0
    assert cases[terminal.SHOWN].output > 0
    assert len(goals(result)) == 2
    assert "not shown" in shown(terminal.AREA, result)


@pytest.mark.slow
def test_frames_on_both_paths_with_every_rival(shown: Any) -> None:
    plan = frames.Plan(
        width=WIDTH, height=HEIGHT, readers=(2,), seconds=0.6, warm_up=0.1, repetitions=1, turns=1
    )

    result = frames.AREA.measure(plan)

    cases = [case for case in result.cases if isinstance(case, frames.Case)]
    assert {(case.path, case.rival) for case in cases} == {
        ("local", "livelayer-bus"),
        ("local", "n VideoStreams"),
        ("local", "aiortc MediaRelay"),
        ("local", "aiortc MediaRelay, unbuffered"),
        ("server", "livelayer-bus"),
        ("server", "n VideoStreams"),
        ("server", "n rooms"),
    }
    assert all(case.cpu > 0 and 0 < case.p50 <= case.p99 for case in cases)
    growths = [case for case in result.cases if isinstance(case, frames.Growth)]
    assert [(one.path, one.few, one.many, one.turns) for one in growths] == [
        ("local", 2, 2, 1),
        ("server", 2, 2, 1),
    ]
    assert all(one.cpu > 0 and one.p50 > 0 for one in growths)
    copied = {case.rival: case.copied for case in cases if case.path == "server"}
    frame = WIDTH * HEIGHT * 3 // 2
    assert copied == {"livelayer-bus": 0, "n VideoStreams": frame, "n rooms": frame}
    assert {name.partition(":")[0] for name in goals(result)} == {"server", "local"}
    assert result.environment.server == "embedded"
    assert "n rooms" in shown(frames.AREA, result)


@pytest.mark.slow
def test_audio(shown: Any) -> None:
    plan = audio.Plan(readers=(2,), seconds=1.5, warm_up=0.1, repetitions=1)

    result = audio.AREA.measure(plan)

    cases = [case for case in result.cases if isinstance(case, audio.Case)]
    assert [case.rival for case in cases] == ["livelayer-bus", "n AudioStreams"]
    assert all(case.cpu > 0 and case.frames > 0 and case.p50 > 0 for case in cases)
    (apart,) = (case for case in result.cases if isinstance(case, audio.Synchronization))
    assert apart.video > 0
    assert apart.audio > 0
    assert "audio and video apart" in goals(result)
    assert "n AudioStreams" in shown(audio.AREA, result)


@pytest.mark.slow
def test_data_without_a_rival_that_is_not_installed(shown: Any) -> None:
    plan = data.Plan(readers=(2,), round_trips=10, warm_up=2, burst=20, repetitions=1)

    result = data.AREA._replace(rivals=(*rivals_of("data"), "rivals.not_there")).measure(plan)

    assert list(result.skipped) == ["not_there"]
    assert [case.rival for case in result.cases] == ["livelayer-bus", "bare SDK"]
    assert all(case.p50 > 0 and case.sent_a_second > 0 for case in result.cases)
    assert [case.lost for case in result.cases] == [0, 0]
    assert goals(result) == {"messages lost"}
    assert "bare SDK" in shown(data.AREA, result)


@pytest.mark.slow
def test_session(shown: Any) -> None:
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

    result = session.AREA.measure(plan)

    assert [(case.kind, case.count) for case in result.cases] == [
        *[("widgets", 1), ("widgets", 2)] * 2,
        *[("sessions", 2)] * 2,
    ]
    assert all(case.p50 > 0 for case in result.cases)
    assert all(case.messages > 0 for case in result.cases if case.kind == "sessions")
    assert goals(result) == {"2 widgets on one session against 1, CPU a frame"}
    assert "n rooms" in shown(session.AREA, result)


@pytest.mark.slow
@pytest.mark.realtime
def test_viewers(shown: Any) -> None:
    plan = viewers.Plan(readers=(0, 1), seconds=1.0, warm_up=0.2, repetitions=1)

    result = viewers.AREA.measure(plan)

    cases = [case for case in result.cases if isinstance(case, viewers.Case)]
    assert [(case.rival, case.readers) for case in cases] == [
        *[("sfu", 0), ("sfu", 1)],
        *[("whep", 0), ("whep", 1)],
    ]
    assert all((case.frames > 0) == (case.readers > 0) for case in cases)
    latencies = [case for case in result.cases if isinstance(case, viewers.Latency)]
    assert [one.rival for one in latencies] == ["livekit-client", "sfu", "whep"]
    assert all(one.fps > 0 and one.p50 > 0 for one in latencies)
    assert len(result.goals) == 2
    assert "livekit-client" in shown(viewers.AREA, result)


@pytest.mark.slow
def test_startup(shown: Any) -> None:
    plan = startup.Plan(width=WIDTH, height=HEIGHT, imports=1, joins=2, repetitions=1)

    result = startup.AREA.measure(plan)

    imports = [case for case in result.cases if isinstance(case, startup.Import)]
    assert [case.rival for case in imports] == list(startup.IMPORTS)
    assert all(case.milliseconds > 0 and case.rss > 1 for case in imports)
    joins = [case for case in result.cases if isinstance(case, startup.Join)]
    assert [case.rival for case in joins] == ["livelayer-bus", "bare SDK"]
    assert all(0 < case.joined < case.first_frame for case in joins)
    assert len(result.goals) == 6
    assert "from livekit import rtc" in shown(startup.AREA, result)


@pytest.mark.slow
def test_stalls(shown: Any) -> None:
    plan = StallsPlan(
        width=WIDTH,
        height=HEIGHT,
        surfaces=2,
        warm_up=0.2,
        awake=0.4,
        asleep=0.8,
        before=0.4,
        blocked=0.4,
        after=0.8,
    )

    result = stalls.AREA.measure(plan)

    awake, asleep = (case for case in result.cases if isinstance(case, Sleeping))
    assert 0 < awake.p50 <= awake.p99
    assert 0 < asleep.p50 <= asleep.p99
    assert asleep.slept is not None
    assert asleep.slept > 0
    blocked = [case for case in result.cases if isinstance(case, Blocked)]
    assert [case.rival for case in blocked] == ["LiveKitRoom", "IsolatedRoom"]
    assert all(case.missed > 0 and case.rss_peak > 0 for case in blocked)
    exact = {goal.name.partition(": ")[2]: goal.met for goal in result.goals}
    assert exact["received but not accounted for"]
    assert exact["woken, behind the newest"]
    assert "IsolatedRoom" in shown(stalls.AREA, result)


@pytest.mark.slow
def test_web(shown: Any) -> None:
    plan = WebPlan(readers=(1, 2), seconds=1.0, warm_up=0.5, repetitions=1)

    result = web.AREA.measure(plan)

    ours, theirs = "livelayer-bus", "aiortc, an encode each"
    assert [(case.rival, case.readers) for case in result.cases] == [
        *[(ours, 1), (ours, 2)],
        *[(theirs, 1), (theirs, 2)],
    ]
    assert all(case.cpu > 0 and 0 < case.p50 <= case.p99 for case in result.cases)
    assert all(case.rss > 1 and case.frames > 0 for case in result.cases)
    assert goals(result) == {"2 pages against 1, server CPU a frame"}
    assert ours in shown(web.AREA, result)


@pytest.mark.slow
def test_scale(shown: Any) -> None:
    plan = scale.Plan(
        trips=5, remotes=(1, 2), events=10, sessions=3, readers=6, sessions_remotes=2, rounds=2,
        idle=0.1, processes=1, repetitions=1,
    )  # fmt: skip

    result = scale.AREA.measure(plan)

    fan_outs = [case for case in result.cases if isinstance(case, scale.FanOut)]
    assert [(case.remotes, case.missed) for case in fan_outs] == [(1, 0), (2, 0), (2, 0)]
    parts = {case.part: case for case in result.cases if isinstance(case, scale.Part)}
    assert parts["bare readers"].missed == parts["RemoteSessions"].missed == 0
    assert parts["owner"].cpu > 0
    assert parts["NATS, all of it"].bytes > 100
    assert all(0 < case.p50 <= case.p99 for case in result.cases if isinstance(case, scale.Trip))
    assert "RemoteSessions" in shown(scale.AREA, result)


def test_a_real_server_needs_its_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIVEKIT_API_KEY", raising=False)

    with pytest.raises(ConfigError, match="LIVEKIT_API_KEY"), server_for("ws://127.0.0.1:7880"):
        pass


@pytest.mark.slow
def test_delivery(capsys: pytest.CaptureFixture[str], read_result: Any) -> None:
    only = (True,)
    faults = (
        delivery.Fault("server killed", 2, 200.0, confirm=only),
        delivery.Fault("agent killed", 1, 40.0, confirm=only),
        delivery.Fault("agent left", 1, 40.0, confirm=only),
        delivery.Fault("server frozen", 1, 40.0, 1.0, only),
    )

    result = delivery.AREA.measure(delivery.Plan(faults, PATIENCE))

    assert [case.fault for case in result.cases[:4]] == [fault.name for fault in faults]
    for case in result.cases:
        assert 0 < case.acknowledged <= case.delivered <= case.sent
        assert sum(case.errors.values()) == case.sent - case.acknowledged
        assert (case.lost, case.doubled) == (0, 0)
    assert read_result(delivery.AREA, msgspec.json.encode(result)) == result
    show(delivery.AREA.tables, result)
    assert "recovery" in capsys.readouterr().out
