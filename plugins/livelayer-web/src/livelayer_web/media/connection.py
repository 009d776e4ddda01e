"""One page's media: what it is sent, what it sends, and when its connection has ended."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from typing import Any, Final, TypeAlias, final

import msgspec
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription
from aiortc.exceptions import InvalidStateError, OperationError
from aiortc.rtcconfiguration import RTCBundlePolicy

from livelayer_bus.clock import Clock
from livelayer_bus.errors import ClosedError
from livelayer_bus.surfaces import Lease

from .closing import close_peer
from .downlink import Downlink
from .quality import Quality
from .sdp import Offer, OfferError, SourceKind, preferences
from .statistics import PacketReaderStatistics
from .uplink import Source, SourceStatistics

logger = logging.getLogger(__name__)

Gone: TypeAlias = Callable[["MediaConnection", asyncio.Task[None]], None]
"""Told of a connection that has ended, and the task that closes it."""

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
"""What aiortc raises on a description that it cannot make sense of."""


class ConnectionStatistics(msgspec.Struct, frozen=True):
    """One page so far."""

    pictures: PacketReaderStatistics
    """What it was sent of the agent's picture."""
    sounds: PacketReaderStatistics
    """What it was sent of the agent's voice."""
    sources: dict[SourceKind, SourceStatistics]
    """What it sent itself; empty for a page that may only watch."""


@final
class MediaConnection:
    """The media of one page, from its offer until either side ends it.

    Sound and picture flow while they are wanted and the connection stands. Nothing that the page
    does or leaves undone makes anybody else wait: what it cannot take is dropped and counted.
    """

    def __init__(
        self, peer: RTCPeerConnection, downlink: Downlink, clock: Clock, gone: Gone
    ) -> None:
        """Made by `answer_offer`; `gone` is called once, whoever ends it."""
        self.id: Final = secrets.token_urlsafe(16)
        self.answer = ""
        self._peer = peer
        self._downlink = downlink
        self._sources: dict[SourceKind, Source] = {}
        self._clock = clock
        self._gone = gone
        self._deadline = clock.now() + CONNECT_TIMEOUT
        self._connected = False
        self._callbacks: list[Callable[[], None]] = []
        self._negotiating: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        peer.on("connectionstatechange", self._state_changed)

    @property
    def connected(self) -> bool:
        """Whether media can flow now."""
        return self._connected and not self.ended

    @property
    def ended(self) -> bool:
        """Whether it is over, whoever ended it."""
        return self._closing is not None

    @property
    def quality(self) -> Quality | None:
        """What is sent now; None without a picture."""
        return self._downlink.quality

    def want(self, *, video: bool, audio: bool, height: int | None = None) -> None:
        """Say what the page can use. Both are wanted until this is called.

        What is not wanted is not sent from now on; if nobody else wants it, it is not encoded.

        Args:
            video, audio: whether they are.
            height: of the largest visible picture, in device pixels; None: the best there is.
        """
        if not self.ended:
            self._downlink.want(video=video, audio=audio, height=height)

    def on_end(self, callback: Callable[[], None]) -> None:
        """Call `callback()` once when the page has gone, or never came; at once if it has.

        It must neither wait nor raise.
        """
        if self.ended:
            callback()
        else:
            self._callbacks.append(callback)

    async def feed(self, source: SourceKind, lease: Lease[Any]) -> None:
        """Decode the page's track into `lease`, until cancelled, or connection or lease end.

        The microphone gives 20 ms of mono at 48 kHz at a time, camera and screen a picture each.
        What the room cannot take in time is dropped, and nothing is decoded while the lease is
        muted. One feed a source at a time.

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
        return ConnectionStatistics(self._downlink.pictures(), self._downlink.sounds(), sources)

    def tick(self, now: float) -> None:
        """Look at what time decides. Called about once a second by the hub."""
        if self._connected:
            self._downlink.tick(now)
        elif now >= self._deadline:
            self.end()

    async def aclose(self) -> None:
        """End it. Returns within `CLOSE_TIMEOUT` seconds; again, it waits for the same end."""
        await asyncio.wait([self.end()])

    async def negotiate(self, offer: Offer, *, allow_sources: bool) -> None:
        """Make the answer. Called once by `answer_offer`."""
        making = self._answer(offer, allow_sources=allow_sources)
        self._negotiating = asyncio.create_task(making, name="answer an offer")
        await asyncio.shield(self._negotiating)

    async def _answer(self, offer: Offer, *, allow_sources: bool) -> None:
        for section in offer.sections:
            direction = "sendonly"
            track: Any = section.kind
            codecs = section.codecs
            if section.role == "sound":
                track = self._downlink.sound
            elif section.role == "picture":
                track, codecs = self._downlink.picture, section.codecs[:1]
            else:
                direction = "recvonly" if allow_sources else "inactive"
            transceiver = self._peer.addTransceiver(track, direction=direction)
            transceiver.setCodecPreferences(preferences(section.kind, codecs))
            if section.role == "picture":
                self._downlink.hear(transceiver.sender)
            elif section.role != "sound" and allow_sources:
                self._sources[section.role] = Source(section.role, transceiver.receiver)
        try:
            await self._peer.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
        except REFUSALS as error:
            raise OfferError("it does not fit what is offered here") from error
        await self._peer.setLocalDescription()
        self.answer = self._peer.localDescription.sdp

    def _state_changed(self) -> None:
        state = self._peer.connectionState
        if state == "connected" and not self.ended:
            self._connected = True
            self._downlink.open(self._clock.now())
        elif state in ("failed", "closed"):
            self.end()

    def end(self) -> asyncio.Task[None]:
        """Stop what can be stopped at once, and have the rest closed by the task returned."""
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
            # Cancelled while it opens sockets, aioice would forget them.
            await asyncio.wait([self._negotiating])
        await close_peer(self._peer)


async def answer_offer(
    offer: Offer,
    downlink: Downlink,
    *,
    allow_sources: bool,
    ice_servers: tuple[str, ...],
    clock: Clock,
    gone: Gone,
) -> MediaConnection:
    """Make a connection and its answer; whatever goes wrong, nothing of it is left.

    Raises:
        OfferError: aiortc cannot make sense of the offer.
    """
    servers = [RTCIceServer(urls=url) for url in ice_servers]
    peer = RTCPeerConnection(RTCConfiguration(servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
    connection = MediaConnection(peer, downlink, clock, gone)
    try:
        await connection.negotiate(offer, allow_sources=allow_sources)
    except BaseException:
        await connection.aclose()
        raise
    return connection
