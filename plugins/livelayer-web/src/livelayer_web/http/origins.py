"""The `Host` and `Origin` headers of requests, parsed strictly."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final, final

import msgspec

from livelayer_bus.errors import ConfigError

_HOST: Final = re.compile(
    r"(?P<name>[a-z0-9_](?:[a-z0-9_.-]{0,252}[a-z0-9_])?|\[[0-9a-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?",
    re.IGNORECASE | re.ASCII,
)
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]{0,30}", re.IGNORECASE | re.ASCII)
_PORTS: Final = {"http": 80, "https": 443}
_WITHOUT_ORIGIN: Final = frozenset({"file", "ftp"})  # browsers send `Origin: null` for these
_SHOWN: Final = 80  # characters of a wrong value in an error


class Host(msgspec.Struct, frozen=True):
    """A server's name in lower case. An address has its shortest form; IPv6 has no brackets."""

    name: str
    port: int | None = None
    """None: the scheme's default."""

    @property
    def loopback(self) -> bool:
        """Whether the name always means this machine, whatever a DNS server answers."""
        try:
            return ip_address(self.name).is_loopback
        except ValueError:
            return self.name == "localhost"


class Origin(msgspec.Struct, frozen=True):
    """The origin of a page; as text, it is what a browser calls it."""

    scheme: str
    name: str
    port: int | None
    """None only for schemes without a default port."""

    def __str__(self) -> str:
        name = f"[{self.name}]" if ":" in self.name else self.name
        port = "" if self.port in (None, _PORTS.get(self.scheme)) else f":{self.port}"
        return f"{self.scheme}://{name}{port}"


def parse_host(text: str) -> Host | None:
    """The server that a `Host` header names; None if the header is invalid.

    Invalid are: user names, names that end in a dot, IPv6 without brackets or with a zone, numbers
    that only some parsers read as an address, a port of 0 or beyond 65535.
    """
    match = _HOST.fullmatch(text)
    if match is None or ".." in match["name"]:
        return None
    port = int(match["port"]) if match["port"] is not None else None
    if port is not None and not 0 < port < 65536:
        return None
    name = match["name"].lower()
    try:
        if name[0] == "[":
            return Host(str(IPv6Address(name[1:-1])), port)
        if _looks_like_an_address(name):
            return Host(str(IPv4Address(name)), port)
    except ValueError:
        return None
    return Host(name, port)


def parse_origin(text: str) -> Origin | None:
    """The origin that an `Origin` header names; None for `null`, a path, or an invalid header."""
    scheme, separator, rest = text.partition("://")
    if not separator or _SCHEME.fullmatch(scheme) is None or scheme.lower() in _WITHOUT_ORIGIN:
        return None
    host = parse_host(rest)
    return _origin(scheme.lower(), host) if host is not None else None


@final
class Hosts:
    """The names of this server: the loopback's, and those that are allowed.

    Args:
        allowed: `name` for any port, `name:port` for that port; IPv6 in brackets.

    Raises:
        ConfigError: one of them is invalid.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        hosts: set[Host] = set()
        for text in check_list("allow_hosts", allowed):
            host = parse_host(text)
            if host is None:
                raise ConfigError("allow_hosts", f"{text[:_SHOWN]!r}: give name or name:port")
            hosts.add(host)
        self._hosts = frozenset(hosts)

    def __contains__(self, host: Host) -> bool:
        return host.loopback or host in self._hosts or Host(host.name) in self._hosts


@final
class Origins:
    """The pages of other origins that may ask.

    Args:
        allowed: `scheme://host[:port]`, exactly.
        where: the argument, for errors.
        wildcard: whether `*` is allowed: then it stands for every page, `null` included.

    Raises:
        ConfigError: one of them is invalid.
    """

    def __init__(
        self, allowed: Iterable[str] = (), where: str = "allow_origins", *, wildcard: bool = False
    ) -> None:
        origins: set[Origin] = set()
        self._every = False
        for text in check_list(where, allowed):
            origin = parse_origin(text)
            if origin is not None:
                origins.add(origin)
            elif wildcard and text == "*":
                self._every = True
            else:
                problem = f"{text[:_SHOWN]!r}: name each as https://host[:port], without a path"
                raise ConfigError(where, problem)
        self._origins = frozenset(origins)

    def allows(self, header: str) -> bool:
        """Whether pages with this `Origin` header may ask."""
        return self._every or parse_origin(header) in self._origins

    def __iter__(self) -> Iterator[str]:
        return map(str, self._origins)

    def __len__(self) -> int:
        return len(self._origins) + self._every


def same_origin(origin: Origin, scheme: str, host: Host) -> bool:
    """Whether the page is from the server that it asks."""
    return origin == _origin(scheme, host)


def _origin(scheme: str, host: Host) -> Origin:
    port = host.port if host.port is not None else _PORTS.get(scheme)
    return Origin(scheme, host.name, port)


def _looks_like_an_address(name: str) -> bool:
    last = name.rpartition(".")[2]
    return last.isdigit() or last.startswith("0x")


def check_list(where: str, given: Iterable[str]) -> Iterable[str]:
    """The texts.

    Raises:
        ConfigError: it is one text instead of a list.
    """
    if isinstance(given, str):
        raise ConfigError(where, f"got the text {given!r}: give a list, as in [{given!r}]")
    return given


def check_networks(where: str, given: Iterable[str]) -> list[IPv4Network | IPv6Network]:
    """The networks; an address is one of its own.

    Raises:
        ConfigError: one of them is invalid.
    """
    networks: list[IPv4Network | IPv6Network] = []
    for text in check_list(where, given):
        try:
            networks.append(ip_network(text))
        except ValueError as exc:
            problem = f"{text[:_SHOWN]!r}: give addresses or networks, as 10.0.0.1 or 10.0.0.0/8"
            raise ConfigError(where, problem) from exc
    return networks
