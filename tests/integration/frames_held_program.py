"""Run in a process of its own: holds frames past everything they came from, to the last exit hook.

It prints a line for each stage that found every pixel in place; the test reads them.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from hashlib import sha256

from livekit import rtc
from livelayer_embedded import EmbeddedServer

from livelayer_bus import LiteralToken, Session
from livelayer_bus.media import AudioFrame, VideoFrame
from livelayer_bus.testing import PATIENCE
from tests.integration.frames_kit import number_of, showing, speaking

PICTURES, STRETCHES, THREADS = 12, 40, 4

pictures: list[tuple[VideoFrame, int, bytes]] = []  # with number and digest, as they came
stretches: list[tuple[AudioFrame, bytes]] = []


def digest(frame: VideoFrame | AudioFrame) -> bytes:
    return sha256(frame.data).digest()


def verify(stage: str) -> None:
    """Read every pixel and sample, in its planes and as arrays."""
    for frame, number, expected in pictures:
        gray, rgb = frame.to_ndarray("gray"), frame.to_ndarray("rgb24")
        same = gray.tobytes() == frame.planes[0].tobytes()
        assert same
        assert number_of(frame) == number
        assert digest(frame) == expected
        # The converter keeps the brightness: a picture whose memory was reused would not.
        assert abs(float(rgb.mean()) - (float(gray.mean()) - 16) * 255 / 219) < 12
        assert not rgb.flags.writeable
    for sound, expected in stretches:
        assert digest(sound) == expected
        assert sound.to_ndarray().tobytes() == sound.data.tobytes()
    print(stage, len(pictures), len(stretches), flush=True)


async def watch(session: Session) -> None:
    with session.video.subscribe() as frames:
        async for frame in frames:
            number = number_of(frame)
            if number is not None:
                pictures.append((frame, number, digest(frame)))
            if len(pictures) == PICTURES:
                return


async def listen(session: Session) -> None:
    with session.audio.subscribe() as sound:
        async for frame in sound:
            stretches.append((frame, digest(frame)))
            if len(stretches) == STRETCHES:
                return


async def main(go: threading.Event) -> None:
    async with EmbeddedServer() as server:
        agent = rtc.Room()
        await agent.connect(
            server.url,
            server.token("agent", room="held", kind="agent"),
            rtc.RoomOptions(single_peer_connection=False),
        )
        token = LiteralToken(server.url, server.token("user", room="held"))
        async with showing(agent), speaking(agent), Session("agt", tokens=token) as session:
            await session.connect()
            async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
                group.create_task(watch(session))
                group.create_task(listen(session))
            assert len({number for _, number, _ in pictures}) == PICTURES
            atexit.register(verify, "before the SDK's exit hook")
            await session.disconnect()
            # No conversion was asked for before: the threads are the first, after the room.
            go.set()
            await asyncio.to_thread(verify, "disconnected")
        verify("session closed")
        await agent.disconnect()
    verify("server stopped")


if __name__ == "__main__":
    # Registered before the SDK starts, so it runs after the SDK has ended itself.
    atexit.register(verify, "after the SDK's exit hook")
    go = threading.Event()

    def convert() -> None:
        go.wait()
        for turn in range(20):
            for frame, _, _ in pictures:
                frame.to_ndarray("bgra" if turn % 2 else "rgb24")

    threads = [threading.Thread(target=convert) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    try:
        asyncio.run(main(go))
    finally:
        go.set()
    for thread in threads:
        thread.join()
    verify("loop closed")
