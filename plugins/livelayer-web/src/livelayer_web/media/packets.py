"""Encoded packets for any number of viewers: a source, and a bounded inbox for each of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple, Self, TypeAlias, final

import av

from livelayer_bus.errors import BusyError, ClosedError, MisuseError

from .statistics import PacketReaderStatistics

Packet: TypeAlias = "av.Packet[Any]"

VIDEO_CAPACITY = 16  # packets; half a second
SOUND_CAPACITY = 10  # packets; 200 ms


class _Waiting(NamedTuple):
    packet: Packet
    key_frame: bool


class PacketSource:
    """What readers follow. Publishing never waits, and no reader's code runs in it."""

    def __init__(self) -> None:
        self._readers: dict[PacketReader, None] = {}

    @property
    def viewers(self) -> int:
        """Readers that follow it, those waiting for its first key frame included."""
        return len(self._readers)

    def readers(self) -> Iterator[PacketReader]:
        """Those that follow it now."""
        return iter(tuple(self._readers))

    def join(self, reader: PacketReader) -> None:
        """Offer the reader every packet from now on; called by the reader itself."""
        self._readers[reader] = None

    def leave(self, reader: PacketReader) -> None:
        """Offer it nothing more."""
        self._readers.pop(reader, None)

    def request_key_frame(self) -> None:
        """Ask for a packet that can be decoded without those before; the default has no other."""

    def publish(self, packet: Packet, key_frame: bool) -> None:
        """Offer one packet to every reader. It is shared: nobody may change it any more."""
        for reader in tuple(self._readers):
            reader.offer(self, packet, key_frame)


@final
class PacketReader:
    """One viewer's packets, in order: each is a key frame or follows the one delivered before.

    It holds at most `capacity` packets. A viewer too slow for that loses the oldest, up to the
    next key frame, and what it lost is counted. Time-stamps rise strictly, from source to source
    as well. It belongs to the event loop of its source.
    """

    def __init__(self, capacity: int) -> None:
        """A reader that follows nothing yet.

        Args:
            capacity: packets that may wait for the viewer.

        Raises:
            MisuseError: no packet fits.
        """
        if capacity < 1:
            raise MisuseError(f"capacity={capacity} holds nothing: give packets >= 1")
        self.bandwidth: int | None = None
        """What this viewer's link carries if that is too little, in bit/s; sources heed it."""
        self._capacity = capacity
        self._waiting: deque[_Waiting] = deque()
        self._source: PacketSource | None = None
        self._next: PacketSource | None = None
        self._broken = True  # only a key frame can be delivered next
        self._slot: asyncio.Future[None] | None = None
        self._closed = False
        self._last_pts: int | None = None
        self._delivered = self._dropped = self._skipped = self._switches = self._peak = 0

    # Which source ----------------------------------------------------------------------------

    @property
    def source(self) -> PacketSource | None:
        """What the viewer is sent now; None before the first key frame of the first one."""
        return self._source

    @property
    def followed(self) -> PacketSource | None:
        """What it will be sent once a key frame comes: the last one given to `follow`."""
        return self._next or self._source

    def follow(self, source: PacketSource | None) -> None:
        """Go over to `source` with its next key frame, which is asked for; None: want nothing.

        Until then the viewer is sent the old source. Following the same one again does nothing.

        Raises:
            ClosedError: the reader was closed.
        """
        if self._closed:
            raise ClosedError("this packet reader", "make another one")
        if source is self.followed:
            return
        if self._next is not None:
            self._next.leave(self)
            self._next = None
        if source is None:
            if self._source is not None:
                self._source.leave(self)
                self._source = None
            self._dropped += len(self._waiting)
            self._waiting.clear()
            self._broken = True
        elif source is not self._source:
            self._next = source
            source.join(self)
            source.request_key_frame()

    def offer(self, source: PacketSource, packet: Packet, key_frame: bool) -> None:
        """Take a packet in, or count why not; called by sources, never waits."""
        if source is self._next:
            if not key_frame:
                self._skipped += 1
                return
            if self._source is not None:
                self._source.leave(self)
                self._switches += 1
            self._source, self._next = source, None
        elif source is not self._source:
            return
        if self._broken and not key_frame:
            self._skipped += 1
            return
        self._broken = False
        self._waiting.append(_Waiting(packet, key_frame))
        if len(self._waiting) > self._capacity:
            self._drop(source)
        self._peak = max(self._peak, len(self._waiting))
        self._wake()

    def _drop(self, source: PacketSource) -> None:
        # What follows a lost packet cannot be decoded, up to the next key frame.
        self._waiting.popleft()
        self._dropped += 1
        while self._waiting and not self._waiting[0].key_frame:
            self._waiting.popleft()
            self._dropped += 1
        if not self._waiting:
            self._broken = True
            source.request_key_frame()

    # Reading ---------------------------------------------------------------------------------

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Packet:
        """Return the next packet, waiting for one if need be; a cancelled wait loses nothing.

        Raises:
            BusyError: another task waits on this reader.
            StopAsyncIteration: the reader was closed.
        """
        if self._slot is not None:
            raise BusyError("this packet reader", "another task reads it: make one a task")
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            self._slot = asyncio.get_running_loop().create_future()
            try:
                await self._slot
            finally:
                self._slot = None
        packet = self._waiting.popleft().packet
        self._delivered += 1
        return self._risen(packet)

    def _risen(self, packet: Packet) -> Packet:
        pts = packet.pts
        if pts is None:
            return packet
        if self._last_pts is not None and pts <= self._last_pts:
            # The new source's key frame shows a picture that the old one has shown already.
            copy = av.Packet(bytes(packet))
            copy.pts = copy.dts = pts = self._last_pts + 1
            copy.time_base = packet.time_base
            copy.is_keyframe = packet.is_keyframe
            packet = copy
        self._last_pts = pts
        return packet

    def close(self) -> None:
        """Want nothing more; an iteration that waits ends. Closing twice does nothing."""
        if not self._closed:
            self.follow(None)
            self._closed = True
            self._wake()

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    def _wake(self) -> None:
        if self._slot is not None and not self._slot.done():
            self._slot.set_result(None)

    def statistics(self) -> PacketReaderStatistics:
        """Count what this viewer got and lost."""
        return PacketReaderStatistics(
            delivered=self._delivered,
            dropped=self._dropped,
            skipped=self._skipped,
            waiting=len(self._waiting),
            peak_waiting=self._peak,
            switches=self._switches,
        )
