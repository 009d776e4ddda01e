"""Run in a process of its own: frees one room while the next is being joined, then listens there.

It needs a process in which no other room keeps the SDK's audio device running.
"""

from __future__ import annotations

import asyncio
import gc

from livelayer_embedded import EmbeddedServer

from livelayer_bus.rooms import LiveKitRoom
from livelayer_bus.testing import PATIENCE, settle
from tests.rooms.kit import RecordingSink, Speaker, embedded_stage, new_writers


async def main() -> None:
    async with asyncio.timeout(PATIENCE), EmbeddedServer() as server:
        stage = embedded_stage(server)
        video, audio, writers = new_writers()
        sink = RecordingSink()
        sink.writers = video, audio
        first, second = LiveKitRoom(), LiveKitRoom()
        await first.connect(stage.access(), RecordingSink(), new_writers()[2])
        await first.aclose()
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
    asyncio.run(main())
