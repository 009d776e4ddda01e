"""A real React's controlled fields: painted by the agent, described as their state has them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.async_api import Page, Route

from livelayer_bus.testing import polled

from .test_react import LOAD, React, react, sources

pytestmark = pytest.mark.anyio
__all__ = ["react"]

PAGE = """<!doctype html><title>React</title><main id="root"></main>
<livelayer-session></livelayer-session>"""
RENDER = """async () => {
  await import("/livelayer/js/session-element.js");
  const { createElement: h, useState } = window.modules["react"];
  const { createRoot } = window.modules["react-dom/client"];
  const Form = () => {
    const [name, setName] = useState("");
    const [plan, setPlan] = useState("solo");
    const [terms, setTerms] = useState(false);
    window.state = { name, plan, terms };
    return h("form", { id: "contact" },
      h("input", { name: "name", value: name, onChange: (event) => setName(event.target.value) }),
      h("select", { name: "plan", value: plan, onChange: (event) => setPlan(event.target.value) },
        h("option", { value: "solo" }, "Solo"), h("option", { value: "team" }, "Team")),
      h("input", { type: "checkbox", name: "terms", checked: terms,
        onChange: (event) => setTerms(event.target.checked) }));
  };
  createRoot(document.querySelector("#root")).render(h(Form));
  window.client = document.querySelector("livelayer-session").client;
}"""


async def test_controlled_fields_take_what_the_agent_collects(
    web: Any, page: Page, until: Any, react: React
) -> None:
    folder = react("19.2.0")

    async def serve(route: Route) -> None:
        await route.fulfill(body=PAGE, content_type="text/html")

    await page.route("**/react/page", serve)
    room = await web.connected()
    await page.goto(f"{web.url}/react/page")
    await page.evaluate(LOAD, sources(folder))
    await page.evaluate(RENDER)
    await until(page, "client.state?.agent_active && client.info?.active")
    for name, value in (("name", "Ada"), ("plan", "Team"), ("terms", True)):
        field = {"fieldId": name, "fieldName": name, "value": value, "kind": "text"}
        room.agent_says({"type": "task_field_updated", "source": "agent", **field})
    await until(page, "state.name === 'Ada' && state.plan === 'team' && state.terms")
    await polled(lambda: '"Ada"' in room.attributes.get("agent.context", ""))
    fields = json.loads(room.attributes["agent.context"])["elements"]
    assert [(one["id"], one["value"]) for one in fields] == [
        ("name", "Ada"),
        ("plan", "team"),
        ("terms", True),
    ]
