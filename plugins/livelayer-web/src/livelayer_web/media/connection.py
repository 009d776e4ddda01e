"""The media connection of one page: what it is sent, what it sends, and how it ends."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from collections.abc import Callable, Collection
from typing import Any, Final, TypeAlias, final

import msgspec
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription
from aiortc.exceptions import InvalidStateError, OperationError
from aiortc.rtcconfiguration import RTCBundlePolicy

from livelayer_bus.clock import Clock
from livelayer_bus.errors import ClosedError
from livelayer_bus.surfaces import Lease

from .aiortc_private import (
    DatagramFilter,
    close_peer,
    forward_reports,
    host_addresses,
    use_sockets,
)
from .downlink import Downlink
from .network import MediaPorts, advertise
from .quality import Quality
from .sdp import Offer, OfferError, SourceKind, preferences
from .statistics import PacketReaderStatistics
from .uplink import Source, SourceStatistics

logger = logging.getLogger(__name__)

EndCallback: TypeAlias = Callable[["MediaConnection", asyncio.Task[None]], None]
"""Called with a connection that has ended and the task that closes it."""

CONNECT_TIMEOUT: Final = 15.0  # seconds from the answer to the first connected state
CLOSE_TIMEOUT: Final = 3.0  # seconds that aiortc may take to close
REFUSALS: Final = (
    OperationError,
    InvalidStateError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
)
"""What aiortc raises for a description that it cannot use."""


class ConnectionStatistics(msgspec.Struct, frozen=True):
    """One page so far."""

    video: PacketReaderStatistics
    """The agent's video that it was sent."""
    audio: PacketReaderStatistics
    """The agent's audio that it was sent."""
    sources: dict[SourceKind, SourceStatistics]
    """Its own microphone, camera and screen; empty for a page that may only watch."""


@final
class MediaConnection:
    """The media of one page, from its offer until either side ends it.

    Audio and video flow while they are wanted and the connection stands. Nothing that the page does
    makes others wait: what it cannot take is dropped and counted.
    """

    def __init__(
        self,
        downlink: Downlink,
        stun_servers: tuple[str, ...],
        ports: MediaPorts | None,
        address: str | None,
        strangers: DatagramFilter,
        clock: Clock,
        gone: EndCallback,
    ) -> None:
        """Made by `Media`, which then calls `negotiate`; `gone` is called once, at its end."""
        self.id: Final = secrets.token_urlsafe(16)
        self.answer = ""
        servers = [RTCIceServer(urls=url) for url in stun_servers]
        configuration = RTCConfiguration(servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        self._peer = RTCPeerConnection(configuration)
        self._ports = ports
        self._address = address
        self._strangers = strangers
        self._downlink = downlink
        self._sources: dict[SourceKind, Source] = {}
        self._clock = clock
        self._gone = gone
        self._deadline = clock.now() + CONNECT_TIMEOUT
        self._connected = False
        self._callbacks: list[Callable[[], None]] = []
        self._negotiating: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._peer.on("connectionstatechange", self._state_changed)

    @property
    def connected(self) -> bool:
        """Whether media can flow now."""
        return self._connected and not self.ended

    @property
    def ended(self) -> bool:
        """Whether either side has ended it."""
        return self._closing is not None

    @property
    def quality(self) -> Quality | None:
        """The quality that is sent now; None without video."""
        return self._downlink.quality

    def want(self, *, video: bool, audio: bool, height: int | None = None) -> None:
        """Set what the page can use. Until this is called, both are sent.

        What is not wanted is no longer sent; what no page wants is not encoded.

        Args:
            video: whether video is wanted.
            audio: whether audio is wanted.
            height: of the largest visible video element, in device pixels; None: the best quality.
        """
        if not self.ended:
            self._downlink.want(video=video, audio=audio, height=height)

    def on_end(self, callback: Callable[[], None]) -> None:
        """Call `callback()` once at the connection's end, or now if it has ended.

        The callback must neither wait nor raise.
        """
        if self.ended:
            callback()
        else:
            self._callbacks.append(callback)

    async def feed(self, source: SourceKind, lease: Lease[Any]) -> None:
        """Decode the page's track into `lease`, until cancelled, or until connection or lease end.

        The microphone gives frames of 20 ms, mono at 48 kHz; camera and screen give video frames.
        What the room cannot take in time is dropped. Nothing is decoded while the lease is muted.

        Raises:
            ClosedError: the connection has ended, or has no such source.
            BusyError: it is being fed already.
        """
        intake = self._sources.get(source)
        if intake is None or self.ended:
            raise ClosedError(f"the page's {source}", "it belongs to a connection that offers it")
        await intake.feed(lease)

    def statistics(self) -> ConnectionStatistics:
        sources: dict[SourceKind, SourceStatistics] = {
            kind: source.statistics() for kind, source in self._sources.items()
        }
        return ConnectionStatistics(*self._downlink.statistics(), sources)

    def tick(self, now: float) -> None:
        """Check timeouts and the quality. The hub calls it about once a second."""
        if self._connected:
            self._downlink.follow(now)
        elif now >= self._deadline:
            self.end()

    async def aclose(self) -> None:
        """End it. Returns within `CLOSE_TIMEOUT` seconds; a second call waits for the same end."""
        await asyncio.wait([self.end()])

    async def negotiate(self, offer: Offer, *, allow_sources: Collection[SourceKind]) -> None:
        """Make the answer. On any error, everything is closed.

        Raises:
            OfferError: aiortc cannot use the offer.
            MediaPortsTakenError: every port is in use.
        """
        making = self._answer(offer, allow_sources=allow_sources)
        self._negotiating = asyncio.create_task(making, name="answer an offer")
        try:
            await asyncio.shield(self._negotiating)
        except BaseException:
            await self.aclose()
            raise

    async def _answer(self, offer: Offer, *, allow_sources: Collection[SourceKind]) -> None:
        for section in offer.sections:
            direction = "sendonly"
            track: Any = section.kind
            codecs = section.codecs
            if section.role == "audio":
                track = self._downlink.audio
            elif section.role == "video":
                track, codecs = self._downlink.video, section.codecs[:1]
            else:
                direction = "recvonly" if section.role in allow_sources else "inactive"
            transceiver = self._peer.addTransceiver(track, direction=direction)
            transceiver.setCodecPreferences(preferences(section.kind, codecs))
            if section.role == "video":
                forward_reports(transceiver.sender, self._downlink)
            elif section.role != "audio" and section.role in allow_sources:
                self._sources[section.role] = Source(section.role, transceiver.receiver)
        try:
            await self._peer.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
            await self._open_ports()
        except REFUSALS as error:
            raise OfferError("it does not match what this server offers") from error
        self._strangers.apply(self._peer)
        answer = self._peer.localDescription.sdp
        self.answer = advertise(answer, self._address) if self._address else answer

    async def _open_ports(self) -> None:
        sockets: list[socket.socket] = []
        if self._ports is not None:
            sockets = self._ports.open(host_addresses())
            use_sockets(self._peer, sockets)
        try:
            await self._peer.setLocalDescription()
        finally:
            for one in sockets:  # which the peer has not taken
                one.close()

    def _state_changed(self) -> None:
        state = self._peer.connectionState
        if state == "connected" and not self.ended:
            self._connected = True
            self._downlink.open(self._clock.now())
        elif state in ("failed", "closed"):
            self.end()

    def end(self) -> asyncio.Task[None]:
        """Stop what can be stopped at once; the returned task closes the rest."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="close a media connection")
            self._downlink.close()
            for source in self._sources.values():
                source.close()
            self._gone(self, self._closing)
            callbacks, self._callbacks = self._callbacks, []
            for callback in callbacks:
                callback()
        return self._closing

    async def _close(self) -> None:
        closing = asyncio.create_task(self._close_peer(), name="close a peer connection")
        _, late = await asyncio.wait([closing], timeout=CLOSE_TIMEOUT)
        if late:
            closing.cancel()
            logger.warning("a media connection did not close within %g s", CLOSE_TIMEOUT)

    async def _close_peer(self) -> None:
        if self._negotiating is not None:
            # If aioice is cancelled while it opens sockets, it does not close them.
            await asyncio.wait([self._negotiating])
        await close_peer(self._peer)
