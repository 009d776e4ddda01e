"""Pages behind nginx and Caddy, as docs/deployment.md has them: a prefix, TLS, HTTP/2, logins."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import livelayer_web
import pytest
from livelayer_web import NetworkPolicy, SessionsOnDemand, WebSurface
from playwright.async_api import Browser, Page

from livelayer_bus import Session
from livelayer_bus.testing import ScriptedRooms, polled

from .conftest import PASSWORD, USER, RunProxy, blocks

pytestmark = pytest.mark.anyio

CLIENT = "(document.querySelector('livelayer-session')?.client)"
LIVE = f"{CLIENT}?.link.phase === 'live'"
OWN = """async () => {
  const { SessionClient } = await import("./livelayer/js/headless.js");
  const base = document.querySelector("livelayer-session").getAttribute("base") ?? undefined;
  window.own = new SessionClient({ base, agentId: "own" });
  window.own.open();
}"""
ENDED = "['live', 'refused', 'ended'].includes(own.link.phase) ? own.link : null"
Documented = Callable[[str, str, str], str]

PROXIES = ["nginx", "caddy"]
PLAIN = {"nginx": "8080/;", "caddy": "handle_path"}
"""What the block that strips the prefix has."""
WITH_LOGIN = {"nginx": "auth_basic", "caddy": "basicauth"}
OTHER_PATHS_MISSING = """
server {
    listen 127.0.0.1:@port@;
    location /assistant/ { include @common@; proxy_pass http://@upstream@/; }
    location /assistant/livelayer/sessions/ { return 404; }
}
"""
COOKIE_LOGIN = """
server {
    listen 127.0.0.1:@port@;
    location = /login { add_header Set-Cookie "who=ada; Path=/; HttpOnly"; return 200 in; }
    location = /logout { add_header Set-Cookie "who=; Path=/; Max-Age=0"; return 200 out; }
    location /assistant/ {
        if ($cookie_who = "") { return 302 /login-page; }
        include @common@;
        proxy_pass http://@upstream@/;
    }
}
"""


@dataclass
class Site:
    """A session on a surface that trusts the proxy in front of it."""

    surface: WebSurface
    session: Session
    rooms: ScriptedRooms
    opened: list[str]
    """The agents of the sessions that pages opened."""
    upstream: str

    async def says(self, text: str) -> None:
        """The agent says it, in the session of the application."""
        await self.session.connect()
        room = await self.rooms.next()
        room.agent_joins()
        room.transcribes("one", text)


@asynccontextmanager
async def serving(**options: Any) -> AsyncGenerator[Site]:
    rooms = ScriptedRooms()
    opened: list[str] = []

    def own(agent: str) -> Session:
        opened.append(agent)
        return Session(agent, tokens=rooms.tokens, room=rooms)

    async with Session("agt", tokens=rooms.tokens, room=rooms) as session:
        surface = WebSurface(
            port=0,
            sessions=SessionsOnDemand(own, agents=["own"]),
            policy=NetworkPolicy(trusted_proxies=["127.0.0.1"]),
            **options,
        )
        session.mount(surface, key="web")
        upstream = urlsplit(await surface.wait_url()).netloc
        yield Site(surface, session, rooms, opened, upstream)


@pytest.fixture
async def visit(browser: Browser, new_context: Any) -> Callable[..., Any]:
    """Opens a page in a context of its own."""

    async def visit(url: str, **options: Any) -> Page:
        context = await new_context(browser, ignore_https_errors=True, **options)
        page: Page = await context.new_page()
        await page.goto(url)
        return page

    return visit


async def until(page: Page, expression: str) -> Any:
    try:
        return await polled(lambda: page.evaluate(expression))
    except TimeoutError:
        link = await page.evaluate(f"JSON.stringify({CLIENT}?.link ?? null)")
        raise AssertionError(f"never true: {expression}; link {link}") from None


async def shows_everything(site: Site, page: Page, prefix: str) -> None:
    """The page is live, hears the agent, and its own session is below the prefix."""
    await until(page, LIVE)
    await site.says("hello from behind the proxy")
    await until(page, f"{CLIENT}.state.transcript.some(({{ text }}) => text.startsWith('hello'))")
    await page.evaluate(OWN)
    assert (await until(page, ENDED))["phase"] == "live"
    assert site.opened == ["own"]
    asked = await page.evaluate("performance.getEntriesByType('resource').map(({ name }) => name)")
    assert [url for url in asked if not urlsplit(url).path.startswith(prefix)] == []


@pytest.mark.parametrize("name", PROXIES)
async def test_a_prefix_that_is_stripped_with_tls_and_http_2(
    run_proxy: RunProxy, documented: Documented, visit: Any, name: str
) -> None:
    async with (
        serving() as site,
        run_proxy(name, documented(name, PLAIN[name], site.upstream)) as proxy,
    ):
        page = await visit(f"https://localhost:{proxy.port}/assistant/")
        await shows_everything(site, page, "/assistant/")
        asked = "performance.getEntriesByType('resource').map((one) => one.nextHopProtocol)"
        assert set(await page.evaluate(asked)) == {"h2"}


async def test_a_prefix_that_is_passed_on(
    run_proxy: RunProxy, documented: Documented, visit: Any
) -> None:
    async with (
        serving(root_path="/assistant") as site,
        run_proxy("nginx", documented("nginx", "8080;", site.upstream)) as proxy,
    ):
        page = await visit(f"https://localhost:{proxy.port}/assistant/")
        await shows_everything(site, page, "/assistant/")


@pytest.mark.parametrize("name", PROXIES)
async def test_a_site_behind_basic_auth(
    run_proxy: RunProxy, documented: Documented, visit: Any, name: str
) -> None:
    async with (
        serving() as site,
        run_proxy(name, documented(name, WITH_LOGIN[name], site.upstream)) as proxy,
    ):
        url = f"https://localhost:{proxy.port}/assistant/"
        login = {"username": USER, "password": PASSWORD}
        page = await visit(url, http_credentials=login)
        async with page.expect_response("**/whep") as negotiated:
            await shows_everything(site, page, "/assistant/")
        assert (await negotiated.value).status == 201
        assert len(site.surface.viewers()) == 1
        await page.goto("about:blank")  # the page leaves with a request that outlives it
        await polled(lambda: not site.surface.viewers())


def test_the_server_of_the_page_is_a_server() -> None:
    program = next(text for text in blocks("python") if "port=8080" in text)
    given = {"secret": secrets.token_urlsafe(32), **vars(livelayer_web)}
    exec(program, given)  # noqa: S102 - our own page
    assert "not serving" in repr(given["surface"])


async def test_a_cookie_login_that_runs_out_is_told(
    run_proxy: RunProxy, documented: Documented, visit: Any, tmp_path: Any
) -> None:
    documented("nginx", "auth_basic", "")
    async with serving() as site:
        servers = COOKIE_LOGIN.replace("@upstream@", site.upstream)
        servers = servers.replace("@common@", str(tmp_path / "livelayer.conf"))
        async with run_proxy("nginx", servers) as proxy:
            page = await visit(f"http://localhost:{proxy.port}/login")
            await page.goto(f"http://localhost:{proxy.port}/assistant/")
            await shows_everything(site, page, "/assistant/")
            await page.evaluate("fetch('/logout').then(() => null)")
            await page.evaluate(f"{CLIENT}.close(), {CLIENT}.open()")
            link = await until(page, f"{CLIENT}.link.phase === 'refused' && {CLIENT}.link")
            assert link["code"] == "login"
            hint = page.locator("livelayer-avatar .placeholder .hint")
            assert "Log in again" in (await hint.text_content() or "")
            await page.evaluate("fetch('/login').then(() => null)")
            await page.evaluate(f"{CLIENT}.open()")
            await until(page, LIVE)


async def test_a_session_that_is_not_where_it_was_opened_is_told_and_no_other_is_opened(
    run_proxy: RunProxy, documented: Documented, visit: Any, tmp_path: Any
) -> None:
    documented("nginx", "auth_basic", "")
    async with serving() as site:
        servers = OTHER_PATHS_MISSING.replace("@upstream@", site.upstream)
        servers = servers.replace("@common@", str(tmp_path / "livelayer.conf"))
        async with run_proxy("nginx", servers) as proxy:
            said: list[str] = []
            page = await visit(f"http://localhost:{proxy.port}/assistant/")
            page.on("console", lambda message: said.append(message.text))
            await until(page, LIVE)
            await page.evaluate(OWN)
            link = await until(page, ENDED)
            assert (link["phase"], link["code"]) == ("refused", "misrouted")
            base = f"http://localhost:{proxy.port}/assistant/livelayer/sessions/"
            assert base in link["detail"]
            assert any(base in text for text in said)
            assert site.opened == ["own"]
