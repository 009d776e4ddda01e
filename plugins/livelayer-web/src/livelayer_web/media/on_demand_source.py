"""Packet sources that work only while a reader follows them, and the workers that run them."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, final
from weakref import WeakSet

from livelayer_bus.errors import MisuseError

from .packets import PacketReader, PacketSource


class OnDemandSource(PacketSource, ABC):
    """A source whose first reader starts its work and whose last reader stops it.

    It has at most one task at a time, while the workers that it was added to run.
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
        self.start()

    def leave(self, reader: PacketReader) -> None:
        """See `PacketSource`; the last reader stops the work."""
        super().leave(reader)
        if not self.viewers and self._task is not None:
            self._task.cancel()
            self._task = None

    def belongs_to(self, workers: Workers) -> None:
        """Called once by the workers that it is added to."""
        self._workers = workers
        self.start()

    def start(self) -> None:
        """Start the work if there are readers and running workers."""
        if self._workers is not None and self._task is None and self.viewers:
            self._task = self._workers.create_task(self.work, self._name)


@final
class Workers:
    """Runs sources in threads of its own; closes their readers at its end.

    Args:
        name: of the threads.
        count: threads.
    """

    def __init__(self, name: str, count: int) -> None:
        self._name = name
        self._count = count
        self._sources: list[OnDemandSource] = []
        self._readers: WeakSet[PacketReader] = WeakSet()
        self._group: asyncio.TaskGroup | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._ended = False

    def add(self, source: OnDemandSource) -> None:
        """Run the source while it has readers."""
        self._sources.append(source)
        source.belongs_to(self)

    def reader(self, capacity: int) -> PacketReader:
        """A viewer's inbox, which follows nothing yet. It is closed at the end of `run`."""
        reader = PacketReader(capacity)
        if self._ended:
            reader.close()
        self._readers.add(reader)
        return reader

    def create_task(
        self, work: Callable[[Executor], Coroutine[Any, Any, None]], name: str
    ) -> asyncio.Task[None] | None:
        """Start the work; None while `run` does not run."""
        if self._group is None or self._threads is None:
            return None
        return self._group.create_task(work(self._threads), name=name)

    async def run(self, prepare: Callable[[], object] = lambda: None) -> None:
        """Run the sources until cancelled; then stop them and close every reader.

        Args:
            prepare: called in a thread first.

        Raises:
            MisuseError: called a second time.
        """
        if self._ended or self._threads is not None:
            raise MisuseError("run() was called before: make another object")
        threads = self._threads = ThreadPoolExecutor(
            self._count, thread_name_prefix=f"livelayer-web-{self._name}"
        )
        try:
            async with asyncio.TaskGroup() as self._group:
                for source in self._sources:
                    source.start()
                await asyncio.get_running_loop().run_in_executor(threads, prepare)
                await asyncio.get_running_loop().create_future()
        finally:
            self._ended = True
            self._group = None
            for reader in tuple(self._readers):
                reader.close()
            # What a thread still encodes takes milliseconds; no task waits for it.
            threads.shutdown(wait=False, cancel_futures=True)
