"""What `livelayer doctor` looks at; every check is a finding, none raises."""

from __future__ import annotations

import os
import socket
import sys
import warnings
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from typing import Final, Literal, TypeAlias

import httpx
import msgspec
from livekit import api

from ..config.registry import installed_surfaces, load_surface
from ..control.socket_path import socket_path
from ..errors import LivelayerError, PluginBrokenError

Verdict: TypeAlias = Literal["ok", "warn", "fail"]

DISTRIBUTION: Final = "livelayer-bus"
SERVER_SECONDS: Final = 5.0
_CORE: Final = ("livekit", "livekit-api", "anyio", "httpx", "msgspec", "numpy")
_EXTRAS: Final[dict[str, tuple[str, ...]]] = {
    "cli": ("rich", "typer"),
    "embedded": ("aiohttp", "aiortc", "pylibsrtp"),
    "demo": ("livekit-agents", "espeakng-loader"),
    "bench": ("matplotlib", "psutil"),
}


class Finding(msgspec.Struct, frozen=True):
    """One line of the doctor's."""

    verdict: Verdict
    what: str
    found: str
    advice: str = ""


def check_machine() -> Iterator[Finding]:
    """Everything that needs no network beyond the loopback."""
    yield _python()
    for name in _CORE:
        yield _package(name)
    for extra, names in _EXTRAS.items():
        yield _extra(extra, names)
    yield _voice()
    yield _loopback()
    yield _control()
    yield _surfaces()


async def check_server(environ: Mapping[str, str]) -> list[Finding]:
    """The server of LIVEKIT_URL, and whether it takes a token of LIVEKIT_API_KEY and _SECRET."""
    url = environ.get("LIVEKIT_URL")
    if not url:
        found = "LIVEKIT_URL is not set"
        return [Finding("ok", "server", found, "set it to have a server of yours checked")]
    http = "http" + url.removeprefix("ws") if url.startswith("ws") else url
    try:
        async with httpx.AsyncClient(timeout=SERVER_SECONDS) as client:
            answer = await client.get(http)
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        found = f"{url} does not answer ({type(exc).__name__})"
        return [Finding("fail", "server", found, "check the address and that the server runs")]
    server = Finding("ok", "server", f"{url} answers ({answer.status_code})")
    return [server, await _token(http, environ)]


async def _token(url: str, environ: Mapping[str, str]) -> Finding:
    key, secret = environ.get("LIVEKIT_API_KEY"), environ.get("LIVEKIT_API_SECRET")
    if not key or not secret:
        found = "LIVEKIT_API_KEY and LIVEKIT_API_SECRET are not both set"
        return Finding("warn", "token", found, "set both to have them checked")
    grants = api.VideoGrants(room_join=True, room="livelayer-doctor")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about short secrets: the server's answer says enough
        token = api.AccessToken(key, secret).with_identity("doctor").with_grants(grants).to_jwt()
    try:
        async with httpx.AsyncClient(timeout=SERVER_SECONDS) as client:
            # Says whether the token would be taken, without joining.
            answer = await client.get(
                f"{url.rstrip('/')}/rtc/validate", params={"access_token": token}
            )
    except httpx.HTTPError as exc:
        return Finding("fail", "token", f"no answer ({type(exc).__name__})", "try again")
    if answer.is_success:
        return Finding("ok", "token", "the server takes it")
    found = f"the server refuses it ({answer.status_code})"
    return Finding("fail", "token", found, "check LIVEKIT_API_KEY and LIVEKIT_API_SECRET")


def _python() -> Finding:
    # An older Python cannot even install the package.
    return Finding("ok", "python", ".".join(map(str, sys.version_info[:3])))


def _package(name: str) -> Finding:
    wanted = next((need for need in _requirements() if _name_of(need) == name), name)
    try:
        return Finding("ok", name, version(name))
    except PackageNotFoundError:
        return Finding("fail", name, "not installed", f"pip install '{wanted}'")


def _extra(extra: str, names: tuple[str, ...]) -> Finding:
    missing = [name for name in names if not _installed(name)]
    what = f"extra [{extra}]"
    if missing:
        advice = f"pip install '{DISTRIBUTION}[{extra}]' if you want it"
        return Finding("warn", what, f"lacks {', '.join(missing)}", advice)
    return Finding("ok", what, ", ".join(f"{name} {version(name)}" for name in names))


def _voice() -> Finding:
    what = "voice (espeak-ng)"
    if find_spec("espeakng_loader") is None:
        advice = f"pip install '{DISTRIBUTION}[all]' for the demo"
        return Finding("warn", what, "not installed", advice)
    try:
        loader = import_module("espeakng_loader")
        found = f"{loader.get_library_path()}"
        loader.load_library()
    except (ImportError, OSError, RuntimeError, AttributeError) as exc:
        advice = "pip install --force-reinstall espeakng-loader"
        return Finding("fail", what, f"does not load ({type(exc).__name__})", advice)
    return Finding("ok", what, found)


def _loopback() -> Finding:
    try:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_INET, kind) as probe:
                probe.bind(("127.0.0.1", 0))
    except OSError as exc:
        advice = "the embedded server needs it: check the firewall or the container"
        return Finding("fail", "loopback", f"cannot bind 127.0.0.1 ({exc.strerror})", advice)
    return Finding("ok", "loopback", "127.0.0.1 takes TCP and UDP")


def _control() -> Finding:
    """Bind a socket as a session does: it fails on a wrong owner or mode, or a long path."""
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            path = socket_path(f"doctor-{os.getpid()}", create=True)
            try:
                probe.bind(str(path))
            finally:
                path.unlink(missing_ok=True)
    except (LivelayerError, OSError) as exc:
        return Finding("warn", "control socket", str(exc), "'livelayer send' and 'tail' need it")
    return Finding("ok", "control socket", str(path.parent))


def _surfaces() -> Finding:
    surfaces, broken = installed_surfaces(), list[str]()
    for surface in surfaces:
        try:
            load_surface(surface.name)
        except PluginBrokenError as exc:
            broken.append(str(exc))
    if broken:
        return Finding("fail", "surfaces", "; ".join(broken), "see 'livelayer surfaces --check'")
    names = [surface.name for surface in surfaces]
    advice = "" if "web" in names else "pip install livelayer-web to show an agent on a web page"
    return Finding("ok", "surfaces", ", ".join(names) or "none", advice)


def _installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def _requirements() -> list[str]:
    try:
        return requires(DISTRIBUTION) or []
    except PackageNotFoundError:
        return []


def _name_of(requirement: str) -> str:
    return requirement.split(";")[0].strip().split("[")[0].rstrip("0123456789.<>=,~! ")
