"""aiortc as its documentation has it: a `MediaRelay`, and an encoder in each page's connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import cast

import av
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.contrib.media import MediaRelay

from ...web.serving import FPS, HEIGHT, RATE, WIDTH

NAME = "aiortc, an encode each"
REQUIRES = ("aiortc",)
TICKS = 90_000  # a second


class Picture(MediaStreamTrack):
    """The newest picture each time."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self.newest: asyncio.Queue[bytes] = asyncio.Queue(1)
        self._number = 0

    async def recv(self) -> av.VideoFrame:
        data = memoryview(await self.newest.get())
        frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        start = 0
        for plane in frame.planes:
            plane.update(cast(bytes, data[start : start + plane.buffer_size]))
            start += plane.buffer_size
        frame.pts, frame.time_base = self._number * TICKS // FPS, Fraction(1, TICKS)
        self._number += 1
        return frame


class Sound(MediaStreamTrack):
    """Every stretch of sound, in order."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.stretches: asyncio.Queue[bytes] = asyncio.Queue(10)
        self._position = 0

    async def recv(self) -> av.AudioFrame:
        samples = await self.stretches.get()
        frame = av.AudioFrame("s16", "mono", len(samples) // 2)
        frame.planes[0].update(samples)
        frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
        frame.pts = self._position
        self._position += frame.samples
        return frame


class Studio:
    """Two tracks behind a relay, and a connection for each page."""

    def __init__(self) -> None:
        self._picture, self._sound = Picture(), Sound()
        self._relay = MediaRelay()
        self.connections: list[RTCPeerConnection] = []

    def show(self, picture: bytearray) -> None:
        _offer(self._picture.newest, bytes(picture))

    def say(self, samples: bytes) -> None:
        _offer(self._sound.stretches, samples)

    async def answer(self, offer: str) -> str:
        connection = RTCPeerConnection(RTCConfiguration([]))
        self.connections.append(connection)
        await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        for track in (self._sound, self._picture):
            connection.addTrack(self._relay.subscribe(track))
        codecs = RTCRtpSender.getCapabilities("video").codecs
        for transceiver in connection.getTransceivers():
            if transceiver.kind == "video":
                transceiver.setCodecPreferences([one for one in codecs if "VP8" in one.mimeType])
        await connection.setLocalDescription()
        return connection.localDescription.sdp


def _offer(queue: asyncio.Queue[bytes], data: bytes) -> None:
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(data)


@asynccontextmanager
async def serving() -> AsyncGenerator[Studio]:
    studio = Studio()
    try:
        yield studio
    finally:
        for connection in studio.connections:
            await connection.close()
