"""The media of one mounted surface: what is encoded once, and the pages that it goes to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from typing import Final, Literal, TypeAlias, final

import msgspec

from livelayer_bus.clock import Clock, SystemClock
from livelayer_bus.errors import BrokenError, BusyError, MisuseError, NotSupportedError
from livelayer_bus.media import AudioChannel, AudioWriter, VideoChannel, VideoWriter
from livelayer_bus.surfaces import SurfaceSession
from livelayer_bus.tokens import ROOM_SCHEMES
from livelayer_bus.tokens import check_address as check_url

from .aiortc_private import DatagramFilter
from .audio import AudioEncoding
from .connection import MediaConnection
from .downlink import Downlink
from .network import (
    IceServer,
    MediaPorts,
    PageIceServer,
    Ports,
    check_address,
    ice_servers,
)
from .quality import LADDER, Quality
from .sdp import KINDS, SourceKind, read_offer
from .statistics import AudioStatistics, VideoStatistics
from .video import VideoEncodings

ADDRESS_LINE: Final = "a=candidate:"
TICK: Final = 1.0  # seconds between two checks of timeouts and qualities


MediaMode: TypeAlias = Literal["whep", "sfu", "auto"]
"""How pages get the agent's picture and sound: from this process, from the LiveKit server, or from
the LiveKit server where the token source gives viewers access to it."""


def _video_of(session: SurfaceSession) -> VideoChannel:
    try:
        return session.video
    except NotSupportedError:  # a session of events alone: its pages show no picture
        return VideoWriter().channel


def _audio_of(session: SurfaceSession) -> AudioChannel:
    try:
        return session.audio
    except NotSupportedError:
        return AudioWriter().channel


class MediaFullError(BusyError):
    """The limit of connections is reached."""

    def __init__(self, limit: int) -> None:
        super().__init__("every media connection", f"{limit} are allowed; try again later")
        self.limit = limit


class MediaUnavailableError(BrokenError):
    """Media cannot be served now; `reason` says why."""

    def __init__(self, reason: str = "the surface is not mounted now; try again") -> None:
        super().__init__(f"no media: {reason}")
        self.reason = reason


class MediaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How media is served to pages.

    Raises:
        MisuseError: a value is invalid.
    """

    mode: MediaMode = "whep"
    """Whether pages are sent the agent's picture and sound from here or from the LiveKit server."""
    livekit_url: str | None = None
    """The LiveKit server's address as pages reach it, and the only other server that their policy
    lets them connect to; None: the token source's, and they may connect to any."""
    ladder: tuple[Quality, ...] = LADDER
    """The qualities that can be encoded, best first."""
    ice_servers: tuple[str | IceServer, ...] = ()
    """STUN and TURN servers for pages. This server itself uses the STUN servers, to learn its own
    public address. None by default: it lists the addresses of this machine's interfaces, except
    loopback, which browsers do not use."""
    ports: Ports | None = None
    """The UDP ports that connections use, one each; None: any free ones."""
    address: str | None = None
    """The address that pages are told in place of this machine's own: that of a router in front."""
    max_connections: int = 64

    def __post_init__(self) -> None:
        if not self.ladder or self.max_connections < 1:
            raise MisuseError("media need a quality in `ladder`, and `max_connections` >= 1")
        ice_servers(self.ice_servers)
        if self.ports is not None:
            MediaPorts(self.ports)
        if self.address is not None:
            check_address(self.address)
        if self.livekit_url is not None:
            check_url("livekit_url", self.livekit_url, ROOM_SCHEMES)


class MediaStatistics(msgspec.Struct, frozen=True):
    """The media of one mounted surface so far."""

    connections: int
    """Pages that have an answer and have not ended."""
    connected: int
    """Those of them whose media can flow."""
    ignored_datagrams: int
    """What was sent to the ports of connections and cannot come from their pages."""
    video: VideoStatistics
    audio: AudioStatistics


@final
class Media:
    """Gives any number of pages the session's audio and video, each encoded once.

    It belongs to one mounted surface and one event loop. What no page wants is not encoded. What
    strangers send to the ports of a connection is ignored.
    """

    def __init__(
        self,
        session: SurfaceSession,
        settings: MediaSettings | None = None,
        *,
        clock: Clock | None = None,
        local_only: bool = False,
    ) -> None:
        """Prepare; pages are served while `run` runs.

        Args:
            session: whose audio and video are served.
            settings: how they are served.
            clock: what timeouts are measured on.
            local_only: whether media of other machines are ignored.
        """
        self._settings = settings or MediaSettings()
        self._clock: Clock = clock or SystemClock()
        self._video = VideoEncodings(_video_of(session), self._settings.ladder, clock=self._clock)
        self._audio = AudioEncoding(_audio_of(session), clock=self._clock)
        self._strangers = DatagramFilter(local_only=local_only)
        self._servers = ice_servers(self._settings.ice_servers)
        addresses = [address for server in self._servers for address in server.addresses]
        self._stun = tuple(one for one in addresses if one.startswith("stun:"))
        ports, address = self._settings.ports, self._settings.address
        self._ports = MediaPorts(ports) if ports is not None else None
        self._address = check_address(address) if address is not None else None
        self._connections: set[MediaConnection] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._answering = 0
        self._running = False

    async def run(self) -> None:
        """Serve pages until cancelled; then end every connection, in bounded time."""
        self._running = True
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._video.run(), name="encode video")
                tasks.create_task(self._audio.run(), name="encode audio")
                tasks.create_task(self._watch(), name="watch media connections")
        finally:
            self._running = False
            await self._close_all()

    async def connect(
        self, offer: str, *, allow_sources: Collection[SourceKind] = KINDS
    ) -> MediaConnection:
        """Answer a page's offer. The connection is then established by itself, or ends.

        Args:
            offer: SDP, sections in the order of `docs/protocol.md`, or any WHEP player's.
            allow_sources: what the page may send.

        Raises:
            OfferError: the offer cannot be answered.
            MediaFullError: there are as many connections as allowed.
            MediaPortsTakenError: every port of the settings is in use.
            MediaUnavailableError: `run` does not run, or this machine has no address but loopback.
        """
        read = read_offer(offer, candidates=bool(self._stun))
        self._check_running()
        if len(self._connections) + self._answering >= self._settings.max_connections:
            raise MediaFullError(self._settings.max_connections)
        codec, ladder = read.video_codec, self._settings.ladder
        downlink = Downlink(self._video, self._audio, ladder, codec, self._clock)
        connection = MediaConnection(
            downlink,
            self._stun,
            self._ports,
            self._address,
            self._strangers,
            self._clock,
            self._gone,
        )
        self._answering += 1
        try:
            await connection.negotiate(read, allow_sources=allow_sources)
        finally:
            self._answering -= 1
        try:
            self._check_running()
            if ADDRESS_LINE not in connection.answer:
                raise MediaUnavailableError("this machine has no address but loopback")
        except MediaUnavailableError:
            await connection.aclose()
            raise
        if not connection.ended:
            self._connections.add(connection)
        return connection

    def servers_for(self, viewer: str) -> list[PageIceServer]:
        """The STUN and TURN servers that a page is told."""
        return [server.for_page(viewer, time.time()) for server in self._servers]

    def statistics(self) -> MediaStatistics:
        return MediaStatistics(
            connections=len(self._connections),
            connected=sum(connection.connected for connection in self._connections),
            ignored_datagrams=self._strangers.ignored,
            video=self._video.statistics(),
            audio=self._audio.statistics(),
        )

    def _check_running(self) -> None:
        if not self._running:
            raise MediaUnavailableError

    async def _watch(self) -> None:
        while True:
            await self._clock.sleep(TICK)
            now = self._clock.now()
            for connection in tuple(self._connections):
                connection.tick(now)

    def _gone(self, connection: MediaConnection, closing: asyncio.Task[None]) -> None:
        """Forget a connection, but not the task that closes it."""
        self._connections.discard(connection)
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def _close_all(self) -> None:
        for connection in tuple(self._connections):
            connection.end()
        while self._closing:
            await asyncio.wait(tuple(self._closing))
