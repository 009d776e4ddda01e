# ruff: noqa: SLF001
"""What the media need of aiortc's private parts: reports, reception, datagrams, and closing.

Reports: aiortc's sender does not pass on that a frame was lost, or how much a page can receive.
Reception: aiortc decodes everything that arrives, in a thread for each track, into unbounded
queues, and its jitter buffer delays audio by 80 ms, after a loss by 300. So audio bypasses it, and
video is decoded only while it is wanted.
Ports: aioice binds any free one, at every address of this machine.
Datagrams: an empty one from any sender ends aiortc's connection, and what others send to its ports
is read as if the page had sent it.
Closing: a connection that is closed while it connects starts to check the consent of the other
side, and to report about its tracks, afterwards and without end.

aiortc is pinned exactly. `tests/media/peer/test_peer_aiortc_pin.py` checks every part used here.
"""

from __future__ import annotations

import asyncio
import queue
import socket
import struct
from collections import deque
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Final, Generic, Protocol, TypeVar, final

import av
from aioice import Candidate, stun
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import StunProtocol, get_host_addresses, server_reflexive_candidate
from aioice.turn import UDP_SOCKET_BUFFER_SIZE
from aiortc import RTCPeerConnection
from aiortc.codecs.opus import OpusDecoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpReceiveParameters
from aiortc.rtcrtpreceiver import RemoteStreamTrack, RTCRtpReceiver
from aiortc.rtcrtpsender import RTCRtpSender
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    AnyRtcpPacket,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpSrPacket,
    RtpPacket,
    unpack_remb_fci,
)
from aiortc.utils import uint16_gt

T = TypeVar("T")

AUDIO_CAPACITY: Final = 10  # decoded packets, 200 ms
VIDEO_CAPACITY: Final = 2  # decoded frames
ENCODED_CAPACITY: Final = 8  # frames that wait for the decoder
KEY_FRAME_PATIENCE: Final = 15  # frames left out before a key frame is requested again
START_CODE: Final = b"\x00\x00\x01"
PARAMETERS_WITHIN: Final = 128  # bytes; a key frame's parameter set is at its very front
KEY_UNITS: Final = (5, 7)  # H264: IDR slice, sequence parameter set


class Wanted:
    """Whether frames are wanted now. It is called for each packet, so `ask` must be quick."""

    def __init__(self) -> None:
        self.ask: Callable[[], bool] | None = None

    def __call__(self) -> bool:
        return self.ask is not None and self.ask()


@final
class Frames(Generic[T]):
    """The newest decoded frames, in order; the oldest are dropped and counted.

    It replaces the queue of aiortc's track, whose worker puts a None at the end.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._waiting: deque[T] = deque()
        self._changed = asyncio.Event()
        self._ended = False
        self.taken = 0
        self.dropped = 0

    def put_nowait(self, frame: T | None) -> None:
        """Add a frame, or None for the end."""
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
        """Discard what waits."""
        self._waiting.clear()


@final
class AudioIntake:
    """A page's audio, decoded in the event loop packet by packet; late packets are left out.

    aiortc's router passes it the packets in place of the receiver.
    """

    def __init__(self, receiver: RTCRtpReceiver) -> None:
        """Replace the receiver. Call it before the answer is made."""
        self.wanted: Final = Wanted()
        self.frames: Final[Frames[av.AudioFrame]] = Frames(AUDIO_CAPACITY)
        private: Any = receiver
        private.receive = self._receive
        self._receiver = private
        self._payload_types: frozenset[int | None] = frozenset()
        self._decoder: OpusDecoder | None = None
        self._last: int | None = None
        self.left_out = 0

    async def start(self) -> None:
        """Does nothing: it starts with the first packet."""

    def close(self) -> None:
        """End it; a task that waits for a frame gets None."""
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
            self.left_out += 1  # not audio; the next packet can be decoded without it
            return
        for frame in decoded:
            if isinstance(frame, av.AudioFrame):
                self.frames.put_nowait(frame)

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        pass

    def _handle_disconnect(self) -> None:
        self.close()


@final
class VideoIntake:
    """A page's video: aiortc's receiver, started on first use, behind a bounded queue."""

    def __init__(self, receiver: RTCRtpReceiver) -> None:
        """Prepare the receiver. Call it before the answer is made."""
        self.wanted: Final = Wanted()
        self.frames: Final[Frames[av.VideoFrame]] = Frames(VIDEO_CAPACITY)
        private: Any = receiver
        self._receiver = private
        track: Any = RemoteStreamTrack("video")
        track._queue = self.frames
        private._track = track
        self._gate = DecoderQueue(self.wanted, private._RTCRtpReceiver__decoder_error.set)
        private._RTCRtpReceiver__decoder_queue = self._gate
        self._begin = receiver.receive
        private.receive = self._receive
        self._negotiated = asyncio.Event()
        self._parameters: RTCRtpReceiveParameters | None = None

    @property
    def left_out(self) -> int:
        """Frames that were not decoded."""
        return self._gate.left_out

    async def start(self) -> None:
        """Start aiortc's receiver once the connection stands. It runs until the connection ends."""
        await self._negotiated.wait()
        if self._parameters is not None:
            parameters, self._parameters = self._parameters, None
            await self._begin(parameters)
            # With two tracks of the same codecs, aiortc drops retransmitted packets.
            senders = self._receiver.transport._rtp_router.ssrc_table
            for encoding in parameters.encodings:
                if encoding.rtx is not None:
                    senders[encoding.rtx.ssrc] = self._receiver

    def close(self) -> None:
        """End it; a task that waits for a frame, or for the start, continues."""
        self._parameters = None
        self._negotiated.set()
        self.frames.put_nowait(None)

    async def _receive(self, parameters: RTCRtpReceiveParameters) -> None:
        self._parameters = parameters
        self._negotiated.set()


@final
class DecoderQueue(queue.Queue[Any]):
    """The queue before aiortc's decoder: bounded, and closed while frames are not wanted.

    After a frame that was left out, the next one is a key frame, which is requested repeatedly.
    """

    def __init__(self, wanted: Callable[[], bool], ask_key_frame: Callable[[], None]) -> None:
        super().__init__()
        self._wanted = wanted
        self._ask_key_frame = ask_key_frame
        self._broken = True
        self._missing = 0  # frames since the last one that was accepted
        self.left_out = 0

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Accept `(codec, frame)` or leave it out; never waits. None, aiortc's end, goes first."""
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
    """Whether a decoder can start with this frame."""
    if codec == "VP8":
        return bool(data) and not data[0] & 1
    position = data.find(START_CODE, 0, PARAMETERS_WITHIN)
    while 0 <= position < len(data) - len(START_CODE):
        position += len(START_CODE)
        if data[position] & 0x1F in KEY_UNITS:
            return True
        position = data.find(START_CODE, position, PARAMETERS_WITHIN)
    return False


LOST_UNIT: Final = 256  # a report's fraction of lost packets is in 256ths


class ReportHandler(Protocol):
    """Handles a receiver's reports about one track. Called in the event loop; must not wait."""

    def key_frame_requested(self) -> None:
        """It cannot continue without a key frame."""
        ...

    def bandwidth_estimated(self, bitrate: int) -> None:
        """It estimates that it can receive `bitrate` bit/s, all tracks together."""
        ...

    def packets_lost(self, fraction: float) -> None:
        """The fraction of packets lost since its last report, 0 to 1."""
        ...


def forward_reports(sender: RTCRtpSender, reports: ReportHandler) -> None:
    """Forward the receiver's reports to `reports`, in addition to what aiortc does with them."""
    private: Any = sender
    handle = private._handle_rtcp_packet

    async def handle_and_forward(packet: object) -> None:
        if isinstance(packet, RtcpPsfbPacket):
            _forward_feedback(packet, private._ssrc, reports)
        elif isinstance(packet, (RtcpRrPacket, RtcpSrPacket)):
            for report in packet.reports:
                if report.ssrc == private._ssrc:
                    reports.packets_lost(report.fraction_lost / LOST_UNIT)
        await handle(packet)

    private._handle_rtcp_packet = handle_and_forward


def _forward_feedback(packet: RtcpPsfbPacket, ssrc: int, reports: ReportHandler) -> None:
    if packet.fmt in (RTCP_PSFB_PLI, RTCP_PSFB_FIR):
        reports.key_frame_requested()
    elif packet.fmt == RTCP_PSFB_APP:
        try:
            bitrate, ssrcs = unpack_remb_fci(packet.fci)
        except ValueError:
            return  # another application-defined message
        if ssrc in ssrcs:
            reports.bandwidth_estimated(bitrate)


@final
class DatagramFilter:
    """Ignores and counts what only a stranger sends to the ports of connections.

    Passed on are connectivity checks that carry the connection's password, and what comes from an
    address that sent one, unless it is empty.

    Args:
        local_only: whether everything from other machines is ignored, too.
    """

    def __init__(self, *, local_only: bool = False) -> None:
        self._local_only = local_only
        self.ignored = 0
        """Datagrams so far."""

    def apply(self, peer: RTCPeerConnection) -> None:
        """Filter all ports of the peer. Call it once they are open, before the answer is sent."""
        for transport in _transports(peer):
            connection = transport._connection
            while not connection._queue.empty():
                connection._queue.get_nowait()
                self.ignored += 1
            # Another program of this machine sends from one of these, or from the loopback.
            hosts = {protocol.local_candidate.host for protocol in connection._protocols}
            for protocol in connection._protocols:
                protocol.datagram_received = self._filtered(connection, protocol, hosts)

    def _filtered(
        self, connection: Any, protocol: Any, hosts: set[str]
    ) -> Callable[[bytes, tuple[Any, ...]], None]:
        handle = protocol.datagram_received
        password = connection.local_password.encode()

        def datagram_received(data: bytes, addr: tuple[Any, ...]) -> None:
            known = any(pair.remote_addr == addr[:2] for pair in connection._check_list)
            try:
                if (
                    (known and data) or stun.parse_message(data).check_message_integrity(password)
                ) and not (self._local_only and _is_foreign(addr[0], hosts)):
                    handle(data, addr)
                    return
            except (ValueError, LookupError, struct.error):
                pass  # not STUN, or STUN that aioice cannot read
            self.ignored += 1

        return datagram_received


def host_addresses() -> list[str]:
    """The addresses of this machine that browsers use."""
    return get_host_addresses(use_ipv4=True, use_ipv6=True)


def use_sockets(peer: RTCPeerConnection, sockets: list[socket.socket]) -> None:
    """Use these sockets in place of any free ports. Call it before the answer is made.

    Those that the peer has taken are no longer in `sockets`: it closes them.
    """
    for transport in _transports(peer):
        _Gathering(transport._connection, sockets).replace()


@final
class _Gathering:
    """aioice's way to open the ports of one connection, with sockets that are given."""

    def __init__(self, connection: Any, sockets: list[socket.socket]) -> None:
        self._connection = connection
        self._sockets = sockets

    def replace(self) -> None:
        self._connection.get_component_candidates = self._gather

    async def _gather(
        self, component: int, addresses: list[str], timeout: float = 5
    ) -> list[Candidate]:
        del addresses
        found: list[Candidate] = []
        asking: list[asyncio.Task[Any]] = []
        while self._sockets:
            one = self._sockets[0]
            protocol = await self._open(one, component)
            self._sockets.remove(one)
            self._connection._protocols.append(protocol)
            found.append(protocol.local_candidate)
            server = self._connection.stun_server
            if server is not None and ip_address(protocol.local_candidate.host).version == 4:
                asking.append(asyncio.create_task(server_reflexive_candidate(protocol, server)))
        if asking:
            done, late = await asyncio.wait(asking, timeout=timeout)
            found += [task.result()[0] for task in done if task.exception() is None]
            for task in late:
                task.cancel()
        return found

    async def _open(self, one: socket.socket, component: int) -> StunProtocol:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_SOCKET_BUFFER_SIZE)
        _, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: StunProtocol(self._connection), sock=one
        )
        host, port = one.getsockname()[:2]
        protocol.local_candidate = Candidate(
            foundation=candidate_foundation("host", "udp", host),
            component=component,
            transport="udp",
            priority=candidate_priority(component, "host"),
            host=host,
            port=port,
            type="host",
        )
        return protocol


def _is_foreign(host: str, hosts: set[str]) -> bool:
    return host not in hosts and not ip_address(host.partition("%")[0]).is_loopback


def _transports(peer: RTCPeerConnection) -> set[Any]:
    return {one.receiver.transport.transport for one in peer.getTransceivers()}


async def close_peer(peer: RTCPeerConnection) -> None:
    """Close it, and what it may have started meanwhile."""
    tracks: list[Any] = peer.getTransceivers()
    transports = _transports(peer)
    for transport in transports:
        transport.start = _start_nothing
    for one in tracks:
        one.sender.send = one.receiver.receive = _start_nothing
    await peer.close()
    for transport in transports:
        started = transport._RTCIceTransport__start
        if started is not None:
            await started.wait()
            await transport._connection.close()


async def _start_nothing(_: object) -> None:
    """Replaces what starts tracks that are still connecting: nothing would stop them any more."""
