"""Measures both ways side by side: CPU with no page and with many, and the latency beside bare."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec
import psutil

from livelayer_bus.errors import BrokenError

from ... import harness
from ...signals.publisher import publishing
from . import pages, session

WAYS: Final = ("sfu", "whep")
BARE: Final = "livekit-client"
SPARE_SECONDS: Final = 90.0  # a case may take over its measured time


class Plan(msgspec.Struct, frozen=True):
    """How much to measure: about six minutes."""

    readers: tuple[int, ...] = (0, 1, 4, 16)
    seconds: float = 8.0
    warm_up: float = 5.0
    repetitions: int = 3
    width: int = 640
    height: int = 360
    """Small: the pages' own decoding is not what is measured."""


class Case(msgspec.Struct, frozen=True, tag="pages"):
    """One way with one number of pages; percent of one core, medians over the repetitions."""

    rival: harness.Name
    readers: harness.Readers
    cpu: Annotated[float, harness.Column("process", ".1f", "%")]
    """Of the session's process."""
    ratio: harness.Ratio
    """`cpu` in times of the same way's with the fewest pages."""
    server: Annotated[float, harness.Column("server", ".1f", "%")]
    """Of the LiveKit server's process."""
    frames: Annotated[float, harness.Column("fps", ".1f")]
    """A second, shown by the page that is worst off; 0 without a page."""


class Latency(msgspec.Struct, frozen=True, tag="latency"):
    """One page of each way in the same room at the same time; times in milliseconds."""

    rival: harness.Name
    p50: harness.Milliseconds
    """Painted to shown."""
    p95: harness.Milliseconds
    p99: harness.Milliseconds
    ratio: harness.Ratio
    """`p50` in times of livekit-client alone."""
    fps: Annotated[float, harness.Column("fps", ".1f")]


class Used(msgspec.Struct, frozen=True):
    """What one repetition of one case used."""

    cpu: float
    server: float
    frames: float


def run(plan: Plan, url: str | None, _rivals: list[harness.Rival]) -> harness.Measured:
    """Measure all of it with one server."""
    with harness.server_for(url) as server:
        listening = _process_at(server.url)
        ways: list[harness.Row[Used]] = harness.rows(map(harness.Rival, WAYS), plan.readers)
        harness.run_rounds(
            "viewers", ways, plan.repetitions, lambda row: _use(row, plan, server, listening)
        )
        together: harness.Row[dict[str, pages.Seen]] = harness.Row(harness.Rival("latency"), 1, [])
        harness.run_rounds("latency", [together], plan.repetitions, lambda _: _watch(plan, server))
    cases = list(_cases(ways))
    latencies = list(_latencies(together.answers))
    return harness.Measured([*cases, *latencies], list(_goals(plan, cases, latencies)))


def _process_at(url: str) -> psutil.Process:
    """The process that listens at this address.

    Raises:
        BrokenError: it is not one of this machine, or of another user.
    """
    port = urlsplit(url).port
    for one in psutil.net_connections("tcp"):
        if one.status == psutil.CONN_LISTEN and one.pid and one.laddr and one.laddr[1] == port:
            return psutil.Process(one.pid)
    problem = f"no process of this machine that can be seen listens at port {port}"
    raise BrokenError(f"the server's CPU cannot be measured: {problem}", retryable=False)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _use(
    row: harness.Row[Used], plan: Plan, server: harness.Server, listening: psutil.Process
) -> Used:
    room, way = harness.new_room(server), row.rival.name
    with (
        publishing(room, plan.width, plan.height, audio=True),
        harness.started(session.show, session.Job(room, [way])) as showing,
    ):
        shown = showing.answer(session.Shown, SPARE_SECONDS)
        ours = psutil.Process(shown.process)
        addresses = [shown.urls[way]] * row.readers
        job = pages.Job(addresses, plan.warm_up, plan.seconds, read=False)
        if not addresses:
            cpu, used = _measure(plan, ours, listening)
            return Used(cpu, used, 0.0)
        with harness.started(pages.browse, job) as browsing:
            browsing.answer(harness.Ready, SPARE_SECONDS)
            cpu, used = _measure(plan, ours, listening)
            seen = browsing.answer(pages.Answer, SPARE_SECONDS).pages
    return Used(cpu, used, min(page.frames for page in seen))


def _measure(plan: Plan, ours: psutil.Process, server: psutil.Process) -> tuple[float, float]:
    """Percent of a core that each of them uses, once warm."""
    time.sleep(plan.warm_up)
    began, before = time.monotonic(), (_cpu(ours), _cpu(server))
    time.sleep(plan.seconds)
    share = 100 / (time.monotonic() - began)
    return share * (_cpu(ours) - before[0]), share * (_cpu(server) - before[1])


def _watch(plan: Plan, server: harness.Server) -> dict[str, pages.Seen]:
    """One page of each way, and a bare one, together."""
    room = harness.new_room(server)
    with (
        publishing(room, plan.width, plan.height, audio=True),
        harness.started(session.show, session.Job(room, list(WAYS))) as showing,
    ):
        urls = showing.answer(session.Shown, SPARE_SECONDS).urls
        bare = f"{urls['sfu']}/bare"
        addresses = {BARE: bare, **urls}
        job = pages.Job(
            list(addresses.values()),
            plan.warm_up,
            plan.seconds,
            read=True,
            livekit_url=server.url,
            tokens={bare: room.token("bare")},
        )
        with harness.started(pages.browse, job) as browsing:
            browsing.answer(harness.Ready, SPARE_SECONDS)
            seconds = plan.warm_up + plan.seconds + SPARE_SECONDS
            seen = browsing.answer(pages.Answer, seconds).pages
    return dict(zip(addresses, seen, strict=True))


def _cases(measured: Sequence[harness.Row[Used]]) -> Iterator[Case]:
    for row in measured:
        yield Case(
            rival=row.rival.name,
            readers=row.readers,
            cpu=row.median("cpu", 2),
            ratio=row.ratio("cpu", harness.fewest(measured, row.rival.name)),
            server=row.median("server", 2),
            frames=round(min(row.values("frames")), 1),
        )


def _latencies(answers: Sequence[dict[str, pages.Seen]]) -> Iterator[Latency]:
    def middle(seen: pages.Seen) -> float:
        return harness.percentile(sorted(seen.ages), 0.5)

    for name in (BARE, *WAYS):
        ages = sorted(age for answer in answers for age in answer[name].ages)
        ratios = [middle(answer[name]) / middle(answer[BARE]) for answer in answers]
        yield Latency(
            rival=name,
            **harness.spread(ages, 1),
            ratio=harness.median(ratios),
            fps=round(min(answer[name].frames for answer in answers), 1),
        )


def _goals(
    plan: Plan, cases: Sequence[Case], latencies: Sequence[Latency]
) -> Iterator[harness.Goal]:
    few, many = min(plan.readers), max(plan.readers)
    for case in cases:
        if (case.rival, case.readers) == ("sfu", many) and many > few:
            name = f"{many} pages through the SFU against {few}, CPU of our process"
            yield harness.at_most(name, 1.02, case.ratio)
    for latency in latencies:
        if latency.rival == "sfu":
            name = "a page through the SFU against livekit-client, painted to shown, p50"
            yield harness.at_most(name, 1.05, latency.ratio)


AREA = harness.Area(
    name="viewers",
    plan=Plan(),
    quick=Plan(readers=(0, 1, 2), seconds=3.0, warm_up=2.0, repetitions=1),
    run=run,
    tables=(
        harness.Table("pages: CPU of the session's process and of the LiveKit server", Case),
        harness.Table("painted to shown, in ms, in one room at one time", Latency),
    ),
    charts=(
        (
            harness.Lines(
                "viewers: CPU of the session's process, %", Case, ("cpu",), x_title="pages"
            ),
            harness.Bars("viewers: painted to shown, p50, ms", Latency, "p50"),
        ),
    ),
    packages=("livelayer-web", "playwright"),
)
