"""Who is turned away: foreign pages and names, tokens, sizes, rates; and what is never told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from livelayer_web import NetworkPolicy, Rate, ViewerTokens, WebSurface
from livelayer_web.http import Guard, Hosts, Origins, RateLimiter, bucket_of
from livelayer_web.network_policy import NetworkLimits
from livelayer_web.tokens import LEEWAY
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from livelayer_bus import MisuseError
from livelayer_bus.testing import PATIENCE, ManualClock, settle

from .scripted import Page, Serve, Web, client_of, code_of

pytestmark = pytest.mark.anyio

ORIGIN = "https://shop.example.com"
SECRET = "a secret of the tests, thirty-two bytes"
ROUTES = [
    ("POST", "viewers"),
    ("DELETE", "viewers/me"),
    ("POST", "viewers/me/beat"),
    ("GET", "events"),
    ("POST", "whep"),
    ("DELETE", "whep/x"),
    ("PUT", "sources/microphone"),
    ("PATCH", "sources/camera"),
    ("DELETE", "sources/screen"),
    ("POST", "messages"),
    ("POST", "commands/1"),
    ("POST", "control/connect"),
    ("POST", "control/disconnect"),
    ("POST", "control/agent"),
    ("GET", "js/livelayer.js"),
]


# Foreign pages and names ------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_a_foreign_page_is_refused_on_every_route(web: Web, method: str, path: str) -> None:
    page = await web.page()
    for origin in ("https://evil.example.com", "null", f"{web.http.base_url.scheme}://localhost"):
        headers = page.headers | {"origin": origin}
        answer = await web.http.request(method, path, headers=headers)
        assert code_of(answer) == (403, "origin")
        assert "access-control-allow-origin" not in answer.headers
    assert len(web.surface.viewers()) == 1


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_a_foreign_name_is_refused_on_every_route(web: Web, method: str, path: str) -> None:
    page = await web.page()
    for host in ("evil.example.com", "127.0.0.1.nip.io", "", "localhost@evil.com"):
        answer = await web.http.request(method, path, headers=page.headers | {"host": host})
        assert code_of(answer) == (403, "host")


async def test_a_page_of_the_server_and_one_on_the_list_may_ask(serve: Serve) -> None:
    async with serve(allow_origins=[ORIGIN]) as web:
        base = str(web.http.base_url).removesuffix("/livelayer/")
        assert (await web.join(origin=base)).status_code == 201
        answer = await web.join(origin=ORIGIN)
        assert answer.status_code == 201
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "origin" in answer.headers["vary"].lower()
        preflight = await web.http.options(
            "messages",
            headers={"origin": ORIGIN, "access-control-request-method": "POST"},
        )
        assert preflight.status_code == 204
        allowed = preflight.headers["access-control-allow-headers"]
        assert {"authorization", "content-type", "last-event-id"} <= set(allowed.split(", "))
        assert "access-control-allow-credentials" not in preflight.headers
        foreign = await web.http.options(
            "messages",
            headers={"origin": "https://evil.com", "access-control-request-method": "POST"},
        )
        assert code_of(foreign) == (403, "origin")


async def test_every_answer_carries_the_security_headers(web: Web) -> None:
    for path in ("js/livelayer.js", "nothing", "events"):
        headers = (await web.http.get(path)).headers
        policy = headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "style-src 'self'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert "server" not in headers


# Tokens -----------------------------------------------------------------------------------------


@pytest.fixture
def tokens() -> ViewerTokens:
    return ViewerTokens(SECRET)


async def test_without_a_token_nobody_joins(serve: Serve, tokens: ViewerTokens) -> None:
    async with serve(tokens=tokens) as web:
        refused = await web.join()
        assert code_of(refused) == (401, "token")
        assert refused.headers["www-authenticate"].startswith("Bearer")
        offer = {"content-type": "application/sdp"}
        assert code_of(await web.http.post("whep", headers=offer, content="v=0")) == (401, "token")
        assert web.surface.viewers() == ()


async def test_a_key_may_come_beside_the_sites_own_login(
    serve: Serve, tokens: ViewerTokens
) -> None:
    login = {"authorization": "Basic c2hvcDpzZWNyZXQ="}
    async with serve(tokens=tokens) as web:
        answer = await web.http.post(
            "viewers", json={}, headers=login | {"x-livelayer-key": web.surface.token()}
        )
        assert answer.status_code == 201
        key = login | {"x-livelayer-key": answer.json()["key"]}
        assert (await web.http.post("viewers/me/beat", json={}, headers=key)).status_code == 204
        bearer = {"authorization": f"Bearer {answer.json()['key']}", "x-livelayer-key": "wrong"}
        refused = await web.http.post("viewers/me/beat", json={}, headers=bearer)
        assert code_of(refused) == (401, "viewer")


async def test_tokens_that_are_no_good_are_told_apart(serve: Serve) -> None:
    now = [1_800_000_000.0]
    tokens = ViewerTokens(SECRET, now=lambda: now[0])
    async with serve(tokens=tokens) as web:
        for wrong in ("garbage", "a.b.c", ViewerTokens(SECRET * 2).issue(web.session.id)):
            assert code_of(await web.join(bearer=wrong)) == (401, "token")
        assert code_of(await web.join(bearer=tokens.issue("another"))) == (401, "token")
        expired = tokens.issue(web.session.id, ttl=1)
        now[0] += 1 + LEEWAY
        assert code_of(await web.join(bearer=expired)) == (401, "expired")
        revoked = tokens.issue(web.session.id)
        tokens.revoke(tokens.token_id(revoked))
        assert code_of(await web.join(bearer=revoked)) == (401, "revoked")
        good = web.surface.token()
        assert (await web.join(bearer=good)).status_code == 201
        assert code_of(await web.join(bearer=good)) == (401, "replayed")
        statistics = web.surface.statistics().tokens
        assert statistics is not None
        assert statistics.taken == 1


async def test_a_page_that_comes_back_needs_no_fresh_token(
    serve: Serve, tokens: ViewerTokens
) -> None:
    async with serve(tokens=tokens) as web:
        page = Page(web.http, (await web.join(bearer=web.surface.token(["watch"]))).json())
        await page.leave()
        answer = await web.join(bearer=page.key)  # as the bearer
        assert answer.status_code == 201
        assert answer.json()["grants"] == ["watch"]
        again = Page(web.http, answer.json())
        await web.clock.elapse(10.0)  # the network was cut
        answer = await web.join({"previous": again.key})  # in the body
        assert answer.status_code == 201
        assert answer.json()["viewer"] == page.id


async def test_revoking_a_token_ends_its_pages_and_their_places(
    serve: Serve, tokens: ViewerTokens
) -> None:
    async with serve(tokens=tokens) as web:
        token, other = web.surface.token(), web.surface.token()
        page = Page(web.http, (await web.join(bearer=token)).json())
        stays = Page(web.http, (await web.join(bearer=other)).json())
        async with page.events() as events:
            await events.next("snapshot")
            tokens.revoke(tokens.token_id(token))
            last = (await events.rest())[-1]
            assert (last.event, last.data) == ("bye", {"reason": "revoked"})
        assert code_of(await page.beat()) == (401, "viewer")
        assert code_of(await web.join(bearer=page.key)) == (401, "token")
        assert (await stays.beat()).status_code == 204


@pytest.mark.parametrize(
    ("grants", "method", "path"),
    [
        (["talk"], "GET", "events"),
        (["watch"], "POST", "messages"),
        (["watch"], "POST", "commands/1"),
        (["watch"], "PUT", "sources/microphone"),
        (["watch"], "PUT", "viewers/me/page"),
        (["watch", "control"], "PATCH", "sources/microphone"),
        (["watch", "talk"], "POST", "control/connect"),
        (["watch", "talk"], "POST", "control/disconnect"),
        (["watch", "talk"], "POST", "control/agent"),
    ],
)
async def test_a_page_may_do_what_its_token_says(
    serve: Serve, tokens: ViewerTokens, grants: Any, method: str, path: str
) -> None:
    async with serve(tokens=tokens) as web:
        page = Page(web.http, (await web.join(bearer=web.surface.token(grants))).json())
        assert code_of(await page.ask(method, path, {})) == (403, "grant")


async def test_a_page_that_may_not_talk_is_never_the_active_one(
    serve: Serve, tokens: ViewerTokens
) -> None:
    async with serve(tokens=tokens) as web:
        answer = await web.join(bearer=web.surface.token(["watch"]))
        watcher = Page(web.http, answer.json())
        assert answer.json()["sources"] == []
        await watcher.beat(used=True)
        assert [info.active for info in web.surface.viewers()] == [False]
        assert web.mounted.last_used == 0


@pytest.mark.parametrize(("method", "path"), ROUTES[1:4] + ROUTES[6:14])
async def test_a_key_that_is_none_opens_nothing(web: Web, method: str, path: str) -> None:
    await web.page()
    for value in ("Bearer", "Bearer x", "bearer \xff", "Basic eDp5", f"Bearer {'a' * 5000}"):
        headers = [(b"authorization", value.encode("latin-1"))]
        answer = await web.http.request(method, path, headers=headers)
        assert code_of(answer) == (401, "viewer")
    assert code_of(await web.http.request(method, path)) == (401, "viewer")
    key = {"key": "x", "authorization": "x"}
    assert code_of(await web.http.request(method, path, params=key)) == (401, "viewer")


# How far it reaches -----------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "kiosk.local"])  # noqa: S104 - refused
def test_any_other_host_takes_origins_and_tokens(host: str, tokens: ViewerTokens) -> None:
    wrong: list[dict[str, Any]] = [{}, {"tokens": tokens}, {"allow_origins": [ORIGIN]}]
    for options in wrong:
        with pytest.raises(MisuseError, match="allow_origins") as caught:
            WebSurface(host, **options)
        assert "tokens" in str(caught.value)
        assert "127.0.0.1" in str(caught.value)
    WebSurface(host, tokens=tokens, allow_origins=[ORIGIN])
    WebSurface(host, secret=SECRET, allow_origins=[ORIGIN])


def test_names_for_other_machines_take_tokens(tokens: ViewerTokens) -> None:
    with pytest.raises(MisuseError, match="viewer tokens"):
        WebSurface(port=None, allow_hosts=["kiosk.example.com"])
    WebSurface(port=None, allow_hosts=["kiosk.example.com"], tokens=tokens)
    WebSurface(port=None, allow_hosts=["localhost"])
    for host in ("localhost", "127.0.0.1", "127.0.0.2", "::1"):
        WebSurface(host)


def test_options_that_contradict_each_other_are_misuse(tokens: ViewerTokens) -> None:
    wrong: list[dict[str, Any]] = [
        {"tokens": tokens, "secret": SECRET},
        {"port": 70_000},
        {"port": None, "site": "."},
        {"max_viewers": 0},
        {"max_message_bytes": 0},
        {"allow_origins": ORIGIN},
        {"allow_origins": ["*"]},
        {"allow_hosts": "kiosk"},
        {"agents": [{"name": "no id"}]},
        {"media": {"max_connections": "many"}},
        {"secret": "short"},
    ]
    for options in wrong:
        with pytest.raises(MisuseError):
            WebSurface(**options)


# Sizes and rates --------------------------------------------------------------------------------


async def test_joining_is_limited_by_address(serve: Serve) -> None:
    async with serve(policy=NetworkPolicy(joins=Rate(per_minute=60, burst=3))) as web:
        for _ in range(3):
            assert (await web.join()).status_code == 201
        refused = await web.join()
        assert code_of(refused) == (429, "rate")
        assert int(refused.headers["retry-after"]) >= 1
        web.clock.advance(1.0)
        assert (await web.join()).status_code == 201


async def test_messages_are_limited_by_page(serve: Serve) -> None:
    async with serve(policy=NetworkPolicy(messages=Rate(per_minute=60, burst=2))) as web:
        await web.connect()
        page, other = await web.page(), await web.page()
        typed = {"type": "user_message", "text": "hi"}
        codes = [(await page.say(typed, f"message-{number}")).status_code for number in range(3)]
        assert codes == [202, 202, 429]
        assert (await other.say(typed, "message-9")).status_code == 202
        assert (await page.beat()).status_code == 204


def guarded(app: ASGIApp, policy: NetworkPolicy | None = None) -> Guard:
    """The guard as a web surface has it."""
    policy = policy or NetworkPolicy()
    return Guard(
        app,
        hosts=Hosts(),
        origins=Origins(),
        limits=NetworkLimits(policy, ManualClock(), lambda _: False),
        max_body=policy.max_body,
        trusted_proxies=policy.trusted_proxies,
    )


async def test_every_request_is_limited_but_those_for_files() -> None:
    guard = guarded(Response("ok"), NetworkPolicy(everything=Rate(per_minute=60, burst=2)))
    async with client_of(guard) as http:
        codes = [(await http.post("/viewers/me/beat")).status_code for _ in range(3)]
        assert codes == [200, 200, 429]
        assert (await http.get("/events")).status_code == 429
        codes = [(await http.get("/js/livelayer.js")).status_code for _ in range(50)]
        assert codes == [200] * 50
    assert guard.statistics().refused == {"rate": 2}


async def test_a_trusted_proxy_names_the_client() -> None:
    rate = Rate(per_minute=60, burst=1)
    for proxies, codes in (((), [200, 429]), (("127.0.0.0/8",), [200, 200])):
        guard = guarded(Response("ok"), NetworkPolicy(everything=rate, trusted_proxies=proxies))
        async with client_of(guard) as http:
            asked = [
                (await http.post("/", headers={"x-forwarded-for": client})).status_code
                for client in ("198.51.100.1", "evil, 198.51.100.2, 127.0.0.1")
            ]
        assert asked == codes
    with pytest.raises(MisuseError, match="trusted_proxies"):
        guarded(Response(), NetworkPolicy(trusted_proxies=["proxy.example.com"]))


async def test_a_body_that_does_not_say_its_length_is_cut_off() -> None:
    read = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal read
        async for chunk in Request(scope, receive).stream():
            read += len(chunk)
        await Response("ok")(scope, receive, send)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 100

    async with client_of(guarded(app, NetworkPolicy(max_body=1000))) as http:
        assert code_of(await http.post("/", content=chunks())) == (413, "size")
        assert code_of(await http.post("/", content=b"x" * 1001)) == (413, "size")
        assert (await http.post("/", content=b"x" * 1000)).status_code == 200
    assert read <= 2000


def test_the_limiter_is_public_and_counts_a_network_as_one() -> None:
    clock = ManualClock()
    limiter = RateLimiter(Rate(per_minute=60, burst=1), clock)
    first, same = bucket_of("2001:db8::1"), bucket_of("2001:db8::ffff")
    assert first == same != bucket_of("2001:db8:1::1")
    assert limiter.take(first) == 0.0
    assert limiter.take(same) > 0.0
    clock.advance(1.0)
    assert limiter.take(first) == 0.0


async def test_websockets_are_refused() -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await guarded(Response("never"))({"type": "websocket", "path": "/"}, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]


# What is told -----------------------------------------------------------------------------------


async def test_a_fault_of_ours_is_told_by_its_kind_and_quotes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    private = "what the request held"

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError(private)

    guard = guarded(app)
    with caplog.at_level(logging.DEBUG):
        async with client_of(guard) as http:
            answer = await http.get(f"/?token={private}")
    assert code_of(answer) == (500, "internal")
    assert private not in answer.text
    assert private not in caplog.text
    assert "RuntimeError" in caplog.text
    assert guard.statistics().faults == {"RuntimeError": 1}


async def test_no_key_token_secret_or_text_is_logged(
    serve: Serve, tokens: ViewerTokens, caplog: pytest.LogCaptureFixture
) -> None:
    text = "my card number is 4242"
    with caplog.at_level(logging.DEBUG):
        # httpx tells its own requests; what counts is what the server tells.
        logging.getLogger("httpx").setLevel(logging.ERROR)
        logging.getLogger("httpcore").setLevel(logging.ERROR)
        async with serve(tokens=tokens, capabilities=("navigate",)) as web:
            room = await web.connect()
            token = web.surface.token()
            page = Page(web.http, (await web.join(bearer=token)).json())
            await web.join(bearer=token)
            await web.join(bearer="garbage-token")
            async with page.events() as events:
                await events.next("snapshot")
                room.transcribes("1", text)
                await events.next("event")
                await page.say({"type": "user_message", "text": text})
                await page.ask("POST", "messages", {"id": text, "message": {"type": text}})
                await page.ask("POST", f"commands/1?key={page.key}", {"ok": True})
            shown = repr(web.surface) + repr(web.surface.statistics()) + repr(web.surface.viewers())
    for secret in (SECRET, token, page.key, "garbage-token", text):
        assert secret not in caplog.text
        assert secret not in shown


async def test_a_page_cannot_hold_another_one_up(web: Web) -> None:
    """A request whose body never comes waits alone."""
    page = await web.page()
    started = anyio.Event()

    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        started.set()
        await anyio.sleep_forever()

    async with anyio.create_task_group() as group:

        async def ask() -> None:
            await web.http.post("viewers/me/beat", headers=page.headers, content=never())

        group.start_soon(ask)
        await started.wait()
        assert (await page.beat()).status_code == 204
        await settle()
        await asyncio.wait_for(web.mounted.unmount(), PATIENCE)
        group.cancel_scope.cancel()
    assert web.mounted.status == "unmounted"
