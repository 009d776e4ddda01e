"""Pausing a subscribed track at the server, which the SDK can do but does not offer in Python.

`RemoteTrackPublication.set_subscribed` is no substitute: after it has unsubscribed a track, a
LiveKit server and this SDK do not bring the track back. Disabling keeps the subscription: the
server sends nothing, and a key frame when the track is enabled again.
"""

from __future__ import annotations

from livekit import rtc
from livekit.rtc._ffi_client import FfiClient
from livekit.rtc._proto.ffi_pb2 import FfiRequest


def set_enabled(publication: rtc.RemoteTrackPublication, enabled: bool) -> None:
    """Have the server send the track, or not; done when the server has read it.

    A track that is gone is left alone.
    """
    request = FfiRequest()
    asked = request.enable_remote_track_publication
    asked.track_publication_handle = publication._ffi_handle.handle  # noqa: SLF001 - see above
    asked.enabled = enabled
    FfiClient.instance.request(request)
