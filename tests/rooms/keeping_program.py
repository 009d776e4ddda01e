"""Run in a process of its own: frees one room while the next is being joined, then listens there.

It needs a process in which no other room keeps the SDK's audio device running.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import Any, Final

from livekit.plugins.livelayer.testing import ScriptedSurface
from livelayer_embedded import EmbeddedServer

from livelayer_bus.rooms import LiveKitRoom
from livelayer_bus.testing import PATIENCE, settle
from tests.rooms.kit import RecordingSink, Speaker, Stage, embedded_stage, new_writers


async def left(stage: Stage) -> LiveKitRoom:
    room = LiveKitRoom()
    await room.connect(stage.access(), RecordingSink(), new_writers()[2])
    await room.aclose()
    return room


async def given_up(stage: Stage) -> LiveKitRoom:
    """A room that is joined when nobody waits for it any more."""
    room = LiveKitRoom()
    joining = asyncio.create_task(room.connect(stage.access(), RecordingSink(), new_writers()[2]))
    await settle()
    joining.cancel()
    await asyncio.wait({joining})
    await room.aclose()
    return room


async def page(stage: Stage) -> ScriptedSurface:
    """A room that is no session's: the page of the agent's test kit."""
    surface = ScriptedSurface()
    access = stage.access("page")
    await surface.connect(access.url, access.token)
    await surface.aclose()
    return surface


FIRST: Final = {"left": left, "given up": given_up, "page": page}


async def main(way: str) -> None:
    async with asyncio.timeout(PATIENCE), EmbeddedServer() as server:
        stage = embedded_stage(server)
        video, audio, writers = new_writers()
        sink = RecordingSink()
        sink.writers = video, audio
        second = LiveKitRoom()
        first: Any = await FIRST[way](stage)
        joining = asyncio.create_task(second.connect(stage.access(), sink, writers))
        await settle()  # as far as the SDK's own work
        del first
        gc.collect()
        await joining
        speaker = Speaker(await stage.agent())
        await speaker.start()
        with audio.channel.subscribe() as sound:
            async for _ in sound:
                if audio.channel.level > 0.1:
                    print("heard", flush=True)
                    break
        await speaker.stop()
        await second.aclose()
        await stage.aclose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
