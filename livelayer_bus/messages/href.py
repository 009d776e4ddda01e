"""Which addresses an agent may send a surface to: http, https and relative ones, nothing else."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def href_problem(href: str) -> str | None:
    """Why the address is refused, without quoting it; None when it is fine.

    What a browser would read differently from how it looks is refused too: backslashes count as
    slashes there, tabs and line breaks are dropped, `//host` leaves the site, and a user name
    before an `@` can pass for a host.
    """
    if not href:
        return "href is empty"
    if href != href.strip():
        return "href begins or ends with white space"
    if not href.isprintable():
        return "href holds control or invisible characters"
    if "\\" in href:
        return "href holds a backslash, which browsers read as a slash"
    if href.startswith("//"):
        return "href names a host without a scheme; write https:// before it"
    scheme = _SCHEME.match(href)
    if scheme is None:
        return None
    if scheme.group().lower() not in ("http:", "https:"):
        return "href has a scheme other than http and https"
    return _host_problem(href, href[scheme.end() :])


def _host_problem(href: str, rest: str) -> str | None:
    try:
        host = urlsplit(href).hostname if rest.startswith("//") else None
    except ValueError:
        host = None
    if not host:
        return "href has a scheme but no host"
    authority = re.split(r"[/?#]", rest[2:], maxsplit=1)[0]
    return "href names a user before its host" if "@" in authority else None
