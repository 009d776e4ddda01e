"""The m-lines of a client with one peer connection, negotiated by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from anyio.lowlevel import checkpoint
from livekit.protocol import models, rtc
from livelayer_embedded import sdp
from livelayer_embedded.answering_subscriber import SETTLE, AnsweringSubscriber
from livelayer_embedded.participant import Participant, Track
from livelayer_embedded.relay import UpTrack
from livelayer_embedded.rtp import with_extensions
from livelayer_embedded.transport import PeerTransport

pytestmark = pytest.mark.anyio

VP8, H264 = sdp.Codec(96, "VP8", 90000), sdp.Codec(102, "H264", 90000, "", "packetization-mode=1")
ABS_CAPTURE_TIME = sdp.END_TO_END_EXTENSIONS[1]


class Wire:
    """What the subscriber needs of a connection: nothing is sent on it."""

    def __init__(self) -> None:
        self.on_rtcp: list[Any] = []

    def send_rtp(self, packet: bytes) -> None: ...

    def send_rtcp(self, packet: bytes) -> None: ...


class Client:
    """One client: the requests that it was sent, the timers of its connection."""

    def __init__(self) -> None:
        self.requests: list[rtc.MediaSectionsRequirement] = []
        self.timers: list[tuple[float, Callable[[], None]]] = []
        participant = Participant(models.ParticipantInfo(identity="bob", sid="PA_b"))
        participant.link = cast(Any, self)
        self.subscriber = AnsweringSubscriber(
            participant, cast(PeerTransport, Wire()), cast(Any, self._call_later)
        )

    def send_signal(self, message: rtc.SignalResponse) -> None:
        self.requests.append(message.media_sections_requirement)

    def _call_later(self, seconds: float, call: Callable[[], None]) -> None:
        self.timers.append((seconds, call))

    def settle(self) -> None:
        """The time that the client takes to apply an answer is over."""
        timers, self.timers = self.timers, []
        for seconds, call in timers:
            assert seconds == SETTLE
            call()

    def offer(self, *lines: str) -> dict[str, list[str]]:
        """What the answer to an offer of these m-lines ("kind mid direction") carries."""
        text = "".join(
            f"m={kind} 9 UDP/TLS/RTP/SAVPF 96 111\r\na=mid:{mid}\r\na={direction}\r\n"
            "a=rtpmap:96 VP8/90000\r\na=rtpmap:111 opus/48000/2\r\n"
            f"a=extmap:7 {ABS_CAPTURE_TIME}\r\n"
            for kind, mid, direction in (line.split() for line in lines)
        )
        carried = self.subscriber.carry(sdp.parse(text).media, [])
        self.subscriber.answer_sent()
        return carried


def published(sid: str, codec: sdp.Codec = VP8) -> UpTrack:
    alice = Participant(models.ParticipantInfo(identity="alice", sid="PA_a"))
    track = Track(alice, models.TrackInfo(sid=sid), "cid")
    extensions = {sdp.MID_EXTENSION: 4, ABS_CAPTURE_TIME: 2}

    def never(seconds: float, call: Callable[[], None]) -> Any:
        raise AssertionError("no key frame is asked for")

    return UpTrack(track, codec, None, "video", "0", [], extensions, lambda data: None, never)


@pytest.fixture
async def client() -> Client:
    return Client()


async def test_media_starts_once_the_client_had_time_to_apply_the_answer(client: Client) -> None:
    early, gone = published("TR_1"), published("TR_2")
    client.subscriber.subscribe(early)
    client.subscriber.subscribe(gone)
    assert set(client.offer("video 0 recvonly", "video 1 recvonly")) == {"0", "1"}
    client.offer("video 0 recvonly", "video 1 recvonly")
    assert early.receivers == []
    client.subscriber.unsubscribe("TR_2")
    client.settle()
    assert [down_track.up_track for down_track in early.receivers] == [early]
    assert gone.receivers == []


async def test_a_client_is_asked_for_the_m_lines_that_are_missing(client: Client) -> None:
    client.offer("audio 0 recvonly", "video 1 recvonly", "video 2 sendonly")
    for sid in ("TR_1", "TR_2", "TR_3"):
        client.subscriber.subscribe(published(sid))
    client.subscriber.subscribe(published("TR_4", H264))
    await checkpoint()
    assert [(r.num_audios, r.num_videos) for r in client.requests] == [(0, 3)]
    carried = client.offer("video 1 recvonly", "video 2 sendonly", "video 3 recvonly")
    assert list(carried) == ["1", "3"]
    assert client.subscriber.mid_to_track_id() == {"1": "TR_1", "3": "TR_2"}
    await checkpoint()
    assert client.requests[1:] == [rtc.MediaSectionsRequirement(num_videos=2)]
    carried = client.offer(*(f"video {mid} recvonly" for mid in (1, 3, 4, 5)))
    assert list(carried) == ["1", "3", "4"]
    await checkpoint()
    assert len(client.requests) == 2  # nothing is asked for the codec that it cannot decode


async def test_an_m_line_is_empty_once_before_it_carries_another_track(client: Client) -> None:
    client.subscriber.subscribe(published("TR_1"))
    assert list(client.offer("video 0 recvonly")) == ["0"]
    await checkpoint()
    client.subscriber.unsubscribe("TR_1")
    client.subscriber.subscribe(published("TR_2"))
    await checkpoint()
    assert client.offer("video 0 recvonly") == {}
    await checkpoint()
    assert client.requests[1:] == [rtc.MediaSectionsRequirement()]
    assert list(client.offer("video 0 recvonly")) == ["0"]
    assert client.subscriber.mid_to_track_id() == {"0": "TR_2"}


async def test_an_m_line_that_the_client_ended_carries_nothing(client: Client) -> None:
    track = published("TR_1")
    client.subscriber.subscribe(track)
    client.offer("video 0 recvonly")
    client.settle()
    assert client.offer("video 0 inactive") == {}
    assert track.receivers == []


@pytest.mark.parametrize(
    ("extensions", "expected"),
    [
        ("BEDE 0002 40 61 21 AABB 000000", "BEDE 0002 0000 71 AABB 000000"),
        ("1000 0002 0401 61 0202 AABB 00", "1000 0002 000000 0702 AABB 00"),
        ("BEDE 0001 2F AABBCC", "BEDE 0001 7F AABBCC"),
        ("BEDE 0001 F0 AABBCC", "BEDE 0001 F0 AABBCC"),
    ],
    ids=["one-byte form", "two-byte form", "cut short", "reserved id"],
)
def test_only_what_was_negotiated_is_left_of_the_header_extensions(
    extensions: str, expected: str
) -> None:
    head = bytes((0x90,)) + bytes(11)
    packet = with_extensions(head + bytes.fromhex(extensions) + b"\x02\x03", {2: 7})
    assert packet == head + bytes.fromhex(expected) + b"\x02\x03"
