"""The benchmark of pages paints as long as pages look, and its cases run once, small."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from livelayer_benchmarks.charts import save_charts
from livelayer_benchmarks.report import show
from livelayer_benchmarks.web import serving
from livelayer_benchmarks.web.harness import OURS, Plan, run_web_benchmark

from livelayer_bus.errors import BrokenError
from livelayer_bus.testing import PATIENCE


class Counted:
    """A studio that sends nothing: it counts what it is to show."""

    def __init__(self) -> None:
        self._shown = asyncio.Semaphore(0)

    def show(self, picture: bytearray) -> None:
        self._shown.release()

    def say(self, samples: bytes) -> None:
        pass

    async def answer(self, offer: str) -> str:
        return offer

    async def next(self) -> None:
        """Wait for a picture that nobody waited for yet."""
        await self._shown.acquire()

    def forget(self) -> None:
        """Count from here."""
        self._shown = asyncio.Semaphore(0)


def rival(studio: Counted) -> ModuleType:
    """The module of a rival whose studio this is."""

    @asynccontextmanager
    async def serve() -> AsyncGenerator[Counted]:
        yield studio

    module = ModuleType("counting_rival")
    vars(module).update(serving=serve)
    return module


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_server_paints_on_until_the_pages_were_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    studio, said = Counted(), asyncio.Queue[msgspec.Struct]()
    monkeypatch.setitem(sys.modules, "counting_rival", rival(studio))
    ended = asyncio.Event()
    job = serving.Job("counting_rival", readers=1, warm_up=0.0, seconds=0.1)
    working = asyncio.create_task(serving.work(job, said.put_nowait, ended))
    async with asyncio.timeout(PATIENCE):
        listening = await said.get()
        assert isinstance(listening, serving.Listening)
        reader, writer = await asyncio.open_connection("127.0.0.1", listening.port)
        writer.write(b'"offer"\n')
        assert await reader.readline() == b'"offer"\n'
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        answer = await said.get()
        assert isinstance(answer, serving.Answer)
        assert answer.cpu > 0
        studio.forget()
        for _ in range(5):  # pages look until later than that
            await studio.next()
        ended.set()
        await working


def test_a_rival_that_lacks_something_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the harness can import, its process cannot.
    module = tmp_path / "lacking_rival.py"
    module.write_text('NAME = "lacking"\nREQUIRES = ()\n')
    monkeypatch.syspath_prepend(tmp_path)
    plan = Plan(readers=(1,), seconds=0.1, warm_up=0.0, repetitions=1)
    with pytest.raises(BrokenError, match=r"lacking cannot be measured: .*is not installed"):
        run_web_benchmark(plan, ["lacking_rival"])


def test_a_rival_that_is_not_installed_is_left_out() -> None:
    result = run_web_benchmark(Plan(repetitions=1), ["livelayer_benchmarks.rivals.web.nobody"])
    assert not result.cases
    assert result.skipped == {"nobody": "livelayer_benchmarks.rivals.web.nobody is not installed"}


@pytest.mark.realtime
@pytest.mark.slow
def test_every_case_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = Plan(readers=(1, 2), seconds=1.0, warm_up=0.5, repetitions=1)

    result = run_web_benchmark(plan)

    assert [(case.rival, case.readers) for case in result.cases] == [
        (OURS, 1),
        (OURS, 2),
        ("aiortc, an encode each", 1),
        ("aiortc, an encode each", 2),
    ]
    assert all(case.cpu > 0 and 0 < case.p50 <= case.p99 for case in result.cases)
    assert all(case.rss > 1 for case in result.cases)
    ours = [case.frames for case in result.cases if case.rival == OURS]
    assert min(ours) > 0
    assert [goal.name for goal in result.goals] == ["2 pages against 1, server CPU a picture"]
    builtins: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(result))
    show("web", builtins)
    assert OURS in capsys.readouterr().out
    save_charts(tmp_path / "web.svg", {"web": builtins})
    assert (tmp_path / "web.svg").stat().st_size > 1000
