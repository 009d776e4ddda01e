"""The pages of one case in a process of their own: aiortc receives, and one of them decodes.

Only the first page decodes, to read when its frames were painted: the machine's cores are for the
server.
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

from ...harness import Ready, Send, begun
from ...signals.stamped_video import Sampler, read_stamp
from .server import OFFER_LIMIT, Job


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """What the pages got."""

    frames: float
    """Frames a second that the worst-off page got."""
    delays_ms: list[float]
    """From painted to decoded, at the first page."""


class FrameCounter:
    """Replaces aiortc's decoder threads: counts frames, and reads the stamps of one page."""

    def __init__(self) -> None:
        self.pages: list[list[int]] = []
        self.delays_ms: list[float] = []
        self.measuring = False

    def decode(
        self,
        loop: asyncio.AbstractEventLoop,
        tasks: queue.Queue[Any],
        output: asyncio.Queue[Any],
        broken: threading.Event,
    ) -> None:
        """Take a receiver's frames, in its thread, as `aiortc.rtcrtpreceiver.decoder_worker`."""
        del broken
        decoder: Any = None
        count: list[int] | None = None
        while (task := tasks.get()) is not None:
            codec, frame = task
            if not codec.mimeType.startswith("video/"):
                continue
            if count is None:
                count = [0]
                self.pages.append(count)
                decoder = get_decoder(codec) if len(self.pages) == 1 else None
            if decoder is not None:
                self._read_stamps(decoder.decode(frame))
            count[0] += self.measuring
        asyncio.run_coroutine_threadsafe(output.put(None), loop)

    def _read_stamps(self, frames: list[Any]) -> None:
        for frame in frames:
            plane = frame.planes[0]
            sampler = Sampler(frame.width, frame.height, plane.line_size)
            stamp = read_stamp(sampler.sample(memoryview(plane)))
            if stamp is not None and self.measuring:
                self.delays_ms.append(stamp.age_us(time.monotonic_ns()) / 1000)


async def connect(port: int) -> RTCPeerConnection:
    """A page that plays audio and video."""
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


async def view(job: Job, send: Send, ended: asyncio.Event) -> None:
    """Watch, and answer what came."""
    counter = FrameCounter()
    # aiortc has no hook for this; without it every page would decode.
    receiving: Any = rtcrtpreceiver
    receiving.decoder_worker = counter.decode
    pages = [await connect(job.port) for _ in range(job.readers)]
    await begun(lambda: len(counter.pages) == job.readers)
    send(Ready())
    await asyncio.sleep(job.warm_up)
    counter.measuring, began = True, time.monotonic()
    await asyncio.sleep(job.seconds)
    counter.measuring, took = False, time.monotonic() - began
    frames = min(count[0] for count in counter.pages) / took
    send(Answer(round(frames, 2), [round(delay, 2) for delay in counter.delays_ms]))
    await ended.wait()
    for page in pages:
        await page.close()
