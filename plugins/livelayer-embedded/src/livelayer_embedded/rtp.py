"""RTP and RTCP on the wire: the few fields a relay reads, the few packets it writes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

SENDER_REPORT = 200
RECEIVER_REPORT = 201
TRANSPORT_FEEDBACK = 205
PAYLOAD_FEEDBACK = 206
NACK = 1  # transport feedback
PLI, FIR, REMB = 1, 4, 15  # payload feedback

OWN_SSRC = 1  # what the server's own reports are sent as


def header_size(packet: bytes) -> int:
    """Bytes before the payload: fixed header, CSRCs and extensions."""
    size = 12 + 4 * (packet[0] & 15)
    if packet[0] & 16:
        if len(packet) < size + 4:
            return len(packet)
        size += 4 + 4 * int.from_bytes(packet[size + 2 : size + 4], "big")
    return size


def extension(packet: bytes, wanted: int) -> bytes | None:
    """The header extension with this id, in one-byte or two-byte form, or None."""
    if not packet[0] & 16:
        return None
    position = 12 + 4 * (packet[0] & 15)
    if len(packet) < position + 4:
        return None
    profile, words = struct.unpack_from("!HH", packet, position)
    position += 4
    end = min(position + 4 * words, len(packet))
    one_byte = profile == 0xBEDE
    if not one_byte and profile & 0xFFF0 != 0x1000:
        return None
    while position < end:
        first = packet[position]
        if first == 0:
            position += 1
            continue
        if one_byte:
            number, size, position = first >> 4, (first & 15) + 1, position + 1
            if number == 15:
                return None
        else:
            if position + 1 >= end:
                return None
            number, size, position = first, packet[position + 1], position + 2
        if number == wanted:
            return packet[position : position + size]
        position += size
    return None


def starts_keyframe(codec: str, packet: bytes) -> bool:
    """Whether a decoder can start at this packet; True for codecs this relay cannot read."""
    payload = packet[header_size(packet) :]
    if not payload:
        return False
    if codec == "vp8":
        return _vp8_keyframe(payload)
    if codec == "h264":
        return _h264_keyframe(payload)
    return True


def _vp8_keyframe(payload: bytes) -> bool:
    first = payload[0]
    if not first & 0x10 or first & 0x07:
        return False
    position = 1
    if first & 0x80 and len(payload) > 1:
        flags = payload[1]
        position = 2
        if flags & 0x80 and len(payload) > position:
            position += 2 if payload[position] & 0x80 else 1
        position += 1 if flags & 0x40 else 0
        position += 1 if flags & 0x30 else 0
    return len(payload) > position and not payload[position] & 0x01


def _h264_keyframe(payload: bytes) -> bool:
    kind = payload[0] & 31
    if kind in (5, 7):
        return True
    if kind == 24 and len(payload) > 3:
        return payload[3] & 31 in (5, 7)
    return kind == 28 and len(payload) > 1 and payload[1] & 0x80 != 0 and payload[1] & 31 in (5, 7)


@dataclass(frozen=True)
class Feedback:
    """One packet of a compound RTCP packet: its header's fields and the rest."""

    kind: int
    count: int
    body: bytes

    @property
    def sender(self) -> int:
        """The SSRC that sent it."""
        return int.from_bytes(self.body[:4], "big")

    @property
    def media(self) -> int:
        """The SSRC a feedback packet is about."""
        return int.from_bytes(self.body[4:8], "big")

    def fir_targets(self) -> list[int]:
        """The SSRCs a full intra request names."""
        return [
            int.from_bytes(self.body[i : i + 4], "big") for i in range(8, len(self.body) - 7, 8)
        ]

    def lost(self) -> list[int]:
        """The sequence numbers a NACK asks for."""
        result: list[int] = []
        for position in range(8, len(self.body) - 3, 4):
            base, mask = struct.unpack_from("!HH", self.body, position)
            result.append(base)
            result += [(base + 1 + bit) & 0xFFFF for bit in range(16) if mask >> bit & 1]
        return result


def split_rtcp(data: bytes) -> Iterator[Feedback]:
    """The packets of a compound RTCP packet; stops at the first malformed one."""
    position = 0
    while position + 8 <= len(data):
        first, kind, words = struct.unpack_from("!BBH", data, position)
        end = position + 4 + 4 * words
        if first >> 6 != 2 or end > len(data):
            return
        yield Feedback(kind, first & 31, data[position + 4 : end])
        position = end


def pli(media: int) -> bytes:
    """A picture loss indication."""
    return struct.pack("!BBHII", 0x80 | PLI, PAYLOAD_FEEDBACK, 2, OWN_SSRC, media)


def nack(media: int, lost: list[int]) -> bytes:
    """A NACK for these sequence numbers."""
    items = b"".join(struct.pack("!HH", number, 0) for number in lost)
    return (
        struct.pack("!BBHII", 0x80 | NACK, TRANSPORT_FEEDBACK, 2 + len(lost), OWN_SSRC, media)
        + items
    )


def remb(bitrate: int, ssrcs: list[int]) -> bytes:
    """The receiver's estimate of the bandwidth, in bits a second, for these SSRCs."""
    exponent = max(0, bitrate.bit_length() - 18)
    packed = exponent << 18 | bitrate >> exponent
    body = struct.pack("!II4sI", OWN_SSRC, 0, b"REMB", len(ssrcs) << 24 | packed)
    body += struct.pack(f"!{len(ssrcs)}I", *ssrcs)
    return struct.pack("!BBH", 0x80 | REMB, PAYLOAD_FEEDBACK, len(body) // 4) + body


def receiver_report(blocks: list[bytes]) -> bytes:
    """A receiver report with at most 31 blocks."""
    return struct.pack(
        "!BBHI", 0x80 | len(blocks), RECEIVER_REPORT, 1 + 6 * len(blocks), OWN_SSRC
    ) + b"".join(blocks)


def report_block(
    ssrc: int, fraction: int, lost: int, highest: int, last_report: int, delay: int
) -> bytes:
    """One source's block of a receiver report; jitter is not measured and said to be 0."""
    return struct.pack(
        "!IIIIII",
        ssrc,
        fraction << 24 | max(0, min(lost, 0x7FFFFF)),
        highest & 0xFFFFFFFF,
        0,
        last_report,
        delay & 0xFFFFFFFF,
    )


def sender_report(ssrc: int, ntp: int, timestamp: int, packets: int, octets: int) -> bytes:
    """A sender report; `ntp` is the 64-bit NTP time that matches `timestamp`."""
    return struct.pack(
        "!BBHIQIII",
        0x80,
        SENDER_REPORT,
        6,
        ssrc,
        ntp,
        timestamp & 0xFFFFFFFF,
        packets & 0xFFFFFFFF,
        octets & 0xFFFFFFFF,
    )
