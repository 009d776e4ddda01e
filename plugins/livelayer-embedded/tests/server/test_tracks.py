"""A published track on the server, fed with packets made by hand."""

from __future__ import annotations

import struct
import time

import pytest
from livekit.protocol.models import ParticipantInfo, TrackInfo
from livelayer_embedded.participant import Participant, Track
from livelayer_embedded.relay import SILENCE, DownTrack, UpTrack
from livelayer_embedded.sdp import AUDIO_LEVEL_EXTENSION, Codec

OPUS, RED = Codec(111, "opus", 48000, "2"), Codec(63, "red", 48000, "2", "111/111")
STEP = 960  # clock ticks of 20 ms


def audio_track() -> UpTrack:
    track = Track(Participant(ParticipantInfo()), TrackInfo(), "cid")
    return UpTrack(
        track,
        OPUS,
        RED,
        "audio",
        "0",
        [],
        {AUDIO_LEVEL_EXTENSION: 1},
        lambda data: None,
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
