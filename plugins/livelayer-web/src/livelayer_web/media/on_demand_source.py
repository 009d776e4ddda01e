"""A packet source that works only while somebody follows it and there is a place to work in."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from concurrent.futures import Executor
from typing import final

from .packets import PacketReader, PacketSource


@final
class Workshop:
    """Where encoders run while it is open: the tasks' owner, and threads for the work itself."""

    def __init__(self, group: asyncio.TaskGroup, threads: Executor) -> None:
        self.group = group
        self.threads = threads


class FollowedSource(PacketSource, ABC):
    """Its first reader starts the work, its last one stops it. One task at a time."""

    def __init__(self, name: str) -> None:
        """A source that nobody follows.

        Args:
            name: of its task.
        """
        super().__init__()
        self._name = name
        self._workshop: Workshop | None = None
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def work(self, threads: Executor) -> None:
        """Publish until cancelled, or until there is nothing more to come.

        Args:
            threads: where to encode.
        """

    @property
    def running(self) -> bool:
        """Whether it works now."""
        return self._task is not None and not self._task.done()

    def join(self, reader: PacketReader) -> None:
        """See `PacketSource`; the first one starts the work."""
        super().join(reader)
        self._start()

    def leave(self, reader: PacketReader) -> None:
        """See `PacketSource`; the last one stops the work."""
        super().leave(reader)
        if not self.viewers and self._task is not None:
            self._task.cancel()
            self._task = None

    def work_in(self, workshop: Workshop | None) -> None:
        """Where to work from now on; None: nowhere, from the workshop's end on."""
        self._workshop = workshop
        self._start()

    def _start(self) -> None:
        if self._workshop is not None and self._task is None and self.viewers:
            work = self.work(self._workshop.threads)
            self._task = self._workshop.group.create_task(work, name=self._name)
