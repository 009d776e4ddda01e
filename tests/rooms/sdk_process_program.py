"""Run in processes of their own: joins that nobody waits for, and processes that end.

    python -m tests.rooms.sdk_process_program MODE URL TOKEN...

The native part's reports are watched in its own threads. A room's first event proves that the join
was acknowledged; without that the SDK ends the process 15 to 20 s later.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, cast

from livekit import rtc
from livekit.rtc._ffi_client import FfiClient
from livekit.rtc._proto.ffi_pb2 import FfiEvent

from livelayer_bus import RoomAccess, Session
from livelayer_bus.rooms import IsolatedRoom, LiveKitRoom, prepare_sdk
from livelayer_bus.testing import PATIENCE, polled

INSTANTS = (1, 5, 10, 20, 30, 45, 60, 80, 100, 130, 160, 200, 250, 300)  # ms
AT_ONCE = 5  # processes


class Watch:
    """Which rooms the native part has joined, and which of them report events."""

    def __init__(self) -> None:
        self._asked = 0
        self._answers = 0
        self._joined: set[int] = set()
        self._reporting: set[int] = set()
        self._changed = threading.Condition()
        queue = FfiClient.instance.queue
        queue.subscribe(cast(Any, object()), self._look)  # takes nothing: needs no loop
        request = FfiClient.instance.request

        def counted(req: Any) -> Any:
            self._asked += req.WhichOneof("message") == "connect"
            return request(req)

        FfiClient.instance.request = counted

    def _look(self, event: FfiEvent) -> bool:
        with self._changed:
            if event.WhichOneof("message") == "connect":
                self._answers += 1
                if event.connect.HasField("result"):
                    self._joined.add(event.connect.result.room.handle.id)
            elif event.WhichOneof("message") == "room_event":
                self._reporting.add(event.room_event.room_handle)
            self._changed.notify_all()
        return False

    def asked(self, joins: int) -> bool:
        """Whether so many joins have begun."""
        return self._asked >= joins

    def wait(self, rooms: int) -> None:
        """Return when every join has been answered, and every room joined, `rooms` at least."""

        def settled() -> bool:
            answered = self._answers == self._asked and len(self._joined) >= rooms
            return answered and self._joined <= self._reporting

        with self._changed:
            if not self._changed.wait_for(settled, PATIENCE):
                seen = f"{self._asked} asked, {self._answers} answered, {len(self._joined)} joined"
                raise SystemExit(f"{seen}, {len(self._joined - self._reporting)} unacknowledged")


def source(url: str, token: str) -> Callable[..., Any]:
    async def access(_: object) -> RoomAccess:
        return RoomAccess(url, token)

    return access


async def give_up(
    url: str, token: str, seconds: float, room: Callable[[], Any], cancellations: int
) -> None:
    """Join with a session, and leave its block `seconds` later, cancelled so many times."""

    async def use() -> None:
        async with Session("agent", tokens=source(url, token), room=room) as session:
            await session.connect()
            await asyncio.Event().wait()

    task = asyncio.create_task(use())
    for _ in range(cancellations):
        await asyncio.wait([task], timeout=seconds)
        task.cancel()
        seconds = 0.001
    await asyncio.wait([task])


def given_up(url: str, tokens: Iterable[str]) -> None:
    """Give up at many instants, in many ways; the loop is closed each time."""
    watch = Watch()
    ways = [(LiveKitRoom, 1), (LiveKitRoom, 3), (IsolatedRoom, 1), (IsolatedRoom, 3)]
    for number, (token, milliseconds) in enumerate(zip(tokens, INSTANTS, strict=False)):
        room, cancellations = ways[number % len(ways)]
        asyncio.run(give_up(url, token, milliseconds / 1000, room, cancellations))
    watch.wait(0)


def forgotten(url: str, tokens: list[str]) -> None:
    """Join by the SDK alone, in a loop that is closed before the answer."""
    prepare_sdk()
    watch = Watch()
    for token in tokens:
        loop = asyncio.new_event_loop()
        room = rtc.Room(loop)
        joining = loop.create_task(room.connect(url, token))
        loop.run_until_complete(asyncio.sleep(0))
        joining.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(joining)
        loop.close()
    watch.wait(len(tokens))


def blocked(url: str, tokens: Iterable[str]) -> None:
    """Block the loop until the room reports events, then go on as if nothing had happened."""

    async def main() -> None:
        watch = Watch()
        for number, token in enumerate(tokens, 1):
            async with Session("agent", tokens=source(url, token)) as session:
                joining = asyncio.create_task(session.connect())
                await polled(partial(watch.asked, number))
                watch.wait(number)
                await joining
                if session.connection_state != "connected":
                    raise SystemExit("not connected")

    asyncio.run(main())


class Slow(logging.Filter):
    """Keeps the native thread that logs in Python, for longer than the main thread has to end."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()

    def filter(self, record: logging.LogRecord) -> bool:
        if threading.current_thread() is not threading.main_thread():
            self.entered.set()
            threading.Event().wait(0.02)
        return False


def ending(url: str, tokens: Iterable[str]) -> None:
    """End a process right after it has joined, and right after it has left again."""
    codes: list[int] = []
    running = 0

    def reap() -> None:
        codes.append(os.waitstatus_to_exitcode(os.wait()[1]))

    for number, token in enumerate(tokens):
        if running == AT_ONCE:
            reap()
            running -= 1
        if os.fork() == 0:  # no native thread runs yet, and everything is imported
            asyncio.run(join_and_end(url, token, leave=bool(number % 2)))
            return
        running += 1
    for _ in range(running):
        reap()
    if any(codes):
        raise SystemExit(f"exit codes {codes}")


async def join_and_end(url: str, token: str, *, leave: bool) -> None:
    """Be gone while a native thread still reports."""
    prepare_sdk()
    room, slow = rtc.Room(), Slow()
    await room.connect(url, token)
    logger = logging.getLogger("livekit")
    logger.addFilter(slow)
    logger.setLevel(logging.DEBUG)
    if leave:
        await room.disconnect()
    slow.entered.wait(PATIENCE)


if __name__ == "__main__":
    mode, url, *tokens = sys.argv[1:]
    globals()[mode](url, tokens)
