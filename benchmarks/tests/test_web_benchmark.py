"""The benchmark of pages paints as long as pages watch, and names what failed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import ModuleType

import msgspec
import pytest
from livelayer_benchmarks.workloads.web import server
from livelayer_benchmarks.workloads.web.area import AREA, Plan

from livelayer_bus.errors import BrokenError
from livelayer_bus.testing import PATIENCE


class CountingServer:
    """A media server that sends nothing: it counts the frames that are pushed."""

    def __init__(self) -> None:
        self._pushed = asyncio.Semaphore(0)

    def push_video(self, frame: bytearray) -> None:
        self._pushed.release()

    def push_audio(self, samples: bytes) -> None:
        pass

    async def answer(self, offer: str) -> str:
        return offer

    async def next(self) -> None:
        """Wait for a frame that was not waited for yet."""
        await self._pushed.acquire()

    def forget(self) -> None:
        """Count from here."""
        self._pushed = asyncio.Semaphore(0)


def rival(media: CountingServer) -> ModuleType:
    """The module of a rival with this media server."""

    @asynccontextmanager
    async def media_server() -> AsyncGenerator[CountingServer]:
        yield media

    module = ModuleType("counting_rival")
    vars(module).update(media_server=media_server)
    return module


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_server_paints_on_until_the_pages_were_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    media, sent = CountingServer(), asyncio.Queue[msgspec.Struct]()
    monkeypatch.setitem(sys.modules, "counting_rival", rival(media))
    ended = asyncio.Event()
    job = server.Job("counting_rival", readers=1, warm_up=0.0, seconds=0.1)
    working = asyncio.create_task(server.serve(job, sent.put_nowait, ended))
    async with asyncio.timeout(PATIENCE):
        listening = await sent.get()
        assert isinstance(listening, server.Listening)
        reader, writer = await asyncio.open_connection("127.0.0.1", listening.port)
        writer.write(b'"offer"\n')
        assert await reader.readline() == b'"offer"\n'
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        answer = await sent.get()
        assert isinstance(answer, server.Answer)
        assert answer.cpu > 0
        media.forget()
        for _ in range(5):  # pages watch until later than that
            await media.next()
        ended.set()
        await working


def test_a_process_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What the harness can import, its process cannot.
    module = tmp_path / "lacking_rival.py"
    module.write_text('NAME = "lacking"\n')
    monkeypatch.syspath_prepend(tmp_path)
    plan = Plan(readers=(1,), seconds=0.1, warm_up=0.0, repetitions=1)
    with pytest.raises(BrokenError, match=r"web\.server:serve ended"):
        AREA._replace(rivals=("lacking_rival",)).measure(plan)


def test_a_rival_that_is_not_installed_is_left_out() -> None:
    absent = AREA._replace(rivals=("livelayer_benchmarks.rivals.web.absent",))
    result = absent.measure(Plan(repetitions=1))
    assert not result.cases
    assert result.skipped == {"absent": "livelayer_benchmarks.rivals.web.absent is not installed"}
