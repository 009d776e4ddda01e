"""The widget in a frame on pages of other sites: who may frame it, and the page they frame."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final, final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from .http import Origins

_PAGE: Final = """<!doctype html>
<html lang="en" data-origins="{origins}">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>livelayer</title>
    <link rel="icon" href="data:,">
    <script type="module" src="js/embed/frame.js"></script>
  </head>
  <body></body>
</html>
"""
_OWN: Final = "frame-ancestors 'self'"


@final
class Embedding:
    """The pages that may show the widget in a frame: this server's own, and those of `origins`.

    Guarantee: a browser shows the frame's page nowhere else (CSP `frame-ancestors`, which counts
    every page around it). Pages of `origins` may also load the modules below `js`, and nothing
    else: what they could ask of the session needs `allow_origins`.

    Args:
        origins: `scheme://host[:port]`, exactly.
        base: the surface's path within its application.
        policy: the content security policy of the surface's own pages.

    Raises:
        ConfigError: one of them is invalid.
    """

    def __init__(self, origins: Iterable[str], base: str, policy: str) -> None:
        self._modules = f"{base}/js/"
        self._origins = Origins(origins, "embed_origins")
        names = sorted(self._origins)
        self._policy = policy.replace(_OWN, " ".join([_OWN, *names]))
        self._page = _PAGE.format(origins=escape(" ".join(names)))

    def may_load(self, scope: Scope, origin: str) -> bool:
        """Whether a page with this `Origin` may load what the request is for."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        is_module = scope["method"] in ("GET", "HEAD") and path.startswith(self._modules)
        return is_module and self._origins.allows(origin)

    async def page(self, request: Request) -> Response:
        """The page of the frame."""
        del request
        headers = {"content-security-policy": self._policy}
        return Response(self._page, headers=headers, media_type="text/html")

    def __len__(self) -> int:
        return len(self._origins)
