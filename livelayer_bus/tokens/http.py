"""One bounded JSON request over HTTP: no redirects, no cookies, no secrets in what it logs."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from typing import Any

import anyio
import httpx
import msgspec

from ..messages import nests_too_deeply
from .addresses import shown
from .answers import HttpProblem

MAX_ANSWER = 64 * 1024
"""Bytes of an answer that are read; a larger one is refused."""

_HINTS = {
    400: "the request does not suit it: check the body",
    404: "nothing is there: check the address and the agent id",
    405: "it takes no such request: check the address",
    422: "the request does not suit it: check the body",
}
_RETRYABLE = {408, 425, 429}


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
    """The JSON object that the server answers, within `timeout` seconds in all.

    Raises:
        HttpProblem: no answer in time, a status other than 2xx, too long, or no JSON object.
    """
    try:
        with anyio.fail_after(timeout):
            answer = await _exchange(method, url, headers, body, timeout)
    except TimeoutError as exc:
        raise HttpProblem(f"no answer within {timeout:g} s", retryable=True) from exc
    return _object(answer)


async def _exchange(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: Mapping[str, object] | None,
    timeout: float,
) -> bytes:
    try:
        async with httpx.AsyncClient(
            verify=_tls(), timeout=timeout, follow_redirects=False
        ) as client:
            request = client.build_request(
                method,
                url,
                # A compressed answer could be far larger than it looks.
                headers={"accept": "application/json", "accept-encoding": "identity", **headers},
                json=None if body is None else dict(body),
            )
            request.url = _QuietURL(request.url)
            response = await client.send(request, stream=True)
            try:
                _check_status(response.status_code)
                return await _read(response)
            finally:
                await response.aclose()
    except httpx.TimeoutException as exc:
        raise HttpProblem(f"no answer within {timeout:g} s", retryable=True) from exc
    except httpx.ConnectError as exc:
        raise HttpProblem(f"cannot connect ({exc})", retryable=True) from exc
    except httpx.InvalidURL as exc:
        raise HttpProblem("its address is malformed", retryable=False) from exc
    except httpx.RequestError as exc:
        raise HttpProblem(
            f"the connection broke off ({type(exc).__name__})", retryable=True
        ) from exc


@cache
def _tls() -> ssl.SSLContext:
    """Made once: reading the certificates holds the loop up for tens of milliseconds."""
    return httpx.create_ssl_context()


def _check_status(status: int) -> None:
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        raise HttpProblem(
            f"it redirects to another address ({status}): give that one",
            retryable=False,
            status=status,
        )
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "an unknown status"
    hint = f"; {_HINTS[status]}" if status in _HINTS else ""
    raise HttpProblem(
        f"it answered {status} {phrase}{hint}",
        retryable=status >= 500 or status in _RETRYABLE,
        status=status,
    )


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


def _object(answer: bytes) -> dict[str, Any]:
    try:
        text = answer.decode()
        if nests_too_deeply(text):
            raise HttpProblem("its answer nests too deeply", retryable=False)
        return msgspec.json.decode(text, type=dict[str, Any])
    except ValueError as exc:
        raise HttpProblem("its answer is not a JSON object", retryable=False) from exc
