"""A surface that records a session: each event as one JSON line in a file."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, Generic, TypeVar, final

import anyio
import anyio.to_thread
import msgspec

from ..errors import ConfigError, MalformedMessageError, MisuseError
from ..jsonl import Line, LineReader, decode_line
from .surface import SurfaceSession

FLUSH_SECONDS: Final = 1.0  # in which unmounting may write the remaining events

T = TypeVar("T")


@final
@dataclass(eq=False, repr=False)
class BackgroundWriter(Generic[T]):
    """Passes items to `write`, one at a time and in order, in a thread.

    Guarantee: `put` returns when its item is written, so a caller that produces faster than `write`
    is slowed down, and nothing accumulates. A cancelled `put` loses nothing: the thread that has
    started, or the next call, writes its item.
    """

    write: Callable[[T], None]
    """A blocking function; its errors are raised by `put` and `aclose`."""
    _items: deque[T] = field(default_factory=deque[T], init=False)
    # One thread at a time: a cancelled task cannot stop the thread that it started.
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    async def put(self, item: T) -> None:
        """Return when `item` and everything before it is written."""
        self._items.append(item)
        await anyio.to_thread.run_sync(self._drain, abandon_on_cancel=True)

    async def aclose(self, seconds: float, close: Callable[[], None] | None = None) -> bool:
        """Write what is left, then call `close` in the thread; False if `seconds` did not suffice.

        Cancelling does not shorten it. Work that takes longer continues in its thread.
        """
        with anyio.move_on_after(seconds, shield=True) as scope:
            await anyio.to_thread.run_sync(self._finish, close, abandon_on_cancel=True)
        return not scope.cancelled_caught

    def _drain(self) -> None:
        with self._lock:
            while self._items:
                self.write(self._items.popleft())

    def _finish(self, close: Callable[[], None] | None) -> None:
        try:
            self._drain()
        finally:
            if close is not None:
                with self._lock:
                    close()


class UnreadableLine(msgspec.Struct, frozen=True):
    """A line that is not an event line, for example one cut off by a crash; counted from 1."""

    number: int
    problem: str


@final
class JsonlSurface:
    """Writes each event of a session to a file as one JSON line (see `livelayer_bus.jsonl`).

    Guarantee: the first line of each mount is a snapshot; after it comes every event, once and in
    order, unfiltered. If the file is so slow that events are lost, a `lagged` line says how many,
    and a new snapshot follows. A thread writes the file: the event loop never waits for a disk.
    Events published before the surface is unmounted are written and flushed before it ends. A
    surface that is mounted again appends.

    Args:
        file: a path (`~` is expanded, folders are created), or an open binary file: it stays open.

    Raises:
        MisuseError: `file` is neither.
    """

    def __init__(self, file: str | os.PathLike[str] | BinaryIO) -> None:
        self._own = None if isinstance(file, str | os.PathLike) else file
        self.path: Final = Path(file).expanduser() if isinstance(file, str | os.PathLike) else None
        if not self.path and (not hasattr(file, "write") or hasattr(file, "encoding")):
            kind = type(file).__name__
            raise MisuseError(f"file must be a path or an open binary file, got {kind}")
        self.bytes_written = 0
        """Over all mounts, as `lost`: events lost because the file was too slow."""
        self.lost = 0

    def __repr__(self) -> str:
        return f"JsonlSurface({str(self.path) if self.path else 'a file'!r})"

    async def run(self, session: SurfaceSession) -> None:
        """Record until cancelled, or until the session is closed.

        Raises:
            ConfigError: the file cannot be opened.
            OSError: the file cannot be written.
        """
        file = self._own

        def write(lines: bytes) -> None:
            nonlocal file
            file = file or _open(self.path)
            view = memoryview(lines)
            while view:
                view = view[file.write(view) :]
            file.flush()
            self.bytes_written += len(lines)

        def close() -> None:
            if file is not None and file is not self._own:
                file.close()

        writer = BackgroundWriter(write)
        # Attached before the first wait: every event from here on is in the file.
        with LineReader(session) as reader:
            try:
                while lines := await reader.read():
                    await writer.put(lines)
            except anyio.get_cancelled_exc_class():
                with anyio.move_on_after(FLUSH_SECONDS, shield=True):
                    while reader.waiting:
                        await writer.put(await reader.read())
                raise
            finally:
                await writer.aclose(FLUSH_SECONDS, close)
                self.lost += reader.lost


def _open(path: Path | None) -> BinaryIO:
    """Open for appending, on a new line after one that a crash cut off."""
    if path is None:
        raise MisuseError("a JsonlSurface needs a path or a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab+", buffering=0)
    except OSError as exc:
        problem = f"cannot be opened for writing ({exc.strerror}): choose another path"
        raise ConfigError(str(path), problem) from exc
    if file.seek(0, os.SEEK_END):
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            file.write(b"\n")
    return file


def read_jsonl(path: str | os.PathLike[str]) -> Iterator[Line | UnreadableLine]:
    """The lines of a recording, in order; an unreadable line becomes an `UnreadableLine`.

    Raises:
        OSError: the file cannot be read.
    """
    with Path(path).expanduser().open("rb") as file:
        for number, text in enumerate(file, 1):
            if not text.strip():
                continue
            try:
                yield decode_line(text)
            except MalformedMessageError as exc:
                yield UnreadableLine(number, exc.problem)
