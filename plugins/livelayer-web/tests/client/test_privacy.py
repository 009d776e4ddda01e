"""No private text leaves a page, and the value of a public field only as `agent.context`."""

from __future__ import annotations

import json
import os
import random
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio
import pytest
from playwright.async_api import Page, Request

from livelayer_bus.testing import PATIENCE

pytestmark = pytest.mark.anyio

PAGES = int(os.environ.get("LIVELAYER_PRIVACY_PAGES", "50"))

PRIVATE = ("data-ll-private", "data-ll-skip", "data-livelayer-private", "data-livelayer-skip")
OFF = (
    *("off", "OFF", " off ", "cc-number", "cc-csc", "section-a cc-name", "billing CC-EXP"),
    *("current-password", "new-password", "one-time-code"),
)
TYPES = ("text", "email", "tel", "url", "search", "number", "date", "range", "color", "checkbox")


@dataclass
class Generated:
    """A page: its markup, what a script types into it, what must not leave it, what must."""

    dice: random.Random
    secrets: list[str] = field(default_factory=list[str])
    values: list[str] = field(default_factory=list[str])
    """What public fields hold: it is in `agent.context`, and in nothing else."""
    written: list[str] = field(default_factory=list[str])
    """What is written in place: a picture may show it, and it is in nothing else."""
    public: list[str] = field(default_factory=list[str])
    typed: dict[str, str] = field(default_factory=dict[str, str])
    """The values that a script gives to fields, by id."""
    guarded: dict[str, str] = field(default_factory=dict[str, str])
    """The fields that no agent may fill, with the form that they are in, by name."""
    count: int = 0

    def number(self) -> int:
        self.count += 1
        return self.count

    def secret(self) -> str:
        """Digits, so that it can be the value of any field."""
        return self.number_of(self.secrets)

    def number_of(self, kept: list[str]) -> str:
        kept.append(str(self.dice.randrange(10**11, 10**12)))
        return kept[-1]

    def word(self, public: bool) -> str:
        return self.shown() if public else f"x{self.secret()}"

    def shown(self) -> str:
        self.public.append(f"public{self.number()}")
        return self.public[-1]

    def build(self) -> str:
        title = self.shown()
        blocks = [self.block(0, public=True) for _ in range(self.dice.randint(2, 5))]
        return f"<h1>{title}</h1>{''.join(blocks)}{self.form(True)}"

    def block(self, depth: int, public: bool) -> str:
        kinds = (
            *(self.text, self.link, self.form, self.lone_field, self.editable, self.own),
            *(self.steps, self.control),
        )
        if depth < 3 and self.dice.random() < 0.6:
            now = public and self.dice.random() < 0.7
            inner = "".join(self.block(depth + 1, now) for _ in range(self.dice.randint(1, 3)))
            mark = ""
            if public and not now:
                mark = self.dice.choice(PRIVATE) + self.dice.choice(("", "=true", "=false", "=''"))
            elif public and self.dice.random() < 0.3:
                mark = f"data-ll-region=r{self.number()}"
            tag = self.dice.choice(("div", "section", "fieldset", "ul", "livelayer-like"))
            return f"<{tag} {mark}>{inner}</{tag}>"
        return self.dice.choice(kinds)(public)

    def text(self, public: bool) -> str:
        tag = self.dice.choice(("p", "h2", "span", "li", "button", "legend", "label"))
        return f"<{tag}>{self.word(public)}</{tag}>"

    def link(self, public: bool) -> str:
        word = self.word(public)
        return f'<a href="/go/{word}" title="{word}">{word}</a>'

    def steps(self, public: bool) -> str:
        """The step that the page shows, which may be marked as private by itself."""
        hidden = self.dice.random() < 0.3
        mark = f" {self.dice.choice(PRIVATE)}" if hidden else ""
        word = self.word(public and not hidden)
        if self.dice.random() < 0.5:
            return f"<p{mark}>Step 2 of 3</p><h2{mark}>{word}</h2>"
        return f"<ol><li>One</li><li aria-current=step{mark}>{word}</li><li>Three</li></ol>"

    def control(self, public: bool) -> str:
        verb, role = self.dice.choice(
            (("Continue", "advance"), ("Back", "back"), ("Send", "submit"))
        )
        hidden = self.dice.random() < 0.3
        mark = self.dice.choice(("", f"id=ll-{role}", f"data-ll-intent={role}"))
        if hidden:
            mark += f" {self.dice.choice(PRIVATE)}"
        return f"<button type=button {mark}>{verb}: {self.word(public and not hidden)}</button>"

    def own(self, _public: bool) -> str:
        tag = self.dice.choice(("livelayer-avatar", "div data-livelayer=part"))
        end = tag.partition(" ")[0]
        return f"<{tag}><p>{self.word(False)}</p><input value={self.secret()}></{end}>"

    def editable(self, _public: bool) -> str:
        kind = self.dice.choice(
            ("contenteditable", "contenteditable=plaintext-only", "role=textbox", "role=combobox")
        )
        words = [f"x{self.number_of(self.written)}" for _ in range(2)]
        return f"<div {kind}>{words[0]} <b contenteditable=false>{words[1]}</b></div>"

    def form(self, public: bool) -> str:
        off = self.dice.random() < 0.2
        name = f"form{self.number()}"
        mark = "autocomplete=off" if off else ""
        fields = [self.any_field(public, name, off) for _ in range(self.dice.randint(1, 4))]
        tag = self.dice.choice((f"form id={name}", f"form name={name}", f"div data-ll-form={name}"))
        if tag.startswith("div"):
            fields = [self.any_field(public, name, False) for _ in range(2)]
        return f"<{tag} {mark}>{''.join(fields)}</{tag.partition(' ')[0]}>"

    def lone_field(self, public: bool) -> str:
        return self.any_field(public, None, False)

    def any_field(self, public: bool, form: str | None, off: bool) -> str:
        number = self.number()
        name, number_id = f"field{number}", f"f{number}"
        attributes = f"name={name} id={number_id}"
        guarded = off or not public
        if self.dice.random() < 0.3:
            guarded = True
            if self.dice.random() < 0.5:
                attributes += f' autocomplete="{self.dice.choice(OFF)}"'
            elif self.dice.random() < 0.5:
                attributes += f" {self.dice.choice(PRIVATE)}"
            else:
                attributes += f" type={self.dice.choice(('password', 'hidden', 'PASSWORD'))}"
        if guarded and form is not None:
            self.guarded[name] = form
        held = self.secrets if guarded else self.values
        value = self.number_of(held)
        label = self.shown() if not guarded else f"label{number}"
        match 3 if " type=" in attributes else self.dice.randrange(5):
            case 0:
                control = f"<textarea {attributes}>{value}</textarea>"
            case 1:
                option = f"x{self.secret()}" if guarded else "small"
                control = (
                    f"<select {attributes}><option>{option}</option>"
                    f"<option data-ll-private selected>{self.secret()}</option></select>"
                )
            case 2:
                control = f"<output {attributes}>{value}</output>"
                if not guarded:  # the page's own words, but a value
                    self.written.append(self.values.pop())
            case _:
                kind = "" if " type=" in attributes else f"type={self.dice.choice(TYPES)}"
                control = f"<input {kind} {attributes} {self.constraint()} value={value}>"
        if "<textarea" in control or "<input" in control:
            self.typed[number_id] = self.number_of(held)
        if self.dice.random() < 0.5:
            return f"<label>{label} {control}</label>"
        return f"<label for={number_id}>{label}</label>{control}"

    def constraint(self) -> str:
        """What the value breaks: a browser's own message may quote it."""
        return self.dice.choice(("required", "max=5", "step=7", "pattern=[a-z]", "maxlength=3", ""))


SHOW = """([seed, html, typed, guarded]) => {
  document.querySelector("main").innerHTML = html;
  for (const [id, value] of Object.entries(typed)) {
    const field = document.getElementById(id);
    if (field !== null && field.type !== "checkbox") field.value = value;
    // As a button that shows the password does.
    if (field?.type === "password" && Number(id.slice(1)) % 2 === 0) field.type = "text";
  }
  window.unregister?.();
  // A hidden input stands for a control of the application's own, which may be registered.
  const fields = Object.keys(guarded).map((id) => document.querySelector(`[name=${id}]`));
  window.unregister = session.registerFields(
    fields.filter((one) => one !== null && one.type !== "hidden")
      .map((one) => ({ id: one.name, label: "Registered" })));
  document.title = `Page ${seed}.`;
  history.replaceState(null, "", `/pages/${seed}`);
}"""
VALUES = """() => [...document.querySelectorAll("main input, main textarea, main select")]
  .map((field) => [field.name, field.value, field.checked ?? null])"""
# A picture as html2canvas takes it: what is ignored is not drawn, nor anything in it.
PICTURES = """() => {
  session.screenshots = {
    take: async ({ ignore }) => {
      const canvas = new OffscreenCanvas(64, 64);
      const context = canvas.getContext("2d");
      context.fillStyle = `hsl(${location.pathname.length * 99 + taken.length * 40} 90% 50%)`;
      context.fillRect(0, 0, 64, 64);
      taken.push(1);
      return canvas.convertToBlob();
    },
    upload: async (picture, { hash }) => `/shots/${hash}`,
    interval: 0,
  };
}"""
DRAWN = """async () => {
  const { isPrivate } = await import("/livelayer/js/page/privacy.js");
  const words = [];
  const draw = (element) => {
    if (isPrivate(element)) return;
    if ("value" in element && element.matches("input, textarea")) words.push(element.value);
    if (element.matches("select")) return;
    for (const node of element.childNodes) {
      if (node instanceof Text) words.push(node.data);
      else if (node instanceof Element) draw(node);
    }
  };
  draw(document.body);
  return words.join("\\n");
}"""


CARELESS = """() => {
  session.contextExtras = () => {
    const fields = [...document.querySelectorAll(
      "main input:not([type=checkbox]), main textarea, main select")];
    const values = Object.fromEntries(fields.map((field) => [field.name, `it: ${field.value}`]));
    const texts = fields.map((field) => field.value);
    return { build: "public-build", values, texts, numbers: texts.map(Number) };
  };
}"""


@pytest.mark.timeout(600 + 10 * PAGES)  # a bound for a machine under load
async def test_nothing_private_leaves_a_page(web: Any, live: Page, until: Any) -> None:
    room = await web.connected()
    await until(live, "client.state.agent_active")
    await live.evaluate("window.taken = []")
    await live.evaluate(PICTURES)
    sent: list[str] = []
    described: list[str] = []

    def note(request: Request) -> None:
        kept = described if request.url.endswith("/viewers/me/page") else sent
        kept.append(f"{request.url} {request.post_data or ''}")

    live.on("request", note)

    async def ask(message: dict[str, Any]) -> dict[str, Any]:
        room.agent_says(message)
        with anyio.fail_after(PATIENCE):
            while True:
                data: dict[str, Any] = json.loads((await room.next_sent()).data)
                sent.append(json.dumps(data))
                if data["type"] == "command_result":
                    return data

    def describes(title: str) -> bool:
        return title in room.attributes.get("agent.context", "")

    told_of: list[bool] = []
    values_told = flows = 0
    everything: list[str] = []
    await live.evaluate(CARELESS)
    for seed in range(PAGES):
        page = Generated(random.Random(seed))
        html = page.build()
        sent.clear()
        described.clear()
        await live.evaluate(SHOW, [seed, html, page.typed, page.guarded])
        for kind in ("request_page_context", "request_routes"):
            assert (await ask({"type": kind}))["ok"] is True, seed
        told = "\n".join(sent)
        leaked = [one for one in page.secrets + page.values + page.written if one in told]
        assert not leaked, (seed, leaked, html, told)
        told_of.extend(word in told for word in page.public)
        assert page.public[0] in told, (seed, html, told)
        assert '"extras": {"build": "public-build"' in told, (seed, told)
        flows += '"flow"' in told

        title = f"Page {seed}."
        with anyio.fail_after(PATIENCE):
            await room.wait_until(partial(describes, title))
        attribute = room.attributes["agent.context"]
        for text in (attribute, *described):
            leaked = [one for one in page.secrets + page.written if one in text]
            assert not leaked, (seed, leaked, html, text)
        assert "Registered" not in attribute, (seed, html, attribute)
        values_told += sum(value in attribute for value in page.values)
        drawn = await live.evaluate(DRAWN)
        leaked = [one for one in page.secrets if one in drawn]
        assert not leaked, (seed, leaked, html, drawn)
        everything += page.secrets + page.values + page.written

        before = await live.evaluate(VALUES)
        for name, form in page.guarded.items():
            fill = {"type": "fill_form", "formId": form, "values": {name: "1"}}
            assert (await ask(fill))["ok"] is False, (seed, name, html)
            field = {"fieldId": name, "fieldName": name, "value": "1", "kind": "text"}
            where = {"formId": form, "source": "agent"}
            await ask({"type": "task_field_updated", **field, **where})
            for act in ("click", "scroll_to"):
                assert (await ask({"type": act, "selector": f"[name={name}]"}))["ok"] is False
        assert await live.evaluate(VALUES) == before, (seed, html)
    # Most of what is public is told: otherwise a page that tells nothing would pass.
    assert sum(told_of) > 0.7 * len(told_of)
    assert values_told > PAGES / 2
    assert flows > PAGES / 5
    with anyio.fail_after(PATIENCE):
        await room.wait_until(lambda: any(one.type == "page_screenshot" for one in room.sent))
    shots = [one.data.decode() for one in room.sent if one.type == "page_screenshot"]
    assert not [one for one in everything for shot in shots if one in shot]


@pytest.mark.parametrize(
    "selector",
    [
        'input[value^="h"]', "[ value ^= h ]", r"[\76 alue^=h]", "input:checked", ":has(input)",
        "input:invalid", "input:placeholder-shown", ":is(input[value])", "a[href^='/x'] ~ p",
        "[title^=h] p", "p:not([value])", "input:autofill", "[data-secret^=h]", "*|input[value]",
        "[id^=a]", "[name$=x]", "[class*=b]", "[data-testid|=c]", "[data-ll-private^=d]",
        "[content^=t]", "[placeholder^=a]", "[pattern^=a]", "[action^='/']", "[src*=x]",
        "[style*=x]", "[list=x]",
        "input:required", "input:in-range", "option:checked", ":focus", ":target", ":root:has(*)",
        ":not(p)", ":where(p)", "p::before", "a:visited", ":lang(en)", ":dir(ltr)", ":empty",
        "p, input[value]", "p:nth-child(1 of [value])", "p/**/[value]", "###", "", "p >", "[href",
    ],
)  # fmt: skip
async def test_a_selector_that_could_read_a_value_is_invalid(modules: Page, selector: str) -> None:
    assert await modules.evaluate(FIND, selector) == "invalid"


@pytest.mark.parametrize(
    "selector",
    [
        "#buy", ".plan.large", "main > p", "h2 + p, h2 ~ p", "a[href='/pricing']", "*",
        'button[name="go"]', "li:nth-child(2n + 1) a[href$=x]", r"#\31 st", r"#a\:b", "[role=tab]",
        "[data-ll-region=plans] a[title]", "p:first-child", "form input[aria-label='Name' i]",
    ],
)  # fmt: skip
async def test_a_selector_of_names_links_and_labels_may_be_used(
    modules: Page, selector: str
) -> None:
    assert await modules.evaluate(FIND, selector) is not None
    assert await modules.evaluate(FIND, selector) != "invalid"


# A page, the selectors of an attacker who knows it, and those of an agent that does its work.
GUARDED = """<meta name="csrf" content="d41d8">
  <main id="main">
    <h1 id="title">Plans</h1>
    <nav class="top" aria-label="Main">
      <a id="price" href="/pricing" title="See prices">Pricing</a></nav>
    <form id="login"><input name="csrf" type="hidden" value="d41d8" class="d41d8" id="d41d8">
      <input name="secret" type="password" value="hunter2"><b id="beside">Password</b>
      <label id="mail" for="email">Mail</label>
      <input name="email" id="email" value="ada@x.example" title="ada@x.example"
        aria-label="E-mail">
      <input name="code" autocomplete="one-time-code" value="1234">
      <button id="go">Go</button></form>
    <section data-ll-private id="order-4711" class="gold">
      <p id="inside">Order</p><a href="/orders/4711">It</a></section>
    <p id="after-private">After</p>
    <div id="editor" contenteditable><h2 id="typed">Typed</h2><a href="/typed">x</a>
      <i contenteditable="false" id="chip" title="Ada">Ada</i></div>
    <div role="combobox" id="combo"><span title="Chosen">Chosen</span></div>
    <a id="reset" href="/reset?token=abc" hidden>Reset</a>
    <a id="user" href="https://ada:pw@x.example/">User</a>
    <a id="js" href="javascript:f('abc')">Js</a>
    <button data-testid="buy" class="plan large" aria-label="Buy now">Buy</button>
    <svg role="img" aria-label="Logo" width="9" height="9"></svg>
    <ul><li>One</li><li class="plan">Two</li></ul>
  </main>
  <livelayer-avatar><p id="own">Own</p></livelayer-avatar><p id="behind">Behind</p>"""
PROBES = (
    "meta[name=csrf]", "[name=csrf]", "#d41d8", ".d41d8", "[type=hidden] + input", "[name=secret]",
    "#d41d8 ~ label", "[name=secret] + b", "[type=password] ~ #beside", "[name=code] + button",
    "#order-4711", ".gold", "section p", "#inside", "[href='/orders/4711']", "main > section + p",
    "[data-ll-private] + p", ".gold ~ #after-private", "[id='order-4711'] + [id=after-private]",
    "#editor > h2", "#typed", "[href^='/t']", "#chip", "[title^=A]", "[title='ada@x.example']",
    "#combo [title^=C]", "[href^='/reset?token=a']", "#reset", "[href*=':pw@']",
    "[href^='javascript:f']", "#own", "livelayer-avatar + p", "livelayer-avatar", "*#own, #inside",
)  # fmt: skip
WORK = {
    "#price": "price", "nav > a": "price", "a[href='/pricing']": "price", "[href^='/pri']": "price",
    "a[title*=prices i]": "price", "h1": "title", "main h1, #inside": "title",
    "[for=email]": "mail",
    "#login input[name=email]": "email", "[aria-label=E-mail]": "email", "#login > button": "go",
    "[data-testid=buy]": "buy", ".plan.large": "buy", "[aria-label^=Buy]": "buy",
    "h1 ~ p": "after-private", "[class~=large]": "buy", "ul li:nth-of-type(2)": "plan",
    "li:last-child": "plan", "main > ul > .plan": "plan", "li + li": "plan", "#editor": "editor",
    "div[role=combobox]": "combo", "[role=img][aria-label=Logo]": "img", "#behind": "behind",
}  # fmt: skip


async def test_what_a_selector_finds_does_not_depend_on_what_is_guarded(modules: Page) -> None:
    """An attacker's guesses all fail alike; those that an agent works with are found."""
    found = await modules.evaluate(
        """async ([html, probes, work]) => {
  const { find } = await import("/livelayer/js/page/elements.js");
  document.body.innerHTML = html;
  const name = (one) => one && (one.id || one.dataset?.testid || one.getAttribute("role")
    || one.className);
  return [probes.filter((one) => find(one) !== null), work.map((one) => [one, name(find(one))])];
}""",
        [GUARDED, PROBES, list(WORK)],
    )
    told, worked = found
    assert told == []
    assert dict(worked) == WORK


async def test_a_value_is_not_told_by_what_can_be_filled(modules: Page) -> None:
    found = await modules.evaluate("""async () => {
  const { fill } = await import("/livelayer/js/page/fill.js");
  document.body.innerHTML = `<label>Agree <input type="checkbox" value="4711"></label>
    <select><option>small</option><option data-ll-private value="4711">yours</option></select>`;
  const [box, list] = document.querySelectorAll("input, select");
  return [fill([box], "4711"), box.checked, fill([list], "4711"), fill([list], "yours"), list.value,
          fill([box], "Agree"), box.checked];
}""")
    assert found == [False, False, False, False, "small", True, True]


FIND = """async (selector) => {
  const { InvalidTarget, find } = await import("/livelayer/js/page/elements.js");
  document.body.innerHTML = "<p>A page</p>";
  try {
    return find(selector)?.tagName ?? "none";
  } catch (error) {
    return error instanceof InvalidTarget ? "invalid" : String(error);
  }
}"""


async def test_a_private_field_is_not_changed_by_its_label(modules: Page) -> None:
    """Nor by anything in it; the label of any other field may be clicked."""
    found = await modules.evaluate("""async () => {
  const { PageCommands } = await import("/livelayer/js/page/commands.js");
  document.body.innerHTML = `
    <label id="one" for="first"><b id="bold">One</b></label>
    <div data-ll-private><input type="checkbox" id="first"></div>
    <label id="two">Two <input type="checkbox" id="second" autocomplete="off"></label>
    <label id="three">Three <input type="checkbox" id="third"></label>`;
  const commands = new PageCommands(document.body, {
    joined: () => ({ capabilities: ["click"], max_message_bytes: 15360 }),
    capabilities: () => null,
    origins: () => [],
    context: () => null,
    extras: () => null,
    routes: () => null,
    pending: () => {},
  });
  const results = [];
  for (const id of ["one", "bold", "two", "three"]) {
    const { ok } = await commands.carryOut({ type: "click", selector: `#${id}` });
    results.push([id, ok]);
  }
  return [results, [...document.querySelectorAll("input")].map((box) => box.checked)];
}""")
    results, checked = found
    assert results == [["one", False], ["bold", False], ["two", False], ["three", True]]
    assert checked == [False, False, True]
