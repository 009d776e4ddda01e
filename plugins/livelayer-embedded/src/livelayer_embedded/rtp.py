"""The few fields of an RTP packet that a relay reads.

aiortc's `RtpPacket` is not used: reading and writing a packet with it takes 25 times as long as
what a relay does, and drops the header extensions that it does not know.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping


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
    for _, number, start, end in _extensions(packet):
        if number == wanted:
            return packet[start:end]
    return None


def with_extensions(packet: bytes, numbers: Mapping[int, int]) -> bytes:
    """The packet with these header extensions under other ids, and padding for all others."""
    out = bytearray(packet)
    for head, number, start, end in _extensions(packet):
        if number not in numbers:
            out[head:end] = bytes(end - head)
        elif start - head == 1:
            out[head] = numbers[number] << 4 | packet[head] & 15
        else:
            out[head] = numbers[number]
    return bytes(out)


def _extensions(packet: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Where each header extension begins, its id, and where its value begins and ends."""
    if not packet[0] & 16:
        return
    position = 12 + 4 * (packet[0] & 15)
    if len(packet) < position + 4:
        return
    profile, words = struct.unpack_from("!HH", packet, position)
    position += 4
    limit = min(position + 4 * words, len(packet))
    one_byte = profile == 0xBEDE
    if not one_byte and profile & 0xFFF0 != 0x1000:
        return
    while position < limit:
        head, first = position, packet[position]
        if first == 0:
            position += 1
            continue
        if one_byte:
            number, size, position = first >> 4, (first & 15) + 1, position + 1
            if number == 15:
                return
        else:
            if position + 1 >= limit:
                return
            number, size, position = first, packet[position + 1], position + 2
        yield head, number, position, min(position + size, limit)
        position += size


def without_redundancy(packet: bytes, payload_type: int) -> bytes:
    """The packet with only the primary block of its redundant audio (RFC 2198), of this type."""
    start = position = header_size(packet)
    redundant = 0
    while position + 3 < len(packet) and packet[position] & 0x80:
        redundant += int.from_bytes(packet[position + 2 : position + 4], "big") & 0x3FF
        position += 4
    head = packet[:1] + bytes((packet[1] & 0x80 | payload_type,)) + packet[2:start]
    return head + packet[position + 1 + redundant :]


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
