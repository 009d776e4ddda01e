"""ICE-lite over one UDP socket on 127.0.0.1: answers binding requests, carries everything else.

The only file that uses aioice, whose STUN messages are not a documented interface: checked against
aioice 0.13, and `tests/server/test_aiortc_pin.py` checks every part used here.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct
from collections.abc import Callable

from aioice import stun

from livelayer_bus.clock import now_ns

LOOPBACK = "127.0.0.1"
RECEIVE_BUFFER = 1 << 20  # bytes; absorbs a burst while the event loop is busy elsewhere

Address = tuple[str, int]


class IceSocket(asyncio.DatagramProtocol):
    """One peer connection's socket.

    Only datagrams from an address that has proved to know the password are passed on, so that
    another program on this machine cannot inject any. The address follows the client when it
    restarts ICE or nominates another pair. `on_packet` is called for every datagram but STUN.
    """

    def __init__(self, on_packet: Callable[[bytes], None]) -> None:
        self.ufrag = secrets.token_hex(4)
        self.password = secrets.token_hex(12)
        self.port = 0
        self.last_heard = 0.0
        self.rejected = 0
        self.delay = 0.0  # seconds every datagram but STUN is held back, for tests
        self._on_packet = on_packet
        self._passwords = {self.ufrag: self.password.encode()}
        self._proved: set[Address] = set()
        self._peer: Address | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self._closed = False
        self._loop = asyncio.get_running_loop()

    async def open(self) -> None:
        """Bind to a free port of 127.0.0.1."""
        transport, _ = await self._loop.create_datagram_endpoint(
            lambda: self, local_addr=(LOOPBACK, 0)
        )
        if self._closed:
            transport.close()
            return
        self._transport = transport
        raw: socket.socket = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, RECEIVE_BUFFER)
        self.port = transport.get_extra_info("sockname")[1]

    def restart(self) -> None:
        """Make new credentials; the old ones stay valid for requests that are under way."""
        self.ufrag = secrets.token_hex(4)
        self.password = secrets.token_hex(12)
        newest = list(self._passwords.items())[-1:]
        self._passwords = dict(newest)
        self._passwords[self.ufrag] = self.password.encode()

    @property
    def connected(self) -> bool:
        """Whether a client's address is known."""
        return self._peer is not None

    def send(self, data: bytes) -> None:
        """Send a datagram to the client; dropped silently while its address is unknown."""
        if self._transport is None or self._peer is None:
            return
        if self.delay:
            self._loop.call_later(self.delay, self._send_now, data)
        else:
            self._transport.sendto(data, self._peer)

    def _send_now(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.sendto(data, self._peer)

    def close(self) -> None:
        """Close the socket, or the one that is being opened."""
        self._closed = True
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def datagram_received(self, data: bytes, addr: Address) -> None:
        if data and data[0] < 4:
            self._stun_received(data, addr)
        elif addr == self._peer or addr in self._proved:
            self.last_heard = now_ns() / 1e9
            self._on_packet(data)
        else:
            self.rejected += 1

    def error_received(self, exc: Exception) -> None:
        # A closed client port answers with ICMP; the session's timers remove the client.
        del exc

    def _stun_received(self, data: bytes, addr: Address) -> None:
        request = parse_stun(data)
        if request is None or self._transport is None:
            return
        ufrag = request.attributes.get("USERNAME", "").partition(":")[0]
        password = self._passwords.get(ufrag)
        if password is None or not request.check_message_integrity(password):
            self.rejected += 1
            return
        self.last_heard = now_ns() / 1e9
        if self._peer is None or "USE-CANDIDATE" in request.attributes:
            self._peer = addr
        if len(self._proved) > 16:
            self._proved.clear()
        self._proved.add(addr)
        response = stun.Message(
            stun.Method.BINDING,
            stun.Class.RESPONSE,
            request.transaction_id,
            {"XOR-MAPPED-ADDRESS": addr},
        )
        response.add_message_integrity(password)
        self._transport.sendto(bytes(response), addr)


def parse_stun(data: bytes) -> stun.Message | None:
    """The binding request in a datagram, or None if it is anything else."""
    try:
        message = stun.parse_message(data)
    except (ValueError, struct.error):
        return None
    binding = message.message_method is stun.Method.BINDING
    return message if binding and message.message_class is stun.Class.REQUEST else None
