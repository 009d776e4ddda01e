"""The server that webhooks are posted to, if its addresses are public ones.

An address comes from a configuration that others may write to, and from the DNS, which changes. So
each request resolves the name, checks every address, and connects to a checked one: a name cannot
lead into the network of this machine, nor change between the check and the connection.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable, Mapping
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final, TypeAlias, final
from urllib.parse import urlsplit

import anyio
import httpx

from livelayer_bus.errors import ConfigError
from livelayer_bus.tokens import HTTP_SCHEMES, check_address

from ..http.origins import check_networks

Address: TypeAlias = IPv4Address | IPv6Address

_PORTS: Final = {"http": 80, "https": 443}
_NAT64: Final = ip_network("64:ff9b::/96")
# Not public, whatever the version of Python says of them: IPv4-compatible, NAT64 of a network,
# site-local.
_INNER: Final = tuple(map(ip_network, ("::/96", "64:ff9b:1::/48", "fec0::/10")))


class TargetError(Exception):
    """A request failed. It stays inside this package; its text names no address but the target's.

    `final`: trying again does not help.
    """

    def __init__(self, problem: str, *, final: bool = False) -> None:
        super().__init__(problem)
        self.problem = problem
        self.final = final


@final
class Target:
    """One URL; its repr and its errors show the host only.

    Guarantee: a request goes to an address that is public or in `allow_private`. No redirect is
    followed, no proxy used, and nothing of the answer but its status and `Retry-After` is read.

    Args:
        url: https, or http if its addresses are in `allow_private`.
        allow_private: addresses and networks, as `10.0.0.0/8`, that need not be public.

    Raises:
        ConfigError: the URL or a network is invalid.
    """

    def __init__(self, url: str, allow_private: Iterable[str]) -> None:
        check_address("url", url, HTTP_SCHEMES)
        parts = urlsplit(url)
        if parts.username is not None or parts.password is not None or parts.fragment:
            raise ConfigError("url", "it must have no user name, password or fragment")
        self._networks = check_networks("allow_private", allow_private)
        self._plain = parts.scheme == "http"
        if self._plain and not self._networks:
            raise ConfigError("url", "http is for addresses in allow_private only: give https")
        self._url = httpx.URL(url)
        self._port = parts.port or _PORTS[parts.scheme]
        self.host: Final = parts.hostname or ""

    async def post(self, headers: Mapping[str, str], body: bytes) -> tuple[int, float | None]:
        """Post the body; the answer's status, and its `Retry-After` in seconds.

        Raises:
            TargetError: there was no answer.
        """
        problem = "its name has no address"
        for address in await self._addresses():
            try:
                return await self._post(address, headers, body)
            except httpx.ConnectError:
                problem = "it cannot be connected to"
            except httpx.HTTPError as exc:
                raise TargetError(f"the request failed ({type(exc).__name__})") from exc
        raise TargetError(problem)

    async def _addresses(self) -> list[Address]:
        try:
            found = await anyio.getaddrinfo(self.host, self._port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as exc:
            raise TargetError("its name cannot be resolved") from exc
        addresses = list(dict.fromkeys(ip_address(str(entry[4][0])) for entry in found))
        for address in addresses:
            if any(plain_address(address) in network for network in self._networks):
                continue
            if self._plain or not is_public(address):
                problem = "its address is not a public one: name it in allow_private"
                raise TargetError(problem, final=True)
        return addresses

    async def _post(
        self, address: Address, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, float | None]:
        url = self._url.copy_with(host=str(address))
        # A client for each request: the pool of a longer one holds connections open for nothing.
        async with httpx.AsyncClient(verify=_tls(), trust_env=False, timeout=None) as client:  # noqa: S113 - the caller's
            request = client.build_request(
                "POST",
                url,
                headers={**headers, "host": self._url.netloc.decode()},
                content=body,
                extensions={"sni_hostname": self.host},
            )
            request.url = _QuietURL(request.url)
            response = await client.send(request, stream=True)
            await response.aclose()
        wait = response.headers.get("retry-after", "")
        return response.status_code, float(wait) if wait.isascii() and wait.isdigit() else None

    def __repr__(self) -> str:
        return f"Target({self.host!r}, ...)"


def plain_address(address: Address) -> Address:
    """The IPv4 address that an IPv6 one leads to; else the address itself."""
    if not isinstance(address, IPv6Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and address.teredo is not None:
        inner = address.teredo[1]
    if inner is None and address in _NAT64:
        inner = IPv4Address(int(address) & 0xFFFF_FFFF)
    return inner or address


def is_public(address: Address) -> bool:
    """Whether anybody on the Internet may have this address, whatever leads to it."""
    address = plain_address(address)
    if isinstance(address, IPv6Address) and any(address in network for network in _INNER):
        return False
    return address.is_global and not address.is_multicast


class _QuietURL(httpx.URL):
    """httpx logs the address of each request: this one shows no path or query."""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc.decode()}"


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()
