"""What a page sends is bounded everywhere: before the decoder, after it, and in time."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from aiortc.codecs.opus import OpusEncoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpReceiveParameters
from aiortc.rtp import RtpPacket
from livelayer_web.media.aiortc_private import (
    ENCODED_CAPACITY,
    KEY_FRAME_PATIENCE,
    AudioIntake,
    DecoderQueue,
    Frames,
    is_key_frame,
)
from livelayer_web.media.uplink import audio_frames, video_frame

from livelayer_bus.testing import settle

pytestmark = pytest.mark.anyio

VP8 = RTCRtpCodecParameters(mimeType="video/VP8", clockRate=90_000, payloadType=96)
KEY, DELTA = JitterFrame(b"\x00key", 0), JitterFrame(b"\x01delta", 0)
OPUS = 111


class Sluice:
    """A gate, and what it asked for."""

    def __init__(self) -> None:
        self.wanted = True
        self.asked = 0
        self.gate = DecoderQueue(lambda: self.wanted, self.ask)

    def ask(self) -> None:
        self.asked += 1

    def put(self, *frames: JitterFrame) -> None:
        for frame in frames:
            self.gate.put((VP8, frame))

    def take(self) -> list[JitterFrame]:
        return [self.gate.get_nowait()[1] for _ in range(self.gate.qsize())]


def test_a_gate_begins_with_a_key_frame_and_asks_for_it() -> None:
    sluice = Sluice()
    sluice.put(DELTA, DELTA)
    assert (sluice.take(), sluice.asked) == ([], 1)
    sluice.put(KEY, DELTA)
    assert sluice.take() == [KEY, DELTA]
    assert sluice.gate.left_out == 2


def test_a_key_frame_that_does_not_come_is_asked_for_again() -> None:
    sluice = Sluice()
    sluice.put(*[DELTA] * (2 * KEY_FRAME_PATIENCE))
    assert sluice.asked == 2


def test_a_shut_gate_takes_nothing_and_asks_for_nothing() -> None:
    sluice = Sluice()
    sluice.put(KEY)
    sluice.wanted = False
    sluice.put(DELTA, KEY)
    sluice.wanted = True
    sluice.put(DELTA, KEY)
    assert sluice.take() == [KEY, KEY]
    assert sluice.asked == 1


def test_a_decoder_too_slow_leaves_out_up_to_a_key_frame() -> None:
    sluice = Sluice()
    sluice.put(KEY, *[DELTA] * (ENCODED_CAPACITY + 3))
    assert sluice.gate.qsize() == ENCODED_CAPACITY
    assert sluice.asked == 1
    sluice.take()
    sluice.put(DELTA, KEY)
    assert sluice.take() == [KEY]


def test_the_end_does_not_wait_for_what_is_queued() -> None:
    sluice = Sluice()
    sluice.put(KEY, DELTA)
    sluice.gate.put(None)
    assert sluice.gate.get_nowait() is None


@pytest.mark.parametrize(
    ("codec", "data", "is_key"),
    [
        ("VP8", b"\x10\x02", True),
        ("VP8", b"\x11\x02", False),
        ("VP8", b"", False),
        ("H264", b"\x00\x00\x00\x01\x67sps\x00\x00\x00\x01\x68pps\x00\x00\x01\x65", True),
        ("H264", b"\x00\x00\x00\x01\x09\x10\x00\x00\x01\x65", True),
        ("H264", b"\x00\x00\x00\x01\x41delta", False),
        ("H264", b"\x00\x00\x01", False),
        ("H264", b"", False),
    ],
)
def test_a_key_frame_is_known_by_its_head(codec: str, data: bytes, is_key: bool) -> None:
    assert is_key_frame(codec, data) is is_key


async def test_frames_keep_the_newest_and_end_once() -> None:
    frames: Frames[int] = Frames(2)
    waiting = asyncio.create_task(frames.get())
    await settle()
    for number in range(1, 5):
        frames.put_nowait(number)
    assert (await waiting, await frames.get(), frames.taken, frames.dropped) == (3, 4, 4, 2)
    frames.put_nowait(None)
    assert [await frames.get(), await frames.get()] == [None, None]


class Track:
    """A page's microphone without the page: packets go straight into the intake."""

    def __init__(self) -> None:
        self.registered: list[object] = []
        transport = SimpleNamespace(
            _register_rtp_receiver=lambda one, _: self.registered.append(one)
        )
        receiver: Any = SimpleNamespace(transport=transport)
        self.receiver = receiver
        self.intake = AudioIntake(receiver)
        self._encoder = OpusEncoder()
        self._pts = 0

    def register(self, receiver: object, parameters: object) -> None:
        self.registered.append(receiver)

    async def negotiate(self) -> None:
        codec = RTCRtpCodecParameters(
            mimeType="audio/opus", clockRate=48_000, channels=2, payloadType=OPUS
        )
        await self.receiver.receive(RTCRtpReceiveParameters(codecs=[codec]))

    def payload(self) -> bytes:
        """20 ms of noise."""
        noise = np.random.default_rng(1).integers(-8000, 8000, (1, 960), dtype=np.int16)
        frame = av.AudioFrame.from_ndarray(noise, format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48_000, self._pts
        self._pts += 960
        payloads: list[bytes] = []
        while not payloads:
            payloads, _ = self._encoder.encode(frame)
        return payloads[0]

    async def send(self, number: int, payload: bytes, payload_type: int = OPUS) -> None:
        packet = RtpPacket(payload_type=payload_type, sequence_number=number, timestamp=0)
        packet.payload = payload
        handle: Any = vars(type(self.intake))["_handle_rtp_packet"]
        await handle(self.intake, packet, 0)


async def test_sound_is_decoded_as_it_comes_and_late_packets_are_left_out() -> None:
    track = Track()
    await track.negotiate()
    assert track.registered == [track.intake]
    track.intake.wanted.ask = lambda: True
    for number in (65_535, 0, 2, 1, 3):
        await track.send(number, track.payload())
    assert track.intake.frames.taken == 4
    assert track.intake.left_out == 1
    frame = await track.intake.frames.get()
    assert frame is not None
    assert [piece.samples_per_channel for piece in audio_frames(frame)] == [960]


async def test_sound_that_is_not_wanted_or_no_sound_is_not_decoded() -> None:
    track = Track()
    await track.negotiate()
    await track.send(1, track.payload())
    track.intake.wanted.ask = lambda: True
    await track.send(2, track.payload(), payload_type=OPUS + 1)
    await track.send(3, b"")
    await track.send(4, b"\xff\xff\xff")
    assert track.intake.frames.taken == 0


async def test_an_end_reaches_who_waits() -> None:
    track = Track()
    waiting = asyncio.create_task(track.intake.frames.get())
    await settle()
    track.intake.close()
    assert await waiting is None


def test_stereo_becomes_mono_in_pieces_of_twenty_milliseconds() -> None:
    left, right = np.full(1440, 1000, np.int16), np.full(1440, -3000, np.int16)
    packed = np.stack([left, right], axis=1).reshape(1, -1)
    decoded = av.AudioFrame.from_ndarray(packed, format="s16", layout="stereo")
    pieces = list(audio_frames(decoded))
    assert [piece.samples_per_channel for piece in pieces] == [960, 480]
    assert {int(value) for piece in pieces for value in piece.data} == {-1000}


@pytest.mark.parametrize(("width", "height"), [(320, 240), (322, 182), (35, 17)])
def test_a_pictures_rows_are_packed(width: int, height: int) -> None:
    decoded = av.VideoFrame(width, height, "yuv420p")
    for number, plane in enumerate(decoded.planes):
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        writable = np.zeros_like(rows)
        writable[:, : plane.width] = np.arange(plane.width) % 200 + number
        writable[:, plane.width :] = 255  # padding, which must not show
        plane.update(writable.tobytes())
    frame = video_frame(decoded)
    assert (frame.width, frame.height) == (width, height)
    for number, (packed, stride) in enumerate(zip(frame.planes, frame.strides, strict=True)):
        rows = np.frombuffer(packed, np.uint8).reshape(-1, stride)
        assert (rows == np.arange(stride) % 200 + number).all()


def test_other_formats_become_i420() -> None:
    assert video_frame(av.VideoFrame(64, 32, "rgb24")).nbytes == 64 * 32 * 3 // 2
