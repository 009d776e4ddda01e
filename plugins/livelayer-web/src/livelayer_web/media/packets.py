"""Encoded packets for any number of viewers: a source, and a bounded inbox for each viewer."""

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
AUDIO_CAPACITY = 10  # packets; 200 ms


class _Waiting(NamedTuple):
    packet: Packet
    key_frame: bool


class PacketSource:
    """Delivers packets to readers. Publishing never waits and runs no reader's code."""

    def __init__(self) -> None:
        self._readers: dict[PacketReader, None] = {}

    @property
    def viewers(self) -> int:
        """Readers that follow it, including those that wait for its first key frame."""
        return len(self._readers)

    def readers(self) -> Iterator[PacketReader]:
        """The readers that follow it now."""
        return iter(tuple(self._readers))

    def join(self, reader: PacketReader) -> None:
        """Offer the reader every packet from now on. Called by the reader."""
        self._readers[reader] = None

    def leave(self, reader: PacketReader) -> None:
        """Stop offering packets to the reader."""
        self._readers.pop(reader, None)

    def request_key_frame(self) -> None:
        """Ask for a key frame. By default every packet is one."""

    def publish(self, packet: Packet, key_frame: bool) -> None:
        """Offer one packet to every reader. The packet is shared and must not change."""
        for reader in tuple(self._readers):
            reader.offer(self, packet, key_frame)


@final
class PacketReader:
    """One viewer's packets, in order: each is a key frame or follows the one delivered before.

    It holds at most `capacity` packets. A slower viewer loses the oldest, up to the next key frame,
    and the loss is counted. Timestamps increase strictly, also across sources. It belongs to the
    event loop of its source.
    """

    def __init__(self, capacity: int) -> None:
        """A reader that follows nothing yet.

        Args:
            capacity: packets that may wait for the viewer.

        Raises:
            MisuseError: `capacity` is less than 1.
        """
        if capacity < 1:
            raise MisuseError(f"capacity is {capacity}: give at least 1 packet")
        self.bandwidth: int | None = None
        """What this viewer's link carries if that is too little, in bit/s; sources adapt it."""
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
        """What the viewer is sent now; None before the first key frame."""
        return self._source

    @property
    def followed(self) -> PacketSource | None:
        """The source given to `follow` last: sent from its next key frame on."""
        return self._next or self._source

    def follow(self, source: PacketSource | None) -> None:
        """Switch to `source` at its next key frame, which is requested; None: stop.

        Until then the viewer is sent the old source. Following the same source again does nothing.

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
        """Accept a packet, or count why not. Called by sources; never waits."""
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
        """Return the next packet, waiting if necessary. Cancelling the wait loses nothing.

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
            # The new source's key frame repeats a frame of the old source.
            copy = av.Packet(bytes(packet))
            copy.pts = copy.dts = pts = self._last_pts + 1
            copy.time_base = packet.time_base
            copy.is_keyframe = packet.is_keyframe
            packet = copy
        self._last_pts = pts
        return packet

    def close(self) -> None:
        """Stop for good; an iteration that waits ends. Closing twice does nothing."""
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
        """What this viewer received and lost."""
        return PacketReaderStatistics(
            delivered=self._delivered,
            dropped=self._dropped,
            skipped=self._skipped,
            waiting=len(self._waiting),
            peak_waiting=self._peak,
            switches=self._switches,
        )
