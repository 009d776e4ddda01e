"""aiortc is pinned, and the private parts the media stand on are as they expect them."""

from __future__ import annotations

import inspect
import re
from importlib.metadata import requires, version

import aioice.ice
import aiortc.rtcdtlstransport as dtls
import aiortc.rtcicetransport as ice
import aiortc.rtcpeerconnection as peer
import aiortc.rtcrtpreceiver as receiver
import aiortc.rtcrtpsender as sender
import pytest
from aiortc.codecs.opus import OpusDecoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtptransceiver import RTCRtpTransceiver


def test_the_pin_names_the_installed_version() -> None:
    pins = [line for line in requires("livelayer-web") or [] if line.startswith("aiortc")]
    assert any(f"=={version('aiortc')}" in pin for pin in pins)


def test_the_router_calls_what_the_sender_is_given() -> None:
    assert "recipient._handle_rtcp_packet(packet)" in inspect.getsource(
        dtls.RTCDtlsTransport._handle_rtcp_data
    )
    handled = inspect.signature(sender.RTCRtpSender._handle_rtcp_packet)
    assert list(handled.parameters) == ["self", "packet"]
    assert "self._ssrc = random32()" in inspect.getsource(sender.RTCRtpSender.__init__)


def test_the_sender_sends_packets_as_they_are() -> None:
    source = inspect.getsource(sender.RTCRtpSender._next_encoded_frame)
    assert "self.__encoder.pack(data)" in source
    assert "await self.__track.recv()" in source
    ended = inspect.getsource(sender.RTCRtpSender._run_rtp)
    assert "except (asyncio.CancelledError, ConnectionError, MediaStreamError)" in ended


def test_the_receiver_is_begun_by_a_call_that_can_be_put_off() -> None:
    begun = inspect.getsource(peer.RTCPeerConnection)
    assert "await transceiver.receiver.receive(" in begun
    assert "await iceTransport.start(self.__remoteIce[transceiver])" in begun
    assert "if self.__started:" in inspect.getsource(receiver.RTCRtpReceiver.stop)


def test_the_receivers_queues_are_where_they_are_replaced() -> None:
    made = inspect.getsource(receiver.RTCRtpReceiver.__init__)
    assert "self.__decoder_queue: queue.Queue = queue.Queue()" in made
    assert "self.__decoder_error = threading.Event()" in made
    begun = inspect.getsource(receiver.RTCRtpReceiver.receive)
    assert "self.__decoder_queue," in begun
    assert "self._track._queue," in begun
    worker = inspect.getsource(receiver.decoder_worker)
    assert set(re.findall(r"input_q\.(\w+)", worker)) == {"get"}
    assert set(re.findall(r"output_q\.(\w+)", worker)) == {"put"}
    stopped = inspect.getsource(receiver.RTCRtpReceiver)
    assert set(re.findall(r"self\.__decoder_queue\.(\w+)\((.*)\)", stopped)) == {
        ("put", "None"),
        ("put", "(codec, encoded_frame)"),
    }
    assert "if self.__decoder_error.is_set():" in stopped
    described = inspect.getsource(peer.RTCPeerConnection.setRemoteDescription)
    assert "and not transceiver.receiver.track" in described


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("_handle_rtp_packet", ["self", "packet", "arrival_time_ms"]),
        ("_handle_rtcp_packet", ["self", "packet"]),
        ("_handle_disconnect", ["self"]),
    ],
)
def test_the_router_calls_what_takes_the_receivers_place(name: str, parameters: list[str]) -> None:
    assert list(inspect.signature(getattr(receiver.RTCRtpReceiver, name)).parameters) == parameters
    registered = inspect.signature(dtls.RTCDtlsTransport._register_rtp_receiver)
    assert list(registered.parameters) == ["self", "receiver", "parameters"]


def test_the_routers_table_finds_a_receiver_by_its_sender() -> None:
    source = inspect.getsource(dtls.RtpRouter.route_rtp)
    assert "ssrc_receiver = self.ssrc_table.get(packet.ssrc)" in source
    assert "self._rtp_router = RtpRouter()" in inspect.getsource(dtls.RTCDtlsTransport.__init__)
    parameters = inspect.getsource(peer.RTCPeerConnection)
    assert "encodings[apt].rtx = RTCRtpRtxParameters(" in parameters


def test_a_decoder_takes_a_frame_of_a_payload() -> None:
    assert list(inspect.signature(JitterFrame.__init__).parameters) == ["self", "data", "timestamp"]
    assert list(inspect.signature(OpusDecoder.decode).parameters) == ["self", "encoded_frame"]


def test_the_end_of_the_checks_can_be_waited_for() -> None:
    begun = inspect.getsource(ice.RTCIceTransport.start)
    assert "self.__start = asyncio.Event()" in begun
    assert begun.rstrip().endswith("self.__start.set()")
    assert "self._connection = gatherer._connection" in inspect.getsource(
        ice.RTCIceTransport.__init__
    )
    closed = inspect.getsource(aioice.ice.Connection.close)
    assert "self._query_consent_task.cancel()" in closed


def test_datagrams_pass_where_they_are_filtered() -> None:
    received = inspect.getsource(aioice.ice.StunProtocol.datagram_received)
    assert "self.receiver.data_received(data, self.local_candidate.component)" in received
    assert "except ValueError:" in received
    connection = inspect.getsource(aioice.ice.Connection)
    assert "self._protocols += host_protocols" in connection
    assert "self._check_list.append(pair)" in connection
    assert "message.check_message_integrity(self.local_password" in connection
    assert "result = await self._queue.get()" in connection


def test_a_transceiver_keeps_its_sender_and_receiver() -> None:
    for name in ("sender", "receiver", "kind", "mid"):
        assert isinstance(inspect.getattr_static(RTCRtpTransceiver, name), property)


def test_aioice_opens_its_ports_where_they_are_replaced() -> None:
    gathered = inspect.signature(aioice.ice.Connection.get_component_candidates)
    assert list(gathered.parameters) == ["self", "component", "addresses", "timeout"]
    begun = inspect.getsource(aioice.ice.Connection.gather_candidates)
    assert "self.get_component_candidates(" in begun
    opened = inspect.getsource(aioice.ice.Connection.get_component_candidates)
    assert "local_addr=(address, 0)" in opened
    assert "self._protocols += host_protocols" in opened
    assert "server_reflexive_candidate(protocol, self.stun_server)" in opened
