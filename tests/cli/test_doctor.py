"""`livelayer doctor` finds each common trouble, which these tests cause for real."""

from __future__ import annotations

import email.utils
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Protocol

import jwt
import pytest
from typer.testing import CliRunner

from livelayer_bus.cli.app import build
from livelayer_bus.testing import PATIENCE
from tests.support import LOOPBACK_ONLY, in_network

pytestmark = pytest.mark.slow
ADDRESS: Final = "10.1.0.1"
NETWORK: Final = (
    f"{LOOPBACK_ONLY}; ip link add name eth8 type veth peer name eth9; "
    f"ip addr add {ADDRESS}/24 dev eth8; ip link set eth8 up; ip link set eth9 up"
)
"""A network of its own, in which WebRTC works."""
WITHOUT_UDP: Final = (
    f"{NETWORK}; ip rule add pref 10 lookup local; ip rule del pref 0; "
    "ip rule add pref 5 ipproto udp prohibit"
)
SERVED: Final = """
import json, os, subprocess, sys
server = subprocess.Popen([*sys.argv[1:], "dev-server", "--port", "0", "--json"],
                          stdout=subprocess.PIPE, text=True)
facts = json.loads(server.stdout.readline())
names = {"url": "LIVEKIT_URL", "key": "LIVEKIT_API_KEY", "secret": "LIVEKIT_API_SECRET"}
environ = os.environ | {name: facts[key] for key, name in names.items()}
try:
    sys.exit(subprocess.run([*sys.argv[1:], "doctor", "--json"], env=environ).returncode)
finally:
    server.terminate()
    server.wait()
"""
"""The doctor beside a server, both in one network."""
LISTENING: Final = """
import os, socket, subprocess, sys
held = socket.create_server(("127.0.0.1", int(sys.argv[1])))
sys.exit(subprocess.run([*sys.argv[2:], "doctor", "--json"]).returncode)
"""
ANSWERING: Final = """
import os, subprocess, sys, threading
from http.server import HTTPServer, SimpleHTTPRequestHandler
server = HTTPServer((sys.argv[1], 0), SimpleHTTPRequestHandler)
threading.Thread(target=server.serve_forever, daemon=True).start()
environ = os.environ | {"LIVEKIT_URL": f"ws://{sys.argv[1]}:{server.server_port}"}
sys.exit(subprocess.run([*sys.argv[2:], "doctor", "--json"], env=environ).returncode)
"""


class Report:
    """What the doctor said, by what it is about."""

    def __init__(self, code: int, output: str) -> None:
        assert code in (0, 1), output
        self.code = code
        self.findings: list[dict[str, str]] = [*map(json.loads, output.splitlines())]

    def of(self, what: str) -> tuple[str, str]:
        """The verdict, and everything that is said of `what`."""
        [found] = [finding for finding in self.findings if finding["what"] == what]
        return found["verdict"], f"{found['found']}: {found['advice']}"


class Examine(Protocol):
    def __call__(
        self,
        *arguments: str,
        network: str | None = None,
        program: Sequence[str] = (),
        **environ: str,
    ) -> Report: ...


@pytest.fixture
def examine(tmp_path: Path, environ: dict[str, str], command: list[str]) -> Examine:
    """Run the doctor: here, or by a program in a process, and a network, of its own."""

    def run(
        *arguments: str, network: str | None = None, program: Sequence[str] = (), **more: str
    ) -> Report:
        if not program:
            words, unset = ["doctor", "--json", *arguments], dict.fromkeys(os.environ)
            result = CliRunner().invoke(build(words), words, env=unset | environ | more)
            if result.exception is not None and not isinstance(result.exception, SystemExit):
                raise result.exception
            return Report(result.exit_code, result.stdout)
        done = subprocess.run(  # noqa: S603 - our own command
            [*(in_network(network) if network else ()), sys.executable, "-c", *program, *command],
            cwd=tmp_path,
            env=environ | more,
            capture_output=True,
            text=True,
            timeout=5 * PATIENCE,
            check=False,
        )
        return Report(done.returncode, done.stdout or done.stderr)

    return run


@contextmanager
def answering(**headers: str) -> Generator[str]:
    """An HTTP server with these headers in every answer; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(200)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_udp_is_blocked(examine: Examine) -> None:
    report = examine(network=WITHOUT_UDP, program=[SERVED])
    assert report.of("token")[0] == "ok"
    verdict, text = report.of("media")
    assert (report.code, verdict) == (1, "fail")
    assert "the room cannot be joined" in text
    assert "let UDP pass" in text


def test_udp_passes(examine: Examine) -> None:
    report = examine(network=NETWORK, program=[SERVED])
    assert report.of("media") == ("ok", "reaches the server over UDP: ")
    assert report.of("clock")[0] == "ok"
    assert report.code == 0


@pytest.mark.parametrize(
    ("seconds", "verdict", "words"),
    [
        (3600, "fail", "behind the server's, which refuses tokens made here"),
        (-3600, "fail", "ahead of the server's, which refuses tokens made here"),
        (-40, "warn", "ahead of the server's"),
        (0, "ok", "agrees with the server's"),
    ],
)
def test_the_clock_differs_from_the_server_s(
    examine: Examine, seconds: int, verdict: str, words: str
) -> None:
    date = email.utils.format_datetime(datetime.now(tz=UTC) + timedelta(seconds=seconds))
    with answering(date=date) as url:
        found = examine(LIVEKIT_URL=url).of("clock")
    assert found[0] == verdict
    assert words in found[1]
    assert ("NTP" in found[1]) == (verdict != "ok")


@pytest.mark.parametrize("which", ["LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"])
def test_keys_are_wrong(examine: Examine, dev_server: dict[str, str], which: str) -> None:
    wrong = "another-secret-that-is-long-enough-for-hs256"
    report = examine(**dev_server | {which: wrong})
    verdict, text = report.of("token")
    assert (report.code, verdict) == (1, "fail")
    assert "the server refuses it (401" in text
    assert "check LIVEKIT_API_KEY and LIVEKIT_API_SECRET" in text
    assert wrong not in text


@pytest.mark.parametrize(
    ("begin", "end", "words"),
    [(-600, -300, "it expired 30"), (300, 600, "it is valid only in")],
)
def test_a_token_is_out_of_date(
    examine: Examine, dev_server: dict[str, str], begin: int, end: int, words: str
) -> None:
    now = int(time.time())
    claims = {"iss": dev_server["LIVEKIT_API_KEY"], "sub": "ada", "nbf": now + begin}
    claims |= {"exp": now + end, "video": {"roomJoin": True, "room": "kitchen"}}
    token = jwt.encode(claims, dev_server["LIVEKIT_API_SECRET"])
    report = examine("--token", token, LIVEKIT_URL=dev_server["LIVEKIT_URL"])
    verdict, text = report.of("token")
    assert (report.code, verdict) == (1, "fail")
    assert words in text
    assert "ask for a new token" in text
    assert examine(LIVEKIT_URL=dev_server["LIVEKIT_URL"], LIVEKIT_TOKEN="?").of("token")[1] == (
        "it is not an access token: ask for a new token"
    )


@pytest.mark.parametrize(
    ("policy", "verdict", "words"),
    [
        ("microphone=()", "fail", "forbids microphone"),
        ('camera=(), microphone=("https://other.example")', "fail", "microphone=(self)"),
        ("microphone=(self), camera=()", "warn", "forbids camera"),
        ("geolocation=(), microphone=*", "ok", "may use microphone"),
        ("", "ok", "may use microphone"),
    ],
)
def test_a_page_may_not_use_the_microphone(
    examine: Examine, policy: str, verdict: str, words: str
) -> None:
    with answering(permissions_policy=policy) as url:
        report = examine("--page", url)
    found = [finding for finding in report.findings if finding["what"] == "page"]
    [one] = [finding for finding in found if words in f"{finding['found']} {finding['advice']}"]
    assert one["verdict"] == verdict
    assert report.code == int(verdict == "fail")


def test_a_page_is_not_secure_or_not_there(examine: Examine) -> None:
    page = '"doctor", "--page", f"http://{sys.argv[1]}:{server.server_port}"'
    program = ANSWERING.replace('"doctor"', page)
    report = examine(network=NETWORK, program=[program, ADDRESS])
    assert report.of("page")[0] == "fail"
    assert "serve it over https" in report.of("page")[1]
    assert "cannot be read (ConnectError)" in examine("--page", "http://127.0.0.1:1").of("page")[1]


@pytest.mark.parametrize(
    ("port", "name"), [(7880, "livelayer dev-server"), (8787, "livelayer serve")]
)
def test_a_port_is_in_use(examine: Examine, port: int, name: str) -> None:
    report = examine(network=LOOPBACK_ONLY, program=[LISTENING, str(port)])
    verdict, text = report.of(f"port {port}")
    assert verdict == "warn"
    assert f"{name} --port N" in text
    other = {7880: 8787, 8787: 7880}[port]
    assert report.of(f"port {other}")[0] == "ok"


@pytest.mark.parametrize("name", ["livelayer-nats", "livekit-plugins-livelayer"])
def test_distributions_do_not_belong_together(
    examine: Examine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    info = tmp_path / "older" / f"{name.replace('-', '_')}-0.0.9.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: 0.0.9\n")
    monkeypatch.syspath_prepend(info.parent)
    report = examine()
    verdict, text = report.of("versions")
    assert (report.code, verdict) == (1, "fail")
    assert f"{name} 0.0.9" in text
    assert "pip install --upgrade" in text


def test_a_distribution_is_missing(examine: Examine) -> None:
    """Where the core is installed, and nothing else of ours."""
    program = (
        "import sys\nfrom importlib.metadata import Distribution, MetadataPathFinder as Finder\n"
        "real = Finder.find_distributions.__func__\n"
        "def found(cls, *given, **more):\n"
        "    for one in real(cls, *given, **more):\n"
        "        if one.name == 'livelayer-bus' or not one.name.startswith('livelayer'):\n"
        "            yield one\n"
        "Finder.find_distributions = classmethod(found)\n"
        "from livelayer_bus.cli import main\nsys.argv[1:] = ['doctor', '--json']\nmain()"
    )
    report = examine(program=[program])
    verdict, text = report.of("livelayer-web")
    assert verdict == "warn"
    assert "livelayer-web not installed: pip install livelayer-web for the surface 'web'" in text
    assert not [one for one in report.findings if one["what"].startswith("port")]


def test_a_proxy_is_in_the_way(examine: Examine) -> None:
    proxy = {"http_proxy": "http://127.0.0.1:1", "no_proxy": ""}
    report = examine(network=NETWORK, program=[ANSWERING, ADDRESS], **proxy)
    verdict, text = report.of("proxy")
    assert (report.code, verdict) == (1, "fail")
    assert f"set NO_PROXY={ADDRESS}, or correct http_proxy" in text
    report = examine(network=NETWORK, program=[ANSWERING, ADDRESS], **proxy | {"no_proxy": ADDRESS})
    assert report.of("server")[0] == "ok"


def test_no_interface_is_usable(examine: Examine) -> None:
    report = examine(network=LOOPBACK_ONLY, program=[SERVED])
    verdict, text = report.of("network")
    assert (report.code, verdict) == (1, "fail")
    assert "only loopback is up" in text


def test_a_broken_check_is_a_finding(
    examine: Examine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "extra" / "broken-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.4\nName: broken\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[livelayer_bus.checks]\nbroken = nothing_there:check\n")
    monkeypatch.syspath_prepend(info.parent)
    report = examine()
    assert report.of("broken") == (
        "fail",
        "ModuleNotFoundError: No module named 'nothing_there': reinstall it",
    )


@pytest.fixture
def dev_server(environ: dict[str, str], command: list[str]) -> Iterator[dict[str, str]]:
    """A running dev-server, as the variables that name it."""
    with subprocess.Popen(  # noqa: S603 - our own command
        [*command, "dev-server", "--port", "0", "--json"],
        env=environ,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        if process.stdout is None:
            pytest.fail("no pipe")
        facts = json.loads(process.stdout.readline())
        yield {
            "LIVEKIT_URL": facts["url"],
            "LIVEKIT_API_KEY": facts["key"],
            "LIVEKIT_API_SECRET": facts["secret"],
        }
        process.terminate()
        process.wait(PATIENCE)
