"""The view model is a pure function of a client: each fact gives its phase and words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Page

pytestmark = pytest.mark.anyio

Visit = Callable[..., Awaitable[Page]]

CONNECTED = {"connection_state": "connected", "agent_active": True, "agent_state": "listening"}
LIVE = {"phase": "live"}
ABSENT = {**CONNECTED, "agent_active": False, "error_code": "AGENT_TIMEOUT"}
CASES: list[tuple[str, dict[str, Any] | None, dict[str, Any], dict[str, Any]]] = [
    ("nothing", None, {}, {"phase": "missing", "live": False, "action": None}),
    ("alone", None, {"alone": True}, {"phase": "idle", "action": "connect"}),
    ("alone, asked", None, {"alone": True, "asked": True}, {"phase": "idle"}),
    ("unopened", {"link": {"phase": "idle"}}, {}, {"phase": "idle", "action": "connect"}),
    ("opening", {"link": {"phase": "idle"}}, {"asked": True}, {"phase": "connecting"}),
    (
        "joining",
        {"link": {"phase": "joining"}},
        {},
        {"phase": "connecting", "hint": "Reaching the server…"},
    ),
    (
        "joining again keeps what is known",
        {"link": {"phase": "joining"}, "state": CONNECTED},
        {},
        {"phase": "listening", "live": True},
    ),
    (
        "asked",
        {"link": LIVE, "state": {"connection_state": "error"}},
        {"asked": True},
        {"phase": "connecting"},
    ),
    (
        "no agent yet",
        {"link": LIVE, "state": {**CONNECTED, "agent_active": False}},
        {},
        {"phase": "joining", "live": False, "action": "cancel"},
    ),
    (
        "no agent came",
        {"link": LIVE, "state": {**ABSENT, "error": "no agent came within 30 s"}},
        {},
        {
            "phase": "absent",
            "live": False,
            "action": "retry",
            "hint": "Assistant has not come. Try again, or wait a little longer.",
            "notices": [],
        },
    ),
    (
        "asked for another room",
        {"link": LIVE, "state": ABSENT},
        {"asked": True},
        {"phase": "joining"},
    ),
    (
        "an agent that says nothing yet",
        {"link": LIVE, "state": {**CONNECTED, "agent_state": "idle"}},
        {},
        {"phase": "ready", "live": True, "calm": True},
    ),
    (
        "reconnecting wins over the agent's state",
        {"link": LIVE, "state": {**CONNECTED, "reconnecting": True}},
        {},
        {"phase": "reconnecting", "live": True, "calm": False},
    ),
    (
        "a lost page link keeps a conversation",
        {"link": {"phase": "recovering", "retryAt": 4100}, "state": CONNECTED},
        {"now": 1000},
        {
            "phase": "recovering",
            "live": True,
            "hint": "Trying again in 4 s. Nothing you type is lost.",
        },
    ),
    (
        "a wait that is over",
        {"link": {"phase": "recovering", "retryAt": 1000}, "state": CONNECTED},
        {"now": 1001},
        {"hint": "Trying again. Nothing you type is lost."},
    ),
    (
        "refused ends it",
        {"link": {"phase": "refused", "code": "strange", "detail": "why"}, "state": CONNECTED},
        {},
        {
            "phase": "refused",
            "live": False,
            "hint": "The server does not let this page take part.",
            "action": "retry",
        },
    ),
    (
        "an expired token",
        {"link": {"phase": "refused", "code": "expired", "detail": "this viewer token expired"}},
        {},
        {"hint": "Your access has run out. Reload the page to get a new one."},
    ),
    (
        "a full server",
        {"link": {"phase": "recovering", "code": "full", "retryAt": 4100}},
        {"now": 1000},
        {
            "hint": "There is no room for another page at the moment. "
            "Trying again in 4 s. Nothing you type is lost.",
        },
    ),
    (
        "revoked",
        {"link": {"phase": "ended", "code": "revoked"}, "state": CONNECTED},
        {},
        {
            "phase": "closed",
            "live": False,
            "action": None,
            "hint": "Your access to this conversation has ended.",
        },
    ),
    (
        "resume",
        {"link": LIVE, "state": {"connection_state": "disconnected", "can_resume": True}},
        {},
        {"phase": "ended", "action": "resume"},
    ),
    (
        "who may only watch",
        {"link": LIVE, "joined": {"grants": ["watch"]}, "state": {"connection_state": "idle"}},
        {},
        {
            "action": None,
            "talk": False,
            "control": False,
            "hint": "The conversation has not started yet.",
        },
    ),
    (
        "a name from the team",
        {
            "link": LIVE,
            "joined": {"agents": [{"id": "a", "name": "Ann", "role": "Guide"}]},
            "state": {**CONNECTED, "agent_id": "a"},
        },
        {},
        {"name": "Ann", "role": "Guide", "team": []},
    ),
]


@pytest.fixture
async def page(visit: Visit) -> Page:
    return await visit("")


async def test_each_fact_gives_its_phase(page: Page) -> None:
    found = await page.evaluate(
        """async (cases) => {
            const { describe } = await import("/static/view/model.js");
            const { translator } = await import("/static/view/strings.js");
            return cases.map(([, client, given]) => describe(
                client && {joined: null, state: null, sources: {}, pending: [], ...client},
                translator("en"), given));
        }""",
        CASES,
    )
    for (case, _, _, wanted), model in zip(CASES, found, strict=True):
        assert {name: model[name] for name in wanted} == wanted, case


async def test_every_language_has_every_text_and_its_places(page: Page) -> None:
    missing, strange = await page.evaluate(
        """async () => {
            const { ENGLISH, translator } = await import("/static/view/strings.js");
            const missing = [], strange = [];
            const places = (text) => (text.match(/\\{\\w+\\}/g) ?? []).sort().join();
            const same = new Set(["movedTo", "assistant", "replayPosition"]);
            for (const language of ["de", "ar"]) {
                const t = translator(language);
                for (const [key, english] of Object.entries(ENGLISH)) {
                    if (t(key) === english && !same.has(key)) missing.push(`${language} ${key}`);
                    if (places(t(key)) !== places(english)) strange.push(`${language} ${key}`);
                }
            }
            return [missing, strange];
        }"""
    )
    assert missing == []
    assert strange == []


async def test_a_page_adds_a_language_while_it_is_shown(visit: Visit) -> None:
    page = await visit(
        "<livelayer-session></livelayer-session>"
        '<livelayer-avatar mode="embedded" class="tall" lang="fr-CA"></livelayer-avatar>',
        scene="idle",
    )
    title = page.locator(".primary")
    assert await title.text_content() == "Talk to Ada"
    await page.evaluate("() => harness.avatar.setStrings('fr', {connect: 'Parler à {name}'})")
    await page.evaluate("() => harness.painted()")
    assert await title.text_content() == "Parler à Ada"
    await page.evaluate("() => harness.surface.setAttribute('lang', 'de-AT')")
    await page.evaluate("() => harness.painted()")
    assert await title.text_content() == "Mit Ada sprechen"


async def test_memory_of_a_component_is_bounded_by_its_life(visit: Visit) -> None:
    page = await visit(
        "<livelayer-session></livelayer-session><livelayer-avatar></livelayer-avatar>"
    )
    left = await page.evaluate(
        """async () => {
            const { listeners } = await import("/static/view/strings.js");
            const before = listeners.size;
            for (let n = 0; n < 50; n += 1) {
                const one = document.createElement("livelayer-avatar");
                document.body.append(one);
                one.remove();
            }
            return listeners.size - before;
        }"""
    )
    assert left == 0
