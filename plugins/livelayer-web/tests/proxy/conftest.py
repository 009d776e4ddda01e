"""Real reverse proxies, nginx and Caddy, each a child process on a loopback port of its own."""

from __future__ import annotations

import datetime
import os
import re
import socket
import subprocess
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import anyio
import anyio.to_thread
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from livelayer_bus.testing import PATIENCE, polled
from tests.programs import program

PORT: Final = "@port@"
"""Stands for the proxy's port in a configuration."""
STOP_SECONDS: Final = 10.0  # to end by itself; then it is killed
LOG_LINES: Final = 40  # in a failure's message

NGINX: Final = """
daemon off;
master_process off;
pid nginx.pid;
error_log stderr notice;
events {{ worker_connections 512; }}
http {{
    access_log stderr;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
{servers}
}}
"""
CADDY: Final = """
{{
    admin off
    auto_https off
    default_bind 127.0.0.1
    log {{
        output stderr
    }}
    servers {{
        protocols h1 h2
    }}
}}
{servers}
"""


@dataclass(frozen=True)
class Proxy:
    """A proxy that runs."""

    port: int
    logged: Path

    def log(self) -> str:
        """What it wrote so far."""
        return self.logged.read_text(errors="replace")


class RunProxy(Protocol):
    """Runs a proxy for a block: `async with run_proxy("nginx", servers) as proxy`.

    `servers` is what the configuration says of servers: nginx's `server` blocks, the sites of a
    Caddyfile. It listens on `127.0.0.1:@port@`, and `@port@` is replaced. A failure within the
    block shows the end of the proxy's log. Without the program the test is skipped.
    """

    def __call__(self, name: str, servers: str, /) -> AbstractAsyncContextManager[Proxy]: ...


@pytest.fixture
def run_proxy(tmp_path: Path) -> RunProxy:
    return partial(_running, tmp_path)


@asynccontextmanager
async def _running(folder: Path, name: str, servers: str) -> AsyncGenerator[Proxy]:
    path = program(name)
    if path is None:
        pytest.skip(f"need {name} (make test installs it where it can)")
    command = _COMMANDS[name]
    # It is bound but does not listen: the port is nobody else's, and the proxy can listen on it.
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        port: int = reserved.getsockname()[1]
        home = folder / f"{name}-{port}"
        home.mkdir()
        proxy = Proxy(port, home / "log")
        arguments = command(home, servers.replace(PORT, str(port)))
        with proxy.logged.open("wb") as log:
            process = subprocess.Popen(  # noqa: ASYNC220, S603 - a fixed program; it starts at once
                [path, *arguments],
                cwd=home,
                env={**os.environ, "HOME": str(home), "XDG_DATA_HOME": str(home)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            try:
                await polled(lambda: _listens(process, port))
                yield proxy
            except BaseException as error:
                error.add_note(f"{name}'s log ends:\n" + _tail(proxy.log()))
                raise
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(_stop, process)


def _nginx(home: Path, servers: str) -> Sequence[str]:
    conf = home / "nginx.conf"
    conf.write_text(NGINX.format(servers=servers))
    # Before it has read its configuration, it would write to the system's log.
    return "-p", str(home), "-c", str(conf), "-e", "stderr"


def _caddy(home: Path, servers: str) -> Sequence[str]:
    conf = home / "Caddyfile"
    conf.write_text(CADDY.format(servers=servers))
    return "run", "--config", str(conf), "--adapter", "caddyfile"


_COMMANDS: Final[dict[str, Callable[[Path, str], Sequence[str]]]] = {
    "nginx": _nginx,
    "caddy": _caddy,
}


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    if (status := process.poll()) is not None:
        raise RuntimeError(f"the proxy ended with {status} before it listened")
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(PATIENCE)


def _tail(text: str) -> str:
    return "\n".join(text.splitlines()[-LOG_LINES:])


@dataclass(frozen=True)
class Certificate:
    """A certificate for `localhost` that no browser trusts: use `ignore_https_errors`."""

    certificate: Path
    key: Path


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    folder = tmp_path_factory.mktemp("certificate")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    found = Certificate(folder / "localhost.pem", folder / "localhost.key")
    found.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    found.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return found


PAGE: Final = Path(__file__).parents[4] / "docs" / "deployment.md"
USER, PASSWORD = "ada", "engine"


def blocks(language: str) -> list[str]:
    """What docs/deployment.md shows in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.M | re.S)


@pytest.fixture
def documented(tmp_path: Path, certificate: Certificate) -> Callable[[str, str, str], str]:
    """A configuration of docs/deployment.md: `documented(language, marker, upstream)`.

    The one block that has the marker, for this test's certificate, port and upstream (`host:port`).
    """
    common, *_ = blocks("nginx")
    snippet = tmp_path / "livelayer.conf"
    snippet.write_text(common)
    users = tmp_path / "users"
    users.write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")
    at = {
        "/etc/nginx/livelayer.conf": str(snippet),
        "/etc/nginx/shop.users": str(users),
        "/etc/ssl/shop.pem": str(certificate.certificate),
        "/etc/ssl/shop.key": str(certificate.key),
        "listen 443": f"listen 127.0.0.1:{PORT}",
        "server_name shop.example.com": "server_name localhost",
        "shop.example.com {": (
            f"https://localhost:{PORT} {{\n    tls {certificate.certificate} {certificate.key}"
        ),
    }

    def block(name: str, marker: str, upstream: str) -> str:
        servers = [text for text in blocks(name) if "{" in text and marker in text]
        assert servers, f"{PAGE.name} has no block of {name} with {marker}"
        text = servers[0]
        for documented, here in {**at, "127.0.0.1:8080": upstream}.items():
            text = text.replace(documented, here)
        return text

    return block
