"""The pure modules: paths, addresses, cutting to size, and the parser of the event stream."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from playwright.async_api import Page

from livelayer_bus.messages import href_problem

pytestmark = pytest.mark.anyio

PARSE = """
async (pieces) => {
  const { SseParser } = await import("/livelayer/js/client/sse.js");
  const parser = new SseParser();
  return pieces.flatMap((piece) => parser.feed(piece));
}
"""
STREAM = (
    "\ufeff: a comment\r\nevent: snapshot\rdata: {\r\ndata:  1}\nid: s:1\n\n"
    "data\n\nid: s:2\nevent:x\ndata:a:b\n\n: beat\n\nevent: y\n\ndata: tail\n\n"
)
PARSED = [
    {"event": "snapshot", "data": "{\n 1}", "id": "s:1"},
    {"event": "message", "data": "", "id": "s:1"},
    {"event": "x", "data": "a:b", "id": "s:2"},
    {"event": "message", "data": "tail", "id": "s:2"},
]


async def test_events_are_the_same_however_the_stream_is_cut(modules: Page) -> None:
    dice = random.Random(7)
    for _ in range(40):
        cuts = sorted(dice.sample(range(len(STREAM)), dice.randrange(len(STREAM))))
        ends = [*cuts, len(STREAM)]
        pieces = [STREAM[start:end] for start, end in zip([0, *cuts], ends, strict=True)]
        assert await modules.evaluate(PARSE, pieces) == PARSED, pieces


async def test_an_event_without_an_end_is_refused(modules: Page) -> None:
    with pytest.raises(Exception, match="no end"):
        await modules.evaluate(PARSE, ["data: " + "x" * (1 << 20)] * 5)


MATCHES = """
async (cases) => {
  const { matches } = await import("/livelayer/js/page/routes.js");
  return cases.map(([path, pattern]) => matches(path, pattern));
}
"""
YES = [
    ("/", "/"),
    ("/pricing", "/pricing"),
    ("/pricing/", "/pricing"),
    ("/pricing", "/pricing/"),
    ("/pricing", "pricing"),
    ("/docs/start", "/docs/*"),
    ("/docs/a-start", "/docs/a-*"),
    ("/docs/a-", "/docs/a-*"),
    ("/a/x/b", "/a/*/b"),
    ("/admin", "/admin/**"),
    ("/admin/", "/admin/**"),
    ("/admin/users/1", "/admin/**"),
    ("/a/b", "/a/**/b"),
    ("/a/x/y/b", "/a/**/b"),
    ("/", "/**"),
    ("/any/where", "**"),
    ("/blog/12", r"/^\/blog\/\d+$/"),
    ("/BLOG", "/^.blog$/i"),
    ("/a.b", "/a.b"),
    ("/caf%C3%A9", "/caf\u00e9"),
    ("/docs/", "/docs/"),
]
NO = [
    ("/pricing/eu", "/pricing"),
    ("/Pricing", "/pricing"),
    ("/docs", "/docs/*"),
    ("/docs/a/b", "/docs/*"),
    ("/administration", "/admin/**"),
    ("/x/admin", "/admin/**"),
    ("/a/xb", "/a/**/b"),
    ("/axb", "/a.b"),
    ("/blog/x", r"/^\/blog\/\d+$/"),
]


async def test_patterns_match_paths(modules: Page) -> None:
    found = await modules.evaluate(MATCHES, [*YES, *NO])
    for case, match in zip([*YES, *NO], found, strict=True):
        assert match is (case in YES), case


async def test_hide_wins_and_predicates_and_expressions_count(modules: Page) -> None:
    shown: Any = await modules.evaluate("""
async () => {
  window.onerror = () => true; // the predicate that throws is reported
  const { isShown, parsePatterns } = await import("/livelayer/js/page/routes.js");
  const every = /x/g;
  return {
    everywhere: isShown("/a", {}),
    empty: isShown("/a", { showOn: [], hideOn: "" }),
    hidden: isShown("/a/b", { showOn: "/a/**", hideOn: ["/a/b"] }),
    other: isShown("/a/c", { showOn: "/a/**", hideOn: ["/a/b"] }),
    elsewhere: isShown("/b", { showOn: ["/a", "/c"] }),
    predicate: isShown("/a", { showOn: (path) => path === "/a" }),
    broken: isShown("/x", { hideOn: "/^(/" }),
    throws: isShown("/a", { hideOn: () => { throw new Error("the page's own"); } }),
    twice: [isShown("/x", { showOn: every }), isShown("/x", { showOn: every })],
    spaces: parsePatterns(" /a  /b/**\\n/c "),
    commas: parsePatterns("/a, /b,/c,**"),
    braces: parsePatterns("/^.{1,3}$/ /b"),
    json: parsePatterns('["/a b", "/c"]'),
    none: [parsePatterns(null), parsePatterns(" ")],
  };
}""")
    assert shown == {
        "everywhere": True,
        "empty": True,
        "hidden": False,
        "other": True,
        "elsewhere": False,
        "predicate": True,
        "broken": True,
        "throws": True,
        "twice": [True, True],
        "spaces": ["/a", "/b/**", "/c"],
        "commas": ["/a", "/b", "/c", "**"],
        "braces": ["/^.{1,3}$/", "/b"],
        "json": ["/a b", "/c"],
        "none": [[], []],
    }


async def test_changes_of_the_path_are_noticed_however_they_come(modules: Page) -> None:
    """With the Navigation API, and without it, where the address is compared."""
    seen = await modules.evaluate("""
async () => {
  const { watchPath } = await import("/livelayer/js/page/routes.js");
  const seen = [];
  const stop = watchPath((path) => seen.push(path));
  const push = history.pushState;
  history.pushState({}, "", "/one");
  history.replaceState({}, "", "/two?x=1");
  history.pushState({}, "", "/two?x=2");
  await new Promise((resolve) => {
    addEventListener("popstate", () => setTimeout(resolve), { once: true });
    history.go(-2);
  });
  stop();
  history.pushState({}, "", "/three");
  return [seen, history.pushState === push];
}""")
    assert seen == [["/one", "/two", "/blank"], True]
    await modules.reload()  # a page evaluates a module once
    slow = await modules.evaluate("""
async () => {
  Object.defineProperty(window, "navigation", { value: undefined });
  const { watchPath } = await import("/livelayer/js/page/routes.js");
  return await new Promise((resolve) => {
    const stop = watchPath((path) => resolve([path, stop()]));
    history.pushState({}, "", "/four");
  });
}""")
    assert slow[0] == "/four"


HREFS = [
    "/pricing",
    "pricing",
    "?a=b",
    "#part",
    "https://example.com/a?b#c",
    "HTTP://example.com",
    "",
    " /pricing",
    "/a\u00a0b",
    "/a\tb",
    "/a\u200bb",
    "\\\\host",
    "/\\host",
    "//host/path",
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    "data:text/html,x",
    "blob:x",
    "file:///etc",
    "mailto:a@b",
    "https:host",
    "https:/host",
    "https://",
    "https:///host",
    "https://user@host/",
    "https://user:pw@host/",
    "/path@here",
    "https://host/path@here",
]


async def test_an_address_is_refused_where_python_refuses_it(modules: Page) -> None:
    found = await modules.evaluate(
        """async (hrefs) => {
  const { safeUrl } = await import("/livelayer/js/page/links.js");
  return hrefs.map((href) => safeUrl(href)?.href ?? null);
}""",
        HREFS,
    )
    for href, url in zip(HREFS, found, strict=True):
        assert (url is None) is (href_problem(href) is not None), href


async def test_a_message_is_cut_until_it_fits(modules: Page) -> None:
    text = "\U0001f600" * 9000
    context = {"title": "T", "forms": [{"id": "f"}], "text": text, "list": list(range(5000))}
    for limit in (15_360, 4000, 400):
        found = await modules.evaluate(
            """async ([context, limit]) => {
  const { trimMessage } = await import("/livelayer/js/page/trim.js");
  const message = { type: "page_context", context, requestId: "1" };
  return JSON.stringify(trimMessage(message, "context", limit));
}""",
            [context, limit],
        )
        assert len(found.encode()) <= limit
        message = json.loads(found)
        assert message["truncated"] is True
        assert message["requestId"] == "1"
        assert message["context"]["title"] == "T"
    whole = await modules.evaluate("""async () => {
  const { trimMessage } = await import("/livelayer/js/page/trim.js");
  const odd = { a: undefined, f: () => 1, half: "\\ud800x", when: new Date(0) };
  return trimMessage({ type: "page_context", context: odd }, "context", 1000);
}""")
    expected = {"f": None, "half": "x", "when": "1970-01-01T00:00:00.000Z"}
    assert whole == {"type": "page_context", "context": expected}


@pytest.mark.parametrize("word", ["false", "0", "off", "no", "none", " FALSE "])
async def test_an_option_is_off_by_any_word_for_no(modules: Page, word: str) -> None:
    options = await modules.evaluate(OPTIONS, word)
    assert not any(options[name] for name in (*SWITCHES, *DEFAULT_ON))
    assert options["mobileBreakpoint"] == 0


@pytest.mark.parametrize("word", ["", "true", "1", "yes", "garbage"])
async def test_an_option_is_on_by_any_other_word(modules: Page, word: str) -> None:
    options = await modules.evaluate(OPTIONS, word)
    assert all(options[name] for name in (*SWITCHES, *DEFAULT_ON))
    assert options["mobileBreakpoint"] == (1 if word == "1" else 640)
    assert options["position"] == {"row": "bottom", "side": "end"}


async def test_an_option_that_is_absent_has_its_default(modules: Page) -> None:
    options = await modules.evaluate(OPTIONS, None)
    assert all(options[name] for name in DEFAULT_ON)
    assert not any(options[name] for name in SWITCHES)


DEFAULT_ON = ("allowMic", "allowCamera", "allowScreenShare", "allowTyping", "showMinimize")
SWITCHES = ("contained", "chromeless", "compactControls", "transforming", "sounds")
OPTIONS = """async (word) => {
  const { OPTIONS, readOptions } = await import("/livelayer/js/view/attributes.js");
  const element = document.createElement("div");
  if (word !== null) for (const name of Object.keys(OPTIONS)) element.setAttribute(name, word);
  return readOptions(element);
}"""


async def test_two_tabs_remember_a_device_of_each_kind(modules: Page) -> None:
    kept = await modules.evaluate("""async () => {
  const { Devices } = await import("/livelayer/js/client/devices.js");
  const [one, other] = [new Devices(() => {}), new Devices(() => {})];
  one.choose("microphone", { id: "m1", label: "Mic" });
  other.choose("speaker", { id: "s1", label: "Speaker" });
  one.choose("camera", { id: "c1", label: "Camera" });
  one.choose("camera", null);
  const next = new Devices(() => {});
  return ["microphone", "speaker", "camera"].map((kind) => next.chosen(kind)?.id ?? null);
}""")
    assert kept == ["m1", "s1", None]
