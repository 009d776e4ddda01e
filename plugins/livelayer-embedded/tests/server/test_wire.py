"""Reading and writing STUN, SDP, RTP and RTCP, hostile input included."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livelayer_embedded import aiortc_private, ice, rtp, sdp
from livelayer_embedded.svc import DependencyDescriptor, SpatialFilter

from livelayer_bus.testing import PATIENCE


def _request(ufrag: str, password: str, *, nominate: bool = False) -> bytes:
    name = f"{ufrag}:them".encode()
    body = struct.pack("!HH", 0x0006, len(name)) + name + bytes(-len(name) % 4)
    body += struct.pack("!HH", 0x0025, 0) if nominate else b""
    header = struct.pack("!HHI", 1, len(body) + 24, 0x2112A442) + b"123456789abc"
    digest = hmac.new(password.encode(), header + body, hashlib.sha1).digest()
    return header + body + struct.pack("!HH", 0x0008, 20) + digest


class _Client(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.got: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.got.put_nowait(data)


@pytest.mark.anyio
async def test_only_who_knows_the_password_gets_through() -> None:
    received: list[bytes] = []
    server = ice.IceSocket(received.append)
    await server.open()
    client, path = _Client(), None
    try:
        loop = asyncio.get_running_loop()
        path, _ = await loop.create_datagram_endpoint(
            lambda: client, remote_addr=(ice.LOOPBACK, server.port)
        )
        path.sendto(b"\x80 injected before any proof")
        path.sendto(_request(server.ufrag, "wrong"))
        path.sendto(_request("nobody", server.password))
        path.sendto(_request(server.ufrag, server.password, nominate=True))
        answer = await asyncio.wait_for(client.got.get(), PATIENCE)
        assert (answer[:2], answer[8:20]) == (b"\x01\x01", b"123456789abc")
        # The first attribute: XOR-MAPPED-ADDRESS, 8 bytes, IPv4.
        assert answer[20:26] == b"\x00\x20\x00\x08\x00\x01"
        port = int.from_bytes(answer[26:28], "big") ^ 0x2112
        assert port == path.get_extra_info("sockname")[1]
        assert (received, server.rejected) == ([], 3)
        old = (server.ufrag, server.password)
        server.restart()
        for ufrag, password in (old, (server.ufrag, server.password)):
            path.sendto(_request(ufrag, password))
            await asyncio.wait_for(client.got.get(), PATIENCE)
        server.send(b"hello")
        assert await asyncio.wait_for(client.got.get(), PATIENCE) == b"hello"
    finally:
        server.close()
        if path is not None:
            path.close()


@given(st.binary(max_size=200))
def test_no_bytes_break_the_readers(data: bytes) -> None:
    ice.parse_stun(data)
    for item in aiortc_private.parse_rtcp(data):
        assert all(0 <= ssrc < 1 << 32 for ssrc in aiortc_private.keyframe_targets(item))
        assert all(0 <= number < 1 << 16 for number in aiortc_private.lost_packets(item)[1])
        aiortc_private.sender_time(item)
    if len(data) >= 12:
        rtp.extension(data, 3)
        rtp.starts_keyframe("vp8", data)
        rtp.without_redundancy(data, 111)
        rtp.starts_keyframe("h264", data)
        SpatialFilter(DependencyDescriptor(3), 1).admit(data, data[3])


@given(st.text(max_size=400))
def test_a_description_is_read_or_refused(text: str) -> None:
    try:
        description = sdp.parse("m=video 9 UDP/TLS/RTP/SAVPF 96\r\n" + text)
        for media in description.media:
            _ = (media.codec(), media.extensions(), media.rids, media.ssrcs)
    except (ValueError, LookupError):
        return
    assert description.media[0].kind == "video"


def _packet(
    number: int, extensions: bytes = b"", payload: bytes = b"x", profile: int = 0xBEDE
) -> bytes:
    padded = extensions + bytes(-len(extensions) % 4)
    head = struct.pack("!BBHII", 0x90, 96, number, 5, 6)
    return head + struct.pack("!HH", profile, len(padded) // 4) + padded + payload


def test_extensions_are_found_in_both_forms() -> None:
    one = _packet(1, bytes([0x30]) + b"a" + bytes([0x41]) + b"bc")
    two = _packet(1, bytes([3, 1]) + b"a" + bytes([20, 2]) + b"bc", profile=0x1000)
    assert (rtp.extension(one, 3), rtp.extension(one, 4)) == (b"a", b"bc")
    assert (rtp.extension(two, 3), rtp.extension(two, 20)) == (b"a", b"bc")
    assert rtp.extension(one, 5) is None
    assert one[rtp.header_size(one) :] == b"x"


@pytest.mark.parametrize(
    ("codec", "payload", "starts"),
    [
        ("vp8", b"\x10\x00", True),
        ("vp8", b"\x10\x01", False),
        ("vp8", b"\x00\x00", False),
        ("vp8", b"\x90\x80\x81\x02\x00", True),
        ("vp8", b"\x90\xe0\x81\x02\x05\x20\x01", False),
        ("h264", b"\x65", True),
        ("h264", b"\x67", True),
        ("h264", b"\x41", False),
        ("h264", b"\x78\x00\x09\x67", True),
        ("h264", b"\x7c\x85", True),
        ("h264", b"\x7c\x05", False),
        ("opus", b"\x01", True),
    ],
)
def test_key_frames_are_recognised(codec: str, payload: bytes, starts: bool) -> None:
    assert rtp.starts_keyframe(codec, _packet(1, payload=payload)) is starts


def test_feedback_is_written_and_read() -> None:
    fir = struct.pack("!BBHIIIHH", 0x84, 206, 4, 1, 0, 9, 0, 0)
    compound = aiortc_private.pli(7) + fir + aiortc_private.nack(8, [65535, 0, 9])
    packets = aiortc_private.parse_rtcp(compound)
    targets = [aiortc_private.keyframe_targets(packet) for packet in packets]
    assert targets == [[7], [9], [], [], []]
    lost = [aiortc_private.lost_packets(packet) for packet in packets]
    assert lost == [(0, []), (0, []), (8, [65535]), (8, [0]), (8, [9])]


def test_a_nack_that_wraps_around_names_all_its_packets() -> None:
    nack = struct.pack("!BBHIIHH", 0x81, 205, 3, 1, 8, 65535, 0b11)
    (packet,) = aiortc_private.parse_rtcp(nack)
    assert aiortc_private.lost_packets(packet) == (8, [65535, 0, 1])


def test_a_receiver_report_says_what_was_lost_and_what_may_be_sent() -> None:
    block = aiortc_private.ReceiverReport(9, 64, 3, 70000, 0, 0, 0)
    data = aiortc_private.receiver_report([block], 20_000_000, [1, 2])
    assert data[:8] == bytes.fromhex("80c9000100000001")  # empty, in front of the estimate
    assert data[20:24] == b"REMB"
    mantissa = int.from_bytes(data[25:28], "big")
    assert (mantissa & 0x3FFFF) << (mantissa >> 18) == pytest.approx(20_000_000, rel=0.01)
    ssrc, lost, highest = struct.unpack_from("!III", data, 44)
    assert (ssrc, lost >> 24, lost & 0xFFFFFF, highest) == (9, 64, 3, 70000)


def test_a_sender_report_keeps_its_time() -> None:
    data = aiortc_private.sender_report(5, 1 << 40, (1 << 32) + 7, 3, 4)
    (packet,) = aiortc_private.parse_rtcp(data)
    assert aiortc_private.sender_time(packet) == (5, 1 << 40, 7)


OFFER = """v=0
a=ice-ufrag:abcd
a=fingerprint:sha-256 AA:BB
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
a=mid:0
m=video 9 UDP/TLS/RTP/SAVPF 97 96
a=mid:1
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=extmap:5/sendonly urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id
a=sendonly
a=msid:- the-cid
a=rtpmap:97 rtx/90000
a=rtpmap:96 VP8/90000
a=fmtp:96 max-fr=30
a=rid:f send
a=rid:q send
a=simulcast:send f;~q,x
a=ssrc:11 cname:x
a=ssrc:11 msid:- the-cid
a=ssrc:12 cname:x
""".replace("\n", "\r\n")


def test_an_offer_is_understood() -> None:
    offer = sdp.parse(OFFER)
    video = offer.media[1]
    assert (offer.ufrag, offer.fingerprint) == ("abcd", ("sha-256", "AA:BB"))
    assert (video.mid, video.track_id, video.sends) == ("1", "the-cid", True)
    assert (video.rids, video.ssrcs) == (["f", "q"], [11, 12])
    assert video.extensions() == {sdp.MID_EXTENSION: 4, sdp.RID_EXTENSION: 5}
    assert video.codec() == sdp.Codec(96, "VP8", 90000, "", "max-fr=30")


@pytest.mark.parametrize(
    ("offered", "ordered"),
    [
        ("q;h;f", "q;h;f"),
        ("f;h;q", "q;h;f"),
        ("f;q", "q;f"),
        ("0;1;2", "2;1;0"),
        ("small;large", "small;large"),
    ],
)
def test_the_lowest_simulcast_stream_comes_first(offered: str, ordered: str) -> None:
    assert sdp.lowest_first(offered.split(";")) == ordered.split(";")


BROWSER_OFFER = """m=audio 9 UDP/TLS/RTP/SAVPF 111 63
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;stereo=1;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
m=video 9 UDP/TLS/RTP/SAVPF 96 97 102 104 108 98
a=rtpmap:96 VP8/90000
a=rtpmap:97 rtx/90000
a=rtpmap:102 H264/90000
a=fmtp:102 packetization-mode=1;profile-level-id=42001f
a=rtpmap:104 H264/90000
a=fmtp:104 packetization-mode=0;profile-level-id=42e01f
a=rtpmap:108 H264/90000
a=fmtp:108 packetization-mode=1;profile-level-id=42e01f
a=rtpmap:98 VP9/90000
"""


@pytest.mark.parametrize(
    ("wanted", "number"), [("", 96), ("h264", 108), ("VP9", 98), ("AV1", 96), ("rtx", 96)]
)
def test_the_announced_codec_is_taken_from_all_that_are_offered(wanted: str, number: int) -> None:
    codec = sdp.parse(BROWSER_OFFER).media[1].codec(wanted)
    assert codec is not None
    assert codec.payload_type == number


def test_the_redundant_form_belongs_to_its_codec() -> None:
    audio = sdp.parse(BROWSER_OFFER).media[0]
    opus = audio.codec()
    assert opus is not None
    red = audio.red(opus)
    assert red is not None
    assert (red.payload_type, red.fmtp) == (63, "111/111")
    assert audio.red(sdp.Codec(109, "opus", 48000)) is None
    mono = sdp.with_parameters(opus, "usedtx=1", without=("stereo",))
    assert mono.fmtp == "minptime=10;useinbandfec=1;usedtx=1"


def test_only_the_primary_block_of_redundant_audio_is_left() -> None:
    blocks = struct.pack("!BHB", 0x80 | 111, 960 << 2, 3) + b"\x6fOLDprimary"
    packet = rtp.without_redundancy(_packet(1, b"\x10x", blocks), 111)
    assert packet[1] == 111
    assert packet[rtp.header_size(packet) :] == b"primary"


def _layered(
    number: int, template: int, *, start: bool = True, end: bool = True, key: bool = False
) -> bytes:
    flags = (0x80 if start else 0) | (0x40 if end else 0) | template
    data = bytes([flags, 0, 1])
    if key:
        # Structure present; offset 0, three templates: spatial 0, 1, 2, then the end mark.
        bits = "10000" + "000000" + "00010" + "10" + "10" + "11"
        bits += "0" * (-len(bits) % 8)
        data += int(bits, 2).to_bytes(len(bits) // 8, "big")
    return _packet(number, bytes([0x30 | len(data) - 1]) + data)


def test_higher_spatial_layers_are_left_out_without_a_gap() -> None:
    layers = SpatialFilter(DependencyDescriptor(3), 2)
    picture = [layers.admit(_layered(i, i, key=i == 0), i) for i in range(3)]
    assert picture == [(0, False), (1, False), (2, True)]
    layers.wanted = 0
    lower = [layers.admit(_layered(3 + i, i), 3 + i) for i in range(3)]
    assert lower == [(3, True), None, None]
    assert layers.admit(_layered(6, 0), 6) == (4, True)
    assert (layers.original(4), layers.original(3)) == (6, 3)
    layers.wanted = 2
    assert layers.needs_keyframe
    assert layers.admit(_layered(7, 1), 7) is None
    assert layers.admit(_layered(8, 0, key=True), 8) == (5, False)
    assert layers.admit(_layered(9, 2), 9) == (6, True)
