# ruff: noqa: SLF001
"""A page's tracks, decoded only while somebody takes them: the private part of aiortc's receiver.

aiortc decodes all that arrives, in a thread for each track, into queues without a bound, and its
jitter buffer holds sound back for 80 ms, after a loss for 300. So sound goes round all of that,
and pictures go through a gate. The only file that touches its receiver's private parts: aiortc is
pinned exactly, and `tests/media/peer/test_peer_aiortc_pin.py` checks every part used here.
"""

from __future__ import annotations

import asyncio
import queue
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar, final

import av
from aiortc.codecs.opus import OpusDecoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpReceiveParameters
from aiortc.rtcrtpreceiver import RemoteStreamTrack, RTCRtpReceiver
from aiortc.rtp import AnyRtcpPacket, RtpPacket
from aiortc.utils import uint16_gt

T = TypeVar("T")

SOUND_CAPACITY: Final = 10  # decoded packets, 200 ms
PICTURE_CAPACITY: Final = 2  # decoded pictures
ENCODED_CAPACITY: Final = 8  # pictures that wait for the decoder
KEY_FRAME_PATIENCE: Final = 15  # pictures left out before a key frame is asked for again
START_CODE: Final = b"\x00\x00\x01"
PARAMETERS_WITHIN: Final = 128  # bytes; a key frame's parameter set is at its very front
KEY_UNITS: Final = (5, 7)  # H264: a key picture, its sequence's parameters


class Wanted:
    """Whether frames are wanted now; asked for each packet, so it must be quick."""

    def __init__(self) -> None:
        self.ask: Callable[[], bool] | None = None

    def __call__(self) -> bool:
        return self.ask is not None and self.ask()


@final
class Frames(Generic[T]):
    """Decoded frames in order, the newest of them: the oldest is dropped and counted.

    It stands in for the queue of aiortc's track, whose worker puts a None at the end.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._waiting: deque[T] = deque()
        self._changed = asyncio.Event()
        self._ended = False
        self.taken = 0
        self.dropped = 0

    def put_nowait(self, frame: T | None) -> None:
        """Take a frame in, or the end."""
        if frame is None:
            self._ended = True
        else:
            self.taken += 1
            self._waiting.append(frame)
            if len(self._waiting) > self._capacity:
                self._waiting.popleft()
                self.dropped += 1
        self._changed.set()

    async def put(self, frame: T | None) -> None:
        """The same, for aiortc's worker."""
        self.put_nowait(frame)

    async def get(self) -> T | None:
        """The next frame, waiting for one; None at the end."""
        while not self._waiting:
            if self._ended:
                return None
            self._changed.clear()
            await self._changed.wait()
        return self._waiting.popleft()

    def clear(self) -> None:
        """Forget what waits."""
        self._waiting.clear()


@final
class SoundIntake:
    """A page's sound, decoded in the loop packet by packet as it comes; late packets are left out.

    aiortc's router hands it the packets in place of the receiver.
    """

    def __init__(self, receiver: RTCRtpReceiver) -> None:
        """Take the receiver's place; before the answer is made."""
        self.wanted: Final = Wanted()
        self.frames: Final[Frames[av.AudioFrame]] = Frames(SOUND_CAPACITY)
        private: Any = receiver
        private.receive = self._receive
        self._receiver = private
        self._payload_types: frozenset[int | None] = frozenset()
        self._decoder: OpusDecoder | None = None
        self._last: int | None = None
        self.left_out = 0

    async def start(self) -> None:
        """It needs no start of its own."""

    def close(self) -> None:
        """End it; whoever waits for a frame gets None."""
        self.frames.put_nowait(None)

    async def _receive(self, parameters: RTCRtpReceiveParameters) -> None:
        self._payload_types = frozenset(codec.payloadType for codec in parameters.codecs)
        self._receiver.transport._register_rtp_receiver(self, parameters)

    # What aiortc's router calls ---------------------------------------------------------------

    async def _handle_rtp_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        if packet.payload_type not in self._payload_types or not packet.payload:
            return
        if not self.wanted():
            self._decoder = self._last = None
            self.left_out += 1
            return
        if self._last is not None and not uint16_gt(packet.sequence_number, self._last):
            self.left_out += 1
            return
        self._last = packet.sequence_number
        self._decoder = self._decoder or OpusDecoder()
        try:
            decoded = self._decoder.decode(JitterFrame(packet.payload, packet.timestamp))
        except av.FFmpegError:
            self.left_out += 1  # no sound in it; the next packet stands on its own
            return
        for frame in decoded:
            if isinstance(frame, av.AudioFrame):
                self.frames.put_nowait(frame)

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        pass

    def _handle_disconnect(self) -> None:
        self.close()


@final
class PictureIntake:
    """A page's pictures: aiortc's receiver, which starts with the first use, behind a gate."""

    def __init__(self, receiver: RTCRtpReceiver) -> None:
        """Prepare the receiver; before the answer is made."""
        self.wanted: Final = Wanted()
        self.frames: Final[Frames[av.VideoFrame]] = Frames(PICTURE_CAPACITY)
        private: Any = receiver
        self._receiver = private
        track: Any = RemoteStreamTrack("video")
        track._queue = self.frames
        private._track = track
        self._gate = Gate(self.wanted, private._RTCRtpReceiver__decoder_error.set)
        private._RTCRtpReceiver__decoder_queue = self._gate
        self._begin = receiver.receive
        private.receive = self._receive
        self._negotiated = asyncio.Event()
        self._parameters: RTCRtpReceiveParameters | None = None

    @property
    def left_out(self) -> int:
        """Pictures that were not decoded."""
        return self._gate.left_out

    async def start(self) -> None:
        """Have aiortc receive, from now until the connection ends; waits for the connection."""
        await self._negotiated.wait()
        if self._parameters is not None:
            parameters, self._parameters = self._parameters, None
            await self._begin(parameters)
            # Of two tracks with the same codecs, aiortc drops what was sent again.
            senders = self._receiver.transport._rtp_router.ssrc_table
            for encoding in parameters.encodings:
                if encoding.rtx is not None:
                    senders[encoding.rtx.ssrc] = self._receiver

    def close(self) -> None:
        """End it; whoever waits for a frame, or for the start, goes on."""
        self._parameters = None
        self._negotiated.set()
        self.frames.put_nowait(None)

    async def _receive(self, parameters: RTCRtpReceiveParameters) -> None:
        self._parameters = parameters
        self._negotiated.set()


@final
class Gate(queue.Queue[Any]):
    """The queue before aiortc's decoder, as it should be: bounded, and shut while nobody takes.

    After what it left out, a key frame comes first; it is asked for, again and again if need be.
    """

    def __init__(self, wanted: Callable[[], bool], ask_key_frame: Callable[[], None]) -> None:
        super().__init__()
        self._wanted = wanted
        self._ask_key_frame = ask_key_frame
        self._broken = True
        self._missing = 0  # pictures since the last one that was taken in
        self.left_out = 0

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Take in `(codec, frame)` or leave it out; never waits. None, aiortc's end, goes first."""
        if item is None:
            with self.mutex:
                self.queue.clear()
        elif not self._admits(*item):
            return
        super().put(item)

    def _admits(self, codec: RTCRtpCodecParameters, frame: JitterFrame) -> bool:
        if not self._wanted():
            self._broken, self._missing = True, 0
            self.left_out += 1
            return False
        full = self.qsize() >= ENCODED_CAPACITY
        if not full and (not self._broken or is_key_frame(codec.name, frame.data)):
            self._broken, self._missing = False, 0
            return True
        if self._missing % KEY_FRAME_PATIENCE == 0:
            self._ask_key_frame()
        self._broken = True
        self._missing += 1
        self.left_out += 1
        return False


def is_key_frame(codec: str, data: bytes) -> bool:
    """Whether a decoder can begin with this picture."""
    if codec == "VP8":
        return bool(data) and not data[0] & 1
    position = data.find(START_CODE, 0, PARAMETERS_WITHIN)
    while 0 <= position < len(data) - len(START_CODE):
        position += len(START_CODE)
        if data[position] & 0x1F in KEY_UNITS:
            return True
        position = data.find(START_CODE, position, PARAMETERS_WITHIN)
    return False
