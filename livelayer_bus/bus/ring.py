"""The ring of the latest events: storage, bounds, filters, the state, and waking parked readers.

A position counts events from the start: the event with sequence `n` is at position `n - 1`.
`tail` is the position of the oldest kept event, `published` the position of the next one.
"""

from __future__ import annotations

import os
import sys
from asyncio import InvalidStateError
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from threading import get_ident
from typing import Any, TypeAlias
from weakref import WeakSet

from ..clock import now_ns
from ..errors import ClosedError, ForkedError, MisuseError
from .loop_guard import LoopGuard, Slot

Types: TypeAlias = tuple[type, ...]
Batch: TypeAlias = tuple[tuple[Any, ...], int]  # events, and the sequence of the last
Reducer: TypeAlias = Callable[[Any, Any], Any]
Weigh: TypeAlias = Callable[..., int]

BASE_WEIGHT = 256  # bytes; a small record with its short strings and its places in the ring
_NO_THREAD = -1  # never a thread's ident: sends every call to Ring.check_thread
_NEVER = sys.maxsize  # a tail beyond every reader: sends every read to its slow path


class Group:
    """The readers with the same filter, and the positions of the events that the filter wants.

    Wanted events are numbered from 0 on, whether they are still kept or not. `positions` has those
    of the wanted events from number `dropped` on; the ring drops what it has overwritten.
    """

    def __init__(self, types: Types, since: int, events: list[Any]) -> None:
        self.types = types
        self._events = events  # the ring's own
        self.since = since  # the position from which on `positions` is complete
        self.dropped = 0
        self.positions: list[int] = []
        self.parked: list[Slot] = []
        self.readers: WeakSet[object] = WeakSet()

    @property
    def published(self) -> int:
        """The number of the next wanted event."""
        return self.dropped + len(self.positions)

    def number_at(self, position: int) -> int:
        """Return the number of the first wanted event at or after `position`."""
        return self.dropped + bisect_left(self.positions, position)

    def locate(self, number: int, count: int) -> Sequence[int]:
        """Return the positions of `count` wanted events from `number` on."""
        first = number - self.dropped
        return self.positions[first : first + count]

    def fetch(self, number: int, count: int) -> Batch:
        """Return `count` wanted events from `number` on, all kept, and the sequence of the last."""
        events, capacity = self._events, len(self._events)
        positions = self.locate(number, count)
        return tuple([events[at % capacity] for at in positions]), positions[-1] + 1

    def drop_before(self, tail: int) -> None:
        count = bisect_left(self.positions, tail)
        del self.positions[:count]
        self.dropped += count


# What the ring knows about one concrete type of event: a constant weight, what measures each event
# on top of that, what changes the state, and the groups that want it. A plain tuple, because the
# interpreter unpacks nothing else as fast.
Rule: TypeAlias = tuple[int, Weigh | None, Reducer | None, tuple[Group, ...]]


class Ring:
    """At most `capacity` events and `max_bytes` bytes; the oldest are overwritten first.

    Guarantee: an event heavier than `max_bytes` is kept alone until the next one comes.

    For readers without a filter the ring is the group, and an event's number is its position.
    """

    def __init__(
        self,
        capacity: int,
        max_bytes: int,
        state: object,
        reducers: Mapping[Any, Reducer],
        as_of: Callable[[Any, int], Any] | None,
    ) -> None:
        if capacity < 1 or max_bytes < 1:
            given = f"got capacity={capacity}, max_bytes={max_bytes}"
            raise MisuseError(f"capacity and max_bytes must be at least 1, {given}")
        self.capacity = capacity
        self.max_bytes = max_bytes
        self.events: list[Any] = [None] * capacity
        self.times = [0] * capacity  # of `now_ns`
        self._weights = [0] * capacity  # bytes; 0 where nothing is kept
        self.bytes = 0  # what the kept events weigh
        self._high_water = 0  # the most `bytes` have been, up to `max_bytes`
        self._heaviest = 0  # bytes; of the events that were kept alone
        self._peak_kept = 0
        self.evicted_by_bytes = 0
        self.published = 0
        self.tail = 0
        # The state, and the sequence of the event that last changed it: see `state`.
        self._version: tuple[Any, int] = (state, 0)
        self.types: Types = ()
        self.parked: list[Slot] = []
        self.readers: WeakSet[object] = WeakSet()
        self._batches: dict[tuple[Types, int, int], Batch] = {}
        self.filtered: dict[Types, Group] = {}
        self.guard = LoopGuard()
        self.thread = self.guard.thread
        self.closed = False
        self.forked = False
        self._reducers = reducers
        self._as_of = as_of
        self._rules: dict[type, Rule] = {}
        _alive.add(self)

    @property
    def peak_bytes(self) -> int:
        return max(self._heaviest, self._high_water)

    @property
    def peak_kept(self) -> int:
        return max(self._peak_kept, self.published - self.tail)

    @property
    def has_state(self) -> bool:
        return self._version[0] is not None

    @property
    def state(self) -> Any:
        """The state as of the newest event; exact in any thread, without a lock.

        `append` sets the version before it counts the event. So a version that is still the same
        after `published` was read has seen all those events.
        """
        while True:
            version, published = self._version, self.published
            if version is self._version:
                state, changed = version
                return self._as_of(state, max(changed, published)) if self._as_of else state

    def append(self, event: object) -> int:
        """See `Bus.publish`. All that can fail comes first: a failed append changes nothing."""
        if get_ident() != self.thread:
            self.check_thread("publish()")
        try:
            weight, weigh, reducer, groups = self._rules[type(event)]
        except KeyError:
            weight, weigh, reducer, groups = self._add_rule(event)
        if weigh is not None:
            weight += weigh(event)
        position, capacity = self.published, self.capacity
        if reducer is not None:
            self._version = reducer(self._version[0], event), position + 1
        slot = position % capacity
        weights = self._weights
        self.bytes = held = self.bytes + weight - weights[slot]
        weights[slot] = weight
        self.events[slot] = event
        self.times[slot] = now_ns()
        if self._batches:
            self._batches.clear()  # they must not keep alive what is overwritten
        self.published = sequence = position + 1
        if sequence - self.tail > capacity:
            self.tail += 1
        if not slot:
            for group in self.filtered.values():
                group.drop_before(self.tail)
        if held > self._high_water:
            if held <= self.max_bytes:
                self._high_water = held
            else:
                self._make_room()
        for group in groups:
            group.positions.append(position)
            if group.parked:
                wake(group.parked, sequence)
        if self.parked:
            wake(self.parked, sequence)
        return sequence

    def restart(self, sequence: int, state: object) -> None:
        self.check_thread("restart()")
        if sequence < self.published:
            raise MisuseError(f"restart({sequence}): the bus has published {self.published} events")
        passed = sequence - self.published
        self._peak_kept = self.peak_kept
        self.events[:] = [None] * self.capacity
        self._weights[:] = [0] * self.capacity
        self.bytes = 0
        self._batches.clear()
        for group in self.filtered.values():
            group.dropped += len(group.positions) + passed
            group.positions.clear()
        self._version = state, sequence
        self.published = self.tail = sequence
        self._wake_all(sequence)

    def check_thread(self, what: str) -> None:
        """Raise what `Bus.publish` does, unless the call is allowed."""
        if self.forked:
            raise ForkedError("this bus")
        if get_ident() != self.guard.thread and not self._move_here():
            hint = "use publish_from_thread() to publish from there"
            raise self.guard.wrong_thread(f"Bus.{what}", hint)
        if self.closed:
            raise ClosedError("this bus")

    def close(self) -> None:
        self.closed = True
        self.thread = _NO_THREAD
        self._wake_all(0)

    def abandon(self) -> None:
        """In a forked child: from now on every call takes the path that raises `ForkedError`."""
        self.forked = True
        self.thread = _NO_THREAD
        self.tail = _NEVER

    def join(self, types: Types, since: int, reader: object) -> Group | Ring:
        """Return the group that wants `types` (none: all), with `reader`, complete from `since`."""
        if not types:
            self.readers.add(reader)
            return self
        group = self.filtered.get(types) or self._add_group(types)
        events, capacity = self.events, self.capacity
        earlier = range(since, group.since)
        found = [at for at in earlier if issubclass(type(events[at % capacity]), types)]
        group.positions[:0] = found
        group.dropped -= len(found)
        group.since = min(since, group.since)
        group.readers.add(reader)
        return group

    def leave(self, group: Group | Ring, reader: object) -> None:
        """Take `reader` out of its group; a filter without readers costs nothing any more."""
        group.readers.discard(reader)
        if not group.readers:
            self._drop_empty_groups()

    def number_at(self, position: int) -> int:
        return position

    def locate(self, number: int, count: int) -> Sequence[int]:
        return range(number, number + count)

    def share(self, group: Group | Ring, number: int, count: int) -> Batch:
        """Return what `group.fetch` does: the same tuple for each reader until the next event."""
        key = (group.types, number, count)
        batch = self._batches.get(key)
        if batch is None:
            batch = self._batches[key] = group.fetch(number, count)
        return batch

    def fetch(self, number: int, count: int) -> Batch:
        events, first = self.events, number % self.capacity
        stop = first + count
        if stop <= self.capacity:
            return tuple(events[first:stop]), number + count
        return (*events[first:], *events[: stop - self.capacity]), number + count

    def _move_here(self) -> bool:
        """Follow an event loop to its thread, if the bus was made elsewhere and never used."""
        used = self.published or self.closed or self.guard.loop or self.readers or self.filtered
        if used or not self.guard.move_to_running_loop():
            return False
        self.thread = self.guard.thread
        return True

    def _wake_all(self, sequence: int) -> None:
        for parked in (self.parked, *(group.parked for group in self.filtered.values())):
            wake(parked, sequence)

    def _make_room(self) -> None:
        """Overwrite the oldest events until the ring is light enough, or holds only the newest."""
        newest = self.published - 1
        self._peak_kept = max(self._peak_kept, newest - self.tail)
        while self.bytes > self.max_bytes and self.tail < newest:
            slot = self.tail % self.capacity
            self.bytes -= self._weights[slot]
            self._weights[slot] = 0
            self.events[slot] = None
            self.tail += 1
            self.evicted_by_bytes += 1
        if self.bytes <= self.max_bytes:
            self._high_water = max(self._high_water, self.bytes)
        else:
            self._heaviest = max(self._heaviest, self.bytes)

    def _add_rule(self, event: object) -> Rule:
        kind = type(event)
        bases = (self._reducers[base] for base in kind.__mro__ if base in self._reducers)
        rule = (*weight_of(event), next(bases, None), self._groups_for(kind))
        self._rules[kind] = rule
        return rule

    def _add_group(self, types: Types) -> Group:
        self._drop_empty_groups()
        group = self.filtered[types] = Group(types, self.published, self.events)
        self._refresh_rules()
        return group

    def _drop_empty_groups(self) -> None:
        for types in [types for types, group in self.filtered.items() if not group.readers]:
            del self.filtered[types]
        self._refresh_rules()

    def _groups_for(self, kind: type) -> tuple[Group, ...]:
        return tuple(group for group in self.filtered.values() if issubclass(kind, group.types))

    def _refresh_rules(self) -> None:
        for kind, (weight, weigh, reducer, _) in self._rules.items():
            self._rules[kind] = (weight, weigh, reducer, self._groups_for(kind))


def wake(parked: list[Slot], sequence: int) -> None:
    """Wake every parked reader, once, for the event with this sequence (0: for the end)."""
    for slot in parked:
        try:
            slot.set_result(sequence)
        except (InvalidStateError, RuntimeError):
            continue  # the wait was cancelled, or its loop was closed: there is no task to wake
    parked.clear()


def weight_of(event: object) -> tuple[int, Weigh | None]:
    """Return the weight of every event of this one's type, and what to add for each: see `Bus`."""
    declared: int | Weigh | None = getattr(type(event), "bus_weight", None)
    if isinstance(declared, int):
        return declared, None
    if declared is not None:
        return BASE_WEIGHT, declared
    if isinstance(event, str | bytes | bytearray):
        return BASE_WEIGHT, sys.getsizeof
    if hasattr(event, "nbytes"):
        return BASE_WEIGHT, lambda event: int(event.nbytes)
    # What a field holds is not looked at here: a union, for example, may hold a text or not.
    bases = (vars(base).get("__annotations__", ()) for base in type(event).__mro__)
    names = {name for fields in bases for name in fields if hasattr(event, name)}

    def weigh(event: object) -> int:
        values = [getattr(event, name, None) for name in names]
        return sum(len(value) for value in values if isinstance(value, str | bytes | bytearray))

    return BASE_WEIGHT, weigh if names else None


_alive: WeakSet[Ring] = WeakSet()


def _after_fork_in_child() -> None:
    for ring in _alive:
        ring.abandon()


os.register_at_fork(after_in_child=_after_fork_in_child)
