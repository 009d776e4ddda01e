"""The ring of the latest events: storage, bounds, filters and the waking of parked readers.

Positions count events from the start: the event with sequence `n` lies at position `n - 1`, and a
reader at position `n` has passed the first `n` events. `tail` is the position of the oldest event
kept, `sequence` that of the next one to come.
"""

from __future__ import annotations

import os
import sys
from asyncio import InvalidStateError
from collections.abc import Callable, Set
from threading import get_ident
from time import monotonic_ns
from typing import Any
from weakref import WeakSet

from ..errors import ClosedError, ForkedError, MisuseError
from .loop_guard import Owner, Slot
from .weight import BASE_WEIGHT, Weigher, weigher_for

Types = tuple[type, ...]

_NO_THREAD = -1  # never a thread's ident: sends every call to Ring.check_thread
_NONE: Set[type] = frozenset()
_NEVER = sys.maxsize  # a tail beyond every reader: sends every read to its slow path


class Group:
    """Readers with the same filter: what they want, how much of it has passed, who is parked.

    `published` counts wanted events since the group began. `evicted` is the same count at the
    ring's tail: events wanted but published before `born` are not in it, until `Ring.count_from`
    makes up for them.
    """

    __slots__ = ("born", "evicted", "parked", "published", "readers", "types", "wanted")

    def __init__(self, types: Types, born: int) -> None:
        self.types = types
        self.born = born
        self.wanted: set[type] = set()
        self.published = 0
        self.evicted = 0
        self.parked: list[Slot] = []
        self.readers: WeakSet[object] = WeakSet()


class Route:
    """What the ring needs to know about one concrete type of event."""

    __slots__ = ("groups", "weigh", "weight")

    def __init__(self, weight: int, weigh: Weigher, groups: tuple[Group, ...]) -> None:
        self.weight = weight  # bytes; 0: ask `weigh`
        self.weigh = weigh
        self.groups = groups


class Ring:
    """At most `capacity` events and `max_bytes` bytes, the oldest overwritten first.

    Guarantee: an event heavier than `max_bytes` is kept alone until the next one comes.

    Most events weigh `BASE_WEIGHT` and no filter asks for them. While the ring holds nothing else
    and a full ring of them is light enough, `light` names their types, and the publisher may store
    one with no more than `events`, `times`, `tail` and `sequence` (see `Bus.publish`). In every
    other case `light` is empty, and `append` does the counting.
    """

    __slots__ = (
        "__weakref__", "_held", "_light_kinds", "_odd", "_peak_bytes", "_peak_kept", "_routes",
        "_weigh", "_weights", "capacity", "closed", "events", "everyone",
        "evicted_by_bytes", "filtered", "forked", "light", "max_bytes", "owner", "parked",
        "sequence", "tail", "thread", "times",
    )  # fmt: skip

    def __init__(self, capacity: int, max_bytes: int, weigh: Weigher | None) -> None:
        if capacity < 1 or max_bytes < 1:
            raise MisuseError(
                f"a bus holds at least one event and one byte, not capacity={capacity}, "
                f"max_bytes={max_bytes}"
            )
        self.capacity = capacity
        self.max_bytes = max_bytes
        self.events: list[Any] = [None] * capacity
        self.times = [0] * capacity  # monotonic ns
        self.sequence = 0
        self.tail = 0
        self.evicted_by_bytes = 0
        self.everyone = Group((object,), 0)
        self.parked = self.everyone.parked
        self.filtered: dict[Types, Group] = {}
        self.light: Set[type] = _NONE
        self.owner = Owner()
        self.thread = self.owner.thread
        self.closed = False
        self.forked = False
        self._weigh = weigh
        self._routes: dict[type, Route] = {}
        self._light_kinds: set[type] = set()
        # How many kept events weigh anything but BASE_WEIGHT. While there are none, weights are
        # not written down; a ring that could grow too heavy all the same begins with one too many.
        self._odd = 0 if capacity * BASE_WEIGHT <= max_bytes else 1
        self._weights = [BASE_WEIGHT] * capacity  # bytes; true while `_odd`
        self._held = 0  # bytes; true while `_odd`
        self._peak_bytes = 0
        self._peak_kept = 0
        _alive.add(self)

    @property
    def bytes(self) -> int:
        """What the kept events weigh."""
        return self._held if self._odd else (self.sequence - self.tail) * BASE_WEIGHT

    @property
    def peak_bytes(self) -> int:
        """The most they ever weighed."""
        return max(self._peak_bytes, self.bytes)

    @property
    def peak_kept(self) -> int:
        """The most events kept at once."""
        return max(self._peak_kept, self.sequence - self.tail)

    def append(self, event: object) -> int:
        """Add an event, wake the idle readers that want it, return its sequence.

        Everything that can go wrong comes first: a failed append changes nothing.
        """
        if get_ident() != self.thread:
            self.check_thread("publish()")
        kind = type(event)
        try:
            route = self._routes[kind]
        except KeyError:
            route = self._add_route(kind, event)
        weight = route.weight or route.weigh(event)
        if weight != BASE_WEIGHT:
            if not self._odd:
                self._begin_accounting()
            self._odd += 1
        position = self.sequence
        slot = position % self.capacity
        if position - self.tail == self.capacity:
            self._evict_oldest()
        self.events[slot] = event
        self.times[slot] = monotonic_ns()
        self.sequence = sequence = position + 1
        if self._odd:
            self._account(slot, weight)
        elif not self.filtered:
            self.light = self._light_kinds
        for group in route.groups:
            group.published += 1
            if group.parked:
                wake(group.parked, sequence)
        if self.parked:
            wake(self.parked, sequence)
        return sequence

    def check_thread(self, what: str) -> None:
        """Let the call pass if it comes from the owner's thread to a bus that lives.

        Raises:
            ForkedError: the bus was made before this process was forked.
            ClosedError: the bus is closed.
            WrongLoopError: another thread owns the bus.
        """
        if self.forked:
            raise ForkedError("this bus")
        if get_ident() != self.owner.thread and not self._move_here():
            raise self.owner.wrong_thread(
                f"Bus.{what}", "use publish_from_thread() to publish from there"
            )
        if self.closed:
            raise ClosedError("this bus")

    def close(self) -> None:
        """Take no more events; wake everybody who waits for one."""
        self.closed = True
        self._stop()
        for group in (self.everyone, *self.filtered.values()):
            wake(group.parked, 0)

    def abandon(self) -> None:
        """In a forked child: from now on every call takes the path that raises `ForkedError`."""
        self.forked = True
        self._stop()
        self.tail = _NEVER

    def _stop(self) -> None:
        self.thread = _NO_THREAD
        self.light = _NONE

    def join(self, types: Types, reader: object) -> Group:
        """Return the group of the readers that want `types`, with `reader` in it."""
        if not types:
            group = self.everyone
        elif types in self.filtered:
            group = self.filtered[types]
        else:
            self._drop_empty_groups()
            group = self.filtered[types] = Group(types, self.sequence)
            self.light = _NONE
            for kind in self._routes:
                if issubclass(kind, types):
                    group.wanted.add(kind)
            self._refresh_routes()
        group.readers.add(reader)
        return group

    def leave(self, group: Group, reader: object) -> None:
        """Take `reader` out of its group; a filter without readers costs nothing any more."""
        group.readers.discard(reader)
        if group is not self.everyone and not group.readers:
            self._drop_empty_groups()

    def index_of(self, group: Group, position: int) -> int:
        """Return how many wanted events lie before `position`, in the group's own count."""
        if position == self.sequence:
            return group.published
        return group.published - self._count_wanted(group, position, self.sequence)

    def count_from_tail(self, group: Group) -> None:
        """Make `group.evicted` hold for readers that begin before the group did, too."""
        if group.born > self.tail:
            group.evicted = -self._count_wanted(group, self.tail, group.born)
        group.born = 0

    def _move_here(self) -> bool:
        """Follow the loop to its thread, if the bus was made elsewhere and never used."""
        unused = not (self.sequence or self.closed or self.owner.loop or self.everyone.readers)
        if not (unused and not self.filtered and self.owner.move_to_running_loop()):
            return False
        self.thread = self.owner.thread
        return True

    def _count_wanted(self, group: Group, start: int, stop: int) -> int:
        events, capacity, wanted = self.events, self.capacity, group.wanted
        return sum(type(events[at % capacity]) in wanted for at in range(start, stop))

    def _begin_accounting(self) -> None:
        """The first odd weight is about to come: write down what the others weigh."""
        self._held = self.bytes
        self._peak_bytes = self.peak_bytes
        self._weights[:] = [BASE_WEIGHT] * self.capacity
        self.light = _NONE

    def _account(self, slot: int, weight: int) -> None:
        """Count the newest event's weight, and make room for it."""
        self._weights[slot] = weight
        self._held = held = self._held + weight
        if held > self.max_bytes:
            self._make_room()
        if self._held > self._peak_bytes:
            self._peak_bytes = self._held

    def _evict_oldest(self) -> None:
        position = self.tail
        slot = position % self.capacity
        if self.filtered:
            for group in self._routes[type(self.events[slot])].groups:
                if position >= group.born:
                    group.evicted += 1
        if self._odd:
            weight = self._weights[slot]
            self._held -= weight
            if weight != BASE_WEIGHT:
                self._odd -= 1
        self.events[slot] = None
        self.tail = position + 1

    def _make_room(self) -> None:
        """Overwrite the oldest until the ring is light enough, or holds only the newest."""
        tail, newest = self.tail, self.sequence - 1
        self._peak_kept = max(self._peak_kept, newest - tail)
        while self._held > self.max_bytes and self.tail < newest:
            self._evict_oldest()
        self.evicted_by_bytes += self.tail - tail

    def _add_route(self, kind: type, event: object) -> Route:
        for group in self.filtered.values():
            if issubclass(kind, group.types):
                group.wanted.add(kind)
        chosen: int | Callable[[object], int] = self._weigh or weigher_for(event)
        route = (
            Route(chosen, _unasked, self._groups_for(kind))
            if isinstance(chosen, int)
            else Route(0, chosen, self._groups_for(kind))
        )
        self._routes[kind] = route
        if route.weight == BASE_WEIGHT:
            self._light_kinds.add(kind)
        return route

    def _groups_for(self, kind: type) -> tuple[Group, ...]:
        return tuple(group for group in self.filtered.values() if kind in group.wanted)

    def _refresh_routes(self) -> None:
        for kind, route in self._routes.items():
            route.groups = self._groups_for(kind)

    def _drop_empty_groups(self) -> None:
        empty = [types for types, group in self.filtered.items() if not group.readers]
        for types in empty:
            del self.filtered[types]
        if empty:
            self._refresh_routes()


def wake(parked: list[Slot], sequence: int) -> None:
    """Wake every reader that is parked, once, for this event (0: for the end)."""
    for slot in parked:
        try:
            slot.set_result(sequence)
        except (InvalidStateError, RuntimeError):
            # The wait was cancelled, or its loop was closed under it: nobody is left to wake.
            continue
    parked.clear()


def _unasked(event: object) -> int:
    raise MisuseError(f"an event of {type(event).__qualname__} has a fixed weight")


_alive: WeakSet[Ring] = WeakSet()


def _after_fork_in_child() -> None:
    for ring in _alive:
        ring.abandon()


os.register_at_fork(after_in_child=_after_fork_in_child)
