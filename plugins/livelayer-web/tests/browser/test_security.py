"""A page without access sees and changes nothing, and what an agent says stays text."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from livelayer_web import ViewerTokens
from livelayer_web.tokens import LEEWAY
from playwright.async_api import Browser, BrowserContext, Page, expect

from livelayer_bus.events import AgentConfig

pytestmark = pytest.mark.anyio

SECRET = "a secret of these tests, thirty-two bytes"
LIVE = "client.link.phase === 'live'"
JOIN = """async ([base, mode]) => {
  const headers = mode === "cors" ? {"content-type": "application/json"} : {};
  try {
    const wish = {method: "POST", mode, headers, body: "{}"};
    const answer = await fetch(`${base}/livelayer/viewers`, wish);
    return [answer.type, await answer.text()];
  } catch (error) {
    return [error.name, ""];
  }
}"""


# Pages of other origins -----------------------------------------------------------------------


@asynccontextmanager
async def another_site() -> AsyncGenerator[tuple[str, dict[str, str]]]:
    """A server that is not ours: its origin, and its page's text to set."""
    said = {"text": ""}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = said["text"].encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {len(body)}"
        writer.write(f"{head}\r\nconnection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}", said
    finally:
        server.close()


def embedding(base: str) -> str:
    """A page that shows the session of another server."""
    return f"""<!doctype html><html lang="en"><title>Elsewhere</title>
    <script type="module" src="{base}/livelayer/js/livelayer.js"></script>
    <livelayer-session base="{base}/livelayer">
      <livelayer-avatar mode="embedded" style="height: 500px"></livelayer-avatar>
    </livelayer-session><img src="{base}/livelayer/js/livelayer.js" alt="">
    <iframe src="{base}/" title="framed"></iframe>"""


async def test_a_page_of_another_origin_neither_reads_nor_joins(
    page: Page, show: Any, context: BrowserContext
) -> None:
    async with show(agent=None) as shown, another_site() as (foreign, said):
        said["text"] = embedding(shown.url)
        await page.goto(foreign, wait_until="load")

        assert await page.evaluate("customElements.get('livelayer-session') === undefined")
        assert await page.evaluate(JOIN, [shown.url, "cors"]) == ["TypeError", ""]
        assert await page.evaluate(JOIN, [shown.url, "no-cors"]) == ["TypeError", ""]
        framed = page.frames[1]
        assert await framed.evaluate("document.querySelector('livelayer-session')") is None

        # The same server by its other name is another origin too.
        own = await context.new_page()
        await own.goto(shown.url.replace("127.0.0.1", "localhost") + "/thanks")
        assert (await own.evaluate(JOIN, [shown.url, "cors"]))[0] == "TypeError"

        statistics = shown.surface.statistics()
        assert statistics.guard.refused["origin"] >= 3
        assert statistics.viewers.joined == 1  # the page at localhost, which is our own


async def test_a_page_of_an_allowed_origin_joins(page: Page, show: Any, until: Any) -> None:
    async with (
        another_site() as (foreign, said),
        show(agent="puppet", allow_origins=[foreign]) as shown,
    ):
        said["text"] = embedding(shown.url)
        await shown.connect()
        await page.goto(foreign)
        await until(page, f"{LIVE} && client.state?.agent_active")

        await page.get_by_role("textbox", name="Message").fill("hello")
        await page.keyboard.press("Enter")

        await shown.agent.until(lambda: shown.agent.of("user_message") != [])
        assert shown.agent.of("user_message")[0]["text"] == "hello"


async def test_a_name_that_was_bent_to_this_machine_shows_nothing(
    launch: Any, new_context: Any, show: Any
) -> None:
    browser: Browser = await launch("--host-resolver-rules=MAP evil.example 127.0.0.1")
    async with show(agent=None) as shown:
        page = await (await new_context(browser)).new_page()
        answer = await page.goto(shown.url.replace("127.0.0.1", "evil.example"))

        assert answer is not None
        assert answer.status == 403
        assert (await answer.json())["code"] == "host"
        assert shown.surface.viewers() == ()


# Viewer tokens --------------------------------------------------------------------------------


class Time:
    """Wall-clock seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def tokens(time: Time) -> ViewerTokens:
    return ViewerTokens(SECRET, now=time)


@pytest.fixture
async def locked(show: Any, tokens: ViewerTokens) -> AsyncGenerator[Any]:
    """A surface that admits no page without a token."""
    async with show(agent="puppet", tokens=tokens) as shown:
        await shown.connect()
        yield shown


async def enter(page: Page, token: str) -> None:
    """Give the page its token, as an application's own script would."""
    await page.evaluate(
        "(token) => document.querySelector('livelayer-session').setAttribute('token', token)", token
    )


REFUSALS = {
    "token": "This page has no valid access to the conversation.",
    "expired": "Your access has run out. Reload the page to get a new one.",
    "replayed": "This access was used before. Reload the page to get a new one.",
    "revoked": "Your access to this conversation has ended.",
}


async def refused(page: Page, until: Any, code: str) -> None:
    """The page was not let in, and says so."""
    await until(page, f"client.link.phase === 'refused' && client.link.code === '{code}'")
    panel = page.locator("livelayer-avatar").first
    await expect(panel.get_by_text("Not allowed", exact=True).first).to_be_visible()
    await expect(panel.locator(".placeholder .hint")).to_have_text(REFUSALS[code])


async def test_tokens_let_in_once_in_time_and_until_they_are_revoked(
    page: Page,
    context: BrowserContext,
    locked: Any,
    until: Any,
    tokens: ViewerTokens,
    time: Time,
) -> None:
    surface = locked.surface
    await page.goto(locked.url)
    await refused(page, until, "token")  # none at all
    async with httpx.AsyncClient(base_url=f"{locked.url}/livelayer/") as http:
        sdp = {"content-type": "application/sdp"}
        answer = await http.post("whep", content=b"v=0\r\n", headers=sdp)
        assert (answer.status_code, answer.json()["code"]) == (401, "token")

    expired = surface.token(ttl=30)
    time.now += 30 + LEEWAY
    await enter(page, expired)
    await refused(page, until, "expired")

    await enter(page, tokens.issue("another session"))
    await refused(page, until, "token")

    token = surface.token()
    await enter(page, token)
    await until(page, f"{LIVE} && client.state?.agent_active")

    second = await context.new_page()
    await second.goto(locked.url)
    await enter(second, token)
    await refused(second, until, "replayed")

    assert len(surface.viewers()) == 1
    tokens.revoke(tokens.token_id(token))
    await until(page, "client.link.phase === 'refused' && client.link.code === 'revoked'")
    await expect(page.locator("livelayer-avatar").first.locator(".placeholder .hint")).to_have_text(
        "Your access to this conversation has ended."
    )
    assert surface.viewers() == ()


async def test_a_token_that_may_only_watch_changes_nothing(
    page: Page, locked: Any, until: Any
) -> None:
    await page.goto(locked.url)
    await enter(page, locked.surface.token(["watch"]))
    await until(page, f"{LIVE} && client.state?.agent_active")
    panel = page.locator("livelayer-avatar").first

    await expect(panel.get_by_role("textbox")).not_to_be_editable()
    await expect(panel.get_by_role("button", name="End conversation")).to_be_hidden()
    await expect(panel.get_by_role("button", name="Turn microphone on")).to_be_hidden()
    codes = await page.evaluate(
        """async () => {
          const { client } = document.querySelector("livelayer-session");
          const asked = [client.sendData({type: "quiz"}), client.disconnect(), client.connect()];
          return (await Promise.allSettled(asked)).map(({ reason }) => reason.code);
        }"""
    )
    assert codes == ["grant", "grant", "grant"]
    assert locked.session.connection_state == "connected"
    assert locked.agent.of("quiz") == []


async def test_secrets_stay_out_of_addresses_logs_and_the_console(
    page: Page, locked: Any, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    addresses: list[str] = []
    told: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    page.on("console", lambda message: told.append(message.text))
    token = locked.surface.token()
    await page.goto(locked.url)
    await enter(page, "not a token")
    await refused(page, until, "token")
    await enter(page, token)
    await until(page, f"{LIVE} && client.media.phase === 'live'")
    first = await page.evaluate("document.querySelector('livelayer-session').client.joined.key")
    await page.reload()
    await until(page, f"{LIVE} && client.media.phase === 'live'")
    second = await page.evaluate("document.querySelector('livelayer-session').client.joined.key")

    assert first != second
    logged = [record.getMessage() for record in caplog.records]
    everything = "\n".join([*addresses, *told, *logged, page.url, repr(locked.surface)])
    assert len(addresses) > 10
    for secret in (SECRET, token, first, second):
        assert secret not in everything


# What is too large ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
async def stage(show: Any) -> AsyncGenerator[Any]:
    hostile = "<img src=x onerror='window.harmed=1'>"
    config = AgentConfig(
        name=f"Eve {hostile}",
        avatar_image_url="javascript:window.harmed=1",
        idle_loop_url="javascript:window.harmed=1//.mp4",
    )
    agents = [
        {"id": "demo", "name": hostile, "avatar_image_url": "javascript:window.harmed=1"},
        {"id": "other", "name": hostile, "role": hostile},
    ]
    async with show(agent="puppet", config=config, agents=agents) as stage:
        await stage.connect()
        yield stage


@pytest.fixture
async def visited(stage: Any, page: Page, until: Any) -> AsyncGenerator[Page]:
    """A page of the stage; a dialog fails the test."""
    await stage.until_left()
    stage.agent.got.clear()
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    await page.goto(stage.url)
    await until(page, f"{LIVE} && client.state?.agent_active")
    yield page
    assert dialogs == []


async def test_a_message_that_is_too_large_is_refused_by_page_and_server(
    visited: Page, stage: Any
) -> None:
    box = visited.locator("livelayer-avatar").first.get_by_role("textbox")
    await box.fill("x" * 16_000)
    panel = visited.locator("livelayer-avatar").first
    await expect(panel.get_by_text("bytes too long")).to_be_visible()
    await box.press("Enter")
    await expect(box).to_have_value("x" * 16_000)  # what was typed is not lost

    codes = await visited.evaluate(
        """async () => {
          const { client } = document.querySelector("livelayer-session");
          const text = "x".repeat(16_000);
          const asked = [client.sendMessage(text), client.sendData({type: "quiz", text})];
          const refused = (await Promise.allSettled(asked)).map(({ reason }) => reason.code);
          const headers = {authorization: `Bearer ${client.joined.key}`};
          const message = {type: "quiz", text: "x".repeat(70_000)};
          const body = JSON.stringify({id: "a-message-of-70-kB", message});
          const answer = await fetch("/livelayer/messages", {method: "POST", headers, body});
          return [...refused, (await answer.json()).code];
        }"""
    )

    assert codes == ["size", "size", "size"]
    assert (await stage.agent.command({"type": "request_routes"}))["ok"]  # everything before came
    assert stage.agent.of("quiz") == []
    assert stage.agent.of("user_message") == []


# What is only text ----------------------------------------------------------------------------


async def test_markup_from_an_agent_is_shown_as_words_and_nothing_runs(
    visited: Page, stage: Any, until: Any
) -> None:
    script = "<script>window.harmed=1</script>"
    image = "<img src=x onerror='window.harmed=1'>"
    panel = visited.locator("livelayer-avatar").first
    await panel.get_by_role("button", name="Options").click()
    await panel.get_by_role("button", name="Event log").click()

    await stage.agent.speak(script + image)
    field = {"fieldId": "f", "fieldName": image, "kind": "text", "source": "agent"}
    await stage.agent.send({"type": "task_field_updated", "value": script + image, **field})
    await stage.agent.send({"type": "agent_error", "message": image})
    await visited.evaluate(
        "(text) => document.querySelector('livelayer-session').sendMessage(text)", script
    )

    await expect(panel.get_by_role("log", name="Transcript")).to_contain_text(script + image)
    await expect(panel.locator(".fields")).to_contain_text(script + image)
    await expect(panel.locator(".notices")).to_contain_text(image)
    await expect(panel.locator(".debug")).to_contain_text("window.harmed")
    found = await visited.evaluate(
        """() => {
          const roots = [document, ...[...document.querySelectorAll("livelayer-avatar")]
            .map((one) => one.shadowRoot)];
          const all = roots.flatMap((root) => [...root.querySelectorAll("*")]);
          return {
            harmed: window.harmed,
            made: all.filter((one) => one.matches("[onerror], [src=x]")).length,
            scripts: all.filter((one) => one.matches("script:not([src])")).length,
            addresses: all.flatMap((one) => ["src", "href", "poster", "action", "srcdoc"]
              .map((name) => one.getAttribute(name) ?? ""))
              .filter((address) => /^\\s*javascript:/i.test(address)),
          };
        }"""
    )
    assert found == {"harmed": None, "made": 0, "scripts": 0, "addresses": []}


async def test_the_policy_runs_no_script_of_the_page_itself(visited: Page) -> None:
    kept = await visited.evaluate(
        """async () => {
          const violated = new Promise((done) =>
            document.addEventListener("securitypolicyviolation", done, {once: true}));
          const script = document.createElement("script");
          script.textContent = "window.inline = 1";
          document.body.append(script);
          const { effectiveDirective } = await violated;
          return [window.inline === undefined, effectiveDirective];
        }"""
    )

    assert kept == [True, "script-src-elem"]


async def test_an_agent_sends_nobody_to_a_script_a_file_or_another_site(
    visited: Page, stage: Any
) -> None:
    here = visited.url
    reasons = {
        href: (await stage.agent.command({"type": "navigate", "href": href}))["reason"]
        for href in (
            "javascript:window.harmed=1",
            "JaVaScRiPt:window.harmed=1",
            " javascript:window.harmed=1",
            "java\nscript:window.harmed=1",
            "data:text/html,<script>1</script>",
            "vbscript:1",
            "file:///etc/passwd",
            "blob:http://127.0.0.1/1",
            "//evil.example/",
            "/\\evil.example/",
            "https:evil.example",
            "https://user@evil.example/",
            "https://evil.example/",
        )
    }

    elsewhere = reasons.pop("https://evil.example/")
    assert elsewhere == "capability"
    assert set(reasons.values()) == {"invalid"}, reasons
    assert await visited.evaluate("window.harmed") is None
    assert visited.url == here


async def test_an_agent_goes_where_the_page_says_it_may(visited: Page, stage: Any) -> None:
    async with another_site() as (foreign, said):
        said["text"] = "<!doctype html><title>Elsewhere</title>"
        await visited.evaluate(
            "(origin) => document.querySelector('livelayer-session')"
            ".setAttribute('navigate-origins', origin)",
            foreign,
        )

        assert (await stage.agent.command({"type": "navigate", "href": f"{foreign}/docs"}))["ok"]

        await visited.wait_for_url(f"{foreign}/docs")


# Over HTTP, without a page --------------------------------------------------------------------


async def test_nothing_is_answered_without_a_key_and_no_key_opens_another_viewer(
    visited: Page, stage: Any
) -> None:
    async with httpx.AsyncClient(base_url=f"{stage.url}/livelayer/") as http:
        for method, path in (
            ("GET", "events"),
            ("POST", "messages"),
            ("POST", "commands/1"),
            ("PUT", "sources/microphone"),
            ("POST", "control/disconnect"),
            ("DELETE", "viewers/me"),
        ):
            for headers in ({}, {"authorization": "Bearer nonsense"}):
                answer = await http.request(method, path, headers=headers, content=b"{}")
                assert (answer.status_code, answer.json()["code"]) == (401, "viewer"), path
        joined = await http.post("viewers", json={"previous": "nonsense"})
        other = {"authorization": f"Bearer {joined.json()['key']}"}
        answer = await http.post("commands/1", headers=other, json={"ok": True})
        assert (answer.status_code, answer.json()["code"]) == (404, "command")
        await http.delete("viewers/me", headers=other)
    assert stage.session.connection_state == "connected"
