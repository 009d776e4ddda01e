"""The pages of one case in a process of their own: aiortc receives, and one of them looks.

Started by the harness as `python -m livelayer_benchmarks.web.viewing`.
Only the first page decodes, to read when its pictures were painted: the
machine's cores are for the server.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from typing import Any

import msgspec
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription, rtcrtpreceiver
from aiortc.codecs import get_decoder

from ..child import Ready, Say, serve
from ..picture import Sampler, read_stamp

CONNECT_SECONDS = 20.0  # for every page to have a picture
OFFER_LIMIT = 1 << 18  # bytes of a line


class Job(msgspec.Struct, frozen=True):
    """Whom to watch, and how often at once."""

    port: int
    readers: int
    warm_up: float
    seconds: float


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """What the pages saw."""

    frames: float
    """Pictures a second that the worst-off page got."""
    delays_ms: list[float]
    """From painted to decoded, at the first page."""


class Eyes:
    """Stands in for aiortc's decoder threads: counts pictures, and looks at those of one page."""

    def __init__(self) -> None:
        self.pages: list[list[int]] = []
        self.delays_ms: list[float] = []
        self.measuring = False

    def work(
        self,
        loop: asyncio.AbstractEventLoop,
        tasks: queue.Queue[Any],
        output: asyncio.Queue[Any],
        broken: threading.Event,
    ) -> None:
        """Take a receiver's frames, in its thread, as `aiortc.rtcrtpreceiver.decoder_worker`."""
        del broken
        decoder: Any = None
        seen: list[int] | None = None
        while (task := tasks.get()) is not None:
            codec, frame = task
            if not codec.mimeType.startswith("video/"):
                continue
            if seen is None:
                seen = [0]
                self.pages.append(seen)
                decoder = get_decoder(codec) if len(self.pages) == 1 else None
            if decoder is not None:
                self._look(decoder.decode(frame))
            seen[0] += self.measuring
        asyncio.run_coroutine_threadsafe(output.put(None), loop)

    def _look(self, pictures: list[Any]) -> None:
        for picture in pictures:
            plane = picture.planes[0]
            sampler = Sampler(picture.width, picture.height, plane.line_size)
            stamp = read_stamp(sampler.sample(memoryview(plane)))
            if stamp is not None and self.measuring:
                self.delays_ms.append(stamp.age_us(time.monotonic_ns()) / 1000)


async def connect(port: int) -> RTCPeerConnection:
    """A page that plays sound and picture."""
    page = RTCPeerConnection(RTCConfiguration([]))
    for kind in ("audio", "video"):
        page.addTransceiver(kind, direction="recvonly")
    await page.setLocalDescription()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=OFFER_LIMIT)
    writer.write(msgspec.json.encode(page.localDescription.sdp) + b"\n")
    answer = msgspec.json.decode(await reader.readline(), type=str)
    writer.close()
    await page.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    return page


async def work(job: Job, say: Say, ended: asyncio.Event) -> None:
    """Watch, and say what was seen once asked to end."""
    eyes = Eyes()
    receiving: Any = rtcrtpreceiver
    receiving.decoder_worker = eyes.work
    pages = [await connect(job.port) for _ in range(job.readers)]
    async with asyncio.timeout(CONNECT_SECONDS):
        while len(eyes.pages) < job.readers:  # noqa: ASYNC110 - counted in other threads
            await asyncio.sleep(0.05)
    say(Ready())
    await asyncio.sleep(job.warm_up)
    eyes.measuring, began = True, time.monotonic()
    await asyncio.sleep(job.seconds)
    eyes.measuring, took = False, time.monotonic() - began
    frames = min(seen[0] for seen in eyes.pages) / took
    say(Answer(round(frames, 2), [round(delay, 2) for delay in eyes.delays_ms]))
    await ended.wait()
    for page in pages:
        await page.close()


if __name__ == "__main__":
    serve(Job, work)
