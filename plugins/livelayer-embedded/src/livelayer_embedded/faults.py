"""Simulated faults, so that tests can rely on what a network does by chance."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from livekit.protocol.models import DisconnectReason

from .participant import CallLater
from .registry import RoomRegistry
from .relay import Loss
from .rooms import Room

BEHIND_SECONDS = 0.1  # that updates follow the data packet they were held back for


class FaultyConnection(Protocol):
    """What a fault can do to one participant's connection; `Faults` says what each means."""

    def drop_socket(self) -> None: ...

    def vanish(self) -> None: ...

    def set_loss(self, loss: Loss | None) -> None: ...

    def set_delay(self, seconds: float) -> None: ...


@dataclass(frozen=True)
class FaultStatistics:
    """What the faults did so far."""

    joins_refused: int
    trailers_lost: int
    updates_held: int


class Faults:
    """The faults of one embedded server; all are off until called for.

    An unknown room or identity raises `ServerRequestError`.
    """

    def __init__(
        self,
        registry: RoomRegistry,
        connections: Mapping[str, FaultyConnection],
        call_later: CallLater,
    ) -> None:
        self._registry = registry
        self._call_later = call_later
        self._connections = connections  # by the participant's sid
        self._refusals = 0
        self._refused = 0
        self._trailers = 0
        self._trailers_lost = 0
        self._held = 0

    def statistics(self) -> FaultStatistics:
        """Counts of what was refused, lost and held back."""
        return FaultStatistics(self._refused, self._trailers_lost, self._held)

    def drop_socket(self, room: str, identity: str) -> None:
        """Cut a participant's signalling socket; media and data go on, and its client resumes."""
        self._connection(room, identity).drop_socket()

    def vanish(self, room: str, identity: str) -> None:
        """Cut a participant's socket and media, as if its machine lost its network."""
        self._connection(room, identity).vanish()

    def lose_rtp(self, room: str, identity: str, share: float, *, seed: int = 0) -> Loss:
        """Lose a share (0 to 1) of the RTP packets sent to a participant; counts what it lost."""
        loss = Loss(share, random.Random(seed))
        self._connection(room, identity).set_loss(loss if share > 0 else None)
        return loss

    def delay(self, room: str, identity: str, seconds: float) -> None:
        """Hold back every datagram to a participant by this long; 0 ends it."""
        self._connection(room, identity).set_delay(seconds)

    def lose_stream_trailers(self, count: int = 1) -> None:
        """Lose the trailers of the next data streams: they will never end."""
        self._trailers = count

    def data_before_update(self, room: str) -> Callable[[], None]:
        """Hold back participant updates until the next data packet was delivered in the room.

        The function returned releases them earlier.
        """
        found = self._registry.get_room(room)
        found.held_updates = []
        self._held += 1
        return found.release_updates

    def replace(self, room: str, identity: str) -> None:
        """End a connection as if another client had joined with the same identity."""
        participant = self._registry.get_participant(room, identity)
        self._registry.get_room(room).remove(participant, DisconnectReason.DUPLICATE_IDENTITY)

    def refuse_joins(self, count: int) -> None:
        """Answer the next joins and resumes with 503."""
        self._refusals = count

    def takes_join(self) -> bool:
        """Whether the next join is let in; counts a refusal."""
        if self._refusals > 0:
            self._refusals -= 1
            self._refused += 1
            return False
        return True

    def takes_trailer(self) -> bool:
        """Whether the next stream trailer is delivered; counts a loss."""
        if self._trailers > 0:
            self._trailers -= 1
            self._trailers_lost += 1
            return False
        return True

    def data_delivered(self, room: Room) -> None:
        """Send the updates that were held back for the data packet that was delivered."""
        if room.held_updates is not None:
            # They take another connection and might otherwise arrive first.
            self._call_later(BEHIND_SECONDS, room.release_updates)

    def _connection(self, room: str, identity: str) -> FaultyConnection:
        return self._connections[self._registry.get_participant(room, identity).sid]
