"""Publishes the participant attribute `agent.context`, for agents that read the page's fields."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, final

from ..contract import Unsubscribe
from ..errors import LivelayerError, describe
from ..events import ConnectionStateChanged, HandlerFailed, Reconnected
from ..messages import AgentContext, ContextField
from ..rooms import names
from ..surfaces import MountedSurface
from ..surfaces.commands import last_used
from ..tasks import RootTask
from .connection import Connection
from .store import Store, take_next

PAUSE: Final = 0.2  # seconds in which changes are collected


@final
@dataclass(eq=False, repr=False)
class ContextPublisher:
    """The page of the surface that a person used last, and the application's own fields.

    A change is published after `PAUSE`, with those that follow it until then, and again in each
    room and after a reconnect, in which a server may have forgotten it. What cannot be published is
    one `HandlerFailed` for each reason, and tried again at the next change.
    """

    _store: Store
    _connection: Connection
    _mounted: Iterable[MountedSurface]
    _fields: dict[str, ContextField] = field(default_factory=dict[str, ContextField])
    _pages: dict[str, AgentContext] = field(default_factory=dict[str, AgentContext])
    _published: str | None = ""
    _problem: str = ""
    _watching: RootTask | None = None

    def __post_init__(self) -> None:
        self._timer = self._store.timer(self._publish, "agent.context")

    def register(self, fields: Iterable[ContextField]) -> Unsubscribe:
        """Add fields, by id; the result removes those that were not replaced meanwhile."""
        added = {one.id: one for one in fields}
        self._fields |= added
        self._change()

        def remove() -> None:
            left = self._fields.items()
            self._fields = {name: one for name, one in left if added.get(name) is not one}
            self._change()

        return remove

    def describe(self, page: AgentContext | None, surface: str) -> None:
        if page is not None:
            self._pages[surface] = page
        elif self._pages.pop(surface, None) is None:
            return
        self._change()

    async def _watch(self) -> None:
        with self._store.bus.subscribe(ConnectionStateChanged, Reconnected) as turns:
            while (await take_next(turns))[0] is not None:
                self._published = self._problem = ""
                self._change()

    def _change(self) -> None:
        if self._timer.running or self._store.bus.closed:
            return
        self._timer.start(PAUSE)
        if self._watching is None:
            self._watching = self._store.tasks.start(self._watch, "agent.context in each room")

    async def _publish(self) -> None:
        able = (one for one in self._mounted if "read_page" in one.capabilities)
        used = last_used(one for one in able if one.key in self._pages)
        page = self._pages[used.key] if used is not None else AgentContext()
        text = page.with_fields(tuple(self._fields.values())).to_attribute()
        port = self._connection.port
        if port is None or text == self._published:
            return
        self._published = text
        try:
            await port.set_attributes({names.AGENT_CONTEXT: text})
        except LivelayerError as error:
            self._published = None  # the server may have it, or not
            if self._problem != (problem := describe(error)):
                self._problem = problem
                self._store.publish_late(HandlerFailed("agent.context", problem))
