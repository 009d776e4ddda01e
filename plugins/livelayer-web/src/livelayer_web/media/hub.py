"""The media of one mounted surface: what is encoded once, and the pages that it goes to."""

from __future__ import annotations

import asyncio
from typing import Final, final

import msgspec
from aiortc.rtcicetransport import parse_stun_turn_uri

from livelayer_bus.clock import Clock, SystemClock
from livelayer_bus.errors import BrokenError, BusyError, MisuseError
from livelayer_bus.surfaces import SurfaceSession

from .connection import MediaConnection, answer_offer
from .downlink import Downlink
from .pictures import Pictures
from .quality import LADDER, Quality
from .sdp import read_offer
from .sound import Sound
from .statistics import PictureStatistics, SoundStatistics

ADDRESS_LINE: Final = "a=candidate:"
TICK: Final = 1.0  # seconds between two looks at what time decides


class MediaFullError(BusyError):
    """As many pages as are allowed are connected."""

    def __init__(self, limit: int) -> None:
        super().__init__("every media connection", f"{limit} are allowed; try again later")
        self.limit = limit


class MediaUnavailableError(BrokenError):
    """No media can be served now; `reason` says why."""

    def __init__(self, reason: str = "the surface is not mounted now; try again") -> None:
        super().__init__(f"no media: {reason}")
        self.reason = reason


class MediaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How pages are served with media.

    Raises:
        MisuseError: a value cannot be.
    """

    ladder: tuple[Quality, ...] = LADDER
    """What can be encoded, the best first."""
    ice_servers: tuple[str, ...] = ()
    """STUN servers as `stun:host:port`. None by default: the server lists the addresses of this
    machine's interfaces, except loopback, which browsers do not use."""
    max_connections: int = 64

    def __post_init__(self) -> None:
        if not self.ladder or self.max_connections < 1:
            raise MisuseError("media need a quality in `ladder`, and `max_connections` >= 1")
        for url in self.ice_servers:
            try:
                scheme = parse_stun_turn_uri(url)["scheme"]
            except ValueError as error:
                raise MisuseError(f"{url!r} is no ICE server: give stun:host:port") from error
            if scheme != "stun":
                raise MisuseError(f"{url!r}: only STUN servers are supported, stun:host:port")


class MediaStatistics(msgspec.Struct, frozen=True):
    """One mounted surface's media so far."""

    connections: int
    """Pages that have an answer and have not ended."""
    connected: int
    """Those of them to which media can flow."""
    pictures: PictureStatistics
    sound: SoundStatistics


@final
class Media:
    """Gives any number of pages the session's sound and picture, each encoded once.

    Belongs to one mounted surface and one event loop. Nothing is encoded while no page wants it.
    """

    def __init__(
        self,
        session: SurfaceSession,
        settings: MediaSettings | None = None,
        *,
        clock: Clock | None = None,
    ) -> None:
        """Prepare; pages are served while `run` runs."""
        self._settings = settings or MediaSettings()
        self._clock: Clock = clock or SystemClock()
        self._pictures = Pictures(session.video, self._settings.ladder, clock=self._clock)
        self._sound = Sound(session.audio, clock=self._clock)
        self._connections: set[MediaConnection] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._answering = 0
        self._running = False

    async def run(self) -> None:
        """Serve pages until cancelled; then end every connection, in bounded time."""
        self._running = True
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pictures.run(), name="encode pictures")
                tasks.create_task(self._sound.run(), name="encode sound")
                tasks.create_task(self._watch(), name="watch media connections")
        finally:
            self._running = False
            await self._close_all()

    async def connect(self, offer: str, *, allow_sources: bool = True) -> MediaConnection:
        """Answer a page's offer; the connection then comes about by itself, or ends.

        Args:
            offer: SDP, sections in the order of `docs/protocol.md`, or any WHEP player's.
            allow_sources: whether the page may send microphone, camera and screen.

        Raises:
            OfferError: the offer cannot be answered.
            MediaFullError: there are as many connections as allowed.
            MediaUnavailableError: `run` does not run, or this machine has no address but loopback.
        """
        servers = self._settings.ice_servers
        read = read_offer(offer, candidates=bool(servers))
        self._check_running()
        if len(self._connections) + self._answering >= self._settings.max_connections:
            raise MediaFullError(self._settings.max_connections)
        codec, ladder = read.video_codec, self._settings.ladder
        downlink = Downlink(self._pictures, self._sound, ladder, codec, self._clock)
        self._answering += 1
        try:
            connection = await answer_offer(
                read,
                downlink,
                allow_sources=allow_sources,
                ice_servers=servers,
                clock=self._clock,
                gone=self._gone,
            )
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

    def statistics(self) -> MediaStatistics:
        return MediaStatistics(
            connections=len(self._connections),
            connected=sum(connection.connected for connection in self._connections),
            pictures=self._pictures.statistics(),
            sound=self._sound.statistics(),
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
