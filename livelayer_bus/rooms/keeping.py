"""The room joined last, kept on the SDK's native side, so that the next one is heard.

The native part of `livekit` (since May 2026, seen with 1.1.21) ends the process's one audio device
when the last connection of any room is freed, and does not start it again for the next: its
`AdmProxy::Terminate` ends the device, its `AdmProxy::Init` does nothing (rust-sdks,
`webrtc-sys/src/adm_proxy.cpp`). A room freed while another is being joined, by Python's collector
for instance, leaves every later room of the process without sound: packets come, frames never.

With one room always kept there is never a last connection. It costs a closed connection's memory
(under 1 MB) and the idle native threads that any connected room has anyway.
"""

from __future__ import annotations

import atexit

from livekit import rtc
from livekit.rtc._ffi_client import FfiHandle

_kept: FfiHandle | None = None


def keep(room: rtc.Room) -> None:
    """Keep the native side of a joined `room` until this is called with another one.

    Closing and forgetting `room` goes on as always: what is kept is its handle, not the object,
    nor what listens to it.
    """
    global _kept  # one a process, as the audio device is
    if _kept is None:
        atexit.register(_let_go)  # runs before the SDK's own hook, which was there earlier
    # The SDK offers no other way to hold it. A release that renames it must not keep anybody from
    # joining; a test notices.
    _kept = getattr(room, "_ffi_handle", None)


def _let_go() -> None:
    global _kept
    _kept = None
