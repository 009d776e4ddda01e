"""`livelayer doctor`: checks of this machine, each of which gives a finding and never raises."""

from __future__ import annotations

import os
import socket
import sys
import warnings
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Annotated, Final, Literal, TypeAlias

import httpx
import msgspec
import typer
from livekit import api
from rich.console import Console
from rich.text import Text

from ..config.registry import DISTRIBUTIONS, installed_surfaces, load_surface
from ..control.socket_path import socket_path
from ..errors import OURS, LivelayerError, PluginBrokenError
from .app import COMMANDS
from .exits import FAILED, OK, run_async

Verdict: TypeAlias = Literal["ok", "warn", "fail"]

_STYLES: Final[dict[Verdict, str]] = {"ok": "green", "warn": "yellow", "fail": "bold red"}
SERVER_SECONDS: Final = 5.0
_CORE: Final = ("livekit", "livekit-api", "anyio", "httpx", "msgspec", "numpy")
_EXTRAS: Final[dict[str, tuple[str, ...]]] = {
    "cli": ("rich", "typer"),
    "telemetry": ("opentelemetry-api",),
}


class Finding(msgspec.Struct, frozen=True):
    """One line of the report."""

    verdict: Verdict
    what: str
    found: str
    advice: str = ""


def command(
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines instead of text.")] = False,
) -> None:
    """Check this machine: Python, packages, loopback, surfaces, the voice of the demo.

    With LIVEKIT_URL set, also check that the server answers there, and with LIVEKIT_API_KEY and
    LIVEKIT_API_SECRET that it accepts their tokens. Each line is ok, warn or fail and says what to
    do; nothing is installed or changed. Exits with 1 if a line says fail.

    Examples:

    \b
      livelayer doctor
      LIVEKIT_URL=ws://127.0.0.1:7880 livelayer doctor --json
    """

    async def main() -> int:
        findings = [*check_machine(), *await check_server(os.environ)]
        for finding in findings:
            if as_json:
                typer.echo(msgspec.json.encode(finding).decode())
            else:
                _show(finding)
        return FAILED if any(finding.verdict == "fail" for finding in findings) else OK

    run_async(main)


def _show(finding: Finding) -> None:
    line = Text.assemble(
        (f"{finding.verdict:<5}", _STYLES[finding.verdict]), (f"{finding.what:<26}"), finding.found
    )
    if finding.advice:
        line.append(f": {finding.advice}", "bold")
    Console(highlight=False, soft_wrap=True).print(line)


def _distributions() -> dict[str, str]:
    """Our other distributions, and what each is for."""
    uses: dict[str, list[str]] = {"livekit-plugins-livelayer": ["the agent's side"]}
    for surface, name in DISTRIBUTIONS.items():
        uses.setdefault(name, []).append(f"the surface {surface!r}")
    for command, (_, name) in COMMANDS.items():
        if name != OURS:
            uses.setdefault(name, []).append(f"'livelayer {command}'")
    return {name: " and ".join(found) for name, found in sorted(uses.items())}


def check_machine() -> Iterator[Finding]:
    """Everything that needs only the loopback."""
    yield Finding("ok", "python", ".".join(map(str, sys.version_info[:3])))
    yield _packages("packages", _CORE, "fail", f"pip install {OURS}")
    for extra, names in _EXTRAS.items():
        yield _packages(f"extra [{extra}]", names, "warn", f"pip install '{OURS}[{extra}]'")
    for name, use in _distributions().items():
        yield _packages(name, (name,), "warn", f"pip install {name} for {use}")
    yield _voice()
    yield _loopback()
    yield _control()
    yield _surfaces()


async def check_server(environ: Mapping[str, str]) -> list[Finding]:
    """The server at LIVEKIT_URL, and whether it accepts a token of LIVEKIT_API_KEY and _SECRET."""
    url = environ.get("LIVEKIT_URL")
    if not url:
        found = "LIVEKIT_URL is not set"
        return [Finding("ok", "server", found, "set it to check your server")]
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
        return Finding("warn", "token", found, "set both to check them")
    grants = api.VideoGrants(room_join=True, room="livelayer-doctor")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about short secrets: the server's answer decides
        token = api.AccessToken(key, secret).with_identity("doctor").with_grants(grants).to_jwt()
    try:
        async with httpx.AsyncClient(timeout=SERVER_SECONDS) as client:
            # Validates the token without joining.
            answer = await client.get(
                f"{url.rstrip('/')}/rtc/validate", params={"access_token": token}
            )
    except httpx.HTTPError as exc:
        return Finding("fail", "token", f"no answer ({type(exc).__name__})", "try again")
    if answer.is_success:
        return Finding("ok", "token", "the server accepts it")
    found = f"the server refuses it ({answer.status_code})"
    return Finding("fail", "token", found, "check LIVEKIT_API_KEY and LIVEKIT_API_SECRET")


def _packages(what: str, names: tuple[str, ...], verdict: Verdict, advice: str) -> Finding:
    """The versions of `names`; `verdict` and `advice` if one of them is missing."""
    found = {name: _version(name) for name in names}
    missing = ", ".join(name for name in names if found[name] is None)
    if missing:
        return Finding(verdict, what, f"{missing} not installed", advice)
    versions = [f"{name} {found[name]}".removeprefix(f"{what} ") for name in names]
    return Finding("ok", what, ", ".join(versions))


def _voice() -> Finding:
    what = "voice (espeak-ng)"
    if find_spec("espeakng_loader") is None:
        advice = "pip install livelayer-demo for the demo"
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
    return Finding("ok", "loopback", "127.0.0.1 accepts TCP and UDP")


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
    surfaces = installed_surfaces()
    broken: list[str] = []
    for surface in surfaces:
        try:
            load_surface(surface.name)
        except PluginBrokenError as exc:
            broken.append(str(exc))
    if broken:
        return Finding("fail", "surfaces", "; ".join(broken), "see 'livelayer surfaces --check'")
    names = ", ".join(surface.name for surface in surfaces)
    return Finding("ok", "surfaces", names or "none installed")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
