"""`livelayer doctor`: checks of this machine, each of which gives a finding and never raises."""

from __future__ import annotations

import os
import re
import socket
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
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
from ..errors import OURS, ConfigError, LivelayerError, PluginBrokenError
from ..rooms.network import NETWORK_ADVICE, network_problem
from ..tokens.http import open_client
from .app import COMMANDS
from .exits import FAILED, OK, run_async

Verdict: TypeAlias = Literal["ok", "warn", "fail"]

_STYLES: Final[dict[Verdict, str]] = {"ok": "green", "warn": "yellow", "fail": "bold red"}
SERVER_SECONDS: Final = 5.0
_CORE: Final = ("livekit", "livekit-api", "anyio", "httpx", "msgspec", "numpy")
_EXTRA_OF: Final = re.compile(r"""([\w.-]+)[^;]*;.*\bextra == ['"]([\w-]+)['"]""")


class Finding(msgspec.Struct, frozen=True):
    """One line of the report."""

    verdict: Verdict
    what: str
    found: str
    advice: str = ""


def command(
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines instead of text.")] = False,
) -> None:
    """Check this machine: Python, packages, network, surfaces, the voice of the demo.

    With LIVEKIT_URL set, also check that the server answers there, and with LIVEKIT_API_KEY and
    LIVEKIT_API_SECRET that it accepts their tokens. Each line is ok, warn or fail and says what to
    do; nothing is installed or changed. Exits with 1 if a line says fail.

    Examples:

    \b
      livelayer doctor
      LIVEKIT_URL=ws://127.0.0.1:7880 livelayer doctor --json
    """

    failed = False

    def show(findings: Iterable[Finding]) -> None:
        nonlocal failed
        for finding in findings:
            failed |= finding.verdict == "fail"
            typer.echo(msgspec.json.encode(finding)) if as_json else _show(finding)

    async def main() -> int:
        show(await check_server(os.environ))
        return FAILED if failed else OK

    show(check_machine())  # in no event loop: Ctrl-C ends it at once
    run_async(main)


def _show(finding: Finding) -> None:
    line = Text.assemble(
        (f"{finding.verdict:<5}", _STYLES[finding.verdict]), (f"{finding.what:<25} "), finding.found
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
    """Everything that asks no server."""
    yield Finding("ok", "python", ".".join(map(str, sys.version_info[:3])))
    yield _packages("packages", _CORE, "fail", f"pip install {OURS}")
    yield from _extras(OURS)
    for name, use in _distributions().items():
        yield _packages(name, (name,), "warn", f"pip install {name} for {use}")
        yield from _extras(name)
    yield _voice()
    yield _loopback()
    yield _network()
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
        async with open_client(http, SERVER_SECONDS) as client:
            answer = await client.get(http)
    except ConfigError as exc:
        return [Finding("fail", "server", str(exc))]
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
        async with open_client(url, SERVER_SECONDS) as client:
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


def _extras(name: str) -> Iterator[Finding]:
    """The extras of a distribution, as its metadata declares them; [all] is the others together."""
    extras: dict[str, list[str]] = {}
    with suppress(PackageNotFoundError):
        for found in filter(None, map(_EXTRA_OF.match, requires(name) or ())):
            extras.setdefault(found[2], []).append(found[1])
    for extra, names in extras.items():
        if extra != "all":
            what = f"{name}[{extra}]"
            yield _packages(what, tuple(names), "warn", f"pip install '{what}'")


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


def _network() -> Finding:
    problem = network_problem()
    if problem is not None:
        return Finding("fail", "network", problem, NETWORK_ADVICE)
    return Finding("ok", "network", "an interface that WebRTC can use is up")


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
