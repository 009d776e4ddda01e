"""Token buckets: how often one client may ask."""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address
from typing import Final, final

import msgspec
from starlette.types import Scope

from livelayer_bus.clock import Clock
from livelayer_bus.errors import ConfigError

MAX_BUCKETS: Final = 10_000
"""Buckets in memory at once. Beyond that, the least recently used one is forgotten."""


class Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`burst` requests at once, then `per_minute`."""

    per_minute: float = 60.0
    burst: int = 20

    def __post_init__(self) -> None:
        if not (self.per_minute > 0 and self.burst >= 1):
            raise ConfigError("rate", "per_minute must be positive and burst at least 1")


@final
class RateLimiter:
    """One bucket for each name, at most `MAX_BUCKETS` of them. It never waits."""

    def __init__(self, rate: Rate, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> float:
        """Count one request. Returns 0.0 if it may be served, else the seconds until one may be."""
        now, second = self._clock.now(), self._rate.per_minute / 60
        tokens, since = self._buckets.pop(name, (float(self._rate.burst), now))
        tokens = min(float(self._rate.burst), tokens + (now - since) * second)
        served = tokens >= 1
        self._buckets[name] = (tokens - 1 if served else tokens, now)
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)
        return 0.0 if served else (1 - tokens) / second

    def __len__(self) -> int:
        return len(self._buckets)


def bucket_of(address: str) -> str:
    """The name of an address's bucket. All addresses of an IPv6 /64 share one bucket."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "address unknown"
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return f"address {parsed.ipv4_mapped}"
        return f"address {IPv6Address(int(parsed) >> 64 << 64)}/64"
    return f"address {parsed}"


def client_bucket(scope: Scope) -> str:
    """The name of the bucket of a request's client address."""
    client = scope.get("client")
    return bucket_of(client[0] if client else "")
