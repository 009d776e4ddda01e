"""Names of servers and pages, read as strictly as they must be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livelayer_web import ViewerTokens
from livelayer_web.http.origins import Host, Hosts, Origins, parse_host, parse_origin, same_origin
from livelayer_web.network_policy import check_reach

from livelayer_bus import MisuseError


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("localhost", Host("localhost")),
        ("LOCALHOST:8080", Host("localhost", 8080)),
        ("127.0.0.1:1", Host("127.0.0.1", 1)),
        ("[::1]:8080", Host("::1", 8080)),
        ("[0:0:0:0:0:0:0:1]", Host("::1")),
        ("shop.example.com:443", Host("shop.example.com", 443)),
        ("my_host", Host("my_host")),
    ],
)
def test_hosts_are_read(text: str, host: Host) -> None:
    assert parse_host(text) == host


@pytest.mark.parametrize(
    "text",
    [
        "", ":", ":80", "host:", "host:0", "host:65536", "host:80:80", "host:\uff18\uff10", "a b",
        "a..b", "user@host", "host/", "host.", "-host", "::1", "[::1", "[::1]x", "[fe80::1%eth0]",
        "127.1", "0x7f000001", "2130706433", "0177.0.0.1", "256.0.0.1", "host\n", "höst", "[]",
        "[127.0.0.1]", "x" * 300,
    ],
)  # fmt: skip
def test_what_is_no_host_is_refused(text: str) -> None:
    assert parse_host(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "null", "*", "", "localhost", "http://", "http://host/", "http://host/path", "http:host",
        "http://user@host", "http://host:99999", "://host", "http://*.host", "javascript:alert(1)",
    ],
)  # fmt: skip
def test_what_is_no_origin_is_refused(text: str) -> None:
    assert parse_origin(text) is None
    with pytest.raises(MisuseError, match="allow_origins"):
        Origins([text])


def test_an_origin_is_allowed_exactly() -> None:
    origins = Origins(["https://Shop.example.com", "http://localhost:3000"])

    def allowed(text: str) -> bool:
        return origins.allows(text)

    assert allowed("https://shop.example.com")
    assert allowed("https://shop.example.com:443")
    assert allowed("http://localhost:3000")
    assert not allowed("http://shop.example.com")
    assert not allowed("https://shop.example.com:8443")
    assert not allowed("https://a.shop.example.com")
    assert not allowed("https://shop.example.com.evil.com")
    assert not allowed("http://localhost")


def test_the_loopback_is_always_a_name_of_this_server() -> None:
    hosts = Hosts(["kiosk:8080", "any.example.com"])
    for text in ("localhost", "localhost:1", "127.0.0.1:9", "127.9.9.9", "[::1]:80"):
        host = parse_host(text)
        assert host is not None
        assert host in hosts
    for text, known in (
        ("kiosk:8080", True),
        ("kiosk", False),
        ("kiosk:80", False),
        ("any.example.com:1234", True),
        ("evil.example.com", False),
        ("localhost.evil.com", False),
        ("127.0.0.1.nip.io", False),
    ):
        host = parse_host(text)
        assert host is not None
        assert (host in hosts) is known


@pytest.mark.parametrize("wrong", ["http://host", "a b", "", "*"])
def test_names_that_are_none_are_misuse(wrong: str) -> None:
    with pytest.raises(MisuseError, match="allow_hosts"):
        Hosts([wrong])


def test_a_text_instead_of_a_list_is_misuse() -> None:
    with pytest.raises(MisuseError, match="give a list"):
        Hosts("localhost")
    with pytest.raises(MisuseError, match="give a list"):
        Origins("http://localhost")


@pytest.mark.parametrize(
    ("host", "port", "origins", "hosts", "local_only"),
    [
        ("127.0.0.1", 8080, [], [], True),
        ("localhost", 0, ["http://localhost:3000"], ["127.0.0.2"], True),
        ("::1", 8080, [], [], True),
        ("127.0.0.1", 8080, ["https://shop.example.com"], [], False),  # behind a proxy
        ("127.0.0.1", 8080, [], ["kiosk:8080"], False),
        ("0.0.0.0", 8080, ["http://localhost:3000"], [], False),  # noqa: S104
        ("127.0.0.1", None, [], [], False),  # the application's server: unknown where it listens
    ],
)
def test_only_this_machine_reaches_what_has_no_other_name(
    host: str, port: int | None, origins: list[str], hosts: list[str], local_only: bool
) -> None:
    tokens = ViewerTokens("a secret of these tests, thirty-two bytes")
    assert check_reach(host, port, origins, hosts, tokens)[2] is local_only


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    host = parse_host(text)
    if host is not None:
        assert text.isascii()
        assert not set(text) & set(" /@\\\t\r\n%?#")
    origin = parse_origin(f"https://{text}")
    assert (origin is None) == (host is None)
    if host is not None and origin is not None:
        assert same_origin(origin, "https", host)
        assert not same_origin(origin, "http", host)
