"""A published track on the server, fed with packets made by hand."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable

import pylibsrtp
import pytest
from livekit.protocol.models import ParticipantInfo, TrackInfo
from livelayer_embedded.aiortc_private import Certificate, lost_packets, parse_rtcp, pli
from livelayer_embedded.participant import Participant, Track
from livelayer_embedded.relay import SILENCE, DownTrack, UpTrack
from livelayer_embedded.sdp import AUDIO_LEVEL_EXTENSION, Codec
from livelayer_embedded.transport import PeerTransport

ANY = pylibsrtp.Policy.SSRC_ANY_OUTBOUND
OPUS, RED = Codec(111, "opus", 48000, "2"), Codec(63, "red", 48000, "2", "111/111")
STEP = 960  # clock ticks of 20 ms


def audio_track(send_rtcp: Callable[[bytes], None] = lambda data: None) -> UpTrack:
    track = Track(Participant(ParticipantInfo()), TrackInfo(), "cid")
    return UpTrack(
        track,
        OPUS,
        RED,
        "audio",
        "0",
        [],
        {AUDIO_LEVEL_EXTENSION: 1},
        send_rtcp,
        lambda seconds, call: pytest.fail("audio has no key frames"),
    )


def packet(number: int, timestamp: int, level: int = 5, payload: bytes = b"\x6fx") -> bytes:
    head = struct.pack("!BBHII", 0x90, RED.payload_type, number, timestamp & 0xFFFFFFFF, 7)
    return head + struct.pack("!HHBBH", 0xBEDE, 1, 0x10, level, 0) + payload


def test_a_beep_is_not_speech_and_speech_ends() -> None:
    up_track = audio_track()
    start = (1 << 32) - 5 * STEP  # the timestamps wrap around
    levels = []
    for loud in (3, 25, 0):
        for _ in range(25):
            level = 20 if loud > 0 else 90
            up_track.observe_level(packet(0, start, level))
            start += STEP
            loud -= 1
        levels.append(up_track.take_level())
    assert levels == [SILENCE, 20, SILENCE]


def test_a_pause_between_two_loud_packets_is_not_speech() -> None:
    up_track = audio_track()
    for index in range(3):
        up_track.observe_level(packet(index, index * 48000))
    assert up_track.take_level() == SILENCE


@pytest.mark.parametrize(
    ("takes_red", "numbers", "sent"),
    [
        (True, {111: 111, 63: 63}, (63, b"\x6fx")),
        (True, {111: 96, 63: 97}, (97, b"\x6fx")),
        (False, {111: 111}, (111, b"x")),
        (False, {111: 96}, (96, b"x")),
    ],
)
def test_redundant_audio_reaches_a_subscriber_in_a_form_it_takes(
    takes_red: bool, numbers: dict[int, int], sent: tuple[int, bytes]
) -> None:
    up_track = audio_track()
    out: list[bytes] = []
    down_track = DownTrack(up_track, 9, out.append, out.append)
    layer = up_track.add_layer(7, "")
    down_track.start(numbers, takes_red=takes_red)
    layer.received(packet(1, 0), time.monotonic())
    (only,) = out
    assert (only[1], only[20:]) == sent
    assert only[8:12] == bytes((0, 0, 0, 9))


def test_any_number_of_lost_packets_is_requested_in_datagrams_that_can_be_sent() -> None:
    requests: list[bytes] = []
    up_track = audio_track(requests.append)
    down_track = DownTrack(up_track, 9, lambda data: None, lambda data: None)
    layer = up_track.add_layer(7, "")
    down_track.start({111: 111, 63: 63}, takes_red=True)
    layer.received(packet(1, 0), time.monotonic())
    lost = list(range(2, 3000))
    down_track.resend(lost)
    named = [lost_packets(one) for request in requests for one in parse_rtcp(request)]
    assert [number for _, numbers in named for number in numbers] == lost
    assert {media for media, _ in named} == {7}
    session = pylibsrtp.Session(pylibsrtp.Policy(key=bytes(30), ssrc_type=ANY))
    for request in requests:
        session.protect_rtcp(request)


@pytest.mark.anyio
async def test_a_packet_that_is_too_long_to_send_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    transport = PeerTransport(Certificate(), "one")
    sent: list[bytes] = []
    policy = pylibsrtp.Policy(key=bytes(30), ssrc_type=ANY)
    transport._sending = pylibsrtp.Session(policy)
    monkeypatch.setattr(transport.ice, "send", sent.append)
    transport.send_rtp(packet(1, 0, payload=bytes(1490)))
    transport.send_rtcp(pli(7) * 200)
    transport.send_rtp(packet(2, 0))
    assert transport.unsendable == 2
    assert len(sent) == 1
    await transport.aclose()
