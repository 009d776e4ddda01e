"""`livelayer doctor`: checks of this machine, each of which gives a finding and never raises.

An installed distribution adds its own by an entry point in the group `livelayer_bus.checks`: a
function that gets the environment and gives findings.
"""

from __future__ import annotations

import base64
import os
import re
import socket
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, entry_points, requires, version
from typing import Annotated, Final, Literal, TypeAlias

import httpx
import msgspec
import typer
from livekit import api
from rich.console import Console
from rich.text import Text

from ..config import DISTRIBUTIONS, installed_surfaces
from ..control.protocol import socket_path
from ..errors import OURS, ConfigError, LivelayerError, without_tokens
from ..rooms.errors import NETWORK_ADVICE, network_problem
from ..session import Session
from ..tokens import LiteralToken
from ..tokens.access import is_local, proxy_variables
from ..tokens.http import open_client
from .app import COMMANDS
from .exits import FAILED, OK, run_async
from .surfaces import fault_of

Verdict: TypeAlias = Literal["ok", "warn", "fail"]

_STYLES: Final[dict[Verdict, str]] = {"ok": "green", "warn": "yellow", "fail": "bold red"}
SERVER_SECONDS: Final = 5.0
CHECKS: Final = "livelayer_bus.checks"  # the entry point group of checks
_SKEW_SECONDS: Final = 10.0  # an HTTP date has whole seconds, and took a while to come
_LEEWAY_SECONDS: Final = 60.0  # of a LiveKit server, for the times in tokens
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
    token: Annotated[
        str | None,
        typer.Option(
            help="Check this token for the server.", envvar="LIVEKIT_TOKEN", show_default=False
        ),
    ] = None,
    page: Annotated[
        str | None,
        typer.Option(help="Check that this page may use a microphone.", metavar="URL"),
    ] = None,
) -> None:
    """Check this machine: packages and their versions, network, ports, surfaces, the demo's voice.

    With LIVEKIT_URL set, also check the server there: that it answers, with or without a proxy, and
    that its clock agrees; with LIVEKIT_API_KEY and LIVEKIT_API_SECRET, or with a token, that it
    accepts them and that media reaches it, by joining a room for a moment (livelayer-doctor, or the
    token's). Each line is ok, warn or fail and says what to do; nothing is installed or changed.
    Exits with 1 if a line says fail.

    Examples:

    \b
      livelayer doctor
      livelayer doctor --page https://shop.example.com/
      LIVEKIT_URL=ws://127.0.0.1:7880 livelayer doctor --json
    """

    failed = False

    def show(findings: Iterable[Finding]) -> None:
        nonlocal failed
        for finding in findings:
            failed |= finding.verdict == "fail"
            typer.echo(msgspec.json.encode(finding)) if as_json else _show(finding)

    async def main() -> int:
        show(await check_server(environ))
        return FAILED if failed else OK

    environ = {**os.environ, "LIVEKIT_TOKEN": token or "", "LIVELAYER_PAGE": page or ""}
    show(check_machine(environ))  # in no event loop: Ctrl-C ends it at once
    run_async(main)


def _show(finding: Finding) -> None:
    line = Text.assemble(
        (f"{finding.verdict:<5}", _STYLES[finding.verdict]), (f"{finding.what:<25} "), finding.found
    )
    if finding.advice:
        line.append(f": {finding.advice}", "bold")
    Console(highlight=False, soft_wrap=True).print(line)


def _distributions() -> dict[str, str]:
    uses = defaultdict[str, list[str]](list, {"livekit-plugins-livelayer": ["the agent's side"]})
    for surface, name in DISTRIBUTIONS.items():
        uses[name].append(f"the surface {surface!r}")
    for command, (_, name) in COMMANDS.items():
        uses[name].append(f"'livelayer {command}'")
    del uses[OURS]
    return {name: " and ".join(found) for name, found in sorted(uses.items())}


def check_machine(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Everything that asks no LiveKit server."""
    yield Finding("ok", "python", ".".join(map(str, sys.version_info[:3])))
    yield _packages("packages", _CORE, "fail", f"pip install {OURS}")
    yield from _extras(OURS)
    for name, use in _distributions().items():
        yield _packages(name, (name,), "warn", f"pip install {name} for {use}")
        yield from _extras(name)
    for check in (_versions, _network, _control, _surfaces):
        yield check()
    for point in entry_points(group=CHECKS):
        try:
            yield from point.load()(environ)
        except Exception as exc:  # noqa: BLE001 - a broken distribution is a finding
            yield Finding("fail", point.name, f"{type(exc).__name__}: {exc}", "reinstall it")


async def check_server(environ: Mapping[str, str]) -> list[Finding]:
    """The server at LIVEKIT_URL, its clock, and whether it takes a token and media."""
    url = environ.get("LIVEKIT_URL")
    if not url:
        return [Finding("ok", "server", "LIVEKIT_URL is not set", "set it to check your server")]
    http = "http" + url.removeprefix("ws") if url.startswith("ws") else url
    try:
        answer = await _get(http)
    except ConfigError as exc:
        return [Finding("fail", "server", str(exc))]
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        found = f"{url} does not answer ({type(exc).__name__})"
        return [await _directly(http) or Finding("fail", "server", found, _SERVER_ADVICE)]
    server = Finding("ok", "server", f"{url} answers ({answer.status_code})")
    return [server, *_skew(answer), *await _token(url, http, environ)]


_SERVER_ADVICE: Final = "check the address and that the server runs"


async def _get(url: str, **params: str) -> httpx.Response:
    async with open_client(url, SERVER_SECONDS) as client:
        return await client.get(url, params=params)


async def _directly(url: str) -> Finding | None:
    """Whether the proxy is at fault that a server does not answer."""
    names = proxy_variables("http_proxy", "https_proxy", "all_proxy")
    if names and not is_local(url):
        with suppress(httpx.HTTPError, httpx.InvalidURL):
            async with httpx.AsyncClient(trust_env=False, timeout=SERVER_SECONDS) as client:
                await client.get(url)
            advice = f"set NO_PROXY={httpx.URL(url).host}, or correct {names}"
            return Finding("fail", "proxy", f"{url} answers, but not through the proxy", advice)
    return None


def _skew(answer: httpx.Response) -> Iterator[Finding]:
    """This clock against the server's: a token has a time before and after which it is refused."""
    with suppress(KeyError, ValueError):
        seconds = time.time() - parsedate_to_datetime(answer.headers["date"]).timestamp()
        found = f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} the server's"
        advice = "set both machines' clocks by NTP"
        if abs(seconds) <= _SKEW_SECONDS:
            yield Finding("ok", "clock", "agrees with the server's")
        elif abs(seconds) <= _LEEWAY_SECONDS:
            yield Finding("warn", "clock", found, advice)
        else:
            yield Finding("fail", "clock", f"{found}, which refuses tokens made here", advice)


async def _token(url: str, http: str, environ: Mapping[str, str]) -> list[Finding]:
    token = environ.get("LIVEKIT_TOKEN")
    advice = "ask for a new token"
    if token:
        if problem := _expiry(token):
            return [Finding("fail", "token", problem, advice)]
    else:
        key, secret = environ.get("LIVEKIT_API_KEY"), environ.get("LIVEKIT_API_SECRET")
        if not key or not secret:
            found = "LIVEKIT_API_KEY and LIVEKIT_API_SECRET are not both set"
            return [Finding("warn", "token", found, "set both to check them")]
        advice = "check LIVEKIT_API_KEY and LIVEKIT_API_SECRET"
        grants = api.VideoGrants(room_join=True, room="livelayer-doctor")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about short secrets: the server's answer decides
            made = api.AccessToken(key, secret).with_identity("doctor").with_grants(grants)
            token = made.to_jwt()
    try:
        # Validates the token without joining.
        answer = await _get(f"{http.rstrip('/')}/rtc/validate", access_token=token)
    except httpx.HTTPError as exc:
        return [Finding("fail", "token", f"no answer ({type(exc).__name__})", "try again")]
    if not answer.is_success:
        reason = without_tokens(answer.text, token).strip()[:200]
        found = f"the server refuses it ({answer.status_code}: {reason})"
        return [Finding("fail", "token", found, advice)]
    return [Finding("ok", "token", "the server accepts it"), await _media(url, token)]


def _expiry(token: str) -> str | None:
    """Why no server accepts the token now; None if its times, or what it holds, do not say."""
    try:
        claims = msgspec.json.decode(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        begin, end = float(claims.get("nbf", 0)), float(claims["exp"])
    except (LookupError, ValueError, TypeError, AttributeError):
        return "it is not an access token"
    now = time.time()
    if now > end:
        return f"it expired {now - end:.0f} s ago"
    return f"it is valid only in {begin - now:.0f} s" if begin > now + _SKEW_SECONDS else None


async def _media(url: str, token: str) -> Finding:
    """Join the token's room, and see which way media takes."""
    advice = "let UDP pass to the server's media ports (50000-60000, or its udp_port)"
    try:
        async with Session("doctor", tokens=LiteralToken(url, token)) as session:
            await session.connect()
            found = await session.room.get_rtc_stats() if session.room else None
    except LivelayerError as exc:
        return Finding("fail", "media", f"the room cannot be joined: {exc}", advice)
    reports = (*found.publisher_stats, *found.subscriber_stats) if found else ()
    pairs = (one.candidate_pair.candidate_pair for one in reports)
    used = {pair.remote_candidate_id for pair in pairs if pair.nominated}
    candidates = (one.remote_candidate for one in reports)
    ways = {one.candidate.protocol for one in candidates if one.rtc.id in used}
    if "tcp" in ways:
        return Finding("warn", "media", "goes over TCP, where losses become pauses", advice)
    return Finding("ok", "media", "reaches the server over UDP")


def check_port(port: int, command: str) -> Finding:
    """Whether `command` can listen on its usual port of 127.0.0.1, by trying."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as exc:
            advice = f"if that is not {command!r} itself, give it another: {command} --port N"
            return Finding("warn", f"port {port}", f"in use ({exc.strerror})", advice)
    return Finding("ok", f"port {port}", f"free for {command!r}")


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


def _versions() -> Finding:
    """Distributions of ours that were not released together."""
    ours: dict[str, str] = {}
    for name in (OURS, *_distributions()):
        with suppress(PackageNotFoundError):
            ours[name] = version(name)
    if len(set(ours.values())) <= 1:
        return Finding("ok", "versions", "installed distributions were released together")
    found = ", ".join(f"{name} {number}" for name, number in ours.items())
    advice = f"pip install --upgrade {' '.join(ours)}"
    return Finding("fail", "versions", f"do not belong together: {found}", advice)


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
