"""Commands of the agent: each goes to one surface that may carry it out, and the agent hears.

The surface a person used last comes first, then the others in mount order; the first one that
holds the command's capability gets it. What became of it is an event (`CommandFinished`,
`CommandRefused`), and the session sends every such event to the agent as a `command_result`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, final

import msgspec

from ..clock import Clock
from ..events import (
    CommandFinished,
    CommandReceived,
    CommandRefused,
    CommandRefusedReason,
    Event,
    RefusalReason,
)
from ..messages import Capability, Command, capability_of
from ..tasks import TaskOwner

COMMAND_TIMEOUT = 10.0  # seconds a surface has to carry out one command
MAX_PENDING = 256  # commands under way at once; past that the agent is told `failed`


class Holder(Protocol):
    """A mounted surface, as far as routing needs it."""

    @property
    def key(self) -> str: ...
    @property
    def capabilities(self) -> frozenset[Capability]: ...
    @property
    def last_used(self) -> int: ...


class _Pending(msgspec.Struct, frozen=True):
    command: str
    surface: str
    request_id: str | None
    cancel_timeout: Callable[[], None]


@final
class CommandRouter:
    """Gives every command to one surface and sees that it is answered exactly once."""

    def __init__(
        self,
        publish: Callable[[Event], None],
        holders: Callable[[], Iterable[Holder]],
        tasks: TaskOwner,
        clock: Clock,
        timeout: float = COMMAND_TIMEOUT,
    ) -> None:
        self._publish = publish
        self._holders = holders
        self._tasks = tasks
        self._clock = clock
        self._timeout = timeout
        self._number = 0
        self._pending: dict[int, _Pending] = {}

    def route(
        self, command: Command, payload: bytes, request: str | None, sender: str | None
    ) -> None:
        """Give `command` to the surface it belongs to, or refuse it."""
        name = command.wire_type()
        capability = capability_of(command)
        holder = self._holder_of(capability)
        if holder is None:
            detail = f"no mounted surface was given the capability {capability!r}"
            self.refuse(name, "capability", detail, request, sender)
            return
        self._number += 1
        number = self._number
        self._publish(
            CommandReceived(
                command=name,
                payload=msgspec.Raw(payload),
                number=number,
                surface=holder.key,
                request_id=request,
                sender=sender,
            )
        )
        if len(self._pending) >= MAX_PENDING:
            self._publish(CommandFinished(name, number, holder.key, False, "failed", request))
            return
        timer = self._tasks.start(lambda: self._expire(number), f"command {number}")
        self._pending[number] = _Pending(name, holder.key, request, timer.cancel)

    def refuse(
        self,
        command: str,
        reason: CommandRefusedReason,
        detail: str,
        request: str | None,
        sender: str | None,
    ) -> None:
        """Carry the command out nowhere and say why."""
        self._publish(CommandRefused(command, reason, detail, request, sender))

    def finish(self, number: int, ok: bool, reason: RefusalReason | None = None) -> None:
        """Settle a command; later calls for the same number change nothing."""
        pending = self._pending.pop(number, None)
        if pending is None:
            return
        pending.cancel_timeout()
        self._settle(number, pending, ok, reason)

    def is_open(self, number: int) -> bool:
        """Whether a command was given to a surface and is not settled yet."""
        return number in self._pending

    def surface_ended(self, key: str, ok: bool) -> None:
        """Settle what the surface `key` still held."""
        for number in [n for n, pending in self._pending.items() if pending.surface == key]:
            self.finish(number, ok, None if ok else "failed")

    def forget(self) -> None:
        """Drop everything under way: the agent that asked is gone."""
        while self._pending:
            _, pending = self._pending.popitem()
            pending.cancel_timeout()

    def _holder_of(self, capability: Capability | None) -> Holder | None:
        able = [holder for holder in self._holders() if capability in holder.capabilities]
        # max() keeps the first of equals, and the holders come in mount order.
        return max(able, key=lambda holder: holder.last_used, default=None)

    async def _expire(self, number: int) -> None:
        await self._clock.sleep(self._timeout)
        pending = self._pending.pop(number, None)
        if pending is not None:
            self._settle(number, pending, False, "timeout")

    def _settle(
        self, number: int, pending: _Pending, ok: bool, reason: RefusalReason | None
    ) -> None:
        self._publish(
            CommandFinished(
                pending.command, number, pending.surface, ok, reason, pending.request_id
            )
        )
