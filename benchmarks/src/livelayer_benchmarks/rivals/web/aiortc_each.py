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

from ...workloads.web.server import FPS, HEIGHT, RATE, WIDTH

NAME = "aiortc, an encode each"
REQUIRES = ("aiortc",)
TICKS = 90_000  # a second


class Video(MediaStreamTrack):
    """The newest frame each time."""

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


class Audio(MediaStreamTrack):
    """Every frame of audio, in order."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.frames: asyncio.Queue[bytes] = asyncio.Queue(10)
        self._position = 0

    async def recv(self) -> av.AudioFrame:
        samples = await self.frames.get()
        frame = av.AudioFrame("s16", "mono", len(samples) // 2)
        frame.planes[0].update(samples)
        frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
        frame.pts = self._position
        self._position += frame.samples
        return frame


class Relayed:
    """Two tracks behind a relay, and a connection for each page."""

    def __init__(self) -> None:
        self._video, self._audio = Video(), Audio()
        self._relay = MediaRelay()
        self.connections: list[RTCPeerConnection] = []

    def push_video(self, frame: bytearray) -> None:
        _put_newest(self._video.newest, bytes(frame))

    def push_audio(self, samples: bytes) -> None:
        _put_newest(self._audio.frames, samples)

    async def answer(self, offer: str) -> str:
        connection = RTCPeerConnection(RTCConfiguration([]))
        self.connections.append(connection)
        await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        for track in (self._audio, self._video):
            connection.addTrack(self._relay.subscribe(track))
        codecs = RTCRtpSender.getCapabilities("video").codecs
        for transceiver in connection.getTransceivers():
            if transceiver.kind == "video":
                transceiver.setCodecPreferences([one for one in codecs if "VP8" in one.mimeType])
        await connection.setLocalDescription()
        return connection.localDescription.sdp


def _put_newest(queue: asyncio.Queue[bytes], data: bytes) -> None:
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(data)


@asynccontextmanager
async def media_server() -> AsyncGenerator[Relayed]:
    media = Relayed()
    try:
        yield media
    finally:
        for connection in media.connections:
            await connection.close()
