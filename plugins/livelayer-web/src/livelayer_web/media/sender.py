# ruff: noqa: SLF001
"""What a page's receiver reports about what it is sent: the private part of aiortc's sender.

aiortc tells nobody that a picture was lost, or how much the page can receive; with packets instead
of frames it has no use for it itself. The only file that touches its sender's private parts: aiortc
is pinned exactly, and `tests/media/peer/test_peer_aiortc_pin.py` checks every part used here.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from aiortc.rtcrtpsender import RTCRtpSender
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpSrPacket,
    unpack_remb_fci,
)

LOST_UNIT: Final = 256  # a report's fraction of lost packets is in 256ths


class Reports(Protocol):
    """Who hears what the receiver says of one track; called in the loop, must not wait."""

    def picture_lost(self) -> None:
        """It cannot go on without a key frame."""
        ...

    def estimated(self, bitrate: int) -> None:
        """It believes that it can receive so many bits a second, all tracks together."""
        ...

    def lost(self, fraction: float) -> None:
        """Since its last report this part of the packets was lost, 0 to 1."""
        ...


def hear_reports(sender: RTCRtpSender, reports: Reports) -> None:
    """Have `reports` hear what the receiver says, beside what aiortc does with it itself."""
    private: Any = sender
    handle = private._handle_rtcp_packet

    async def heard(packet: object) -> None:
        if isinstance(packet, RtcpPsfbPacket):
            _hear_feedback(packet, private._ssrc, reports)
        elif isinstance(packet, (RtcpRrPacket, RtcpSrPacket)):
            for report in packet.reports:
                if report.ssrc == private._ssrc:
                    reports.lost(report.fraction_lost / LOST_UNIT)
        await handle(packet)

    private._handle_rtcp_packet = heard


def _hear_feedback(packet: RtcpPsfbPacket, ssrc: int, reports: Reports) -> None:
    if packet.fmt in (RTCP_PSFB_PLI, RTCP_PSFB_FIR):
        reports.picture_lost()
    elif packet.fmt == RTCP_PSFB_APP:
        try:
            bitrate, ssrcs = unpack_remb_fci(packet.fci)
        except ValueError:
            return  # some other message of an application's
        if ssrc in ssrcs:
            reports.estimated(bitrate)
