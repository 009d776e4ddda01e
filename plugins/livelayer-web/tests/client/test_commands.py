"""What the agent asks of a page: carried out there, answered once, and only what is allowed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

import anyio
import pytest
from playwright.async_api import Page

from livelayer_bus.testing import PATIENCE

pytestmark = pytest.mark.anyio

FORM = """() => {
  document.body.insertAdjacentHTML("beforeend", `
    <form id="contact">
      <label>Name <input name="name" required></label>
      <input name="email" type="email" autocomplete="email">
      <textarea name="words"></textarea>
      <input name="secret" type="password" value="hunter2">
      <input name="token" type="hidden" value="csrf">
      <input name="card" autocomplete="cc-number" value="4111">
      <input name="day" type="date">
      <input name="fixed" readonly value="as it is">
      <select name="team"><option value="s">Small</option><option value="l">Large</option></select>
      <label><input type="radio" name="plan" value="a"> Alpha</label>
      <label><input type="radio" name="plan" value="b"> Beta</label>
      <label><input type="checkbox" name="terms"> Terms</label>
      <input type="checkbox" name="also" value="x"><input type="checkbox" name="also" value="y">
      <div contenteditable="true" id="notes"></div>
      <button>Send</button>
    </form>`);
  window.seen = [];
  const form = document.forms.contact;
  for (const kind of ["input", "change"]) {
    form.addEventListener(kind, (event) => window.seen.push(kind + ":" + event.target.name));
  }
  // As frameworks do: their own property hides what is assigned to the field.
  let kept = "";
  Object.defineProperty(form.elements.name, "value", {
    get: () => Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").get
      .call(form.elements.name),
    set: (value) => { kept = value; },
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    window.seen.push("submit");
    if (window.throws) throw new Error("the page's own");
    if (window.marks) form.elements.name.setAttribute("aria-invalid", "true");
  });
}"""


class Ask(Protocol):
    async def __call__(self, message: Mapping[str, Any]) -> tuple[dict[str, Any], list[Any]]: ...


@pytest.fixture
async def ask(web: Any, live: Page, until: Any) -> Ask:
    """Has the agent ask, and gives the `command_result` and the replies before it."""
    room = await web.connected()
    await until(live, "client.state.agent_active")

    async def say(message: Mapping[str, Any]) -> tuple[dict[str, Any], list[Any]]:
        room.agent_says(message)
        replies: list[Any] = []
        with anyio.fail_after(PATIENCE):
            while True:
                sent = json.loads((await room.next_sent()).data)
                if sent["type"] == "command_result":
                    return sent, replies
                replies.append(sent)

    return say


async def test_a_page_is_scrolled_clicked_and_focused(ask: Ask, live: Page) -> None:
    await live.evaluate("""() => {
  document.body.insertAdjacentHTML("beforeend",
    '<div id="tall"></div><button id="buy">Buy</button><button id="off" disabled>Off</button>');
  document.getElementById("tall").style.height = "5000px";
  document.getElementById("buy").onclick = () => (window.bought = true);
}""")
    down = {"type": "scroll_page", "direction": "down", "behavior": "instant"}
    result, _ = await ask(down)
    assert result["ok"] is True
    assert await live.evaluate("scrollY") > 300
    result, _ = await ask({"type": "scroll_page", "direction": "top", "behavior": "instant"})
    assert await live.evaluate("scrollY") == 0
    result, _ = await ask({"type": "scroll_to", "selector": "#buy", "behavior": "instant"})
    assert result["ok"] is True
    assert await live.evaluate("scrollY") > 3000
    result, _ = await ask({"type": "click", "selector": "#buy"})
    assert (result["ok"], await live.evaluate("window.bought")) == (True, True)
    for selector, reason in (("#off", "failed"), ("#none", "failed"), ("###", "invalid")):
        result, _ = await ask({"type": "click", "selector": selector})
        assert (result["ok"], result["reason"]) == (False, reason), selector


async def test_a_form_is_filled_as_a_framework_expects(ask: Ask, live: Page) -> None:
    await live.evaluate(FORM)
    values = {
        "name": "Ada",
        "email": "ada@example.com",
        "words": "two\nlines",
        "day": "2026-11-25",
        "team": "Large",
        "plan": "beta",
        "terms": "yes",
        "also": "x, y",
        "notes": "a note",
    }
    result, _ = await ask({"type": "fill_form", "formId": "contact", "values": values})
    assert result["ok"] is True
    filled = await live.evaluate(
        "[Object.fromEntries(new FormData(document.forms.contact)), window.seen, "
        "document.getElementById('notes').textContent, document.forms.contact.also[0].checked]"
    )
    data, seen, notes, also = filled
    assert data["name"] == "Ada"
    assert data["words"] == "two\nlines"
    assert (data["day"], data["team"], data["plan"]) == ("2026-11-25", "l", "b")
    assert (data["terms"], data["also"], also) == ("on", "y", True)
    assert notes == "a note"
    assert {"input:name", "change:name", "input:terms", "change:team", "input:plan"} <= set(seen)
    result, _ = await ask(
        {"type": "fill_form", "formId": "contact", "values": {"terms": "no", "also": "x"}}
    )
    assert await live.evaluate(
        "[document.forms.contact.terms.checked, document.forms.contact.also[1].checked]"
    ) == [False, False]


@pytest.mark.parametrize(
    "values",
    [
        {"token": "forged"},
        {"fixed": "changed"},
        {"day": "tomorrow"},
        {"team": "Huge"},
        {"nobody": "x"},
        {"plan": "gamma"},
        {"terms": "perhaps"},
    ],
)
async def test_what_a_field_cannot_be_is_not_said_to_be_done(
    ask: Ask, live: Page, values: dict[str, str]
) -> None:
    await live.evaluate(FORM)
    before = await live.evaluate("[...new FormData(document.forms.contact)]")
    result, _ = await ask({"type": "fill_form", "formId": "contact", "values": values})
    assert (result["ok"], result["reason"]) == (False, "failed")
    assert await live.evaluate("[...new FormData(document.forms.contact)]") == before


async def test_a_form_that_does_not_validate_is_reported_and_not_sent(ask: Ask, live: Page) -> None:
    await live.evaluate(FORM)
    submit = {"type": "submit_form", "formId": "contact", "requestId": "7"}
    result, [reply] = await ask(submit)
    assert reply == {
        "type": "form_submit_blocked",
        "formId": "contact",
        "requestId": "7",
        "reason": "validation",
        "invalidFields": ["Name: is required"],
    }
    assert (result["ok"], result["requestId"]) == (False, "7")
    assert await live.evaluate("window.seen.includes('submit')") is False
    await ask({"type": "fill_form", "formId": "contact", "values": {"name": "Ada"}})
    # Its script prevents that the browser sends it, and shows nothing.
    result, [reply] = await ask(submit)
    about = {"formId": "contact", "requestId": "7"}
    assert reply == {"type": "form_submit_uncertain", "reason": "spa_prevented", **about}
    assert result["ok"] is True
    await live.evaluate("window.marks = true")
    result, [reply] = await ask(submit)
    fields = ["Name: was not accepted by the page"]
    blocked = {"type": "form_submit_blocked", "reason": "validation", "invalidFields": fields}
    assert reply == {**blocked, **about}
    assert result["ok"] is False


SUBMITTED = [
    ("form_removed", "form.remove()"),
    ("form_removed", "setTimeout(() => { form.hidden = true; }, 300)"),
    ("form_reset", "setTimeout(() => form.reset(), 300)"),
    ("form_reset", "form.reset(); form.elements.name.value = ''"),
    ("success_text", "setTimeout(() => document.body.append('Thank you, Ada.'), 300)"),
]


@pytest.mark.parametrize(("reason", "script"), SUBMITTED)
async def test_what_a_script_does_with_a_form_is_seen(
    ask: Ask, live: Page, reason: str, script: str
) -> None:
    await live.evaluate(SPA.replace("SCRIPT", script))
    result, [reply] = await ask({"type": "submit_form", "formId": "spa", "requestId": "9"})
    about = {"formId": "spa", "requestId": "9"}
    assert reply == {"type": "form_submitted", "reason": reason, **about}
    assert result["ok"] is True


SPA = """() => {
  document.querySelector("main").insertAdjacentHTML("beforeend", `<form id="spa">
    <label>Name <input name="name"></label>
    <label>Mail <input name="mail" aria-errormessage="why"></label><p id="why"></p>
    <label>Pin <input name="pin" type="password"></label>
    <div data-ll-private><label>Diary <input name="diary"></label></div>
    <button>Go</button></form>`);
  const form = document.forms.spa;
  form.elements.name.value = "Ada";
  form.elements.mail.value = "ada(at)x";
  form.elements.pin.value = "hunter2";
  form.elements.diary.value = "dear diary";
  form.addEventListener("submit", (event) => { event.preventDefault(); SCRIPT; });
}"""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("An address has an @ in it.", "An address has an @ in it."),
        ("ADA(at)x is no address.", "was not accepted by the page"),
        ("Not for Ada.", "was not accepted by the page"),
        ("Not with hunter2.", "was not accepted by the page"),
    ],
)
async def test_a_wrong_field_is_named_in_the_page_s_words_and_never_with_a_value(
    ask: Ask, live: Page, words: str, told: str
) -> None:
    marks = "for (const one of form.elements) one.setAttribute('aria-invalid', 'true');"
    says = f"document.getElementById('why').textContent = {words!r};"
    script = f"setTimeout(() => {{ {says} {marks} }}, 200)"
    await live.evaluate(SPA.replace("SCRIPT", script))
    _, [reply] = await ask({"type": "submit_form", "formId": "spa"})
    assert reply == {
        "type": "form_submit_blocked",
        "formId": "spa",
        "reason": "validation",
        "invalidFields": ["Name: was not accepted by the page", f"Mail: {told}"],
    }


# Pages of several steps ----------------------------------------------------------------------

STEPS = """() => {
  document.querySelector("main").innerHTML = `
    <nav><button>Next</button></nav>
    <ol><li>You</li><li aria-current="step">Address</li><li>Done</li></ol>
    <div data-ll-private><button>Continue</button></div>
    <form id="steps"><label>Street <input name="street" required></label>
      <button type="button">Continue with Gargle</button>
      <button type="button">← Back</button> <button>Continue →</button></form>
    <div id="end" hidden><button>Send</button></div>`;
  window.pressed = [];
  document.addEventListener("click", ({ target }) => window.pressed.push(target.textContent));
  document.forms.steps.addEventListener("submit", (event) => event.preventDefault());
}"""


async def test_a_page_s_steps_are_found_pressed_and_told(ask: Ask, live: Page) -> None:
    await live.evaluate(STEPS)
    _, [reply] = await ask({"type": "request_page_context"})
    assert reply["context"]["flow"] == {
        "kind": "multi-step",
        "currentStep": 2,
        "totalSteps": 3,
        "stepLabel": "Address",
        "advance": {"id": "ll-advance", "label": "Continue →"},
        "back": {"id": "ll-back", "label": "← Back"},
    }
    result, [reply] = await ask({"type": "advance_step"})
    assert (result["ok"], reply["invalidFields"]) == (False, ["Street: is required"])
    await live.evaluate("document.forms.steps.street.value = 'x'")
    assert (await ask({"type": "advance_step"}))[0]["ok"] is True
    assert (await ask({"type": "go_back"}))[0]["ok"] is True
    result, replies = await ask({"type": "submit_flow"})
    assert (result["ok"], result["reason"], replies) == (False, "failed", [])
    await live.evaluate("document.getElementById('end').hidden = false")
    assert (await ask({"type": "submit_flow"}))[0]["ok"] is True
    pressed = ["Continue →", "Continue →", "← Back", "Send"]
    assert await live.evaluate("window.pressed") == pressed


async def test_an_author_s_mark_decides_which_control_it_is(ask: Ask, live: Page) -> None:
    await live.evaluate(STEPS)
    await live.evaluate("""() => document.querySelector("main").insertAdjacentHTML("beforeend", `
      <button id="ll-back" disabled>Mine</button><button hidden data-ll-intent="advance">A</button>
      <a href="#x" data-ll-intent="advance">B</a> <button data-ll-intent="ll-submit">C</button>`)
    """)
    assert (await ask({"type": "advance_step"}))[0]["ok"] is True
    assert (await ask({"type": "submit_flow"}))[0]["ok"] is True
    # The author's own is disabled: no other one is pressed in its place.
    assert (await ask({"type": "go_back"}))[0]["ok"] is False
    assert await live.evaluate("window.pressed") == ["B", "C"]


async def test_a_handler_that_throws_is_reported(ask: Ask, live: Page) -> None:
    await live.evaluate(FORM)
    # The fault is the page's own, and Playwright shall not take it for ours.
    await live.evaluate(
        "window.throws = true; addEventListener('error', (event) => event.preventDefault())"
    )
    await ask({"type": "fill_form", "formId": "contact", "values": {"name": "Ada"}})
    result, [reply] = await ask({"type": "submit_form", "formId": "contact"})
    assert (result["ok"], reply["reason"]) == (False, "exception")


async def test_a_page_tells_what_it_shows_and_no_secrets(ask: Ask, live: Page) -> None:
    await live.evaluate(FORM)
    await live.evaluate("""() => {
  document.querySelector("main").insertAdjacentHTML("beforeend",
    '<p hidden>unseen</p><p data-livelayer-private>private</p><script type="x">code</script>');
}""")
    result, [reply] = await ask({"type": "request_page_context", "requestId": "c1"})
    assert result["ok"] is True
    assert reply["requestId"] == "c1"
    assert "truncated" not in reply
    context = reply["context"]
    assert (context["title"], context["pathname"]) == ("Home", "/")
    assert context["url"] == live.url
    assert context["visibleText"] == "Home Words on the home page. Pricing"
    assert context["visibleLinks"] == [{"href": "/pricing", "text": "Pricing"}]
    assert {"label": "Alpha", "type": "radio"} not in context["visibleFields"]
    assert {"label": "Name", "type": "text"} in context["visibleFields"]
    [form] = context["forms"]
    fields = {one["name"]: one for one in form["fields"]}
    assert list(fields) == [
        *("name", "email", "words", "day", "fixed", "team", "plan", "terms", "also", "notes"),
    ]
    assert fields["name"] == {
        "name": "name",
        "label": "Name",
        "type": "text",
        "required": True,
        "validationMessage": "is required",
    }
    assert fields["email"]["autocomplete"] == "email"
    assert fields["team"]["options"] == [
        {"value": "s", "label": "Small"},
        {"value": "l", "label": "Large"},
    ]
    assert fields["plan"]["options"] == [
        {"value": "a", "label": "Alpha"},
        {"value": "b", "label": "Beta"},
    ]
    assert not any("value" in field for field in form["fields"])
    told = json.dumps(reply)
    for secret in ("hunter2", "csrf", "4111", "as it is", "unseen", "private", "code"):
        assert secret not in told


async def test_a_page_is_described_by_what_its_author_marked(ask: Ask, live: Page) -> None:
    await live.evaluate("""() => {
  document.querySelector("main").innerHTML = `
    <section data-ll-region="plans" data-ll-intent="compare">Two <b>plans</b>
      <i data-ll-private>yours</i></section>
    <div data-ll-form="start" data-ll-intent="sign up">
      <label>Size <input type="number" data-ll-field="size" min="1" max="9" step="2" value="12">
      </label>
      <input aria-label="Code" name="code" minlength="2" maxlength="4" pattern="[a-z]+"
        placeholder="abcd">
      <select name="team" aria-label="Team"><option value="">Choose</option><option>A</option>
      </select>
    </div>`;
}""")
    _, [reply] = await ask({"type": "request_page_context"})
    context = reply["context"]
    assert context["regions"] == [{"id": "plans", "intent": "compare", "text": "Two plans"}]
    [form] = context["forms"]
    assert (form["id"], form["intent"]) == ("start", "sign up")
    size, code, team = form["fields"]
    assert size == {
        "name": "size",
        "label": "Size",
        "type": "number",
        "min": "1",
        "max": "9",
        "step": "2",
        "validationMessage": "is more than max",
    }
    assert code == {
        "name": "code",
        "label": "Code",
        "type": "text",
        "placeholder": "abcd",
        "minLength": 2,
        "maxLength": 4,
        "pattern": "[a-z]+",
    }
    assert team == {
        "name": "team",
        "label": "Team",
        "type": "select",
        "options": [{"value": "A", "label": "A"}],
        "placeholderOption": "Choose",
        "hasEmptyOption": True,
    }


async def test_a_long_page_is_cut_fields_first_then_links_then_text(ask: Ask, live: Page) -> None:
    cut: list[tuple[int, int, int]] = []
    for words in (0, 450, 700):
        await live.evaluate(
            """(words) => {
  const links = Array.from({ length: 20 }, (_, n) => `<a href="/page/${n}">The page ${n}</a>`);
  const fields = Array.from({ length: 30 }, (_, n) => `<input aria-label="The field ${n}">`);
  document.querySelector("main").innerHTML =
    `${links.join(" ")} ${fields.join(" ")} <p>${"words ".repeat(words)}</p>`;
}""",
            words,
        )
        _, [reply] = await ask({"type": "request_page_context"})
        context = reply["context"]
        size = len(json.dumps(context, ensure_ascii=False, separators=(",", ":")).encode())
        assert size <= 4096
        assert ("truncated" in reply) is (words > 0)
        lengths = [len(context[one]) for one in ("visibleFields", "visibleLinks", "visibleText")]
        cut.append((lengths[0], lengths[1], lengths[2]))
    assert cut[0][:2] == (30, 20)
    assert 0 <= cut[1][0] < 30
    assert cut[1][1] == 20
    assert cut[2][0] == 0
    assert cut[2][1] < 20


async def test_a_large_context_is_cut_and_the_application_may_give_its_own(
    ask: Ask, live: Page
) -> None:
    await live.evaluate(
        "void (session.contextProvider = async () => ({ title: 'own', text: 'é'.repeat(30000) }))"
    )
    result, [reply] = await ask({"type": "request_page_context"})
    assert (result["ok"], reply["truncated"], reply["context"]["title"]) == (True, True, "own")
    assert len(json.dumps(reply, ensure_ascii=False).encode()) <= 15_360
    await live.evaluate("void (session.contextProvider = () => { throw new Error('not now'); })")
    await live.evaluate("addEventListener('error', (event) => event.preventDefault())")
    result, replies = await ask({"type": "request_page_context"})
    assert (result["ok"], result["reason"], replies) == (False, "failed", [])


async def test_a_page_s_script_adds_what_the_page_does_not_show(ask: Ask, live: Page) -> None:
    """As JSON, asked for anew each time, cut to its size, and without what people typed."""
    await live.evaluate("""() => {
      document.querySelector("main").insertAdjacentHTML("beforeend",
        `<input value="Grace Hopper"><input value="pro"><input type="checkbox" value="24">
        <input type="password" value="hunter2">
        <div data-ll-private><input type="checkbox" value="vote-a"></div>`);
      let asked = 0;
      const given = {
        plan: "team", seats: 24, tier: "professional", who: "GRACE  hopper, admiral", kind: "pro",
        open: true, when: new Date(0), hunter2: 1, vote: "vote-a",
        list: ["a", "x hunter2", { "grace hopper": 1 }], run: () => 1, at: document.body,
      };
      session.contextExtras = () => ({ ...given, asked: (asked += 1) });
    }""")
    kept = {
        "plan": "team", "seats": 24, "tier": "professional", "open": True,
        "when": "1970-01-01T00:00:00.000Z", "list": ["a", {}], "at": {},
    }  # fmt: skip
    for asked in (1, 2):
        _, [reply] = await ask({"type": "request_page_context"})
        assert reply["context"]["extras"] == kept | {"asked": asked}
        assert "truncated" not in reply
    await live.evaluate("void (session.contextExtras = { title: 'T', text: 'é'.repeat(5000) })")
    _, [reply] = await ask({"type": "request_page_context"})
    extras = reply["context"]["extras"]
    assert (extras["title"], reply["truncated"]) == ("T", True)
    assert 600 < len(json.dumps(extras, ensure_ascii=False).encode()) <= 1024
    assert reply["context"]["title"] == "Home"


async def test_extras_that_are_none_leave_the_context_as_it_is(ask: Ask, live: Page) -> None:
    await live.evaluate("addEventListener('error', (event) => event.preventDefault())")
    await live.evaluate("window.circle = {}; void (circle.self = circle)")
    for none in ("null", "[1]", "'text'", "() => undefined", "() => { throw new Error() }"):
        await live.evaluate(f"void (session.contextExtras = {none})")
        result, [reply] = await ask({"type": "request_page_context"})
        assert result["ok"], none
        assert "extras" not in reply["context"], none
    await live.evaluate("void (session.contextExtras = circle)")
    _, [reply] = await ask({"type": "request_page_context"})
    assert "extras" not in reply["context"]


async def test_an_application_s_own_context_is_given_the_extras(ask: Ask, live: Page) -> None:
    await live.evaluate(
        "() => { session.contextExtras = { plan: 'team' };"
        " session.contextProvider = (extras) => ({ title: 'own', extras }); }"
    )
    _, [reply] = await ask({"type": "request_page_context"})
    assert reply["context"] == {"title": "own", "extras": {"plan": "team"}}


async def test_a_slow_context_is_announced(ask: Ask, live: Page) -> None:
    await live.evaluate(
        "void (session.contextProvider = () => new Promise((resolve) => (window.give = resolve)))"
    )
    await live.evaluate("""() => {
  client.addEventListener("event", ({ detail }) => {
    if (detail.event === "DataSent" && detail.type === "page_context_pending") window.give("late");
  });
}""")
    result, replies = await ask({"type": "request_page_context"})
    assert [reply["type"] for reply in replies] == ["page_context_pending", "page_context"]
    assert (result["ok"], replies[1]["context"]) == (True, "late")


async def test_routes_are_the_links_or_what_the_application_says(ask: Ask, live: Page) -> None:
    _, [reply] = await ask({"type": "request_routes", "requestId": "r"})
    expected = {"type": "routes", "routes": [{"path": "/pricing", "title": "Pricing"}]}
    assert reply == {**expected, "requestId": "r"}
    await live.evaluate("session.routes = Array.from({ length: 300 }, (_, n) => `/page/${n}`)")
    _, [reply] = await ask({"type": "request_routes"})
    assert (len(reply["routes"]), reply["truncated"]) == (200, True)


async def test_a_router_of_the_application_takes_the_page_along(ask: Ask, live: Page) -> None:
    await live.evaluate("""() => {
  window.mine = true;
  document.addEventListener("navigate", (event) => {
    event.preventDefault();
    if (event.detail.href === "/broken") return event.detail.done(Promise.reject(new Error("no")));
    history.pushState({}, "", event.detail.url);
  });
}""")
    result, _ = await ask({"type": "navigate", "href": "/pricing"})
    assert result["ok"] is True
    assert await live.evaluate("[location.pathname, window.mine, client.link.phase]") == [
        *("/pricing", True, "live")
    ]
    result, _ = await ask({"type": "navigate", "href": "/broken"})
    assert (result["ok"], result["reason"]) == (False, "failed")


async def test_a_whole_page_is_left_after_the_answer_and_nothing_is_missed(
    ask: Ask, live: Page, until: Any
) -> None:
    result, _ = await ask({"type": "navigate", "href": "/pricing"})
    assert result["ok"] is True
    await until(live, "location.pathname === '/pricing' && window.client?.link.phase === 'live'")
    result, _ = await ask({"type": "scroll_page", "direction": "down"})
    assert result["ok"] is True
    finished = "told().filter(({event}) => event === 'CommandFinished')"
    await until(live, f"{finished}.some(({{command}}) => command === 'scroll_page')")
    commands = await live.evaluate(finished)
    assert len({one["number"] for one in commands}) == len(commands)


async def test_other_sites_are_for_who_allowed_them(ask: Ask, live: Page) -> None:
    there = {"type": "navigate", "href": "https://docs.example.com/a"}
    result, _ = await ask(there)
    assert (result["ok"], result["reason"]) == (False, "capability")
    await live.evaluate("session.setAttribute('navigate-origins', 'https://docs.example.com')")
    await live.route("https://docs.example.com/a", lambda route: route.fulfill(body="elsewhere"))
    result, _ = await ask(there)
    assert result["ok"] is True
    await live.wait_for_url("https://docs.example.com/a")


async def test_the_element_allows_less_than_the_server_never_more(ask: Ask, live: Page) -> None:
    await live.evaluate("session.setAttribute('capabilities', 'scroll')")
    result, _ = await ask({"type": "navigate", "href": "/pricing"})
    assert (result["ok"], result["reason"]) == (False, "capability")
    result, _ = await ask({"type": "scroll_page", "direction": "down"})
    assert result["ok"] is True
    await live.evaluate("session.setAttribute('capabilities', '')")
    result, _ = await ask({"type": "scroll_page", "direction": "down"})
    assert (result["ok"], result["reason"]) == (False, "capability")
    assert await live.evaluate("location.pathname") == "/"
    refused = await live.evaluate(
        "log.filter(([kind]) => kind === 'client:command').map(([, detail]) => detail)"
    )
    assert [one["reason"] for one in refused if not one["ok"]] == ["capability", "capability"]


async def test_livelayers_own_elements_are_not_touched(ask: Ask, live: Page) -> None:
    await live.evaluate("""() => {
  const avatar = document.createElement("livelayer-avatar");
  const button = Object.assign(document.createElement("button"), { id: "mute", textContent: "x" });
  button.onclick = () => (window.muted = true);
  avatar.append(button);
  avatar.attachShadow({ mode: "open" }).innerHTML = "<button id='inner'>x</button><slot></slot>";
  document.body.append(avatar);
}""")
    for selector in ("#mute", "#inner", "livelayer-avatar"):
        result, _ = await ask({"type": "click", "selector": selector})
        assert (result["ok"], result["reason"]) == (False, "failed"), selector
    assert await live.evaluate("window.muted") is None


def updated(name: str, value: object, **more: str) -> dict[str, Any]:
    field = {"fieldId": f"id-{name}", "fieldName": name, "value": value, "kind": "text"}
    return {"type": "task_field_updated", "source": "agent", **field, **more}


async def test_collected_values_are_painted_into_the_fields_of_their_form(
    ask: Ask, live: Page
) -> None:
    await live.evaluate(FORM)
    await live.evaluate("""() => document.querySelector("main").insertAdjacentHTML("beforeend",
      `<form id="other"><input name="name"><input name="id-seats" type="number"></form>
       <input name="lone"><div data-ll-private><input name="inside"></div>`)""")
    of_contact = {"formId": "contact"}
    for update in (
        updated("name", "Ada", **of_contact),
        updated("terms", True, **of_contact),
        updated("plan", "Beta", **of_contact),
        updated("also", ["x", "y"], **of_contact),
        updated("seats", 3),  # by its id
        updated("lone", {"amount": 5, "currency": "EUR"}),
        updated("secret", "x", **of_contact),
        updated("token", "x"),
        updated("card", "5555"),
        updated("inside", "x"),
        updated("fixed", "x"),
        updated("words", {"no": "text"}),
        updated("nowhere", "x", formId="no such form"),
        updated("email", "of the page", source="page"),
    ):
        result, _ = await ask(update)
        assert result["ok"] is True, update
    values = await live.evaluate("""() => [...document.querySelectorAll("[name]")]
      .filter((field) => "value" in field && field.type !== "submit")
      .map((field) => [field.form?.id ?? "", field.name,
        ["radio", "checkbox"].includes(field.type) ? field.checked : field.value])""")
    assert [tuple(one) for one in values] == [
        *(("other", "name", ""), ("other", "id-seats", "3"), ("", "lone", "5"), ("", "inside", "")),
        *(("contact", "name", "Ada"), ("contact", "email", ""), ("contact", "words", "")),
        *(("contact", "secret", "hunter2"), ("contact", "token", "csrf")),
        *(("contact", "card", "4111"), ("contact", "day", ""), ("contact", "fixed", "as it is")),
        *(("contact", "team", "s"), ("contact", "plan", False), ("contact", "plan", True)),
        *(("contact", "terms", True), ("contact", "also", True), ("contact", "also", True)),
    ]
    assert {"input:name", "change:name"} <= set(await live.evaluate("window.seen"))


async def test_nothing_is_painted_without_the_capability_to_fill_forms(
    ask: Ask, live: Page
) -> None:
    await live.evaluate(FORM)
    await live.evaluate("session.setAttribute('capabilities', 'collect_data')")
    result, _ = await ask(updated("name", "Ada"))
    assert result["ok"] is True
    found = "log.filter(([kind]) => kind === 'field').length"
    assert await live.evaluate(f"[{found}, document.forms.contact.elements.name.value]") == [1, ""]


async def test_collected_fields_are_events_and_the_application_may_step_in(
    ask: Ask, live: Page
) -> None:
    update = {
        "type": "task_field_updated",
        "fieldId": "f1",
        "fieldName": "Name",
        "value": "Ada",
        "kind": "text",
        "source": "agent",
    }
    result_of = {"sessionId": "s", "startedAt": 0, "endedAt": 1, "source": "agent"}
    done = {"type": "task_completed", "result": {**result_of, "results": {"name": "Ada"}}}
    await ask(update)
    await ask(done)
    found = await live.evaluate("log.filter(([kind]) => ['field', 'collected'].includes(kind))")
    assert [kind for kind, _ in found] == ["field", "collected"]
    assert found[0][1]["value"] == "Ada"
    assert found[1][1]["results"] == {"name": "Ada"}
    await live.evaluate(
        "document.addEventListener('agent-command', (event) => event.preventDefault())"
    )
    result, _ = await ask({"type": "navigate", "href": "/pricing"})
    assert (result["ok"], await live.evaluate("location.pathname")) == (True, "/")
