"""What a client asks for when it opens its socket, in either of the two forms clients use."""

from __future__ import annotations

import base64
import zlib

from aiohttp import web
from google.protobuf.message import DecodeError
from livekit.protocol import models, rtc
from multidict import MultiMapping

MAX_SIZE = 1 << 20  # bytes of an uncompressed join request

_GZIP = 31  # the window size that makes zlib expect a gzip header
_CAPABILITIES = {
    "CAP_PACKET_TRAILER": models.ClientInfo.CAP_PACKET_TRAILER,
    "CAP_COMPRESSION_DEFLATE_RAW": models.ClientInfo.CAP_COMPRESSION_DEFLATE_RAW,
}


def of_query(query: MultiMapping[str]) -> rtc.JoinRequest:
    """The request of a client with two peer connections, which puts it into single parameters."""
    client = models.ClientInfo()
    if query.get("client_protocol", "").isdecimal():
        client.client_protocol = min(int(query["client_protocol"][:9]), 1 << 30)
    names = query.get("capabilities", "").split(",")
    client.capabilities.extend(_CAPABILITIES[name] for name in names if name in _CAPABILITIES)
    return rtc.JoinRequest(
        client_info=client,
        connection_settings=rtc.ConnectionSettings(
            auto_subscribe=query.get("auto_subscribe", "1") not in ("0", "false")
        ),
        reconnect=query.get("reconnect") == "1",
        participant_sid=query.get("sid", ""),
    )


def of_single_connection(query: MultiMapping[str]) -> rtc.JoinRequest:
    """The request of a client with one peer connection.

    Raises:
        HTTPBadRequest: it is missing, malformed or too large.
    """
    text = query.get("join_request", "")
    if not text:
        raise web.HTTPBadRequest(text="join_request is required")
    try:
        wrapped = rtc.WrappedJoinRequest.FromString(base64.b64decode(text, b"-_", validate=True))
        data = wrapped.join_request
        if wrapped.compression == rtc.WrappedJoinRequest.GZIP:
            unpacking = zlib.decompressobj(_GZIP)
            data = unpacking.decompress(data, MAX_SIZE)
            if not unpacking.eof:
                raise web.HTTPBadRequest(text="the join request is cut short or too large")
        return rtc.JoinRequest.FromString(data)
    except (ValueError, zlib.error, DecodeError) as exc:
        raise web.HTTPBadRequest(text="cannot decode the join request") from exc
