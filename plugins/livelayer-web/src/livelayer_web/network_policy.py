"""How far a web surface can be reached, and what that takes."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from livelayer_bus import MisuseError

from .origins import Host, Origins, parse_host, parse_origin
from .tokens import ViewerTokens

_EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - to tell it, not to listen there


def check_exposure(
    host: str,
    port: int | None,
    allow_origins: Iterable[str],
    allow_hosts: Iterable[str],
    tokens: ViewerTokens | None,
) -> tuple[str, ...]:
    """The names that the server goes by.

    Raises:
        MisuseError: other machines could reach it, and something is missing that this takes.
    """
    for argument, given in (("allow_origins", allow_origins), ("allow_hosts", allow_hosts)):
        if isinstance(given, str):
            raise MisuseError(f"{argument} is the text {given!r}: give a list, as in [{given!r}]")
    origins = tuple(allow_origins)
    hosts = tuple(allow_hosts)
    Origins(origins)  # what is none is told first
    if port is not None:
        if not 0 <= port <= 65535:
            raise MisuseError(f"port is {port}: give 0 to 65535, or None for no server of its own")
        hosts += _own_names(host)
    if port is not None and not _is_loopback(host) and not (origins and tokens):
        raise MisuseError(
            f"host is {host}, which other machines can reach: that takes allow_origins (whose "
            "pages may ask, as https://shop.example.com) and viewer tokens (tokens= or secret=); "
            "or listen on 127.0.0.1"
        )
    named = [text for text in hosts if (found := parse_host(text)) and not found.loopback]
    if named and tokens is None:
        raise MisuseError(
            f"allow_hosts names {named[0]}, by which other machines reach this server: that takes "
            "viewer tokens (tokens= or secret=)"
        )
    allowed = (parse_origin(text) for text in origins)
    return hosts + tuple(_bracketed(origin.name) for origin in allowed if origin is not None)


def _is_loopback(host: str) -> bool:
    found = _host_of(host)
    return found is not None and found.loopback


def _own_names(host: str) -> tuple[str, ...]:
    return () if host in _EVERYWHERE else (_bracketed(host),)


def _host_of(host: str) -> Host | None:
    return parse_host(_bracketed(host))


def _bracketed(host: str) -> str:
    """As a `Host` header has it."""
    try:
        return f"[{host}]" if ip_address(host).version == 6 else host
    except ValueError:
        return host
