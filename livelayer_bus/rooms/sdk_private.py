"""Everything that touches private parts of the `livekit` SDK or outlives its calls.

Checked against livekit 1.1.21 and 1.2.1; tests in `tests/rooms` (test_keeping, test_pausing,
test_sdk_process) fail when an upgrade changes one of these.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final, cast
from weakref import WeakSet

from livekit import rtc
from livekit.rtc._ffi_client import FfiClient, FfiHandle
from livekit.rtc._proto.ffi_pb2 import FfiEvent, FfiRequest
from livekit.rtc._utils import RingQueue

from ..errors import ConnectError
from ..tasks import RootTask, TaskOwner, Work
from ..tokens.access import is_local, shown
from .errors import NETWORK_ADVICE, network_problem, without_tokens_in

# Keeping the last room ----------------------------------------------------------------------
#
# The native part of `livekit` (since May 2026, seen with 1.1.21) ends the process's one audio
# device when the last connection of any room is freed, and does not start it again: see `AdmProxy`
# in rust-sdks, `webrtc-sys/src/adm_proxy.cpp`. A room freed while another is being joined, by
# Python's collector for instance, leaves every later room without sound.
#
# With one room always kept there is never a last connection. It costs under 1 MB, and the idle
# native threads that any connected room has anyway.

_kept: FfiHandle | None = None


def keep(room: rtc.Room) -> None:
    """Keep the native side of a joined `room` until this is called with another one.

    Every room adapter calls it. For an application that calls `rtc.Room.connect` by itself, and
    again in the same process: right after each join, or all later rooms may be without sound.

    Its handle is kept, not the object nor what listens to it: close and forget `room` as always.
    """
    global _kept  # one a process, as the audio device is
    prepare_sdk()
    # The only way to hold it. A release that renames it must not prevent joining; a test notices.
    _kept = getattr(room, "_ffi_handle", None)


# Neither a join nor the end ends the process ------------------------------------------------
#
# The native part waits 15 to 20 s for an acknowledgement of each join it has reported, and sends
# its own process SIGTERM if none comes (rust-sdks, `livekit-ffi/src/server/room.rs`). The SDK
# acknowledges in the loop that began the join: never, if that is blocked, closed or has cancelled
# `Room.connect`. So the thread that reports the join does too. No event is missed: a room
# subscribes to them before it asks to join.
#
# A native thread that still reports something, a line of its log for instance, when Python
# finalizes is unwound by force (`PyThread_exit_thread`, up to Python 3.13), which Rust answers by
# aborting: "panic in a function that cannot unwind". So the native part is disposed before, and
# the main thread waits until no native thread is in Python any more.

EXIT_SECONDS: Final = 1.0  # for native threads to finish their reports; microseconds, if idle

_prepared = False


def prepare_sdk(url: str = "") -> None:
    """Keep the SDK from ending the process, and tokens out of its log; before each join.

    Every room adapter calls it. For an application that calls `rtc.Room.connect` by itself.

    Args:
        url: the server; one on this machine is not asked through a proxy: from here on native
            code, which knows no `NO_PROXY`, sees no `HTTP_PROXY`; `os.environ` stays as it is.

    Raises:
        ConnectError: `url` is given, and this machine has no network interface to reach it from.
    """
    global _prepared
    problem = network_problem() if url else None
    if problem is not None:
        raise ConnectError(shown(url), problem, NETWORK_ADVICE)
    if is_local(url):
        for name in ("HTTP_PROXY", "http_proxy"):
            os.unsetenv(name)
    if _prepared:
        return
    _prepared = True
    logging.getLogger("livekit").addFilter(without_tokens_in)
    queue = FfiClient.instance.queue  # registers the SDK's exit hook, so that ours runs before it
    atexit.register(_end)
    queue.subscribe(cast(Any, object()), _acknowledge)  # no event passes: the loop is never used


def _acknowledge(event: FfiEvent) -> bool:
    # Called in the native thread. It acknowledges twice at most, which changes nothing.
    if event.WhichOneof("message") == "connect" and event.connect.HasField("result"):
        request = FfiRequest()
        request.ready_for_room_event.room_handle = event.connect.result.room.handle.id
        FfiClient.instance.request(request)
    return False


def _end() -> None:
    global _kept
    _kept = None
    FfiClient.instance._dispose()  # noqa: SLF001 - leaves every room; from here on no report begins
    until = time.monotonic() + EXIT_SECONDS
    while True:
        time.sleep(0.01)  # gives native threads the interpreter
        python = {
            thread.ident
            for thread in threading.enumerate()
            if not isinstance(thread, threading._DummyThread)  # noqa: SLF001
        }
        # Unlike `_current_frames` it has threads that wait to enter Python, too.
        threads = sys._current_exceptions().keys()  # noqa: SLF001
        if threads <= python or time.monotonic() > until:
            return


# Pausing a track at the server --------------------------------------------------------------


_disabled: WeakSet[rtc.RemoteTrackPublication] = WeakSet()


def set_enabled(publication: rtc.RemoteTrackPublication, enabled: bool) -> None:
    """Have the server send the track, or not; done when the server has read it.

    The SDK can do this but does not offer it in Python; a track that `set_subscribed` has taken
    off does not come back. Disabling keeps the subscription: the server sends nothing, and a key
    frame when the track is enabled again. A track that is gone is left alone: asked to change it,
    the SDK's native side ends the process.
    """
    if publication.track is None or enabled is (publication not in _disabled):
        return
    (_disabled.discard if enabled else _disabled.add)(publication)
    request = FfiRequest()
    asked = request.enable_remote_track_publication
    asked.track_publication_handle = publication._ffi_handle.handle  # noqa: SLF001 - see above
    asked.enabled = enabled
    FfiClient.instance.request(request)


# Counting what a stream drops ----------------------------------------------------------------


class _CountingQueue(RingQueue[Any]):
    def __init__(self, capacity: int, on_drop: Callable[[], None]) -> None:
        super().__init__(capacity)
        self._on_drop = on_drop

    def put(self, item: Any) -> None:
        if len(self._queue) == self._capacity:
            self._on_drop()
        super().put(item)


def count_drops(stream: rtc.VideoStream | rtc.AudioStream, on_drop: Callable[[], None]) -> None:
    """Call `on_drop` for each frame that a stream's own queue drops: the event loop was blocked.

    To be called right after the stream is made: its task has not run yet.
    """
    stream._queue = _CountingQueue(stream._queue._capacity, on_drop)  # noqa: SLF001 - see above


# Work that cannot be aborted ----------------------------------------------------------------

_tasks: Final = TaskOwner()


def run_to_end(work: Work, name: str) -> RootTask:
    """Start `work`, which is bounded in time, on a task that is never cancelled.

    A join cut short leaves a ghost in the room; a stream half closed still gets every event.
    """
    return _tasks.start(work, name)
