# ruff: noqa: SLF001
"""Closes a peer connection so that nothing of it is left: the private part of aiortc's ICE.

A connection that is closed while its checks are just succeeding begins to watch over the other
side's consent afterwards, for ever. aiortc is pinned exactly, and
`tests/media/peer/test_peer_aiortc_pin.py` checks every part used here.
"""

from __future__ import annotations

from typing import Any

from aiortc import RTCPeerConnection


async def close_peer(peer: RTCPeerConnection) -> None:
    """Close it, and end what it may have begun meanwhile."""
    transports: set[Any] = {one.receiver.transport.transport for one in peer.getTransceivers()}
    for transport in transports:
        transport.start = _start_nothing
    await peer.close()
    for transport in transports:
        started = transport._RTCIceTransport__start
        if started is not None:
            await started.wait()
            await transport._connection.close()


async def _start_nothing(_: object) -> None:
    """For who is still connecting, one track after the other, and would raise with nobody there."""
