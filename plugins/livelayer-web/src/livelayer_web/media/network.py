"""How pages reach the media: UDP ports, the address they are told, STUN and TURN servers."""

from __future__ import annotations

import errno
import random
import re
import socket
from base64 import b64encode
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from hmac import digest
from ipaddress import ip_address
from typing import Final, TypeAlias, final

import msgspec
from aiortc.rtcicetransport import parse_stun_turn_uri

from livelayer_bus.errors import BusyError, MisuseError

Ports: TypeAlias = int | str | tuple[int, int]
"""One UDP port, or the first and the last one: `50000`, `(50000, 50099)`, `"50000-50099"`."""

SECRET_SECONDS: Final = 86_400
"""How long the credentials that are made of a TURN server's secret are valid."""
_HOST: Final = re.compile(r"^(a=candidate:\S+ \d+ udp \d+) (\S+) (\d+ typ host)")
_WAY: Final = "as 50000, (50000, 50099) or '50000-50099'"


class MediaPortsTakenError(BusyError):
    """Every port of `media_ports` is in use: each page's connection has one of its own."""

    def __init__(self, ports: range) -> None:
        super().__init__(
            "every media port",
            f"{ports[0]} to {ports[-1]}, one for each page, are in use; try again later, or give a "
            "larger range in media_ports",
        )
        self.first, self.last = ports[0], ports[-1]


class IceServer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A STUN or TURN server, as `RTCIceServer` in a page: every page that joins is given it.

    Raises:
        MisuseError: a value is invalid.
    """

    urls: str | tuple[str, ...]
    """`stun:host:port`, `turn:host:port?transport=udp`, `turns:host:port`."""
    username: str = ""
    credential: str = ""
    secret: str = ""
    """Of a TURN server with `use-auth-secret` (coturn), instead of a username and a credential:
    each page that joins gets some of its own, valid for a day. It never leaves this process."""

    def __post_init__(self) -> None:
        urls = self.addresses
        schemes = {_scheme(url) for url in urls}
        fixed = bool(self.username and self.credential)
        if not urls or bool(self.username) != bool(self.credential) or (fixed and self.secret):
            raise MisuseError(
                "ice_servers: give an address, and either username and credential, or secret"
            )
        if schemes & {"turn", "turns"} and not (fixed or self.secret):
            raise MisuseError(f"ice_servers: {urls[0]} needs username and credential, or secret")

    @property
    def addresses(self) -> tuple[str, ...]:
        return (self.urls,) if isinstance(self.urls, str) else self.urls

    def __repr__(self) -> str:
        return f"IceServer(urls={self.urls!r})"

    def for_page(self, viewer: str, now: float) -> PageIceServer:
        """What one page is told; `now` in seconds since 1970."""
        if not self.secret:
            return PageIceServer(self.addresses, self.username or None, self.credential or None)
        username = f"{int(now) + SECRET_SECONDS}:{viewer}"
        made = b64encode(digest(self.secret.encode(), username.encode(), "sha1")).decode()
        return PageIceServer(self.addresses, username, made)


class PageIceServer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A server as a page's `RTCPeerConnection` takes it."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = None

    def __repr__(self) -> str:
        return f"PageIceServer(urls={self.urls!r})"


def ice_servers(servers: Iterable[str | IceServer]) -> tuple[IceServer, ...]:
    """The servers, of which an address alone is one without credentials.

    Raises:
        MisuseError: one of them is invalid.
    """
    return tuple(
        IceServer(urls=server) if isinstance(server, str) else server for server in servers
    )


def check_address(address: str) -> str:
    """The address that pages are told.

    Raises:
        MisuseError: it is not an IP address by which pages could reach this machine.
    """
    try:
        parsed = ip_address(address)
    except ValueError as exc:
        raise MisuseError(
            f"media_address is {address!r}: give the IP address by which pages reach this machine"
        ) from exc
    if parsed.is_unspecified or parsed.is_multicast or parsed.is_loopback:
        raise MisuseError(
            f"media_address is {address}, by which no page reaches this machine: give its public "
            "address"
        )
    return str(parsed)


def advertise(sdp: str, address: str) -> str:
    """The answer with `address` in place of this machine's own addresses of the same family."""
    version = ip_address(address).version
    lines = sdp.splitlines()
    hosts = {found[2] for line in lines if (found := _HOST.fullmatch(line))}
    own = {host for host in hosts if ip_address(host).version == version}
    told: list[str] = []
    for line in lines:
        if (found := _HOST.fullmatch(line)) and found[2] in own:
            # Several addresses may become one candidate.
            if not any(one.endswith(f" {address} {found[3]}") for one in told):
                told.append(f"{found[1]} {address} {found[3]}")
        elif line.startswith("c=IN ") and line.rpartition(" ")[2] in own:
            told.append(f"{line.rpartition(' ')[0]} {address}")
        else:
            told.append(line)
    return "\r\n".join(told) + "\r\n"


@final
class MediaPorts:
    """The UDP ports of a range. A connection takes one of them, at each address of this machine.

    Raises:
        MisuseError: it is no range of ports.
    """

    def __init__(self, ports: Ports) -> None:
        self._ports = _range(ports)

    def open(self, addresses: Sequence[str]) -> list[socket.socket]:
        """Sockets with the same port at each of the addresses, except those that cannot be used.

        Raises:
            MediaPortsTakenError: every port is in use.
        """
        # Anywhere in the range: a port that was just closed may still get what was sent to it.
        start = random.randrange(len(self._ports))
        for port in (*self._ports[start:], *self._ports[:start]):
            with ExitStack() as stack:
                try:
                    opened = [
                        stack.enter_context(one)
                        for address in addresses
                        if (one := _open(address, port))
                    ]
                except OSError:
                    continue
                stack.pop_all()
                return opened
        raise MediaPortsTakenError(self._ports)


def _open(address: str, port: int) -> socket.socket | None:
    """A bound socket; None if this machine cannot use the address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    one = socket.socket(family, socket.SOCK_DGRAM)
    try:
        one.setblocking(False)
        one.bind((address, port))
    except OSError as exc:
        one.close()
        if exc.errno in (errno.EADDRINUSE, errno.EACCES):
            raise
        return None
    return one


def _range(ports: Ports) -> range:
    if isinstance(ports, str):
        first, _, last = ports.partition("-")
        if not (first.strip().isdecimal() and (last or first).strip().isdecimal()):
            raise MisuseError(f"media_ports is {ports!r}: give a port or a range, {_WAY}")
        ports = int(first), int(last or first)
    given: tuple[object, ...] = (ports, ports) if isinstance(ports, int) else tuple(ports)
    first_port, last_port = given if len(given) == 2 else (None, None)
    if not (isinstance(first_port, int) and isinstance(last_port, int)):
        raise MisuseError(f"media_ports is {given!r}: give a port or a range, {_WAY}")
    if not 1024 <= first_port <= last_port <= 65_535:
        raise MisuseError(
            f"media_ports is {first_port} to {last_port}: give ports from 1024 to 65535, {_WAY}"
        )
    return range(first_port, last_port + 1)


def _scheme(url: str) -> str:
    try:
        scheme: str = parse_stun_turn_uri(url)["scheme"]
    except ValueError as exc:
        shown = "an address with a password" if "@" in url else repr(url)
        raise MisuseError(
            f"{shown} is not an ICE server: give stun:host:port or turn:host:port, and username "
            "and credential beside it"
        ) from exc
    return scheme
