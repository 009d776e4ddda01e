"""aiortc is pinned, and what this server uses of aiortc and aioice is as it expects it."""

from __future__ import annotations

import inspect
import re
from importlib.metadata import requires, version

import aiortc.rtcdtlstransport as dtls
import aiortc.rtcsctptransport as sctp
import pylibsrtp
import pytest
from aioice import stun
from aiortc import rtp
from aiortc.rtcdatachannel import RTCDataChannel


def test_the_pin_names_the_installed_version() -> None:
    pins = [line for line in requires("livelayer-embedded") or [] if line.startswith("aiortc")]
    assert any(f"=={version('aiortc')}" in pin for pin in pins)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("__init__", ["self", "transport", "certificates"]),
        ("start", ["self", "remoteParameters"]),
        ("stop", ["self"]),
        ("_set_role", ["self", "role"]),
        ("_recv_next", ["self"]),
        ("_send_data", ["self", "data"]),
        ("_write_ssl", ["self"]),
    ],
)
def test_the_dtls_transport_has_its_shape(name: str, parameters: list[str]) -> None:
    assert list(inspect.signature(getattr(dtls.RTCDtlsTransport, name)).parameters) == parameters


def test_the_dtls_transport_uses_only_what_our_path_offers() -> None:
    source = inspect.getsource(dtls.RTCDtlsTransport)
    used = set(re.findall(r"self\._?transport\.(\w+)", source))
    assert used <= {"_recv", "_send", "role"}


def test_the_srtp_sessions_are_where_they_are_taken_from() -> None:
    source = inspect.getsource(dtls.RTCDtlsTransport._setup_srtp)
    assert "self._rx_srtp = Session(" in source
    assert "self._tx_srtp = Session(" in source
    assert "allow_repeat_tx = True" in source
    for name in ("protect", "protect_rtcp", "unprotect", "unprotect_rtcp"):
        assert callable(getattr(pylibsrtp.Session, name))


def test_the_sctp_transport_has_its_shape() -> None:
    start = inspect.signature(sctp.RTCSctpTransport.start).parameters
    assert list(start) == ["self", "remoteCaps", "remotePort"]
    assert "self._cwnd = " in inspect.getsource(sctp.RTCSctpTransport.__init__)
    assert 'self.emit("datachannel", channel)' in inspect.getsource(
        sctp.RTCSctpTransport._data_channel_receive
    )


def test_a_data_channel_counts_what_it_has_queued() -> None:
    assert isinstance(inspect.getattr_static(RTCDataChannel, "bufferedAmount"), property)
    assert isinstance(inspect.getattr_static(RTCDataChannel, "readyState"), property)


@pytest.mark.parametrize(
    ("record", "fields"),
    [
        (rtp.RtcpPsfbPacket, ["fmt", "ssrc", "media_ssrc", "fci"]),
        (rtp.RtcpRtpfbPacket, ["fmt", "ssrc", "media_ssrc", "lost"]),
        (rtp.RtcpRrPacket, ["ssrc", "reports"]),
        (rtp.RtcpSrPacket, ["ssrc", "sender_info", "reports"]),
        (
            rtp.RtcpSenderInfo,
            ["ntp_timestamp", "rtp_timestamp", "packet_count", "octet_count"],
        ),
        (
            rtp.RtcpReceiverInfo,
            [
                "ssrc",
                "fraction_lost",
                "packets_lost",
                "highest_sequence",
                "jitter",
                "lsr",
                "dlsr",
            ],
        ),
    ],
)
def test_the_rtcp_packets_have_their_fields(record: type, fields: list[str]) -> None:
    assert list(inspect.signature(record).parameters) == fields


def test_the_stun_messages_have_their_shape() -> None:
    names = ["self", "message_method", "message_class", "transaction_id", "attributes"]
    assert list(inspect.signature(stun.Message.__init__).parameters) == names
    for method in (stun.Message.add_message_integrity, stun.Message.check_message_integrity):
        assert list(inspect.signature(method).parameters) == ["self", "key"]
    assert list(inspect.signature(stun.parse_message).parameters) == ["data"]
