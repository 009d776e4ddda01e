"""What a field holds does not leave the page by other ways than `agent.context`, if at all."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Page

pytestmark = pytest.mark.anyio

# Gives what an agent reads of the page, as text, and what becomes of filling each named field.
READ = """async (share) => {
  const { pageContext } = await import("/livelayer/js/page/context.js");
  const { agentContext } = await import("/livelayer/js/page/agent-context.js");
  const { linkedRoutes } = await import("/livelayer/js/page/links.js");
  const { PageCommands } = await import("/livelayer/js/page/commands.js");
  const fields = agentContext([], share);
  const page = pageContext().context;
  const commands = new PageCommands(document.body, {
    joined: () => ({ capabilities: ["fill_forms"], max_message_bytes: 15360 }),
    capabilities: () => null, origins: () => [], context: () => null, extras: () => null,
    routes: () => null, pending: () => {},
  });
  const filled = {};
  for (const one of document.querySelectorAll("[name]:is(input, select, textarea, x-field)")) {
    const values = { [one.getAttribute("name")]: "agent" };
    const { ok } = await commands.carryOut({ type: "fill_form", formId: "f", values });
    filled[one.getAttribute("name")] = ok;
  }
  return { page, fields, routes: linkedRoutes(), filled };
}"""


async def read(page: Page, html: str, before: str = "", *, share: bool = True) -> dict[str, Any]:
    await page.evaluate("(html) => { document.body.innerHTML = html; }", html)
    await page.evaluate(
        f"async () => {{ await import('/livelayer/js/page/privacy.js'); {before} }}"
    )
    found: dict[str, Any] = await page.evaluate(READ, share)
    return found


@pytest.mark.parametrize(
    ("html", "before"),
    [
        pytest.param(
            "<form id=f><input name=pin type=password value=hunter2></form>",
            "document.querySelector('input').type = 'text'",
            id="a password that is shown",
        ),
        pytest.param(
            "<form id=f><input name=pin type=PASSWORD value=hunter2></form>",
            "document.querySelector('input').removeAttribute('type')",
            id="a password that is shown, without a type",
        ),
        pytest.param(
            "<form id=f><input name=pin type=password value=hunter2></form>",
            """const { pageContext } = await import("/livelayer/js/page/context.js");
            pageContext();
            document.forms.f.innerHTML = "<input name=pin value=hunter2>";""",
            id="another field in the place of a password",
        ),
        pytest.param(
            "<form id=f><input name=pin value=hunter2></form>",
            "document.querySelector('input').style.webkitTextSecurity = 'disc'",
            id="dots by a style",
        ),
        pytest.param(
            "<form id=f></form><div data-ll-private><input name=pin form=f value=hunter2></div>",
            "",
            id="a private field of a form elsewhere",
        ),
        pytest.param(
            "<form id=f data-ll-private></form><input name=pin form=f value=hunter2>",
            "",
            id="a field elsewhere of a private form",
        ),
        pytest.param(
            """<form id=f><fieldset data-ll-skip><label>Pin <input name=pin value=hunter2></label>
            <p>hunter2</p></fieldset></form>""",
            "",
            id="a fieldset",
        ),
        pytest.param(
            """<form id=f><label data-ll-private=false>hunter2 <input name=pin value=hunter2>
            </label>
            </form>""",
            "",
            id="a label around it",
        ),
        pytest.param(
            """<form id=f><x-card><input name=pin value=hunter2>
        <p>hunter2</p>hunter2</x-card></form>""",
            """document.querySelector("x-card").attachShadow({ mode: "open" }).innerHTML =
            "<section data-ll-private><slot></slot></section>";""",
            id="a private slot",
        ),
        pytest.param(
            "<form id=f><x-out><input name=pin value=hunter2><p>hunter2</p></x-out></form>",
            """const outer = document.querySelector("x-out").attachShadow({ mode: "open" });
            outer.innerHTML = "<x-in><slot></slot></x-in>";
            outer.querySelector("x-in").attachShadow({ mode: "open" }).innerHTML =
            "<div data-ll-skip><slot></slot></div>";""",
            id="a slot within a private slot",
        ),
        pytest.param(
            "<form id=f><x-field name=pin type=password></x-field></form>",
            """customElements.get("x-field") ?? customElements.define("x-field",
            class extends HTMLElement {
              static formAssociated = true;
              #inner = this.attachInternals();
              get form() { return this.#inner.form; }
              value = "hunter2";
            });""",
            id="a component that is a password",
        ),
        *(
            pytest.param(
                f"<form id=f><input name=pin value=hunter2 autocomplete='{words}'></form>",
                "",
                id=words,
            )
            for words in (
                "section-x billing cc-number",
                " ONE-TIME-CODE ",
                "off",
                "shipping cc-exp",
            )
        ),
    ],
)
async def test_a_private_field_is_neither_read_nor_filled(
    modules: Page, html: str, before: str
) -> None:
    found = await read(modules, html, before)
    assert "hunter2" not in str(found)
    assert "pin" not in str([found["page"], found["fields"]])
    assert found["filled"] == {"pin": False}


@pytest.mark.parametrize(
    "html",
    [
        "<form id=f><input name=who aria-label='Name: Ada Lovelace' value='Ada Lovelace'></form>",
        "<form id=f><input name=who title='ADA LOVELACE' value='Ada Lovelace'></form>",
        "<form id=f><input name=who placeholder='was Ada Lovelace' value='Ada Lovelace'></form>",
        """<form id=f><label>Name (Ada  Lovelace) <input name=who value='Ada Lovelace'></label>
        </form>""",
        "<form id=f><input name=who value=Ada aria-label=Ada></form>",
        """<form id=f><p id=is>It is: Ada Lovelace</p>
            <input name=who value='Ada Lovelace' aria-describedby=is></form>""",
        "<form id=f><textarea name=who aria-label='Ada Lovelace'>Ada Lovelace</textarea></form>",
        """<form id=f><div contenteditable data-ll-field=who aria-label='Ada Lovelace'>Ada Lovelace
            </div></form>""",
        """<form id=f><button type=button aria-haspopup=listbox>Ada Lovelace</button>
            <input name=who></form>""",
    ],
)
async def test_what_names_a_field_is_told_without_its_value(modules: Page, html: str) -> None:
    found = await read(modules, html, share=False)
    page = (
        {**found["page"], "visibleText": ""} if "<label>" in html or "<p" in html else found["page"]
    )
    assert "ada" not in str([page, found["fields"]]).lower()
    assert [one["id"] for one in found["fields"]["elements"]] == ["who"]


async def test_a_chosen_option_is_not_told_by_a_label(modules: Page) -> None:
    html = """<form id=f><select name=land aria-label="Country: Germany">
      <option value="">Country</option><option selected>Germany</option></select></form>"""
    found = await read(modules, html, share=False)
    assert found["page"]["forms"][0]["fields"][0]["label"] == "Country: …"
    empty = html.replace("Country: Germany", "Country").replace(" selected", "")
    found = await read(modules, empty, share=False)
    assert found["page"]["forms"][0]["fields"][0]["label"] == "Country"


async def test_a_label_is_what_aria_labelledby_names(modules: Page) -> None:
    html = """<form id=f><b id=one>Street</b> <b id=two data-ll-private>secret</b>
      <input name=street aria-labelledby="one two none" aria-label="Other"></form>"""
    found = await read(modules, html)
    assert found["page"]["forms"][0]["fields"][0]["label"] == "Street"


async def test_a_link_within_the_page_does_not_tell_the_page_s_query(modules: Page) -> None:
    html = """<a href="#faq">FAQ</a> <a href="?token=hunter2">Here</a> <a href="?page=2">More</a>
      <a href="/other?tab=1#top">Other</a>"""
    before = "history.replaceState(null, '', '/blank?token=hunter2')"
    found = await read(modules, html, before)
    assert "hunter2" not in str(found)
    links = [one["href"] for one in found["page"]["visibleLinks"]]
    assert links == ["#faq", "/blank", "/blank?page=2", "/other?tab=1#top"]


CONTROL = """async ([html, role]) => {
  const { findControl } = await import("/livelayer/js/page/flow.js");
  document.body.innerHTML = html;
  const dialog = document.querySelector("dialog");
  dialog?.showModal();
  return findControl(role)?.outerHTML ?? null;
}"""


@pytest.mark.parametrize(
    ("role", "html", "found"),
    [
        (
            "back",
            "<main><a href='#top'>Back to top</a><button id=yes>Back to step 1</button></main>",
            "yes",
        ),
        ("back", "<main><a href='/'>Back to home</a></main>", None),
        (
            "submit",
            """<form><input><button type=button>Apply coupon</button><button>Send code</button>
            <button id=yes>Place order</button></form>""",
            "yes",
        ),
        (
            "submit",
            """<form><input><button type=button>Confirm address</button>
            <button id=yes>Pay 5 €</button></form>""",
            "yes",
        ),
        (
            "advance",
            """<form><input><input><input><button>Next</button></form>
            <dialog><form><input><button id=yes>Next</button></form></dialog>""",
            "yes",
        ),
        ("advance", "<form><input><button>Next</button></form><dialog><p>Wait</p></dialog>", None),
        (
            "advance",
            """<button>Next</button><div role=dialog aria-modal=true><button id=yes>Next</button>
            </div>""",
            "yes",
        ),
        (
            "advance",
            """<button id=yes>Next</button><div role=dialog aria-modal=true hidden>
            <button>Next</button></div>""",
            "yes",
        ),
        (
            "advance",
            """<fieldset disabled><button>Next</button></fieldset>
            <button aria-disabled=true>Next</button>
            <div inert><button>Next</button></div><button hidden>Next</button>
            <button id=yes>Next</button>""",
            "yes",
        ),
        ("advance", "<button id=yes>التالي</button>", "yes"),
        ("back", "<button id=yes>戻る</button>", "yes"),
        ("submit", "<button id=yes>Отправить</button>", "yes"),
        ("advance", "<button id=yes>下一步 →</button>", "yes"),
        ("submit", "<button>Sender</button>", None),
    ],
)
async def test_the_control_is_the_one_that_a_person_would_press(
    modules: Page, role: str, html: str, found: str | None
) -> None:
    control = await modules.evaluate(CONTROL, [html, role])
    assert (control and 'id="yes"' in control) == (found and True), control
