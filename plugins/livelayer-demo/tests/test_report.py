"""The report: a person may end and continue the conversation; every other join is a problem."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from livelayer_demo.demo_surfaces import FrameCounts
from livelayer_demo.report import DemoReport, Observer, Recording
from livelayer_embedded import EmbeddedServer

from livelayer_bus import ConnectionStateChanged, LocalKeys, Session

pytestmark = pytest.mark.anyio

JOINED = ConnectionStateChanged("connected")


def problems(observer: Observer) -> tuple[str, ...]:
    received = FrameCounts(video=1, audio=1, mounts=2)
    report = DemoReport(
        url="ws://127.0.0.1",
        session_id="s",
        same_session=True,
        changes=("agent ready", "agent speaking"),
        faults=tuple(observer.faults),
        unexpected_joins=observer.unexpected_joins,
        said=(),
        received={"jsonl": received},
        commands=(),
        site=None,
        site_commands=(),
        recording=Path("demo.jsonl"),
        asked=0,
        answered=0,
        offline=False,
        scripted=False,
    )
    return report.problems(Recording(events=1, snapshots=2))


async def test_a_conversation_that_was_ended_and_continued_is_fine() -> None:
    async with EmbeddedServer() as server:
        keys = LocalKeys(server.url, server.key, server.secret, room_name="demo")
        async with Session("demo", tokens=keys) as session:
            observer = Observer(session)
            async with anyio.create_task_group() as group:
                await group.start(observer.run)
                for _ in range(3):
                    await session.connect()
                    await session.disconnect()
                await anyio.wait_all_tasks_blocked()
                group.cancel_scope.cancel()
            assert observer.changes.count("connected") == 3
            assert not any("joins" in problem for problem in problems(observer))


async def test_a_room_that_is_joined_again_unexpectedly_is_a_problem() -> None:
    async with EmbeddedServer() as server:
        keys = LocalKeys(server.url, server.key, server.secret, room_name="demo")
        async with Session("demo", tokens=keys) as session:
            observer = Observer(session)
    observer.note(JOINED)
    observer.note(JOINED)
    assert "joins of the room that were not asked for: 1" in problems(observer)
