"""One peer connection on the server's side: ICE-lite, DTLS, SRTP and data channels."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pylibsrtp
from aiortc.rtcdatachannel import RTCDataChannel, RTCDataChannelParameters
from aiortc.rtcdtlstransport import RTCDtlsFingerprint, RTCDtlsParameters
from aiortc.rtcsctptransport import RTCSctpCapabilities

from .aiortc_private import Certificate, Dtls, DtlsPath, RtcpPacket, Sctp, parse_rtcp
from .ice import IceSocket
from .sdp import transport_lines

logger = logging.getLogger(__name__)

RELIABLE_BUFFER = 16 << 20  # bytes queued for a slow reader before packets to it are dropped
LOSSY_BUFFER = 256 << 10  # bytes
REMOTE_MESSAGE_SIZE = 262144  # bytes; what libwebrtc accepts


class PeerTransport:
    """One peer connection's transport, always DTLS-passive.

    `on_rtp` gets decrypted packets, each of `on_rtcp` every decrypted RTCP packet,
    `on_message(label, data)` data channel messages; `on_open(label)` is called when a channel
    opens, whoever opened it, `on_closed()` when the client closes the connection. All are called
    in the event loop and must return quickly.
    """

    def __init__(self, certificate: Certificate, name: str) -> None:
        self._certificate = certificate
        self._name = name
        self.ice = IceSocket(self._packet_received)
        self._path = DtlsPath(self.ice.send)
        self._dtls = Dtls(self._path, certificate)
        self._sctp = Sctp(self._dtls)
        self._sctp.on("datachannel", self._channel_arrived)
        self._dtls.on("statechange", self._dtls_changed)
        self._channels: dict[str, RTCDataChannel] = {}
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._receiving: pylibsrtp.Session | None = None
        self._sending: pylibsrtp.Session | None = None
        self.undecryptable = 0
        self.unsendable = 0
        self.dropped_messages = 0
        self.on_rtp: Callable[[bytes], None] = _ignore
        self.on_rtcp: list[Callable[[RtcpPacket], None]] = []
        self.on_message: Callable[[str, bytes], None] = _ignore
        self.on_open: Callable[[str], None] = _ignore
        self.on_closed: Callable[[], None] = _ignore

    def lines(self, setup: str) -> list[str]:
        """This connection's part of a session description."""
        return transport_lines(
            self.ice.ufrag,
            self.ice.password,
            self.ice.port,
            self._certificate.fingerprint,
            setup,
        )

    def start(self, algorithm: str, fingerprint: str) -> None:
        """Begin to expect the client's handshake; does nothing the second time."""
        if self._task is None and not self._closed:
            self._task = asyncio.get_running_loop().create_task(
                self._connect(RTCDtlsFingerprint(algorithm, fingerprint)),
                name=f"livelayer embedded {self._name}",
            )

    @property
    def connected(self) -> bool:
        """Whether the handshake is done and the connection not closed."""
        return self._sending is not None and not self._closed

    def open_channel(self, label: str, *, ordered: bool, retransmits: int | None) -> None:
        """Open a data channel to the client; usable once `on_open(label)` was called."""
        channel = RTCDataChannel(
            self._sctp,
            RTCDataChannelParameters(label=label, ordered=ordered, maxRetransmits=retransmits),
        )
        self._channels[label] = channel
        channel.on("open", lambda: self.on_open(label))

    def send_message(self, label: str, data: bytes, *, lossy: bool = False) -> bool:
        """Queue a message; False, and counted, if the channel is not open or its queue is full."""
        channel = self._channels.get(label)
        limit = LOSSY_BUFFER if lossy else RELIABLE_BUFFER
        if channel is None or channel.readyState != "open" or channel.bufferedAmount > limit:
            self.dropped_messages += 1
            return False
        channel.send(data)
        return True

    def send_rtp(self, packet: bytes) -> None:
        """Encrypt and send an RTP packet; dropped before the handshake is done."""
        if self._sending is not None:
            self._send(self._sending.protect, packet)

    def send_rtcp(self, packet: bytes) -> None:
        """Encrypt and send a compound RTCP packet; dropped before the handshake is done."""
        if self._sending is not None:
            self._send(self._sending.protect_rtcp, packet)

    def _send(self, protect: Callable[[bytes], bytes], packet: bytes) -> None:
        try:
            data = protect(packet)
        except (pylibsrtp.Error, ValueError):
            self.unsendable += 1  # a publisher's packet is too long for a datagram
        else:
            self.ice.send(data)

    async def aclose(self) -> None:
        """Tell the client and release socket and tasks."""
        if self._closed:
            return
        self._closed = True
        self._sending = self._receiving = None
        self._path.close()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self._sctp.stop()
        await self._dtls.halt()
        self.ice.close()

    async def _connect(self, fingerprint: RTCDtlsFingerprint) -> None:
        await self._dtls.start(RTCDtlsParameters(fingerprints=[fingerprint]))
        if self._dtls.state != "connected":
            logger.debug("DTLS handshake of %s failed", self._name)
            return
        self._receiving, self._sending = self._dtls.srtp()
        await self._sctp.start(RTCSctpCapabilities(maxMessageSize=REMOTE_MESSAGE_SIZE), 5000)

    def _packet_received(self, data: bytes) -> None:
        first = data[0] if data else 0
        if 127 < first < 192:
            self._srtp_received(data)
        elif 19 < first < 64:
            self._path.push(data)

    def _srtp_received(self, data: bytes) -> None:
        if self._receiving is None or len(data) < 12:
            return
        try:
            if 192 <= data[1] <= 223:
                for packet in parse_rtcp(self._receiving.unprotect_rtcp(data)):
                    for receive in self.on_rtcp:
                        receive(packet)
            else:
                self.on_rtp(self._receiving.unprotect(data))
        except pylibsrtp.Error:
            self.undecryptable += 1

    def _channel_arrived(self, channel: RTCDataChannel) -> None:
        label = channel.label
        channel.on("message", lambda data: self._message_received(label, data))
        if label not in self._channels:
            self._channels[label] = channel
            self.on_open(label)

    def _message_received(self, label: str, data: bytes | str) -> None:
        if isinstance(data, bytes):
            self.on_message(label, data)

    def _dtls_changed(self) -> None:
        if self._dtls.state in ("closed", "failed") and not self._closed:
            self._sending = self._receiving = None
            self.on_closed()


def _ignore(*_: object) -> None:
    """The handler until another one is set."""
