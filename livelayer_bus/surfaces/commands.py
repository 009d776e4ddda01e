"""Routing of an agent's commands, by a session to its surfaces and by a surface to its pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from itertools import count
from typing import Final, Generic, Protocol, TypeVar, final

import msgspec

from ..clock import Clock
from ..messages import Capability, Command, RefusalReason, capability_of
from ..tasks import TaskOwner, Timer

COMMAND_TIMEOUT: Final = 10.0  # seconds that a target has to carry out one command
MAX_OPEN: Final = 256  # commands under way at once; past that a command fails


class Target(Protocol):
    """What can be given a command."""

    @property
    def key(self) -> str: ...
    @property
    def capabilities(self) -> frozenset[Capability]: ...
    @property
    def last_used(self) -> int:
        """Orders targets by when a person last used them; 0 for never."""
        ...


T = TypeVar("T", bound=Target)


def last_used(targets: Iterable[T]) -> T | None:
    """The target that a person used last, or else the first one; None without targets."""
    # max() keeps the first of equals.
    return max(targets, key=lambda target: target.last_used, default=None)


@final
class RoutedCommand(msgspec.Struct, eq=False):
    """A command that was given to a target and is not settled yet."""

    number: int
    command: Command
    payload: bytes
    request_id: str | None
    sender: str | None
    target: str | None = None
    """The key of the target that it was given to; None while it waits for one."""
    claimed: bool = False
    """Its target is settling it now."""


@final
@dataclass(eq=False, repr=False)
class CommandRouter(Generic[T]):
    """Gives every command to one target and sees that it is settled exactly once.

    Of the targets that have its capability, the one that a person used last gets it, or else the
    first. A command that is not settled within `timeout` is settled with that reason. With
    `patience`, one that has no target yet, or whose target cannot take it now, waits, then fails.
    """

    targets: Iterable[T]
    """Iterated for each command, in order."""
    deliver: Callable[[RoutedCommand, T], bool]
    """Hands a command over; False when the target cannot take it now."""
    settled: Callable[[RoutedCommand, bool, RefusalReason | None], None]
    """Called once for each command, with `ok` and the reason if it is False."""
    tasks: TaskOwner
    clock: Clock
    """What the time limits are measured on."""
    _: KW_ONLY
    timeout: float = COMMAND_TIMEOUT
    """Seconds to settle a command."""
    patience: float | None = None
    """Seconds that a command waits for its target; None: it does not wait."""
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    """Name the commands."""
    _uses: Iterator[int] = field(default_factory=lambda: count(1), init=False)
    _open: dict[int, RoutedCommand] = field(default_factory=dict, init=False)
    # The time limit and the patience of each.
    _timers: dict[int, tuple[Timer, Timer]] = field(default_factory=dict, init=False)

    def __len__(self) -> int:
        return len(self._open)

    def next_use(self) -> int:
        """A number greater than all before: a target's `last_used` when a person uses it."""
        return next(self._uses)

    def choose(self, capability: Capability | None) -> T | None:
        """The target that a command with this capability goes to; None if no target has it."""
        return last_used(one for one in self.targets if capability in one.capabilities)

    def route(
        self,
        command: Command,
        payload: bytes,
        request_id: str | None = None,
        sender: str | None = None,
    ) -> bool:
        """Give a command, as JSON in `payload`, to its target; False if it has none."""
        target = self.choose(capability_of(command))
        if target is None and self.patience is None:
            return False
        routed = RoutedCommand(next(self.numbers), command, payload, request_id, sender)
        number = routed.number
        full = len(self._open) >= MAX_OPEN
        if not full:
            self._open[number] = routed
            ends = (partial(self.finish, number, False, why) for why in ("timeout", "failed"))
            name = f"command {number}"
            limit, patience = (Timer(end, name, self.tasks, self.clock) for end in ends)
            self._timers[number] = limit, patience
            limit.start(self.timeout)
        self._give(routed, target)
        if full:
            self.settled(routed, False, "failed")
        return True

    def find(self, number: int, key: str) -> RoutedCommand | None:
        """The open command that the target `key` was given and has not claimed yet."""
        routed = self._open.get(number)
        return routed if routed and routed.target == key and not routed.claimed else None

    def claim(self, routed: RoutedCommand) -> None:
        """The target is settling it: it is not delivered again and does not fail for patience."""
        routed.claimed = True
        self._stop_waiting(routed.number)

    def finish(self, number: int, ok: bool, reason: RefusalReason | None = None) -> None:
        """Settle a command; later calls for the same number change nothing."""
        routed = self._drop(number)
        if routed is not None:
            self.settled(routed, ok, reason)

    def is_open(self, number: int) -> bool:
        """Whether a command is not settled yet, and its agent still waits for it."""
        return number in self._open

    def given_to(self, key: str) -> tuple[RoutedCommand, ...]:
        """The commands that a target was given and has not settled, in order."""
        return tuple(routed for routed in self._open.values() if routed.target == key)

    def target_ready(self, target: T) -> None:
        """Deliver what this target was given and has not settled, and what waits for it."""
        for routed in tuple(self._open.values()):
            unclaimed = routed.target is None and self.choose(capability_of(routed.command))
            if routed.target == target.key or unclaimed is target:
                self._give(routed, target)

    def target_away(self, key: str) -> None:
        """A target cannot take commands for now: what it was given waits for it."""
        for routed in self.given_to(key):
            if not routed.claimed:
                self._wait(routed.number)

    def target_ended(self, key: str, *, ok: bool) -> None:
        """Settle what a target that is gone for good still held."""
        for routed in self.given_to(key):
            self.finish(routed.number, ok, None if ok else "failed")

    def forget(self) -> None:
        """Drop everything under way: the agent that asked is gone."""
        for number in tuple(self._open):
            self._drop(number)

    def _give(self, routed: RoutedCommand, target: T | None) -> None:
        if target is not None:
            routed.target = target.key
            if self.deliver(routed, target):
                self._stop_waiting(routed.number)
                return
        self._wait(routed.number)

    def _wait(self, number: int) -> None:
        if self.patience is not None and number in self._timers:
            self._timers[number][1].start(self.patience)

    def _stop_waiting(self, number: int) -> None:
        if number in self._timers:
            self._timers[number][1].stop()

    def _drop(self, number: int) -> RoutedCommand | None:
        for timer in self._timers.pop(number, ()):
            timer.stop()
        return self._open.pop(number, None)
