"""What the environment says about proxies: loopback needs none, and a bad setting is named."""

from __future__ import annotations

import pytest

from livelayer_bus.errors import ConfigError, TokenSourceError
from livelayer_bus.tokens import SessionEndpoint, TokenRequest

from .conftest import Endpoint

pytestmark = pytest.mark.anyio

REQUEST = TokenRequest("agt_1")
NOBODY = "http://127.0.0.1:9"
FAR = "http://endpoint.invalid"  # asked through the proxy, so that its name is not looked up
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without any setting."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HTTP_PROXY", NOBODY),
        ("http_proxy", NOBODY),
        ("ALL_PROXY", "socks5://127.0.0.1:9"),
        ("ALL_PROXY", "nonsense://127.0.0.1:9"),
        ("NO_PROXY", "[::1,*.example:x y"),
    ],
)
async def test_an_endpoint_on_this_machine_is_asked_directly(
    endpoint: Endpoint, variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    endpoint.answers({"url": "wss://rooms.example", "token": "t"})
    access = await SessionEndpoint(endpoint.base)(REQUEST)
    assert access.url == "wss://rooms.example"


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
async def test_a_proxy_that_does_not_answer_is_named_by_its_variable(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, NOBODY)
    with pytest.raises(TokenSourceError, match=f"the proxy of {variable}") as failed:
        await SessionEndpoint(FAR)(REQUEST)
    assert failed.value.retryable


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:9", r"pip install 'httpx\[socks\]'"),
        ("ALL_PROXY", "nonsense://127.0.0.1:9", "correct or unset it"),
        ("HTTPS_PROXY", "http://[::1", "correct or unset it"),
        ("NO_PROXY", "http://[::1", "correct or unset it"),
    ],
)
async def test_settings_that_cannot_be_used_are_the_fault_of_the_environment(
    variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", NOBODY)
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError, match=said) as failed:
        await SessionEndpoint(FAR)(REQUEST)
    assert variable in str(failed.value)
