"""Offers are read whole or refused: what is no SDP, or asks for more, is an `OfferError`."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livelayer_web.media import OfferError
from livelayer_web.media.sdp import preferences, read_offer

FINGERPRINT = ":".join(["AB"] * 32)
TRANSPORT = f"""c=IN IP4 0.0.0.0
a=ice-ufrag:abcd
a=ice-pwd:abcdefghijklmnopqrstuvwx
a=fingerprint:sha-256 {FINGERPRINT}
a=setup:actpass
a=rtcp-mux
"""
AUDIO = "m=audio 9 UDP/TLS/RTP/SAVPF 111 0\n" + TRANSPORT + "a=rtpmap:111 opus/48000/2\n"
VIDEO = (
    "m=video 9 UDP/TLS/RTP/SAVPF 98 96 97 102\n"
    + TRANSPORT
    + """a=rtpmap:98 VP9/90000
a=rtpmap:96 VP8/90000
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rtpmap:102 H264/90000
a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f
"""
)
CANDIDATES = """a=candidate:1 1 udp 2113937151 e6a5d1bd.local 33140 typ host generation 0
a=candidate:2 1 udp 2113937151 192.0.2.7 33141 typ host generation 0
a=end-of-candidates
"""
FULL = (
    (AUDIO, "recvonly"),
    (VIDEO, "recvonly"),
    (AUDIO, "sendonly"),
    (VIDEO, "sendonly"),
    (VIDEO, "sendonly"),
)


def offer(*sections: tuple[str, str], bundle: bool = True, extra: str = CANDIDATES) -> str:
    """The SDP of an offer with these sections."""
    mids = " ".join(str(number) for number in range(len(sections)))
    lines = ["v=0", "o=- 1 2 IN IP4 127.0.0.1", "s=-", "t=0 0"]
    if bundle:
        lines.append(f"a=group:BUNDLE {mids}")
    text = "\n".join(lines) + "\n"
    for number, (section, direction) in enumerate(sections):
        text += f"{section}a=mid:{number}\na={direction}\n"
        text += extra if number == 0 else ""
    return text.replace("\n", "\r\n")


def test_the_sections_of_a_page_have_their_roles() -> None:
    read = read_offer(offer(*FULL))
    assert [section.role for section in read.sections] == [
        "audio",
        "video",
        "microphone",
        "camera",
        "screen",
    ]
    assert read.video_codec == "video/vp8"
    assert read.sections[0].codecs == ("audio/opus",)


def test_any_whep_player_will_do() -> None:
    read = read_offer(offer((VIDEO, "recvonly"), (AUDIO, "sendrecv")))
    assert [section.role for section in read.sections] == ["video", "audio"]
    assert read_offer(offer((AUDIO, "recvonly"), bundle=False)).video_codec is None


def test_the_page_decides_which_codec_is_best() -> None:
    h264_first = VIDEO.replace("98 96 97 102", "102 98 96 97").replace("a=rtpmap:98", "a=x:98")
    lines = h264_first.splitlines(keepends=True)
    ordered = [line for line in lines if "102" in line] + [
        line for line in lines if "102" not in line
    ]
    read = read_offer(offer(("".join(ordered), "recvonly")))
    assert read.sections[0].codecs == ("video/h264", "video/vp8")


def test_no_candidate_is_used_unless_ice_servers_are_named() -> None:
    assert "candidate" not in read_offer(offer(*FULL)).sdp
    kept = read_offer(offer(*FULL), candidates=True).sdp
    assert re.findall(r"a=candidate:(\d)", kept) == ["2"]
    assert "end-of-candidates" not in kept


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not SDP"),
        ("v=0\r\n", "0 media sections"),
        ("v=0\r\nm=audio", "not SDP"),
        (offer(*FULL).replace("a=group:BUNDLE 0 1 2 3 4", "a=group:BUNDLE 0 1"), "not bundled"),
        (offer(*FULL, (AUDIO, "recvonly")), "6 media sections"),
        (offer((AUDIO, "recvonly"), (AUDIO, "recvonly")), "too many audio"),
        (offer((VIDEO, "recvonly"), *[(VIDEO, "sendonly")] * 3), "too many video"),
        (offer((AUDIO, "inactive")), "no direction"),
        (offer((AUDIO, "sendonly")), "neither audio nor video"),
        (offer((AUDIO, "recvonly")).replace("a=rtcp-mux", "a=x"), "rtcp-mux"),
        (offer((AUDIO, "recvonly")).replace("m=audio 9", "m=audio 0"), "switched off"),
        (offer((AUDIO, "recvonly")).replace("a=ice-pwd", "a=x"), "ICE"),
        (offer((AUDIO, "recvonly")).replace("a=fingerprint", "a=x"), "fingerprint"),
        (offer((AUDIO, "recvonly")).replace("setup:actpass", "setup:passive"), "DTLS server"),
        (offer((AUDIO, "recvonly")).replace("opus", "lpc"), "no codec for the audio"),
        (offer((AUDIO, "recvonly")).replace("m=audio", "m=application"), "neither audio nor"),
        (offer((AUDIO, "recvonly"), (AUDIO, "sendonly")).replace("mid:1", "mid:0"), "names"),
        ("v=0\r\n" + "a=x\r\n" * 20_000, "limit"),
    ],
)
def test_what_cannot_be_answered_is_refused_and_says_why(text: str, problem: str) -> None:
    with pytest.raises(OfferError, match=problem):
        read_offer(text)


@given(st.integers(0, 2**32), st.integers(0, 40), st.text(max_size=12))
def test_a_damaged_offer_is_read_or_refused_and_nothing_else(
    place: int, length: int, put: str
) -> None:
    whole = offer(*FULL)
    start = place % len(whole)
    damaged = whole[:start] + put + whole[start + length :]
    with suppress(OfferError):
        read_offer(damaged)


def test_a_preference_includes_retransmission() -> None:
    names = [item.mimeType for item in preferences("video", ("video/h264",))]
    assert names == ["video/H264", "video/H264", "video/rtx"]
    assert [item.mimeType for item in preferences("audio", ("audio/opus",))] == ["audio/opus"]
