"""The attribute `agent.context`: which fields of a page the agent reads, and when."""

from __future__ import annotations

import json
from typing import Any

import pytest
from livelayer_web import WebSurface
from playwright.async_api import BrowserContext, Page

from livelayer_bus.messages import AgentContext
from livelayer_bus.testing import ScriptedRoom, polled

from .conftest import PAGES, Until, Web

pytestmark = pytest.mark.anyio

FIELDS = """<section data-ll-region="plans" data-ll-intent="choose">
  <form id="order" data-ll-intent="buy">
    <label>E-mail <input name="mail" type="email" required value="ada@x.example"></label>
    <label>Phone <input name="phone" type="tel" title="With country code"></label>
    <label>Site <input name="site" type="url"></label>
    <label>Seats <input name="seats" type="number" value="3" aria-describedby="hint"></label>
    <p id="hint">From one to nine</p>
    <label>Day <input name="day" type="date" value="2026-11-29"></label>
    <label>Hour <input name="hour" type="time"></label>
    <label>Words <textarea name="words">Hello</textarea></label>
    <label>Size <select name="size"><option value="">?</option><option value="s">Small</option>
      <option value="l" selected>Large</option></select></label>
    <label>Tags <select name="tags" multiple><option selected>a</option><option>b</option>
      <option selected>c</option></select></label>
    <fieldset><legend>Plan</legend>
      <label>Solo <input type="radio" name="plan" value="1" required></label>
      <label>Team <input type="radio" name="plan" value="2" checked></label></fieldset>
    <label>Terms <input type="checkbox" name="terms" checked></label>
    <label>One <input type="checkbox" name="more" value="1" checked></label>
    <label>Two <input type="checkbox" name="more" value="2"></label>
    <input name="later" hidden value="not shown">
    <label>Secret <input type="password" name="secret" value="hunter2"></label>
    <label>Card <input name="card" autocomplete="cc-number" value="4111"></label>
    <div data-ll-private><label>Inside <input name="inside" value="private"></label></div>
    <button>Continue</button>
  </form></section>
  <ol><li>One</li><li aria-current="step">Two</li><li>Three</li></ol>
  <label>Search <input type="search"></label>
  <div contenteditable id="notes" aria-label="Notes">A document</div>"""
PUT = """async (page) => {
  const answered = new Promise((resolve) => {
    const { fetch } = window;
    window.fetch = async (url, options) => {
      const answer = await fetch(url, options);
      if (options.body?.includes(JSON.stringify(page))) resolve(answer.status);
      return answer;
    };
  });
  client.describePage(page);
  return answered;
}"""
SHOW = "(html) => (document.querySelector('main').innerHTML = html)"


def context_of(room: ScriptedRoom) -> Any:
    return json.loads(room.attributes.get("agent.context", "null"))


async def shown(room: ScriptedRoom, marker: str) -> Any:
    """The context, once `marker` is in it."""
    await polled(lambda: marker in room.attributes.get("agent.context", ""))
    return context_of(room)


async def test_the_fields_on_display_are_described_with_their_kinds_and_values(
    web: Web, live: Page
) -> None:
    room = await web.connected()
    await live.evaluate(SHOW, FIELDS)
    told = await shown(room, "ada@x.example")
    fields = {one.pop("id"): one for one in told.pop("elements")}
    assert told == {
        "route": "/",
        "step": 2,
        "stepLabel": "Two",
        "title": "Home",
        "availableActions": ["advance_step"],
    }
    kinds = {name: (one["label"], one["kind"], one.get("value")) for name, one in fields.items()}
    assert kinds == {
        "mail": ("E-mail", "email", "ada@x.example"),
        "phone": ("Phone", "phone", ""),
        "site": ("Site", "url", ""),
        "seats": ("Seats", "number", 3),
        "day": ("Day", "date", "2026-11-29"),
        "hour": ("Hour", "time", ""),
        "words": ("Words", "long_text", "Hello"),
        "size": ("Size", "select", "l"),
        "tags": ("Tags", "multi_select", ["a", "c"]),
        "plan": ("Plan", "select", "2"),
        "terms": ("Terms", "boolean", True),
        "more": ("", "multi_select", ["1"]),
        "Search": ("Search", "text", ""),
        "notes": ("Notes", "long_text", None),
    }
    assert fields["mail"] == {
        "label": "E-mail",
        "kind": "email",
        "value": "ada@x.example",
        "required": True,
        "selector": '[name="mail"]',
        "formId": "order",
        "region": "plans",
        "intent": "buy",
    }
    assert fields["seats"]["description"] == "From one to nine"
    assert fields["phone"]["description"] == "With country code"
    assert fields["size"]["options"] == [
        {"value": "s", "label": "Small"},
        {"value": "l", "label": "Large"},
    ]
    assert fields["plan"]["required"]
    assert fields["notes"]["selector"] == "#notes"
    assert "formId" not in fields["notes"]


async def test_what_a_person_enters_and_where_the_page_goes_is_followed(
    web: Web, live: Page
) -> None:
    room = await web.connected()
    await live.evaluate(SHOW, "<label>Name <input name='name'></label>")
    await shown(room, '"name"')
    await live.fill("[name=name]", "Ada")
    assert (await shown(room, "Ada"))["elements"][0]["value"] == "Ada"
    await live.evaluate("history.pushState(null, '', '/plans')")
    assert (await shown(room, "/plans"))["route"] == "/plans"


async def test_registered_fields_win_and_are_removed_again(web: Web, live: Page) -> None:
    room = await web.connected()
    await live.evaluate(
        SHOW,
        """<label>Name <input name="name" value="Ada"></label>
        <label>Sum <input id="sum" value="12"></label>""",
    )
    await live.evaluate("""() => {
      window.remove = session.registerFields([
        { id: "name", label: "Your full name", required: true, description: "As in a passport" },
        { id: "total", kind: "currency", selector: "#sum", label: "Total" },
        { id: "slider", kind: "number", value: 7, options: ["low", { value: "h", label: "High" }] },
        { id: "odd", kind: "no such kind", value: { a: 1 }, label: 5 },
      ]);
    }""")
    told = (await shown(room, "passport"))["elements"]
    assert told == [
        {
            "id": "name",
            "label": "Your full name",
            "kind": "text",
            "value": "Ada",
            "required": True,
            "description": "As in a passport",
            "selector": '[name="name"]',
        },
        {"id": "total", "label": "Total", "kind": "currency", "value": "12", "required": False,
         "selector": "#sum"},
        {"id": "slider", "label": "slider", "kind": "number", "value": 7, "required": False,
         "options": ["low", {"value": "h", "label": "High"}]},
        {"id": "odd", "label": "odd", "kind": "text", "required": False},
    ]  # fmt: skip
    await live.evaluate("remove()")
    await polled(lambda: "passport" not in room.attributes["agent.context"])
    assert [one["label"] for one in context_of(room)["elements"]] == ["Name", "Sum"]


async def test_registering_does_not_open_a_private_control(web: Web, live: Page) -> None:
    room = await web.connected()
    await live.evaluate(
        SHOW,
        """<form id="pay"><input name="card" autocomplete="cc-number" value="4111">
        <input id="pin" type="password" value="1234">
        <input type="hidden" name="plan" value="x"></form>
        <div data-ll-private><form id="own"><input name="mail" value="a@b.example">
          <input type="hidden" name="sealed"></form></div>
        <form id="open"><label>Mail <input name="mail" value="public"></label></form>""",
    )
    await live.evaluate("""() => session.registerFields([
      { id: "card", label: "Card" }, { id: "pin" }, { id: "code", selector: "#pin" },
      { id: "mail", formId: "own" }, { id: "sealed", value: "s" },
      { id: "mail", formId: "open", label: "Open" },
      { id: "plan", value: "team", label: "Plan" },
    ])""")
    told = (await shown(room, "Plan"))["elements"]
    found = [(one["id"], one["label"], one["value"]) for one in told]
    assert found == [("mail", "Open", "public"), ("plan", "Plan", "team")]


@pytest.mark.parametrize(
    ("name", "value"), [("capabilities", "navigate"), ("share-fields", "none")]
)
async def test_a_page_that_does_not_share_its_fields_is_not_described(
    name: str, value: str, web: Web, live: Page, until: Until
) -> None:
    room = await web.connected()
    await live.evaluate(SHOW, "<label>Name <input name='name' value='Ada'></label>")
    await shown(room, "Ada")
    await live.evaluate(f"session.setAttribute('{name}', '{value}')")
    await polled(lambda: room.attributes == {})
    await live.evaluate(f"session.removeAttribute('{name}')")
    await shown(room, "Ada")


async def test_labels_may_be_shared_without_values(web: Web, live: Page) -> None:
    room = await web.connected()
    await live.evaluate("session.setAttribute('share-fields', 'labels')")
    await live.evaluate(SHOW, "<label>Name <input name='name' value='Ada'></label>")
    (field,) = (await shown(room, "Name"))["elements"]
    assert field["label"] == "Name"
    assert "value" not in field
    await live.evaluate("session.setAttribute('share-fields', 'values')")
    await shown(room, "Ada")


async def test_a_surface_without_the_capability_describes_no_page(
    web: Web, page: Page, until: Until
) -> None:
    room = await web.connected()
    other = WebSurface(port=0, site=PAGES)
    web.session.mount(other, key="other", capabilities=["fill_forms", "collect_data"])
    await page.goto(await other.wait_url())
    await until(page, "window.client?.link.phase === 'live'")
    assert await page.evaluate(PUT, {"route": "/of-its-own-making"}) == 204
    await page.evaluate("client.markUsed()")
    web.session.describe_page(AgentContext(route="/marker"), surface="web")
    assert await shown(room, "/marker") == {"route": "/marker"}


async def test_the_page_used_last_is_described_and_a_page_that_goes_is_forgotten(
    web: Web, live: Page, context: BrowserContext, until: Until
) -> None:
    room = await web.connected()
    other = await context.new_page()
    await other.goto(f"{web.url}/pricing")
    await until(other, "window.client?.link.phase === 'live'")
    assert (await shown(room, '"route"'))["route"] == "/"
    await other.evaluate("client.markUsed()")
    assert (await shown(room, "/pricing"))["route"] == "/pricing"
    await other.close()
    assert (await shown(room, '"/"'))["route"] == "/"
    await live.close()
    await polled(lambda: room.attributes == {})


async def test_a_page_is_described_again_after_a_cut_and_by_a_new_server(
    web: Web, live: Page, until: Until
) -> None:
    room = await web.connected()
    await live.evaluate(SHOW, "<label>Name <input name='name' value='Ada'></label>")
    await shown(room, "Ada")
    web.proxy.cut()
    await live.fill("[name=name]", "Grace")
    await until(live, "client.link.phase !== 'live'")
    web.proxy.mend()
    await shown(room, "Grace")
    await web.restart()
    again = await web.connected()
    assert again is not room
    await shown(again, "Grace")


async def test_a_page_with_more_than_fits_is_cut_in_order_and_says_so(web: Web, live: Page) -> None:
    room = await web.connected()
    await live.evaluate("""() => {
      const long = "x".repeat(280);
      const fields = Array.from({ length: 90 }, (_, n) => `<label>Field ${n} <input name="f${n}"
        title="${long}" value="${long}"></label>`);
      document.querySelector("main").innerHTML = fields.join("");
    }""")
    told = await shown(room, "truncated")
    assert len(room.attributes["agent.context"].encode()) <= 16_000
    assert told["truncated"] is True
    names = [one["id"] for one in told["elements"]]
    assert names == [f"f{n}" for n in range(len(names))]
    assert 30 < len(names) < 90
    assert not any("description" in one for one in told["elements"])


async def test_an_invalid_description_is_refused(web: Web, live: Page) -> None:
    room = await web.connected()
    wrong = {"elements": [{"id": "a", "label": "A", "kind": "none such"}]}
    assert await live.evaluate(PUT, wrong) == 400
    assert "none such" not in room.attributes.get("agent.context", "")
