"""Who may reach a web surface over the network, and how often a client may ask."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b
from ipaddress import ip_address
from typing import Final, final
from urllib.parse import urlsplit

import msgspec
from starlette.datastructures import Headers
from starlette.types import Scope

from livelayer_bus import MisuseError
from livelayer_bus.clock import Clock

from .http import (
    CONTENT_SECURITY_POLICY,
    Hosts,
    Origins,
    Rate,
    RateLimiter,
    client_bucket,
    credential,
)
from .http.origins import check_list, parse_host, parse_origin
from .media import MediaSettings
from .tokens import ViewerTokens

KEY_HEADER: Final = "x-livelayer-key"
"""Carries a viewer's key or token where `Authorization` belongs to the site's own login."""

_ALL_INTERFACES: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not listened on
_JOINS: Final = frozenset({"viewers", "sessions"})


class NetworkPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of requests. Files are not limited."""

    max_body: int = 65_536
    """Bytes of a request."""
    joins: Rate = Rate(per_minute=120, burst=60)
    """Joining, and opening sessions; for each address."""
    messages: Rate = Rate(per_minute=120, burst=30)
    """Messages to the agent; for each viewer."""
    everything: Rate = Rate(per_minute=6000, burst=1000)
    """Any request that is not for a file; for each viewer, and for each address without one."""
    trusted_proxies: Sequence[str] = ()
    """Addresses and networks of reverse proxies: their `X-Forwarded-For` and `X-Forwarded-Proto`
    are believed."""


def check_reach(
    host: str,
    port: int | None,
    allow_origins: Iterable[str],
    allow_hosts: Iterable[str],
    tokens: ViewerTokens | None,
) -> tuple[Hosts, Origins, bool]:
    """The names of this server, the other origins whose pages may ask, and whether only pages on
    this machine reach it: it listens on the loopback and has no name of another machine.

    Raises:
        MisuseError: a value is invalid, or other machines could reach the server without the
            protection that this requires.
    """
    origins = tuple(check_list("allow_origins", allow_origins))
    hosts = tuple(check_list("allow_hosts", allow_hosts))
    allowed = Origins(origins)
    if port is not None:
        if not 0 <= port <= 65535:
            raise MisuseError(f"port is {port}: give 0 to 65535, or None for no server of its own")
        hosts += () if host in _ALL_INTERFACES else (_bracketed(host),)
        if not _is_loopback(_bracketed(host)) and not (origins and tokens):
            raise MisuseError(
                f"host is {host}, which other machines can reach: give allow_origins (whose pages "
                "may ask, as https://shop.example.com) and viewer tokens (tokens= or secret=), or "
                "listen on 127.0.0.1"
            )
    named = next((text for text in hosts if parse_host(text) and not _is_loopback(text)), None)
    if named is not None and tokens is None:
        raise MisuseError(
            f"allow_hosts names {named}, by which other machines reach this server: give viewer "
            "tokens (tokens= or secret=)"
        )
    parsed = (parse_origin(text) for text in origins)
    names = [*hosts, *(_bracketed(origin.name) for origin in parsed if origin)]
    local_only = port is not None and all(map(_is_loopback, [_bracketed(host), *names]))
    return Hosts(names), allowed, local_only


def content_security_policy(media: MediaSettings) -> str:
    """What this server's own pages may load, and which servers they may connect to."""
    if media.mode == "whep":
        return CONTENT_SECURITY_POLICY
    servers = ["wss:", "https:", "ws:", "http:"]
    if media.livekit_url is not None:
        url = urlsplit(media.livekit_url)
        # The client also asks by HTTP, for the reason of a failure.
        schemes = ("wss", "https") if url.scheme in ("wss", "https") else ("ws", "http")
        servers = [f"{scheme}://{url.netloc}" for scheme in schemes]
    before = "connect-src 'self'"
    return CONTENT_SECURITY_POLICY.replace(before, " ".join([before, *servers]))


@final
class NetworkLimits:
    """The rates of a policy, by route.

    Args:
        policy: the rates.
        clock: what they are measured on.
        is_viewer: whether a key is a viewer's. A viewer's requests are counted by its key, all
            others by address (an IPv6 /64 is one).
    """

    def __init__(
        self, policy: NetworkPolicy, clock: Clock, is_viewer: Callable[[str], bool]
    ) -> None:
        self._joins = RateLimiter(policy.joins, clock)
        self._messages = RateLimiter(policy.messages, clock)
        self._everything = RateLimiter(policy.everything, clock)
        self._is_viewer = is_viewer

    def __len__(self) -> int:
        return len(self._joins) + len(self._messages) + len(self._everything)

    def buckets(self, scope: Scope) -> Iterator[tuple[RateLimiter, str]]:
        """See `RateLimits`."""
        last = scope["path"].rstrip("/").rpartition("/")[2]
        if scope["method"] in ("GET", "HEAD") and last != "events":
            return  # a file
        client = self._client(scope)
        yield self._everything, client
        if scope["method"] == "POST" and last in _JOINS:
            # By address in any case: a viewer's key must not allow further viewers without limit.
            yield self._joins, client_bucket(scope)
        elif scope["method"] == "POST" and last == "messages":
            yield self._messages, client

    def _client(self, scope: Scope) -> str:
        key = credential(Headers(scope=scope), KEY_HEADER)
        if key is not None and self._is_viewer(key):
            return f"viewer {blake2b(key.encode(), digest_size=16).hexdigest()}"
        return client_bucket(scope)


def _is_loopback(host: str) -> bool:
    found = parse_host(host)
    return found is not None and found.loopback


def _bracketed(host: str) -> str:
    """The host as a `Host` header has it."""
    try:
        return f"[{host}]" if ip_address(host).version == 6 else host
    except ValueError:
        return host
