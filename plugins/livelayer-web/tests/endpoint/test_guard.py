"""Origins, rates and the log."""

from __future__ import annotations

import json

import httpx
import pytest
from livelayer_web.endpoint import Caller, Rate, RateLimiter, bucket_of
from livelayer_web.http.rates import MAX_BUCKETS
from starlette.requests import Request

from livelayer_bus.errors import ConfigError
from livelayer_bus.testing import ManualClock

from .conftest import KEY, LUMI, ORIGIN, OTHER_KEY, SECRET, SESSION, Ask, Log, Make, error_of

pytestmark = pytest.mark.anyio


# Origins -----------------------------------------------------------------------------------


async def test_a_page_on_the_list_may_ask_and_read_the_answer(client: httpx.AsyncClient) -> None:
    answer = await client.post(SESSION, json={"agentId": LUMI.id}, headers={"origin": ORIGIN})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "origin" in answer.headers["vary"].lower()
    refused = await client.post(SESSION, content=b"{", headers={"origin": ORIGIN})
    assert refused.headers["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example.com", "null", f"{ORIGIN}.evil.com", "http://shop.example.com", "*", ""],
)
async def test_a_foreign_page_is_refused(client: httpx.AsyncClient, origin: str) -> None:
    for answer in (
        await client.post(SESSION, json={"agentId": LUMI.id}, headers={"origin": origin}),
        await client.options(
            SESSION, headers={"origin": origin, "access-control-request-method": "POST"}
        ),
        await client.get("/api/agents/agt_lumi/config", headers={"origin": origin}),
    ):
        assert error_of(answer) == (403, "origin")
        assert "access-control-allow-origin" not in answer.headers


async def test_a_preflight_names_what_the_request_may_carry(client: httpx.AsyncClient) -> None:
    answer = await client.options(
        SESSION, headers={"origin": ORIGIN, "access-control-request-method": "POST"}
    )
    assert answer.status_code == 204
    assert "x-api-key" in answer.headers["access-control-allow-headers"]
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize(
    "origin", ["shop.example.com", "https://a.b/path", "ftp://a.b", "https://"]
)
def test_what_is_no_origin_is_refused_at_once(make: Make, origin: str) -> None:
    with pytest.raises(ConfigError):
        make(origins=(origin,))


# Rates -------------------------------------------------------------------------------------


async def test_an_address_that_asks_too_often_has_to_wait(
    make: Make, ask: Ask, clock: ManualClock
) -> None:
    async with ask(make(address_rate=Rate(per_minute=60, burst=2))) as client:
        wrong = {"x-api-key": "wrong"}
        statuses = [
            (await client.post(SESSION, json={}, headers=wrong)).status_code for _ in range(2)
        ]
        assert statuses == [401, 401]
        refused = await client.post(SESSION, json={"agentId": LUMI.id})
        assert error_of(refused) == (429, "rate")
        assert refused.headers["retry-after"] == "2"
        clock.advance(1)
        assert (await client.post(SESSION, json={"agentId": LUMI.id})).status_code == 200


async def test_what_needs_no_key_counts_for_its_address_too(make: Make, ask: Ask) -> None:
    async with ask(make(address_rate=Rate(per_minute=60, burst=1))) as client:
        assert (await client.get("/api/widget/agent/agt_lumi")).status_code == 200
        assert error_of(await client.get("/api/widget/agent/agt_lumi")) == (429, "rate")


async def test_a_caller_that_asks_too_often_has_to_wait_and_others_need_not(
    make: Make, ask: Ask, clock: ManualClock
) -> None:
    async with ask(make(caller_rate=Rate(per_minute=60, burst=1))) as client:
        body = {"agentId": LUMI.id}
        assert (await client.post(SESSION, json=body)).status_code == 200
        assert error_of(await client.post(SESSION, json=body)) == (429, "rate")
        other = await client.post(SESSION, json=body, headers={"x-api-key": OTHER_KEY})
        assert other.status_code == 200


async def test_the_question_for_health_is_not_limited(make: Make, ask: Ask) -> None:
    async with ask(make(address_rate=Rate(per_minute=60, burst=1))) as client:
        assert [(await client.get("/health")).status_code for _ in range(5)] == [200] * 5
        assert (await client.post(SESSION, json={"agentId": LUMI.id})).status_code == 200
        assert error_of(await client.post(SESSION, json={})) == (429, "rate")
        assert (await client.get("/health")).status_code == 200


async def test_behind_a_trusted_proxy_each_client_has_its_own_rate(
    make: Make, ask: Ask, log: Log
) -> None:
    app = make(address_rate=Rate(per_minute=60, burst=1), trusted_proxies=("127.0.0.1",))
    async with ask(app) as client:
        for address in ("198.51.100.1", "198.51.100.2"):
            # Only what the proxy itself added counts.
            headers = {"x-forwarded-for": f"203.0.113.9, {address}"}
            answer = await client.post(SESSION, json={"agentId": LUMI.id}, headers=headers)
            assert answer.status_code == 200
            assert log.lines[-1]["address"] == address


async def test_without_a_trusted_proxy_a_client_cannot_name_its_address(
    make: Make, ask: Ask, log: Log
) -> None:
    async with ask(make(address_rate=Rate(per_minute=60, burst=1))) as client:
        statuses = [
            (await client.get("/openapi.json", headers={"x-forwarded-for": address})).status_code
            for address in ("198.51.100.1", "198.51.100.2")
        ]
    assert statuses == [200, 429]
    assert {line["address"] for line in log.lines} == {"127.0.0.1"}


@pytest.mark.parametrize("proxy", ["proxy.example.com", "10.0.0.1/33", "*", ""])
def test_a_proxy_is_an_address_or_a_network(make: Make, proxy: str) -> None:
    with pytest.raises(ConfigError, match="trusted_proxies"):
        make(trusted_proxies=(proxy,))


def test_the_limiters_memory_is_bounded(clock: ManualClock) -> None:
    limiter = RateLimiter(Rate(per_minute=60, burst=1), clock)
    for number in range(MAX_BUCKETS + 10):
        limiter.take(str(number))
    assert len(limiter) == MAX_BUCKETS


def test_an_ipv6_subscriber_has_one_bucket() -> None:
    assert bucket_of("2001:db8::1") == bucket_of("2001:db8::ffff:1")
    assert bucket_of("2001:db8:1::1") != bucket_of("2001:db8:2::1")
    assert bucket_of("::ffff:10.0.0.1") == bucket_of("10.0.0.1")
    assert bucket_of("") == bucket_of("testclient")


# The log -----------------------------------------------------------------------------------


async def test_each_request_is_one_line_without_secrets(
    client: httpx.AsyncClient, log: Log
) -> None:
    await client.post(f"{SESSION}?token=hush", json={"agentId": LUMI.id, "diary": "dear diary"})
    await client.post(SESSION, json={"agentId": LUMI.id}, headers={"x-api-key": "wrong-secret"})
    await client.get("/nothing%0A{here}")
    first, second, third = log.lines
    assert first["path"] == SESSION
    assert (first["status"], first["caller"], first["agent"]) == (200, "shop", LUMI.id)
    assert first["resumed"] is False
    assert (second["status"], second["code"]) == (401, "unauthorized")
    assert third["status"] == 404
    for secret in ("hush", "dear diary", KEY, "wrong-secret", SECRET, "eyJ"):
        assert secret not in log.text


async def test_an_error_of_ours_is_logged_by_its_kind_alone(make: Make, ask: Ask, log: Log) -> None:
    async def auth(request: Request) -> Caller | None:
        raise RuntimeError("the database password is hunter2")

    async with ask(make(auth=auth)) as client:
        await client.post(SESSION, json={})
    (line,) = log.lines
    assert line["fault"] == "RuntimeError"
    assert "hunter2" not in json.dumps(line)
