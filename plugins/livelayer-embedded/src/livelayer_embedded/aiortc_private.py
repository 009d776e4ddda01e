"""Everything that this server uses of aiortc beyond its documented interface.

aiortc has no peer connection that relays media without decoding it, so this server stands on the
layers below: the DTLS and SCTP transports, whose private parts are reached here, and the RTCP
packet classes, which are importable but not documented. aiortc is pinned exactly (1.16.0), and
`tests/server/test_aiortc_pin.py` checks every part used here.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections import deque
from collections.abc import Callable, Iterable
from typing import cast

import pylibsrtp
from aiortc import rtp
from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsTransport
from aiortc.rtcicetransport import RTCIceTransport
from aiortc.rtcsctptransport import RTCSctpTransport
from aiortc.rtp import AnyRtcpPacket, RtcpPsfbPacket, RtcpRtpfbPacket, RtcpSrPacket

DTLS_QUEUE = 1024  # datagrams waiting for DTLS; SCTP sends lost ones again
INITIAL_WINDOW = 64 << 10  # bytes in flight at first: on loopback there is no path to probe
OWN_SSRC = 1  # what the server's own reports are sent as
MAX_REPORTS = 31  # blocks that fit one receiver report
MAX_NACK = 64  # lost packets that fit one request, at 16 bytes each

ReceiverReport = rtp.RtcpReceiverInfo
RtcpPacket = AnyRtcpPacket


class Certificate:
    """The server's DTLS certificate, shared by all its connections."""

    def __init__(self) -> None:
        self.inner = RTCCertificate.generateCertificate()
        self.fingerprint = next(
            item.value for item in self.inner.getFingerprints() if item.algorithm == "sha-256"
        )


class DtlsPath:
    """What aiortc's DTLS transport takes for its ICE transport: a bounded queue and a socket."""

    role = "controlled"
    state = "completed"

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._queue: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._socket_send = send
        self._closed = False
        self.dropped = 0

    def push(self, data: bytes) -> None:
        if len(self._queue) >= DTLS_QUEUE:
            self.dropped += 1
            return
        self._queue.append(data)
        self._wake()

    def close(self) -> None:
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _recv(self) -> bytes:
        while not self._queue:
            if self._closed:
                raise ConnectionError("closed")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._queue.popleft()

    async def _send(self, data: bytes) -> None:
        self._socket_send(data)


class Dtls(RTCDtlsTransport):
    """aiortc's DTLS transport on our socket, its SRTP sessions made reachable."""

    def __init__(self, path: DtlsPath, certificate: Certificate) -> None:
        super().__init__(cast(RTCIceTransport, path), [certificate.inner])
        self._set_role("server")

    def srtp(self) -> tuple[pylibsrtp.Session, pylibsrtp.Session]:
        """The receiving and the sending SRTP session; valid once connected."""
        return self._rx_srtp, self._tx_srtp

    async def _send_data(self, data: bytes) -> None:
        # aiortc's SCTP sends from tasks that are never awaited; after the end that is lost.
        with contextlib.suppress(ConnectionError):
            await super()._send_data(data)

    async def halt(self) -> None:
        """Stop, and wait until its receiving task has ended."""
        pump = self._task
        await self.stop()
        if pump is not None:
            await asyncio.gather(pump, return_exceptions=True)
        self.remove_all_listeners()


class Sctp(RTCSctpTransport):
    """aiortc's SCTP transport, tuned for a path without loss or delay."""

    def __init__(self, dtls: Dtls) -> None:
        super().__init__(dtls)
        self._cwnd = INITIAL_WINDOW


def parse_rtcp(data: bytes) -> list[RtcpPacket]:
    """The packets of a compound RTCP packet; none if one of them is malformed."""
    try:
        return rtp.RtcpPacket.parse(data)
    except (ValueError, struct.error):
        return []


def sender_time(packet: RtcpPacket) -> tuple[int, int, int] | None:
    """SSRC, 64-bit NTP time and the RTP timestamp that matches it, if this is a sender report."""
    if not isinstance(packet, RtcpSrPacket):
        return None
    return packet.ssrc, packet.sender_info.ntp_timestamp, packet.sender_info.rtp_timestamp


def keyframe_targets(packet: RtcpPacket) -> list[int]:
    """The SSRCs that a picture loss indication or a full intra request names."""
    if isinstance(packet, RtcpPsfbPacket):
        if packet.fmt == rtp.RTCP_PSFB_PLI:
            return [packet.media_ssrc]
        if packet.fmt == rtp.RTCP_PSFB_FIR:
            fci = packet.fci
            return [int.from_bytes(fci[i : i + 4], "big") for i in range(0, len(fci) - 7, 8)]
    return []


def lost_packets(packet: RtcpPacket) -> tuple[int, list[int]]:
    """The SSRC and the sequence numbers that a NACK asks for; no numbers for other packets."""
    if isinstance(packet, RtcpRtpfbPacket) and packet.fmt == rtp.RTCP_RTPFB_NACK:
        return packet.media_ssrc, [number & 0xFFFF for number in packet.lost]
    return 0, []


def pli(media: int) -> bytes:
    """A picture loss indication."""
    return bytes(RtcpPsfbPacket(rtp.RTCP_PSFB_PLI, OWN_SSRC, media))


def nack(media: int, lost: Iterable[int]) -> bytes:
    """A request to send these sequence numbers again, at most `MAX_NACK`.

    One packet a number: aiortc cannot pack a list that wraps around.
    """
    return b"".join(
        bytes(RtcpRtpfbPacket(rtp.RTCP_RTPFB_NACK, OWN_SSRC, media, [number])) for number in lost
    )


def receiver_report(blocks: list[ReceiverReport], bitrate: int, ssrcs: list[int]) -> bytes:
    """What arrived, and the bandwidth estimate in bits a second for these SSRCs.

    The estimate comes first: a client takes it as its start value only with, or before, the first
    receiver report.
    """
    remb = RtcpPsfbPacket(rtp.RTCP_PSFB_APP, OWN_SSRC, 0, rtp.pack_remb_fci(bitrate, ssrcs[:255]))
    report = rtp.RtcpRrPacket(OWN_SSRC, blocks[:MAX_REPORTS])
    return bytes(rtp.RtcpRrPacket(OWN_SSRC)) + bytes(remb) + bytes(report)


def sender_report(ssrc: int, ntp: int, timestamp: int, packets: int, octets: int) -> bytes:
    """A sender report; `ntp` is the 64-bit NTP time that matches `timestamp`."""
    mask = 0xFFFFFFFF
    info = rtp.RtcpSenderInfo(ntp, timestamp & mask, packets & mask, octets & mask)
    return bytes(RtcpSrPacket(ssrc, info))
