"""`livelayer doctor`: checks of this machine, each of which gives a finding and never raises."""

from __future__ import annotations

import os
import re
import socket
import sys
import warnings
from collections import defaultdict
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

from ..config.load import DISTRIBUTIONS, installed_surfaces
from ..control.protocol import socket_path
from ..errors import OURS, ConfigError, LivelayerError
from ..rooms.errors import NETWORK_ADVICE, network_problem
from ..tokens.http import open_client
from .app import COMMANDS
from .exits import FAILED, OK, run_async
from .surfaces import fault_of

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
    uses = defaultdict[str, list[str]](list, {"livekit-plugins-livelayer": ["the agent's side"]})
    for surface, name in DISTRIBUTIONS.items():
        uses[name].append(f"the surface {surface!r}")
    for command, (_, name) in COMMANDS.items():
        uses[name].append(f"'livelayer {command}'")
    del uses[OURS]
    return {name: " and ".join(found) for name, found in sorted(uses.items())}


def check_machine() -> Iterator[Finding]:
    """Everything that asks no server."""
    yield Finding("ok", "python", ".".join(map(str, sys.version_info[:3])))
    yield _packages("packages", _CORE, "fail", f"pip install {OURS}")
    yield from _extras(OURS)
    for name, use in _distributions().items():
        yield _packages(name, (name,), "warn", f"pip install {name} for {use}")
        yield from _extras(name)
    for check in (_voice, _loopback, _network, _control, _surfaces):
        yield check()


async def check_server(environ: Mapping[str, str]) -> list[Finding]:
    """The server at LIVEKIT_URL, and whether it accepts a token of LIVEKIT_API_KEY and _SECRET."""
    url = environ.get("LIVEKIT_URL")
    if not url:
        return [Finding("ok", "server", "LIVEKIT_URL is not set", "set it to check your server")]
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
    both = "LIVEKIT_API_KEY and LIVEKIT_API_SECRET"
    if not key or not secret:
        return Finding("warn", "token", f"{both} are not both set", "set both to check them")
    grants = api.VideoGrants(room_join=True, room="livelayer-doctor")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about short secrets: the server's answer decides
        token = api.AccessToken(key, secret).with_identity("doctor").with_grants(grants).to_jwt()
    try:
        async with open_client(url, SERVER_SECONDS) as client:
            validate = f"{url.rstrip('/')}/rtc/validate"  # the token, without joining
            answer = await client.get(validate, params={"access_token": token})
    except httpx.HTTPError as exc:
        return Finding("fail", "token", f"no answer ({type(exc).__name__})", "try again")
    if answer.is_success:
        return Finding("ok", "token", "the server accepts it")
    refused = f"the server refuses it ({answer.status_code})"
    return Finding("fail", "token", refused, f"check {both}")


def _packages(what: str, names: tuple[str, ...], verdict: Verdict, advice: str) -> Finding:
    """The versions of `names`; `verdict` and `advice` if one of them is missing."""
    versions: list[str] = []
    missing: list[str] = []
    for name in names:
        try:
            versions.append(f"{name} {version(name)}".removeprefix(f"{what} "))
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return Finding(verdict, what, f"{', '.join(missing)} not installed", advice)
    return Finding("ok", what, ", ".join(versions))


def _extras(name: str) -> Iterator[Finding]:
    """The extras of a distribution, as its metadata declares them; [all] is the others together."""
    extras = defaultdict[str, list[str]](list)
    with suppress(PackageNotFoundError):
        for found in filter(None, map(_EXTRA_OF.match, requires(name) or ())):
            extras[f"{name}[{found[2]}]"].append(found[1])
    extras.pop(f"{name}[all]", None)
    for what, names in extras.items():
        yield _packages(what, tuple(names), "warn", f"pip install '{what}'")


def _voice() -> Finding:
    what = "voice (espeak-ng)"
    if find_spec("espeakng_loader") is None:
        return Finding("warn", what, "not installed", "pip install livelayer-demo for the demo")
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
    if problem := network_problem():
        return Finding("fail", "network", problem, NETWORK_ADVICE)
    return Finding("ok", "network", "an interface that WebRTC can use is up")


def _control() -> Finding:
    """Bind a socket as a session does: it fails on a wrong owner or mode, or a long path."""
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            path = socket_path(f"doctor-{os.getpid()}", create=True)
            probe.bind(str(path))
            path.unlink()
    except (LivelayerError, OSError) as exc:
        return Finding("warn", "control socket", str(exc), "'livelayer send' and 'tail' need it")
    return Finding("ok", "control socket", str(path.parent))


def _surfaces() -> Finding:
    surfaces = installed_surfaces()
    if broken := "; ".join(filter(None, map(fault_of, surfaces))):
        return Finding("fail", "surfaces", broken, "see 'livelayer surfaces --check'")
    names = ", ".join(surface.name for surface in surfaces)
    return Finding("ok", "surfaces", names or "none installed")
