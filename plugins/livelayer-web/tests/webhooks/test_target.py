"""A request goes to an address that was checked, and to no other."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from livelayer_web.webhooks import target as module
from livelayer_web.webhooks.target import Target, TargetError, is_public

from livelayer_bus.errors import ConfigError

from .conftest import LOOPBACK, Receiver, receiving

pytestmark = pytest.mark.anyio

PUBLIC = "8.8.8.8"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "0.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1",
        "169.254.169.254", "100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1",
        "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%1", "fc00::1", "fd00:ec2::254",
        "fec0::1", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1",
        "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::808:808", "2002:7f00:1::", "2002:a00:1::1",
        "2001:0:0808:0808:0:0:80ff:fffe",
    ],
)  # fmt: skip
def test_an_address_of_a_network_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address", [PUBLIC, "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(ip_address(address))


Resolve = Callable[[dict[str, list[str]]], list[str]]


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Resolve:
    """Has names lead to addresses; the list it gives grows by each name that is asked for."""

    def names(known: dict[str, list[str]]) -> list[str]:
        asked: list[str] = []

        async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
            asked.append(host)
            kind = socket.SOCK_STREAM
            return [(socket.AF_INET, kind, 6, "", (address, port)) for address in known[host]]

        monkeypatch.setattr("anyio.getaddrinfo", getaddrinfo)
        return asked

    return names


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "[::1]", "[::ffff:7f00:1]"],
)
async def test_no_spelling_of_the_loopback_is_reached(receiver: Receiver, host: str) -> None:
    target = Target(f"https://{host}:{receiver.port}/", ["10.0.0.0/8"])
    with pytest.raises(TargetError) as refused:
        await target.post({}, b"{}")
    # Not every resolver reads every spelling.
    assert refused.value.final or refused.value.problem == "its name cannot be resolved"
    assert receiver.got == []


async def test_a_name_is_refused_if_one_of_its_addresses_is(resolve: Resolve) -> None:
    resolve({"hooks.example.com": [PUBLIC, "10.0.0.7"]})
    with pytest.raises(TargetError, match="not a public one") as refused:
        await Target("https://hooks.example.com/", []).post({}, b"{}")
    assert refused.value.final
    assert "10.0.0.7" not in str(refused.value)


async def test_http_reaches_allowed_addresses_only(resolve: Resolve, receiver: Receiver) -> None:
    known = {"hooks.example.com": ["127.0.0.1"]}
    asked = resolve(known)
    target = Target(f"http://hooks.example.com:{receiver.port}/x?y=1", LOOPBACK)
    assert await target.post({"a": "b"}, b"{}") == (204, None)
    (got,) = receiver.got
    assert got.path == "/x?y=1"
    assert got.headers["host"] == f"hooks.example.com:{receiver.port}"
    # The name was asked for once: what was checked is what was connected to.
    assert asked == ["hooks.example.com"]
    known["hooks.example.com"] = [PUBLIC]
    with pytest.raises(TargetError, match="not a public one"):
        await target.post({}, b"{}")


async def test_another_address_of_a_name_is_tried(resolve: Resolve, receiver: Receiver) -> None:
    resolve({"hooks.example.com": ["127.0.0.2", "127.0.0.1"]})
    target = Target(f"http://hooks.example.com:{receiver.port}/", ["127.0.0.0/8"])
    assert await target.post({}, b"{}") == (204, None)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("500 No", (500, None)),
        ("503 Later\r\nretry-after: 30", (503, 30.0)),
        ("503 Later\r\nretry-after: Wed, 21 Oct 2026 07:28:00 GMT", (503, None)),
    ],
)
async def test_an_answer_is_told(receiver: Receiver, answer: str, told: object) -> None:
    receiver.answers.append(answer)
    assert await Target(receiver.url, LOOPBACK).post({}, b"{}") == told


async def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.answers.append(f"307 There\r\nlocation: {receiver.url}")
    assert await Target(receiver.url, LOOPBACK).post({}, b"{}") == (307, None)
    assert len(receiver.got) == 1


async def test_no_proxy_is_asked(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, resolve: Resolve
) -> None:
    resolve({"hooks.example.com": ["127.0.0.1"]})
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    target = Target(f"http://hooks.example.com:{receiver.port}/", LOOPBACK)
    assert await target.post({}, b"{}") == (204, None)


async def test_nobody_there_is_an_error_that_names_no_address() -> None:
    with pytest.raises(TargetError, match="cannot be connected to") as refused:
        await Target("http://127.0.0.1:9/path-hunter2", LOOPBACK).post({}, b"{}")
    assert not refused.value.final


def certificate(name: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's TLS for this name."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    text = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "server.pem").write_bytes(text + private)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "server.pem")
    return server, ssl.create_default_context(cadata=text.decode())


async def test_tls_checks_the_name_and_not_the_address(
    resolve: Resolve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server, client = certificate("hooks.example.com", tmp_path)
    monkeypatch.setattr(module, "_tls", lambda: client)
    resolve({"hooks.example.com": ["127.0.0.1"], "other.example.com": ["127.0.0.1"]})
    async with receiving(server) as receiver:
        url = f"https://hooks.example.com:{receiver.port}/"
        assert await Target(url, LOOPBACK).post({}, b"{}") == (204, None)
        other = f"https://other.example.com:{receiver.port}/"
        with pytest.raises(TargetError, match="cannot be connected to"):
            await Target(other, LOOPBACK).post({}, b"{}")
        assert len(receiver.got) == 1


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("", []),
        ("ftp://example.com/", []),
        ("http://example.com/", []),
        ("https://user:hunter2@example.com/", []),
        ("https://example.com/#hunter2", []),
        ("https://example.com/", ["everywhere"]),
        ("https://example.com/", "10.0.0.0/8"),
    ],
)
def test_a_target_that_is_invalid_is_refused(url: str, private: Any) -> None:
    with pytest.raises(ConfigError) as refused:
        Target(url, private)
    assert "hunter2" not in str(refused.value)
