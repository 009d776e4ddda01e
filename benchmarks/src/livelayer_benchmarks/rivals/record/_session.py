"""A session with a room in its own process, and a surface that reads its pictures."""

from __future__ import annotations

from livelayer_bus import Session, SurfaceSession
from livelayer_bus.clock import now_ns
from livelayer_bus.surfaces import Surface
from livelayer_bus.testing import ScriptedRooms

from ...workloads.record import Shown, Source


async def shown(source: Source, recorder: Surface | None) -> Shown:
    """Show a source on one surface, beside a recorder if there is one."""
    rooms = ScriptedRooms(agent="agent")
    late: list[float] = []

    async def panel(session: SurfaceSession) -> None:
        with session.video.subscribe() as pictures:
            async for picture in pictures:
                # One by one: the surface is cancelled at the end.
                late.append((now_ns() - picture.received_ns) / 1e6)  # noqa: PERF401

    async with Session("bench", tokens=rooms.tokens, room=rooms) as session:
        session.mount(panel, key="panel")
        if recorder is not None:
            session.mount(recorder, key="recorder")
        await session.connect()
        room = await rooms.next()
        room.track_starts("video")
        room.track_starts("audio")
        await source.play(room.push_video, room.push_audio)
    return Shown(len(late), late)
