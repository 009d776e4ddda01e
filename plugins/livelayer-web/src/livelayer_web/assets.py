"""Serves files to browsers: our own modules, and a site's folder."""

from __future__ import annotations

import hashlib
import logging
import os
import stat
from mimetypes import guess_type
from pathlib import Path, PurePosixPath
from typing import Final, final
from urllib.parse import quote

import anyio.to_thread
from starlette.datastructures import Headers
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import ASGIApp, Scope

from livelayer_bus import MisuseError

from .combining import Modules
from .http import Problem

MODULES: Final = Path(__file__).parent / "static"
"""Where the browser's half lies."""

START: Final = Path(__file__).parent / "start"
"""The site that is served where the application gives none."""

# The types that decide whether a browser runs a file do not depend on this machine's tables.
_TYPES: Final = {
    ".css": "text/css",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".mjs": "text/javascript",
    ".mp4": "video/mp4",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
    ".webm": "video/webm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
logger = logging.getLogger(__name__)

_FOREIGN: Final = frozenset("\\:\0")
"""Characters with a special meaning in some file systems."""


def static_files(folder: Path = MODULES) -> ASGIApp:
    """Serve the browser's half, for a mount at `js`.

    Guarantee: a module is one file with all that it imports, compressed where the browser takes
    that. A browser revalidates at each load and is answered 304 unless a file has changed,
    so an upgrade takes effect at the next load. Modules are `text/javascript`, style sheets
    `text/css`, whatever this machine's MIME tables say.
    """
    return _Modules(folder)


def site_files(folder: Path) -> ASGIApp:
    """Serves a site's folder, for a mount at its root.

    `/` and folders are their `index.html`; `/pricing` is `pricing.html` or `pricing/index.html`.
    Other paths are answered with 404 and the folder's `404.html`, if it has one.

    Guarantee: only regular files below the folder; none that begins with a dot or lies in a
    folder that does, and no link that leads out of it.

    Raises:
        MisuseError: the folder does not exist.
    """
    if not folder.is_dir():
        raise MisuseError(f"site: {folder} is not a folder: give the one with index.html")
    return _Site(folder)


class _Files(StaticFiles):
    """Regular files of one folder, without names that begin with a dot."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder)
        self._folder = folder

    def get_path(self, scope: Scope) -> str:
        """The path below the mount, as requested."""
        root: str = scope.get("root_path", "").rstrip("/")
        path: str = scope["path"]
        return path.removeprefix(root).removeprefix("/")

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, or a problem."""
        if scope["method"] not in ("GET", "HEAD"):
            return Problem(405, "method", "files are read only", {"allow": "GET, HEAD"}).response()
        return await anyio.to_thread.run_sync(self._answer, path, scope)

    def _answer(self, path: str, scope: Scope) -> Response:
        found = self._find(path)
        return self._file(*found, scope) if found else self._missing()

    def _missing(self) -> Response:
        return Problem(404, "path", "there is no such file").response()

    def _find(self, path: str) -> tuple[str, os.stat_result] | None:
        """The regular file of this name, links followed."""
        names = path.split("/")
        if any(not name or name[0] == "." or not _FOREIGN.isdisjoint(name) for name in names):
            return None
        try:
            full, found = self.lookup_path(path)
        except (OSError, ValueError):  # not readable, or not a name of this file system
            return None
        if found is None or not stat.S_ISREG(found.st_mode):
            return None
        inside = Path(full).relative_to(self._folder.resolve())
        return None if any(name[0] == "." for name in inside.parts) else (full, found)

    def _file(self, full: str, found: os.stat_result, scope: Scope, status: int = 200) -> Response:
        suffix = PurePosixPath(full).suffix.lower()
        kind = _TYPES.get(suffix) or guess_type(full)[0] or "application/octet-stream"
        # Installers may set mtime to any value, but not ctime.
        state = f"{found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"
        tag = hashlib.blake2b(state.encode(), digest_size=12).hexdigest()
        headers = {"etag": f'"{tag}"', "cache-control": "no-cache"}
        response = FileResponse(full, status, headers, kind, stat_result=found)
        if status == 200 and self.is_not_modified(response.headers, Headers(scope=scope)):
            return NotModifiedResponse(response.headers)
        return response

    def is_not_modified(self, response_headers: Headers, request_headers: Headers) -> bool:
        """By the tag alone: mtime is not reliable."""
        return "if-none-match" in request_headers and super().is_not_modified(
            response_headers, request_headers
        )


@final
class _Modules(_Files):
    """The browser's half."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._modules = Modules(folder)

    def _file(self, full: str, found: os.stat_result, scope: Scope, status: int = 200) -> Response:
        path = Path(full).relative_to(self._folder.resolve()).as_posix()
        try:
            combined = self._modules.combined(path)
        except ValueError as exc:  # while somebody writes a module
            logger.error("%s", exc)
            return Problem(500, "module", str(exc)).response()
        if combined is None:
            return super()._file(full, found, scope, status)
        packs = "gzip" in Headers(scope=scope).get("accept-encoding", "")
        body = combined.packed if packs else combined.plain
        headers = {
            "etag": f'"{combined.tag}{"-gzip" if packs else ""}"',
            "cache-control": "no-cache",
            "content-length": str(len(body)),
            "vary": "Accept-Encoding",
        } | ({"content-encoding": "gzip"} if packs else {})
        content = body if scope["method"] == "GET" else b""
        response = Response(content, 200, headers, _TYPES[".js"])
        if self.is_not_modified(response.headers, Headers(scope=scope)):
            return NotModifiedResponse(response.headers)
        return response


@final
class _Site(_Files):
    """A folder of pages."""

    def _answer(self, path: str, scope: Scope) -> Response:
        if path == "" or path.endswith("/"):
            if found := self._find(f"{path}index.html"):
                return self._file(*found, scope)
            name = path.rstrip("/").rpartition("/")[2]
            if name and self._find(f"{path[:-1]}.html"):
                return _redirect(f"../{quote(name)}", scope)
        elif (found := self._find(path)) or (found := self._find(f"{path}.html")):
            return self._file(*found, scope)
        elif self._find(f"{path}/index.html"):
            # Its links are relative to the folder.
            return _redirect(f"./{quote(path.rpartition('/')[2])}/", scope)
        if page := self._find("404.html"):
            return self._file(*page, scope, 404)
        return self._missing()


def _redirect(target: str, scope: Scope) -> Response:
    """A relative redirect: the address outside a proxy is not known."""
    query: bytes = scope.get("query_string", b"")
    return RedirectResponse(f"{target}?{query.decode('latin-1')}" if query else target)
