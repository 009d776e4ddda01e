"""What `livelayer doctor` checks for web pages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Final

import httpx

from livelayer_bus.cli import Finding, check_port

from .command import PORT

SECONDS: Final = 5.0
_FEATURES: Final = {"microphone": "fail", "camera": "warn", "display-capture": "warn"}
"""What a page may send, and how much it matters that it may not."""
_DIRECTIVE: Final = re.compile(r"([a-z-]+)\s*=\s*(\([^)]*\)|\*|[^,\s]+)")


def check(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Whether the endpoint's port is free, and whether the page LIVELAYER_PAGE may be heard."""
    yield check_port(PORT, "livelayer serve")
    if page := environ.get("LIVELAYER_PAGE"):
        yield from check_page(page)


def check_page(url: str) -> Iterator[Finding]:
    """Whether browsers let the page use a microphone: HTTPS, and its header Permissions-Policy."""
    try:
        answer = httpx.get(url, timeout=SECONDS, follow_redirects=True)
        answer.raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        found = f"{url} cannot be read ({type(exc).__name__})"
        yield Finding("fail", "page", found, "check the address and that the server runs")
        return
    if answer.url.scheme != "https" and not _is_local(answer.url.host):
        advice = "serve it over https: browsers give no microphone to other pages"
        yield Finding("fail", "page", f"{answer.url} is not a secure page", advice)
        return
    policy = dict(_DIRECTIVE.findall(answer.headers.get("permissions-policy", "").lower()))
    refused = [name for name in _FEATURES if not _allows_itself(policy.get(name, "*"), answer.url)]
    for name in refused:
        found = f"its header Permissions-Policy forbids {name}"
        advice = f"answer with Permissions-Policy: {name}=(self), or without {name}"
        yield Finding("fail" if _FEATURES[name] == "fail" else "warn", "page", found, advice)
    if not refused:
        yield Finding("ok", "page", f"{answer.url} may use {', '.join(_FEATURES)}")


def _allows_itself(members: str, url: httpx.URL) -> bool:
    """Whether an allowlist has the page's own origin."""
    origin = f"{url.scheme}://{url.netloc.decode()}"
    found = members.strip("()").split()
    return bool({"*", "self", f'"{origin}"'} & set(found))


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
