"""Names of servers and pages as requests carry them: `Host` and `Origin`, read strictly."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, final

import msgspec

from livelayer_bus import MisuseError

_HOST: Final = re.compile(
    r"(?P<name>[a-z0-9_](?:[a-z0-9_.-]{0,252}[a-z0-9_])?|\[[0-9a-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?",
    re.IGNORECASE | re.ASCII,
)
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]{0,30}", re.IGNORECASE | re.ASCII)
_PORTS: Final = {"http": 80, "https": 443}
_SHOWN: Final = 80  # characters of a wrong value in an error


class Host(msgspec.Struct, frozen=True):
    """A server's name: lower case, an address in its shortest form, IPv6 without brackets."""

    name: str
    port: int | None = None
    """None: the scheme's own."""

    @property
    def loopback(self) -> bool:
        """Whether nobody else can give this name to another machine."""
        try:
            return ip_address(self.name).is_loopback
        except ValueError:
            return self.name == "localhost"


class Origin(msgspec.Struct, frozen=True):
    """Where a page came from."""

    scheme: str
    name: str
    port: int | None
    """None only for schemes that have no port of their own."""


def parse_host(text: str) -> Host | None:
    """What a `Host` header names; None if it is none.

    Refused: user names, names that end in a dot, IPv6 without brackets or with a zone, numbers
    that only some readers take for an address, a port of 0 or beyond 65535.
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
    """What an `Origin` header names; None for `null`, a path, or anything else than one origin."""
    scheme, separator, rest = text.partition("://")
    if not separator or _SCHEME.fullmatch(scheme) is None:
        return None
    host = parse_host(rest)
    return _origin(scheme.lower(), host) if host is not None else None


@final
class Hosts:
    """The names that this server goes by: the loopback's, and those that were allowed.

    Args:
        allowed: `name` for any port, `name:port` for this one; IPv6 in brackets.

    Raises:
        MisuseError: one of them is no such name.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        hosts: set[Host] = set()
        for text in _listed("allow_hosts", allowed):
            host = parse_host(text)
            if host is None:
                raise MisuseError(
                    f"allow_hosts: {text[:_SHOWN]!r} is no host: give name or name:port"
                )
            hosts.add(host)
        self._hosts = frozenset(hosts)

    def __contains__(self, host: Host) -> bool:
        return host.loopback or host in self._hosts or Host(host.name) in self._hosts


@final
class Origins:
    """The pages of other origins that may ask.

    Args:
        allowed: `scheme://host[:port]`, exactly.

    Raises:
        MisuseError: one of them is no origin; `*` and `null` are none either.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        origins: set[Origin] = set()
        for text in _listed("allow_origins", allowed):
            origin = parse_origin(text)
            if origin is None:
                raise MisuseError(
                    f"allow_origins: {text[:_SHOWN]!r} is no origin: name each as "
                    "https://host[:port], without a path"
                )
            origins.add(origin)
        self._origins = frozenset(origins)

    def __contains__(self, origin: Origin) -> bool:
        return origin in self._origins

    def __len__(self) -> int:
        return len(self._origins)


def same_origin(origin: Origin, scheme: str, host: Host) -> bool:
    """Whether the page came from the server that it asks."""
    return origin == _origin(scheme, host)


def _origin(scheme: str, host: Host) -> Origin:
    port = host.port if host.port is not None else _PORTS.get(scheme)
    return Origin(scheme, host.name, port)


def _looks_like_an_address(name: str) -> bool:
    last = name.rpartition(".")[2]
    return last.isdigit() or last.startswith("0x")


def _listed(argument: str, given: Iterable[str]) -> Iterable[str]:
    if isinstance(given, str):
        raise MisuseError(f"{argument} is the text {given!r}: give a list, as in [{given!r}]")
    return given
