"""A packet source that works only while a reader follows it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from concurrent.futures import Executor
from typing import final

from .packets import PacketReader, PacketSource


@final
class Workers:
    """Where encoders run: the group that owns their tasks, and threads for the work itself."""

    def __init__(self, group: asyncio.TaskGroup, threads: Executor) -> None:
        self.group = group
        self.threads = threads


class OnDemandSource(PacketSource, ABC):
    """A source whose first reader starts its work and whose last reader stops it.

    It has at most one task at a time.
    """

    def __init__(self, name: str) -> None:
        """A source without readers.

        Args:
            name: of its task.
        """
        super().__init__()
        self._name = name
        self._workers: Workers | None = None
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def work(self, threads: Executor) -> None:
        """Publish until cancelled, or until there is nothing more to publish.

        Args:
            threads: where to encode.
        """

    @property
    def running(self) -> bool:
        """Whether it works now."""
        return self._task is not None and not self._task.done()

    def join(self, reader: PacketReader) -> None:
        """See `PacketSource`; the first reader starts the work."""
        super().join(reader)
        self._start()

    def leave(self, reader: PacketReader) -> None:
        """See `PacketSource`; the last reader stops the work."""
        super().leave(reader)
        if not self.viewers and self._task is not None:
            self._task.cancel()
            self._task = None

    def run_in(self, workers: Workers | None) -> None:
        """Where to work from now on; None: nowhere."""
        self._workers = workers
        self._start()

    def _start(self) -> None:
        if self._workers is not None and self._task is None and self.viewers:
            work = self.work(self._workers.threads)
            self._task = self._workers.group.create_task(work, name=self._name)
