"""The proxies of these tests run, say why they do not, and leave nothing behind."""

from __future__ import annotations

import socket

import httpx
import pytest

from livelayer_bus.testing import PATIENCE

from .conftest import Certificate, RunProxy

pytestmark = pytest.mark.anyio

PLAIN = {
    "nginx": "server { listen 127.0.0.1:@port@; location / { return 200 here; } }",
    "caddy": "http://127.0.0.1:@port@ {\n respond here\n}",
}
SECURE = {
    "nginx": """server {{
        listen 127.0.0.1:@port@ ssl http2;
        ssl_certificate {0.certificate};
        ssl_certificate_key {0.key};
        location / {{ return 200 here; }}
    }}""",
    "caddy": """https://localhost:@port@ {{
        tls {0.certificate} {0.key}
        respond here
    }}""",
}
WRONG = {"nginx": "server { nonsense; }", "caddy": "http://127.0.0.1:@port@ {\n nonsense\n}"}


@pytest.mark.parametrize("name", PLAIN)
async def test_it_runs_on_a_port_of_its_own_and_ends_with_the_block(
    run_proxy: RunProxy, name: str
) -> None:
    async with run_proxy(name, PLAIN[name]) as proxy, httpx.AsyncClient(timeout=PATIENCE) as http:
        assert (await http.get(f"http://127.0.0.1:{proxy.port}/")).text == "here"
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", proxy.port)) != 0


@pytest.mark.parametrize("name", SECURE)
async def test_it_has_tls(run_proxy: RunProxy, certificate: Certificate, name: str) -> None:
    async with (
        run_proxy(name, SECURE[name].format(certificate)) as proxy,
        httpx.AsyncClient(timeout=PATIENCE, verify=False) as http,  # noqa: S501 - the test's own
    ):
        assert (await http.get(f"https://localhost:{proxy.port}/")).text == "here"


@pytest.mark.parametrize("name", WRONG)
async def test_a_wrong_configuration_is_told_by_the_log(run_proxy: RunProxy, name: str) -> None:
    with pytest.raises(RuntimeError, match="ended with") as caught:
        async with run_proxy(name, WRONG[name]):
            pass
    assert "nonsense" in caught.value.__notes__[0]
