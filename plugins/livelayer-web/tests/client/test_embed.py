"""The widget in a frame on a page of another site: what it may do there, and who may frame it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Protocol

import anyio
import pytest
from axe_playwright_python.async_playwright import Axe
from livelayer_web import SessionsOnDemand, ViewerTokens
from playwright.async_api import Frame, Page, expect

from livelayer_bus import Session
from livelayer_bus.testing import PATIENCE, ScriptedRooms, polled

pytestmark = pytest.mark.anyio

SIZE = """(() => {
  const { width, height } = frame.getBoundingClientRect();
  return `${width}x${height}`;
})()"""
ACCENT = """getComputedStyle(document.querySelector("livelayer-avatar"))
  .getPropertyValue("--ll-accent")"""
WORDS = "the words of this page are nobody's business"


class Site:
    """Another site on this machine: its pages by path, and what its server was asked."""

    def __init__(self) -> None:
        self.origin = ""
        self.pages: dict[str, str] = {}
        self.token: Callable[[], str] = str
        self.asked: list[str] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, address, _ = head.split(" ", 2)
        path = address.partition("?")[0]
        self.asked.append(f"{method} {path}")
        body = (self.token() if path == "/token" else self.pages.get(path, "")).encode()
        status = "200 OK" if body else "404 Not Found"
        writer.write(
            f"HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode()
            + body
        )
        await writer.drain()
        writer.close()


@asynccontextmanager
async def another_site() -> AsyncGenerator[Site]:
    site = Site()
    server = await asyncio.start_server(site.answer, "127.0.0.1", 0)
    site.origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield site
    finally:
        server.close()


class MakeSite(Protocol):
    async def __call__(self) -> Site: ...


@pytest.fixture
async def make_site() -> AsyncGenerator[MakeSite]:
    async with AsyncExitStack() as stack:

        async def make() -> Site:
            return await stack.enter_async_context(another_site())

        yield make


def host_page(base: str, **data: str) -> str:
    """A page that includes the bridge with these attributes, and has something to click."""
    given = " ".join(f'data-{name.replace("_", "-")}="{value}"' for name, value in data.items())
    return f"""<!doctype html><html lang="en"><title>A shop</title>
    <style>:root {{ --ll-widget-width: 360px; --ll-accent: rgb(1, 2, 3); }}</style>
    <main><p>{WORDS}</p><a href="/next">Next</a>
    <form id="contact">
      <input name="name" value="Ada"><input name="pin" type="password" value="1">
    </form>
    <div style="height: 4000px"></div>
    <button id="buy" onclick="window.bought = true">Buy</button>
    <button id="off" disabled>Off</button>
    <p data-ll-private><button id="secret" onclick="window.leaked = true">Secret</button></p>
    </main>
    <script async src="{base}/livelayer/js/embed.js" {given}></script>"""


@pytest.fixture
async def site(make_site: MakeSite) -> Site:
    return await make_site()


@pytest.fixture
async def web(make_web: Any, site: Site) -> Any:
    return await make_web(embed_origins=[site.origin])


class Framed(Protocol):
    async def __call__(self, expression: str, value: object = None) -> Any: ...


@pytest.fixture
def framed(page: Page) -> Framed:
    """Waits until an expression about the page's `frame` is true, or is `value`."""

    async def look(expression: str, value: object = None) -> Any:
        code = f"""() => {{ const frame = document.querySelector('iframe[data-livelayer]');
          return frame === null ? null : {expression}; }}"""
        last: Any = None

        async def ask() -> Any:
            nonlocal last
            last = await page.evaluate(code)
            return last if value is None else last == value

        try:
            return await polled(ask)
        except TimeoutError:
            raise AssertionError(f"{expression} was {last!r}, never {value!r}") from None

    return look


def inner(page: Page, base: str) -> Frame:
    [found] = [frame for frame in page.frames if frame.url.startswith(f"{base}/livelayer/embed")]
    return found


class Ask(Protocol):
    async def __call__(self, message: Mapping[str, Any]) -> dict[str, Any]: ...


@pytest.fixture
def ask(web: Any) -> Ask:
    """Has the agent ask, and gives the `command_result`."""

    async def say(message: Mapping[str, Any]) -> dict[str, Any]:
        web.room.agent_says(message)
        with anyio.fail_after(PATIENCE):
            return json.loads((await web.room.next_sent("command_result")).data)  # type: ignore[no-any-return]

    return say


async def joined(web: Any) -> None:
    """The session is connected, and the frame is its page."""
    await web.connected()
    await polled(lambda: [one for one in web.surface.viewers() if one.page is not None])


# What it looks like ---------------------------------------------------------------------------


async def test_the_frame_is_as_large_as_the_widget(
    web: Any, site: Site, page: Page, framed: Framed
) -> None:
    site.pages["/"] = host_page(web.url)
    await page.goto(site.origin)
    await framed("frame.dataset.display", "minimized")
    await framed(SIZE, "96x96")
    await framed("frame.getBoundingClientRect().right === document.documentElement.clientWidth")
    assert await framed("getComputedStyle(frame).visibility") == "visible"
    assert await framed("frame.title") == "Assistant"

    widget = page.frame_locator("iframe[data-livelayer]")
    await widget.locator(".bubble").click()
    await framed("frame.dataset.display", "expanded")
    await framed(SIZE, "380x640")
    panel = widget.locator(".panel")
    await expect(panel).to_be_visible()
    box = await panel.bounding_box()
    assert box is not None
    assert (box["width"], box["height"]) == (360, 620)
    assert await inner(page, web.url).evaluate(ACCENT) == "rgb(1, 2, 3)"

    # A phone: it takes no more than there is.
    await page.set_viewport_size({"width": 320, "height": 500})
    await framed(SIZE, "320x500")
    await page.keyboard.press("Escape")
    await framed("frame.dataset.display", "minimized")
    await framed(SIZE, "96x96")


async def test_nothing_around_the_frame_cuts_it(
    web: Any, site: Site, page: Page, framed: Framed
) -> None:
    site.pages["/"] = host_page(web.url)
    await page.goto(site.origin)
    await framed("frame.dataset.display", "minimized")
    await page.evaluate(
        "() => { document.body.style.cssText = "
        "'transform: translateX(50px); overflow: hidden; height: 100px; margin: 0'; }"
    )
    assert await framed("frame.matches(':popover-open')")
    await framed("frame.getBoundingClientRect().bottom === innerHeight")
    await framed("frame.getBoundingClientRect().right === document.documentElement.clientWidth")
    assert await framed("getComputedStyle(frame).backgroundColor") == "rgba(0, 0, 0, 0)"


async def test_it_follows_the_path_of_the_page_around_it(
    web: Any, site: Site, page: Page, framed: Framed
) -> None:
    site.pages["/"] = host_page(web.url, hide_on="/checkout/**")
    await page.goto(site.origin)
    await framed("getComputedStyle(frame).visibility", "visible")
    await page.evaluate("history.pushState(null, '', '/checkout/pay?card=4111')")
    await framed("getComputedStyle(frame).visibility", "hidden")
    await polled(
        lambda: (
            [one.page.url for one in web.surface.viewers() if one.page is not None]
            == [f"{site.origin}/checkout/pay"]
        )
    )
    await page.evaluate("history.back()")
    await framed("getComputedStyle(frame).visibility", "visible")


async def test_a_panel_takes_the_place_of_its_script(
    web: Any, site: Site, page: Page, framed: Framed
) -> None:
    site.pages["/"] = host_page(web.url, mode="embedded", label="Lumi")
    await page.goto(site.origin)
    await expect(page.frame_locator("iframe").locator(".panel")).to_be_visible()
    assert await framed("frame.previousElementSibling.localName") == "script"
    assert await framed("frame.clientHeight") == 560
    assert await framed("frame.title") == "Lumi"
    height = "document.querySelector('livelayer-avatar').clientHeight"
    assert await inner(page, web.url).evaluate(height) == 560


async def test_axe_finds_nothing_around_the_frame_and_in_it(
    web: Any, site: Site, page: Page, framed: Framed
) -> None:
    site.pages["/"] = host_page(web.url, lang="de")
    await page.goto(site.origin)
    await framed("frame.dataset.display", "minimized")
    frame: Any = inner(page, web.url)
    assert await frame.evaluate("document.documentElement.lang") == "de"
    rules = {"runOnly": ["frame-title", "frame-title-unique", "frame-focusable-content"]}
    found = (await Axe().run(page, options=rules)).response["violations"]
    for display in ("minimized", "expanded", "hidden"):
        await frame.evaluate(f"document.querySelector('livelayer-avatar').display = '{display}'")
        await framed("frame.dataset.display", display)
        tags = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
        found += (await Axe().run(frame, options=tags)).response["violations"]
    assert [(one["id"], one["nodes"]) for one in found] == []


async def test_it_may_use_the_microphone_and_cannot_take_the_page_away(
    web: Any, site: Site, page: Page, framed: Framed
) -> None:
    site.pages["/"] = host_page(web.url)
    await page.goto(site.origin)
    await framed("frame.dataset.display", "minimized")
    frame = inner(page, web.url)
    allows = "document.featurePolicy.allowsFeature"
    assert await frame.evaluate(f"{allows}('microphone') && {allows}('camera')")
    assert not await frame.evaluate(f"{allows}('geolocation')")
    with pytest.raises(Exception, match="permission to navigate"):
        await frame.evaluate("(() => { top.location.href = 'about:blank'; })()")


# Commands -------------------------------------------------------------------------------------


async def test_the_page_around_carries_out_what_it_may(
    web: Any, site: Site, page: Page, framed: Framed, ask: Ask
) -> None:
    site.pages["/"] = site.pages["/next"] = host_page(web.url)
    await page.goto(site.origin)
    await framed("frame.dataset.display", "minimized")
    await joined(web)

    down = {"type": "scroll_page", "direction": "down", "behavior": "instant"}
    assert (await ask(down))["ok"] is True
    assert await page.evaluate("scrollY") > 300
    there = {"type": "scroll_to", "selector": "#buy", "behavior": "instant"}
    assert (await ask(there))["ok"] is True
    assert await page.evaluate("scrollY") > 3000
    assert (await ask({"type": "click", "selector": "#buy"}))["ok"] is True
    assert await page.evaluate("window.bought")

    for selector, reason in (
        ("#off", "failed"),
        ("#secret", "failed"),
        ("iframe", "failed"),
        ("[name=pin]", "failed"),
        ("###", "invalid"),
        ('[value^="A"]', "invalid"),
    ):
        result = await ask({"type": "click", "selector": selector})
        assert (result["ok"], result["reason"]) == (False, reason), selector
    assert await page.evaluate("window.leaked === undefined")

    away = await ask({"type": "navigate", "href": "https://elsewhere.example/"})
    assert (away["ok"], away["reason"]) == (False, "capability")
    await page.evaluate("window.here = true")
    assert (await ask({"type": "navigate", "href": "/next"}))["ok"] is True
    await page.wait_for_url(f"{site.origin}/next")
    assert await page.evaluate("window.here === undefined")


async def test_a_router_takes_over(
    web: Any, site: Site, page: Page, framed: Framed, ask: Ask
) -> None:
    site.pages["/"] = host_page(web.url)
    await page.goto(site.origin)
    await page.evaluate("""document.addEventListener("navigate", (event) => {
      event.preventDefault();
      window.went = event.detail.url;
    })""")
    await framed("frame.dataset.display", "minimized")
    await joined(web)
    assert (await ask({"type": "navigate", "href": "/plans"}))["ok"] is True
    assert await page.evaluate("window.went") == f"{site.origin}/plans"


async def test_the_agent_learns_nothing_of_the_page_but_its_path(
    web: Any, site: Site, page: Page, framed: Framed, ask: Ask
) -> None:
    site.pages["/plans"] = host_page(web.url)
    await page.goto(f"{site.origin}/plans?user=ada")
    await framed("frame.dataset.display", "minimized")
    await joined(web)
    assert (await ask({"type": "request_page_context"}))["ok"] is True
    assert (await ask({"type": "request_routes"}))["ok"] is True
    values = {"formId": "contact", "values": {"name": "Eve"}}
    assert (await ask({"type": "fill_form", **values}))["reason"] == "failed"
    assert await page.evaluate("document.forms.contact.elements.name.value") == "Ada"
    sent = [json.loads(packet.data) for packet in web.room.sent]
    [context] = [one["context"] for one in sent if one["type"] == "page_context"]
    assert (context["url"], context["pathname"]) == (f"{site.origin}/plans", "/plans")
    [routes] = [one["routes"] for one in sent if one["type"] == "routes"]
    assert routes == []
    assert not any(text in json.dumps(sent) for text in (WORDS, "/next", "user=ada"))


async def test_the_script_narrows_what_the_server_allows(
    web: Any, site: Site, page: Page, framed: Framed, ask: Ask
) -> None:
    site.pages["/"] = host_page(web.url, capabilities="scroll")
    await page.goto(site.origin)
    await framed("frame.dataset.display", "minimized")
    await joined(web)
    assert (await ask({"type": "scroll_page", "direction": "bottom"}))["ok"] is True
    result = await ask({"type": "click", "selector": "#buy"})
    assert (result["ok"], result["reason"]) == (False, "capability")
    assert await page.evaluate("window.bought === undefined")


async def test_with_an_agent_of_its_own_it_opens_a_session(
    make_web: Any, site: Site, page: Page, scripted_rooms: ScriptedRooms
) -> None:
    def open_session(agent_id: str) -> Session:
        return Session(agent_id, tokens=scripted_rooms.tokens, room=scripted_rooms)

    wish = SessionsOnDemand(open_session, agents=["helper"], capabilities=["click"])
    web = await make_web(embed_origins=[site.origin], sessions=wish)
    site.pages["/"] = host_page(web.url, agent_id="helper", auto_connect="")
    await page.goto(site.origin)
    with anyio.fail_after(PATIENCE):
        room = await scripted_rooms.next()
        room.agent_joins()
        room.agent_says({"type": "click", "selector": "#buy"})
        result = json.loads((await room.next_sent("command_result")).data)
    assert result["ok"] is True
    assert await page.evaluate("window.bought")
    assert web.surface.viewers() == ()  # of the session that the application mounted


# Who may speak to it --------------------------------------------------------------------------

INTRUDER = """<!doctype html><title>An advertisement</title><script>
  window.heard = [];
  window.sent = 0;
  const orders = [
    {livelayer: 1, type: "ready"},
    {livelayer: 1, type: "display", display: "expanded", width: 999, height: 999},
    {livelayer: 1, type: "command", number: 1, message: {type: "click", selector: "#buy"},
     capabilities: ["click"]},
  ];
  addEventListener("message", ({data}) => window.heard.push(data));
  setInterval(() => {
    for (const order of orders) parent.postMessage(order, "*");
    for (let index = 0; index < parent.length; index += 1) {
      if (parent[index] === window) continue;
      const {port1, port2} = new MessageChannel();
      port1.onmessage = ({data}) => window.heard.push(data);
      const hello = {livelayer: 1, type: "hello", attributes: {display: "expanded"}, pathname: "/"};
      parent[index].postMessage(hello, "*", [port2]);
      parent[index].postMessage({livelayer: 1, type: "outcome", number: 1, ok: true}, "*");
    }
    window.sent += 1;
  }, 2);
</script>"""


async def test_a_frame_beside_it_is_ignored(
    web: Any, site: Site, make_site: MakeSite, page: Page, framed: Framed, ask: Ask
) -> None:
    foreign = await make_site()
    foreign.pages["/"] = INTRUDER
    advertisement = f'<iframe src="{foreign.origin}/" title="Advertisement"></iframe>'
    site.pages["/"] = host_page(web.url).replace("<main>", f"{advertisement}<main>")
    await page.goto(site.origin)
    await framed("frame.dataset.display", "minimized")
    await joined(web)
    [intruder] = [frame for frame in page.frames if frame.url.startswith(foreign.origin)]
    before = await intruder.evaluate("window.sent")
    await polled(lambda: intruder.evaluate(f"window.sent > {before + 20}"))

    assert (await ask({"type": "click", "selector": "#off"}))["ok"] is False
    assert (await ask({"type": "scroll_page", "direction": "bottom"}))["ok"] is True
    assert await intruder.evaluate("window.heard") == []
    assert await page.evaluate("window.bought === undefined")
    assert await framed("frame.dataset.display") == "minimized"


GREET = """([number, hello]) => {
  const {port1, port2} = new MessageChannel();
  window.heard = window.heard ?? [];
  port1.onmessage = ({data}) => window.heard.push([number, data.type]);
  document.querySelector("iframe").contentWindow.postMessage(hello, "*", [port2]);
}"""
SETTLED = """new Promise((resolve) => {
  addEventListener("message", ({data}) => data === "the last" && resolve());
  parent.postMessage("say the last", "*");
})"""
HOLDER = """<!doctype html><iframe src="{base}/livelayer/embed"></iframe><script>
  addEventListener("message", ({{data, source}}) => {{
    if (data === "say the last") source.postMessage("the last", "*");
  }});
</script>"""


async def test_nothing_is_shown_before_a_greeting_of_its_version_and_one_counts(
    web: Any, site: Site, page: Page
) -> None:
    site.pages["/"] = HOLDER.format(base=web.url)
    await page.goto(site.origin)
    frame = inner(page, web.url)
    shown = "document.querySelectorAll('livelayer-avatar').length"
    hello: dict[str, Any] = {"livelayer": 1, "type": "hello", "attributes": {}, "pathname": "/"}
    unlike = [hello | {"livelayer": 2}, hello | {"livelayer": "1"}, hello | {"type": "command"}]
    for number, message in enumerate([*unlike, "hello", None], 1):
        await page.evaluate(GREET, [number, message])
    await frame.evaluate(SETTLED)  # messages of one window arrive in order
    assert await frame.evaluate(shown) == 0
    assert web.surface.viewers() == ()

    await page.evaluate(GREET, [10, hello])
    await polled(lambda: page.evaluate("window.heard.length > 0"))
    assert await page.evaluate("window.heard[0]") == [10, "ready"]
    await page.evaluate(GREET, [11, hello | {"attributes": {"mode": "embedded"}}])
    await frame.evaluate(SETTLED)
    assert await frame.evaluate(shown) == 1
    assert await page.evaluate("window.heard.every(([number]) => number === 10)")


async def test_alone_in_a_window_it_shows_nothing(web: Any, page: Page) -> None:
    await page.goto(f"{web.url}/livelayer/embed")
    await page.evaluate("postMessage({livelayer: 1, type: 'hello', attributes: {}}, '*')")
    assert await page.evaluate("document.body.childElementCount") == 0


async def test_a_site_that_is_not_allowed_cannot_frame_it(
    web: Any, site: Site, make_site: MakeSite, page: Page
) -> None:
    foreign = await make_site()
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    foreign.pages["/"] = (
        f'<!doctype html><iframe src="{web.url}/livelayer/embed"></iframe>'
        f'<script async src="{web.url}/livelayer/js/embed.js"></script>'
    )
    await page.goto(foreign.origin)
    await polled(lambda: any("frame-ancestors" in text for text in refused))
    await polled(lambda: web.surface.statistics().guard.refused.get("origin", 0) > 0)
    assert await page.evaluate("document.querySelector('iframe[data-livelayer]') === null")

    # Nor does an allowed site help that is in the foreign one's frame.
    refused.clear()
    site.pages["/"] = host_page(web.url)
    foreign.pages["/around"] = f'<!doctype html><iframe src="{site.origin}/"></iframe>'
    await page.goto(f"{foreign.origin}/around")
    await polled(lambda: any("frame-ancestors" in text for text in refused))
    assert web.surface.viewers() == ()


# Viewer tokens --------------------------------------------------------------------------------


async def test_the_page_around_gives_it_its_tokens(
    make_web: Any, site: Site, page: Page, framed: Framed, tokens: ViewerTokens
) -> None:
    web = await make_web(embed_origins=[site.origin], tokens=tokens)
    site.token = lambda: web.surface.token(["watch", "talk"])
    site.pages["/"] = host_page(web.url, token_url="/token")
    await page.goto(site.origin)
    await polled(lambda: [one for one in web.surface.viewers() if one.page is not None])
    assert site.asked.count("POST /token") == 1
    await page.reload()
    await framed("frame.dataset.display", "minimized")
    await polled(lambda: web.surface.statistics().viewers.joined >= 2)
    # A token of another site is not fetched.
    site.pages["/"] = host_page(web.url, token_url=f"{web.url}/token")
    fresh = await page.context.browser.new_context()  # type: ignore[union-attr]
    other = await fresh.new_page()
    async with other.expect_event("pageerror") as fault:
        await other.goto(site.origin)
    assert "address of this site" in str(await fault.value)
    await fresh.close()
