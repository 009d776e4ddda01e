"""ICE-lite over one UDP socket on 127.0.0.1: answers binding requests, carries everything else."""

from __future__ import annotations

import asyncio
import binascii
import hashlib
import hmac
import secrets
import socket
import struct
from collections.abc import Callable

LOOPBACK = "127.0.0.1"
RECEIVE_BUFFER = 1 << 20  # bytes; absorbs a burst while the event loop is busy elsewhere

_MAGIC = 0x2112A442
_BINDING_REQUEST = 0x0001
_BINDING_RESPONSE = 0x0101
_USERNAME = 0x0006
_MESSAGE_INTEGRITY = 0x0008
_XOR_MAPPED_ADDRESS = 0x0020
_USE_CANDIDATE = 0x0025
_FINGERPRINT = 0x8028
_FINGERPRINT_XOR = 0x5354554E

Address = tuple[str, int]


def parse_stun(data: bytes) -> tuple[int, bytes, dict[int, tuple[int, bytes]]] | None:
    """Type, transaction id and attributes (with their offsets) of a STUN message, or None."""
    if len(data) < 20:
        return None
    kind, length, magic = struct.unpack_from("!HHI", data)
    if magic != _MAGIC or length + 20 != len(data) or length % 4:
        return None
    attributes: dict[int, tuple[int, bytes]] = {}
    position = 20
    while position + 4 <= len(data):
        name, size = struct.unpack_from("!HH", data, position)
        if position + 4 + size > len(data):
            return None
        attributes.setdefault(name, (position, data[position + 4 : position + 4 + size]))
        position += 4 + size + (-size % 4)
    return kind, data[8:20], attributes


def integrity_ok(data: bytes, offset: int, given: bytes, password: bytes) -> bool:
    """Whether MESSAGE-INTEGRITY at this offset was made with this password."""
    header = data[:2] + struct.pack("!H", offset + 24 - 20) + data[4:20]
    expected = hmac.new(password, header + data[20:offset], hashlib.sha1).digest()
    return hmac.compare_digest(expected, given)


def binding_response(transaction: bytes, address: Address, password: bytes) -> bytes:
    """A success response with XOR-MAPPED-ADDRESS, MESSAGE-INTEGRITY and FINGERPRINT."""
    host = int.from_bytes(socket.inet_aton(address[0]), "big") ^ _MAGIC
    port = address[1] ^ (_MAGIC >> 16)
    body = struct.pack("!HHBBHI", _XOR_MAPPED_ADDRESS, 8, 0, 1, port, host)
    header = struct.pack("!HHI", _BINDING_RESPONSE, len(body) + 24, _MAGIC) + transaction
    digest = hmac.new(password, header + body, hashlib.sha1).digest()
    body += struct.pack("!HH", _MESSAGE_INTEGRITY, 20) + digest
    header = struct.pack("!HHI", _BINDING_RESPONSE, len(body) + 8, _MAGIC) + transaction
    crc = binascii.crc32(header + body) ^ _FINGERPRINT_XOR
    return header + body + struct.pack("!HHI", _FINGERPRINT, 4, crc)


class IceSocket(asyncio.DatagramProtocol):
    """One peer connection's socket.

    Only datagrams from an address that has proved to know the password are passed on, so a
    stranger on this machine cannot inject. The address follows the client when it restarts ICE
    or nominates another pair. `on_packet` is called for every datagram that is not STUN.
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
        """Take new credentials; the old ones stay valid for requests that are under way."""
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
            self.last_heard = self._loop.time()
            self._on_packet(data)
        else:
            self.rejected += 1

    def error_received(self, exc: Exception) -> None:
        # A closed client port answers with ICMP; the session's own timers notice it is gone.
        del exc

    def _stun_received(self, data: bytes, addr: Address) -> None:
        message = parse_stun(data)
        if message is None or message[0] != _BINDING_REQUEST or self._transport is None:
            return
        _, transaction, attributes = message
        ours = attributes.get(_USERNAME, (0, b""))[1].partition(b":")[0].decode("ascii", "replace")
        password = self._passwords.get(ours)
        proof = attributes.get(_MESSAGE_INTEGRITY)
        if password is None or proof is None or not integrity_ok(data, *proof, password):
            self.rejected += 1
            return
        self.last_heard = self._loop.time()
        if self._peer is None or _USE_CANDIDATE in attributes:
            self._peer = addr
        if len(self._proved) > 16:
            self._proved.clear()
        self._proved.add(addr)
        self._transport.sendto(binding_response(transaction, addr, password), addr)
