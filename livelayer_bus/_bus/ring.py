"""The ring of the latest events: storage, bounds, filters and the waking of parked readers.

Positions count events from the start: the event with sequence `n` lies at position `n - 1`, and a
reader at position `n` has passed the first `n` events. `tail` is the position of the oldest event
kept, `sequence` that of the next one to come.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from threading import get_ident
from time import monotonic_ns
from typing import Any
from weakref import WeakSet

from livelayer_bus._bus.owner import Owner, Slot
from livelayer_bus._bus.weight import Weigher, weigher_for
from livelayer_bus.errors import ClosedError, ForkedError, MisuseError

Types = tuple[type, ...]

_NO_THREAD = -1  # never a thread's ident: sends every call to Ring.check_thread
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
        self.parked: dict[Slot, None] = {}
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
    """

    __slots__ = (
        "__weakref__", "bytes", "capacity", "closed", "events", "everyone", "evicted_by_bytes",
        "filtered", "forked", "groups", "max_bytes", "owner", "peak_bytes", "peak_kept", "routes",
        "sequence", "tail", "thread", "times", "watermark", "weigh",
        "weights",
    )  # fmt: skip

    def __init__(self, capacity: int, max_bytes: int, weigh: Weigher | None) -> None:
        if capacity < 1 or max_bytes < 1:
            raise MisuseError(
                f"a bus holds at least one event and one byte, not capacity={capacity}, "
                f"max_bytes={max_bytes}"
            )
        self.capacity = capacity
        self.max_bytes = max_bytes
        self.weigh = weigh
        self.events: list[Any] = [None] * capacity
        self.times = [0] * capacity  # monotonic ns
        self.weights = [0] * capacity  # bytes
        self.sequence = 0
        self.tail = 0
        self.bytes = 0
        self.evicted_by_bytes = 0
        self.peak_bytes = 0
        self.watermark = 0
        self.peak_kept = 0
        self.everyone = Group((object,), 0)
        self.filtered: dict[Types, Group] = {}
        self.routes: dict[type, Route] = {}
        self.owner = Owner()
        self.thread = self.owner.thread
        self.closed = False
        self.forked = False
        _alive.add(self)

    def append(self, event: object) -> int:
        """Add an event, wake the idle readers that want it, return its sequence.

        Everything a caller's mistake can break comes first: a failed append changes nothing.
        """
        if get_ident() != self.thread:
            self.check_thread("publish()")
        kind = type(event)
        try:
            route = self.routes[kind]
        except KeyError:
            route = self._add_route(kind)
        weight = route.weight or route.weigh(event)
        position = self.sequence
        slot = position % self.capacity
        if position - self.tail == self.capacity:
            if self.filtered:
                self._count_evicted(self.events[slot], position - self.capacity)
            self.tail += 1
        self.events[slot] = event
        self.times[slot] = monotonic_ns()
        held = self.bytes + weight - self.weights[slot]
        self.weights[slot] = weight
        self.bytes = held
        self.sequence = sequence = position + 1
        if held > self.watermark:
            self._pass_watermark()
        for group in route.groups:
            group.published += 1
            if group.parked:
                wake(group, sequence)
        if self.everyone.parked:
            wake(self.everyone, sequence)
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
        self.thread = _NO_THREAD
        for group in (self.everyone, *self.filtered.values()):
            wake(group, self.sequence + 1)

    def abandon(self) -> None:
        """In a forked child: from now on every call takes the path that raises `ForkedError`."""
        self.forked = True
        self.thread = _NO_THREAD
        self.tail = _NEVER

    def join(self, types: Types, reader: object) -> Group:
        """Return the group of the readers that want `types`, with `reader` in it."""
        if not types:
            group = self.everyone
        elif types in self.filtered:
            group = self.filtered[types]
        else:
            self._drop_empty_groups()
            group = self.filtered[types] = Group(types, self.sequence)
            for kind in self.routes:
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

    def _count_evicted(self, event: object, position: int) -> None:
        for group in self.routes[type(event)].groups:
            if position >= group.born:
                group.evicted += 1

    def _pass_watermark(self) -> None:
        """The ring holds more bytes than ever, or than it may: one comparison tells both."""
        if self.bytes > self.max_bytes:
            self._make_room()
        self.peak_bytes = max(self.peak_bytes, self.bytes)
        self.watermark = min(self.peak_bytes, self.max_bytes)

    def _make_room(self) -> None:
        """Overwrite the oldest until the ring is light enough, or holds only the newest."""
        self.peak_kept = max(self.peak_kept, self.sequence - self.tail - 1)
        tail, newest = self.tail, self.sequence - 1
        while self.bytes > self.max_bytes and tail < newest:
            slot = tail % self.capacity
            if self.filtered:
                self._count_evicted(self.events[slot], tail)
            self.bytes -= self.weights[slot]
            self.weights[slot] = 0
            self.events[slot] = None
            tail += 1
        self.evicted_by_bytes += tail - self.tail
        self.tail = tail

    def _add_route(self, kind: type) -> Route:
        for group in self.filtered.values():
            if issubclass(kind, group.types):
                group.wanted.add(kind)
        chosen: int | Callable[[object], int] = self.weigh or weigher_for(kind)
        route = (
            Route(chosen, _unasked, self._groups_for(kind))
            if isinstance(chosen, int)
            else Route(0, chosen, self._groups_for(kind))
        )
        self.routes[kind] = route
        return route

    def _groups_for(self, kind: type) -> tuple[Group, ...]:
        return tuple(group for group in self.filtered.values() if kind in group.wanted)

    def _refresh_routes(self) -> None:
        for kind, route in self.routes.items():
            route.groups = self._groups_for(kind)

    def _drop_empty_groups(self) -> None:
        empty = [types for types, group in self.filtered.items() if not group.readers]
        for types in empty:
            del self.filtered[types]
        if empty:
            self._refresh_routes()


def wake(group: Group, sequence: int) -> None:
    """Wake every parked reader of the group, once, telling it which event woke it."""
    parked = group.parked
    group.parked = {}
    for slot in parked:
        if not slot.done():
            try:
                slot.set_result(sequence)
            except RuntimeError:  # its loop was closed under it: there is nobody left to wake
                continue


def _unasked(event: object) -> int:
    raise MisuseError(f"an event of {type(event).__qualname__} has a fixed weight")


_alive: WeakSet[Ring] = WeakSet()


def _after_fork_in_child() -> None:
    for ring in _alive:
        ring.abandon()


os.register_at_fork(after_in_child=_after_fork_in_child)
