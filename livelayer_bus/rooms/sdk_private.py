"""Everything that touches private parts of the `livekit` SDK or outlives its calls.

Checked against livekit 1.1.21; tests in `tests/rooms` (test_keeping, test_pausing) fail when an
upgrade changes one of these.
"""

from __future__ import annotations

import atexit
from typing import Final

from livekit import rtc
from livekit.rtc._ffi_client import FfiClient, FfiHandle
from livekit.rtc._proto.ffi_pb2 import FfiRequest

from ..tasks import RootTask, TaskOwner, Work

# Keeping the last room ----------------------------------------------------------------------
#
# The native part of `livekit` (since May 2026, seen with 1.1.21) ends the process's one audio
# device when the last connection of any room is freed, and does not start it again for the next:
# its `AdmProxy::Terminate` ends the device, its `AdmProxy::Init` does nothing (rust-sdks,
# `webrtc-sys/src/adm_proxy.cpp`). A room freed while another is being joined, by Python's
# collector for instance, leaves every later room of the process without sound: packets come,
# frames never.
#
# With one room always kept there is never a last connection. It costs a closed connection's
# memory (under 1 MB) and the idle native threads that any connected room has anyway.

_kept: FfiHandle | None = None


def keep(room: rtc.Room) -> None:
    """Keep the native side of a joined `room` until this is called with another one.

    Closing and forgetting `room` goes on as always: what is kept is its handle, not the object,
    nor what listens to it.
    """
    global _kept  # one a process, as the audio device is
    if _kept is None:
        atexit.register(_let_go)  # runs before the SDK's own hook, which was registered earlier
    # The SDK offers no other way to hold it. A release that renames it must not prevent joining;
    # a test notices.
    _kept = getattr(room, "_ffi_handle", None)


def _let_go() -> None:
    global _kept
    _kept = None


# Pausing a track at the server --------------------------------------------------------------


def set_enabled(publication: rtc.RemoteTrackPublication, enabled: bool) -> None:
    """Have the server send the track, or not; done when the server has read it.

    The SDK can do this but does not offer it in Python. `RemoteTrackPublication.set_subscribed`
    is not a substitute: after it has unsubscribed a track, a LiveKit server and this SDK do not
    bring the track back. Disabling keeps the subscription: the server sends nothing, and a key
    frame when the track is enabled again. A track that is gone is left alone.
    """
    request = FfiRequest()
    asked = request.enable_remote_track_publication
    asked.track_publication_handle = publication._ffi_handle.handle  # noqa: SLF001 - see above
    asked.enabled = enabled
    FfiClient.instance.request(request)


# Work that cannot be aborted ----------------------------------------------------------------

_tasks: Final = TaskOwner()


def run_to_end(work: Work, name: str) -> RootTask:
    """Start `work` on a task that is never cancelled; what it raises is in the task's `error`.

    For work of the SDK that outlives the caller: a join that is cut short would leave a ghost in
    the room, a stream half closed would stay subscribed to every event of the process. Each such
    task ends by itself, in bounded time.
    """
    return _tasks.start(work, name)
