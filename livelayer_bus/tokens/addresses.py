"""Addresses and headers, checked before they are used and shown without what they hide."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit, urlunsplit

from ..errors import ConfigError

ROOM_SCHEMES = ("ws", "wss", "http", "https")
HTTP_SCHEMES = ("http", "https")

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def shown(url: str) -> str:
    """The address without user, password, query and fragment: what errors and reprs may say."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "(no address)"
    if ":" in host:
        host = f"[{host}]"
    netloc = host if port is None else f"{host}:{port}"
    return urlunsplit((parts.scheme, netloc, parts.path, "", ""))


def address_problem(url: object, schemes: tuple[str, ...]) -> str | None:
    """Return why the address is invalid, without quoting it; None if it is valid."""
    if not isinstance(url, str) or not url:
        return "it is empty"
    if not url.isprintable() or " " in url or "\\" in url:
        return "it holds spaces, backslashes or control characters"
    parts = _split(url)
    if parts is None:
        return "it is malformed"
    if parts.scheme not in schemes:
        return f"it must begin with {', '.join(f'{scheme}://' for scheme in schemes)}"
    return None if parts.hostname else "it names no host"


def check_address(where: str, url: str, schemes: tuple[str, ...]) -> str:
    """The address as it is.

    Raises:
        ConfigError: the address is invalid or has another scheme; `where` names the argument.
    """
    problem = address_problem(url, schemes)
    if problem is not None:
        raise ConfigError(where, f"invalid address: {problem}")
    return url


def check_base(where: str, url: str) -> str:
    """The address without slashes at its end, ready for a path to follow.

    Raises:
        ConfigError: it is not an http or https address, or has a query or a fragment.
    """
    check_address(where, url, HTTP_SCHEMES)
    if "?" in url or "#" in url:
        raise ConfigError(where, "it has a query or a fragment, so that no path can follow")
    return url.rstrip("/")


def check_headers(where: str, headers: Mapping[str, str]) -> dict[str, str]:
    """A copy of the headers.

    Raises:
        ConfigError: a name or a value cannot be sent; values are never quoted.
    """
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ConfigError(where, f"{name!r} is not a valid header name")
        check_header_value(f"{where}[{name!r}]", value)
    return dict(headers)


def check_header_value(where: str, value: object) -> None:
    """Refuse what an HTTP header cannot carry.

    Raises:
        ConfigError: the value is empty or not printable ASCII.
    """
    if not isinstance(value, str) or not value:
        raise ConfigError(where, "it is empty")
    if not (value.isascii() and value.isprintable() and value == value.strip()):
        raise ConfigError(where, "it is not printable ASCII, or has spaces around it")


def is_local(url: str) -> bool:
    """Whether the address is one of this machine's loopback, which no proxy reaches."""
    parts = _split(url)
    host = parts.hostname or "" if parts is not None else ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def proxy_variables(*names: str) -> str:
    """Those of the environment's variables `names`, in either case, that are set: for errors."""
    either = [case for name in names for case in (name, name.upper())]
    return ", ".join(name for name in either if os.environ.get(name))


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # parsed, and refused, only when it is read
    except ValueError:
        return None
    return parts
