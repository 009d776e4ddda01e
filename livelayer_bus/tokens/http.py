"""One bounded JSON request over HTTP: no redirects, no cookies, no secrets in what it logs."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import aclosing
from functools import cache
from typing import Any

import anyio
import httpx
import msgspec

from ..errors import ConfigError
from ..messages import nests_too_deeply
from .access import is_local, proxy_variables, shown

MAX_ANSWER = 64 * 1024  # bytes of an answer that are read; a larger one is refused

# A compressed answer could be far larger than it looks.
_HEADERS = {"accept": "application/json", "accept-encoding": "identity"}
_HINTS = {
    400: "the request does not suit it: check the body",
    404: "nothing is there: check the address and the agent id",
    405: "it takes no such request: check the address",
    422: "the request does not suit it: check the body",
}
_RETRYABLE = {408, 425, 429}


class HttpProblem(Exception):
    """Why a request failed. It stays inside this package: callers convert it to their own error."""

    def __init__(self, reason: str, *, retryable: bool, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retryable = retryable
        self.status = status

    @property
    def refused(self) -> bool:
        return self.status in (401, 403)


class _QuietURL(httpx.URL):
    """httpx logs the address of each request: this one shows no user, password or query."""

    def __str__(self) -> str:
        return shown(super().__str__())


async def request_json(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: Mapping[str, object] | None = None,
    timeout: float,
) -> dict[str, Any]:
    """The JSON object that the server answers within `timeout` seconds, or raises HttpProblem."""
    try:
        with anyio.fail_after(timeout):
            async with open_client(url, timeout) as client:
                data = None if body is None else dict(body)
                headers = {**_HEADERS, **headers}
                request = client.build_request(method, url, headers=headers, json=data)
                request.url = _QuietURL(request.url)
                response = await client.send(request, stream=True)
                async with aclosing(response):
                    _check_status(response.status_code)
                    answer = await _read(response)
    except (TimeoutError, httpx.TimeoutException) as exc:
        raise HttpProblem(f"no answer within {timeout:g} s", retryable=True) from exc
    except httpx.ConnectError as exc:
        raise HttpProblem(f"cannot connect ({exc}){_through(url)}", retryable=True) from exc
    except httpx.InvalidURL as exc:
        raise HttpProblem("its address is malformed", retryable=False) from exc
    except httpx.RequestError as exc:
        reason = f"the connection broke off ({type(exc).__name__}){_through(url)}"
        raise HttpProblem(reason, retryable=True) from exc
    try:
        text = answer.decode()
        if nests_too_deeply(text):
            raise HttpProblem("its answer nests too deeply", retryable=False)
        return msgspec.json.decode(text, type=dict[str, Any])
    except ValueError as exc:
        raise HttpProblem("its answer is not a JSON object", retryable=False) from exc


def open_client(url: str, timeout: float) -> httpx.AsyncClient:
    """A client for requests to `url`: through the environment's proxy, or directly to loopback.

    Raises ConfigError if the environment's proxy variables cannot be used.
    """
    variables = proxy_variables("http_proxy", "https_proxy", "all_proxy", "no_proxy")
    try:
        return httpx.AsyncClient(verify=_tls(), timeout=timeout, trust_env=not is_local(url))
    except ImportError as exc:
        problem = "it names a SOCKS proxy: pip install 'httpx[socks]', or unset it"
        raise ConfigError(variables, problem) from exc
    except (ValueError, httpx.InvalidURL) as exc:
        problem = "it is not the address of a proxy: correct or unset it"
        raise ConfigError(f"one of {variables}", problem) from exc


def _through(url: str) -> str:
    names = "" if is_local(url) else proxy_variables(f"{httpx.URL(url).scheme}_proxy", "all_proxy")
    return f", through the proxy of {names}" if names else ""


@cache
def _tls() -> ssl.SSLContext:
    """Made once: reading the certificates holds the loop up for tens of milliseconds."""
    return httpx.create_ssl_context()


def _check_status(status: int) -> None:
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        reason = f"it redirects to another address ({status}): give that one"
        raise HttpProblem(reason, retryable=False, status=status)
    phrase = httpx.codes.get_reason_phrase(status) or "an unknown status"
    hint = f"; {_HINTS[status]}" if status in _HINTS else ""
    retryable = status >= 500 or status in _RETRYABLE
    raise HttpProblem(f"it answered {status} {phrase}{hint}", retryable=retryable, status=status)


async def _read(response: httpx.Response) -> bytes:
    answer = bytearray()
    # Breaking out of the loop would leave httpx's nested generators to the garbage collector, which
    # trio forbids; cancelling the next read unwinds them all.
    with anyio.CancelScope() as scope:
        async for chunk in response.aiter_raw():
            answer += chunk
            if len(answer) > MAX_ANSWER:
                scope.cancel()
    if len(answer) > MAX_ANSWER:
        raise HttpProblem(f"its answer is longer than {MAX_ANSWER} bytes", retryable=False)
    return bytes(answer)
