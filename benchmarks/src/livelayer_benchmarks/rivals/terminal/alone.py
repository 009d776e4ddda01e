"""The session that nothing shows."""

from __future__ import annotations

from ... import harness
from ...workloads.record import Source
from ...workloads.terminal import Answer, Plan
from ._session import joined

NAME = "livelayer-bus, not shown"


async def shown(source: Source, plan: Plan) -> Answer:
    async with joined() as (_, room):
        used = harness.cpu_seconds()
        await source.play(room.push_video, room.push_audio)
        used = harness.cpu_seconds() - used
    return Answer(cpu=used / plan.seconds, pictures=0, cells=0, output=0)
