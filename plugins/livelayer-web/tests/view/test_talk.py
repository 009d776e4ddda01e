"""What a person does in a conversation, what a client is asked, what is said aloud."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Page, expect

from .conftest import SCENES

pytestmark = pytest.mark.anyio

Visit = Callable[..., Awaitable[Page]]
Enact = Callable[[Page, str], Awaitable[None]]

SESSION = "<livelayer-session></livelayer-session>"
WIDGET = '<livelayer-avatar mode="widget"></livelayer-avatar>'
PANEL = '<livelayer-avatar mode="embedded" class="tall"></livelayer-avatar>'


async def calls(page: Page, *names: str) -> list[list[Any]]:
    made: list[list[Any]] = await page.evaluate("() => harness.client.calls")
    return [call for call in made if not names or call[0] in names]


@pytest.mark.parametrize(
    ("scene", "button", "made"),
    [
        ("idle", "Talk to Ada", ["connect"]),
        ("connecting", "Cancel", ["disconnect"]),
        ("joining", "Cancel", ["disconnect"]),
        ("absent", "Try again", ["connect"]),
        ("error", "Try again", ["connect"]),
        ("resume", "Continue conversation", ["connect"]),
        ("ended", "Start again", ["connect"]),
        ("recovering", "Try now", ["open"]),
        ("recovering-before", "Try again", ["open", "connect"]),
        ("refused", "Try again", ["open"]),
        ("listening", "End conversation", ["disconnect"]),
    ],
)
async def test_each_state_offers_the_one_thing_to_do(
    visit: Visit, scene: str, button: str, made: list[str]
) -> None:
    page = await visit(scene=scene)
    await page.get_by_role("button", name=button).click()
    await page.evaluate("() => harness.painted()")
    acted = await calls(page, "open", "connect", "disconnect")
    assert [name for name, *_ in acted] == made


async def test_what_may_only_be_watched_offers_nothing_to_do(visit: Visit, enact: Enact) -> None:
    page = await visit(scene="watching")
    for kind in (".microphone", ".camera", ".screen", ".end", ".team-switch"):
        await expect(page.locator(kind).first).to_be_hidden()
    await expect(page.locator("textarea")).to_have_attribute("readonly", "")
    await expect(page.locator("textarea")).to_have_attribute("placeholder", "You are watching")


async def test_an_automatic_connect_waits_until_it_can_be_seen(visit: Visit) -> None:
    page = await visit(SESSION + '<livelayer-avatar auto-connect hide-on="/**">', scene="idle")
    assert await calls(page, "connect") == []
    await page.evaluate("() => harness.surface.removeAttribute('hide-on')")
    await page.evaluate("() => harness.painted()")
    assert len(await calls(page, "connect")) == 1
    await page.evaluate("() => harness.client.set({state: {connection_state: 'disconnected'}})")
    await page.evaluate("() => harness.client.set({state: {connection_state: 'idle'}})")
    await page.evaluate("() => harness.painted()")
    assert len(await calls(page, "connect")) == 1  # ended by a person stays ended


async def test_picking_a_member_turns_the_session_to_its_agent(visit: Visit) -> None:
    page = await visit(scene="listening")
    opener = page.get_by_role("button", name="Talk to someone else")
    await opener.click()
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_role("button", name="Ben")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(opener).to_be_focused()
    await opener.click()
    await page.get_by_role("button", name="Caro").click()
    assert await calls(page, "switchAgent") == [["switchAgent", "caro"]]


async def test_a_page_names_its_own_team(visit: Visit) -> None:
    team = (
        '[{"id": "x", "name": "Xenia", "role": "Guide", "agentId": "agt_x"},'
        ' {"id": "ada", "name": "Ada"}]'
    )
    page = await visit(
        SESSION + f"<livelayer-avatar mode='embedded' class='tall' team-members='{team}'>",
        scene="listening",
    )
    await page.get_by_role("button", name="Talk to someone else").click()
    await page.get_by_role("button", name="Xenia").click()
    assert await calls(page, "switchAgent") == [["switchAgent", "agt_x"]]
    await page.evaluate("() => { harness.surface.teamMembers = []; }")
    await expect(page.locator(".team-switch")).to_be_hidden()


async def test_nothing_is_taken_before_it_is_asked_for(visit: Visit) -> None:
    page = await visit(scene="speaking")
    assert await calls(page, "take") == []
    await page.get_by_role("button", name="Turn microphone on").click()
    await page.get_by_role("button", name="Turn camera on").click()
    await page.get_by_role("button", name="Share your screen").click()
    taken = [["take", kind] for kind in ("microphone", "camera", "screen")]
    assert await calls(page, "take") == taken
    on = "{phase: 'on', muted: false, owner: 'web', stream: null}"
    await page.evaluate(f"() => harness.play({{sources: {{microphone: {on}, camera: {on}}}}})")
    await page.get_by_role("button", name="Mute microphone").click()
    await page.get_by_role("button", name="Turn camera off").click()
    assert await calls(page, "setSourceMuted") == [["setSourceMuted", "microphone", True]]
    assert await calls(page, "release") == [["release", "camera"]]


async def test_a_microphone_is_given_back_from_the_menu(visit: Visit) -> None:
    page = await visit(scene="speaking")
    off = page.get_by_role("button", name="Turn microphone off")
    await page.get_by_role("button", name="Options").click()
    await expect(off).to_be_hidden()
    for muted in ("false", "true"):
        on = f"{{phase: 'on', muted: {muted}, owner: 'web/v3f9', stream: null}}"
        await page.evaluate(f"() => harness.play({{sources: {{microphone: {on}}}}})")
        await expect(off).to_be_visible()
    await off.click()
    assert await calls(page, "release") == [["release", "microphone"]]


async def test_a_page_that_holds_the_microphone_is_another_window(visit: Visit) -> None:
    page = await visit(scene="speaking")
    for owner, words in {
        "web/v9f7492": "The microphone is in use in another window.",
        "recorder": "The microphone is in use by recorder.",
    }.items():
        busy = f"{{phase: 'busy', muted: false, owner: '{owner}', stream: null}}"
        await page.evaluate(f"() => harness.play({{sources: {{microphone: {busy}}}}})")
        await expect(page.locator("[role=status]").first).to_contain_text(words)


async def test_only_sources_that_the_server_offers_are_shown(visit: Visit) -> None:
    page = await visit(scene="listening")
    await page.evaluate("() => harness.play({joined: {sources: ['microphone']}})")
    await expect(page.locator(".controls .microphone")).to_be_visible()
    await expect(page.locator(".controls .camera")).to_be_hidden()
    await expect(page.locator(".controls .screen")).to_be_hidden()


async def test_sound_is_muted_and_let_through_by_a_press(visit: Visit, enact: Enact) -> None:
    page = await visit(scene="speaking")
    await page.get_by_role("button", name="Mute sound").click()
    assert await calls(page, "setSpeakerMuted") == [["setSpeakerMuted", True]]
    await enact(page, "sound-blocked")
    await page.evaluate("() => { harness.client.calls = []; }")
    await page.get_by_role("button", name="Tap to hear Ada").click()
    assert await calls(page, "unblockSound") == [["unblockSound"]]


async def test_messages_are_typed_sent_and_kept_within_the_limit(visit: Visit) -> None:
    page = await visit(scene="listening")
    field = page.get_by_role("textbox", name="Message Ada")
    await field.press_sequentially("first line")
    await field.press("Shift+Enter")
    await field.press_sequentially("second line")
    await field.press("Enter")
    assert await calls(page, "sendMessage") == [["sendMessage", "first line\nsecond line"]]
    await expect(field).to_have_value("")
    await expect(field).to_be_focused()
    await field.press("Enter")
    await field.fill("   ")
    await field.press("Enter")
    await field.fill("ä" * 15_360)
    await expect(page.locator(".limit")).to_have_text("15393 bytes too long")
    await field.press("Enter")
    assert len(await calls(page, "sendMessage")) == 1
    await expect(page.get_by_role("button", name="Send")).to_have_attribute("aria-disabled", "true")


async def test_what_is_typed_is_no_shortcut_of_the_page(visit: Visit) -> None:
    page = await visit(scene="listening")
    await page.evaluate("""() => {
        window.taken = [];
        const shortcut = (event) => {
            if (event.target.isContentEditable) return; // as libraries for shortcuts do
            taken.push(`${event.type} ${event.key}`);
            event.preventDefault();
        };
        for (const kind of ["keydown", "keypress", "keyup"]) {
            document.addEventListener(kind, (event) => {
                taken.push(`${event.type} ${event.key}`);
                event.preventDefault();
            });
            window.addEventListener(kind, shortcut, { capture: true });
        }
    }""")
    field = page.get_by_role("textbox", name="Message Ada")
    await field.click()
    await page.keyboard.type("just / go?")
    await expect(field).to_have_value("just / go?")
    await page.keyboard.press("Enter")
    assert await calls(page, "sendMessage") == [["sendMessage", "just / go?"]]
    assert await page.evaluate("() => taken") == []
    # Outside of its fields, the page's shortcuts work.
    await page.get_by_role("button", name="Mute sound").focus()
    await page.keyboard.press("j")
    assert "keydown j" in await page.evaluate("() => taken")


@pytest.mark.parametrize("how", ["{ isComposing: true }", "{ keyCode: 229 }"])
async def test_an_input_method_s_enter_sends_nothing(visit: Visit, how: str) -> None:
    page = await visit(scene="listening")
    field = page.get_by_role("textbox", name="Message Ada")
    await field.fill("\u306b\u307b")
    enter = f"""(field) => field.dispatchEvent(new KeyboardEvent("keydown",
        {{ key: "Enter", bubbles: true, cancelable: true, composed: true, ...{how} }}))"""
    assert await field.evaluate(enter) is True  # not prevented: the input method goes on
    assert await calls(page, "sendMessage") == []
    await field.press("Enter")
    assert await calls(page, "sendMessage") == [["sendMessage", "\u306b\u307b"]]


async def test_messages_on_their_way_say_so_and_failed_ones_can_go_again(visit: Visit) -> None:
    page = await visit(scene="messages")
    rows = page.locator(".outbox li")
    await expect(rows.nth(0)).to_contain_text("Sending…")
    await expect(rows.nth(1)).to_contain_text("Not sent")
    await page.get_by_role("button", name="Send again").click()
    await page.get_by_role("button", name="Discard").click()
    asked = await calls(page, "retryMessage", "discardMessage")
    assert asked == [["retryMessage", "p2"], ["discardMessage", "p2"]]
    await page.evaluate("() => harness.client.set({pending: []})")
    await expect(rows).to_have_count(0)


async def test_what_is_typed_survives_a_lost_connection(visit: Visit, enact: Enact) -> None:
    page = await visit(scene="listening")
    field = page.get_by_role("textbox", name="Message Ada")
    await field.fill("half a thought")
    await enact(page, "recovering")
    await expect(page.locator(".notice")).to_contain_text("Connection lost. Trying again in 3 s.")
    await expect(field).to_have_value("half a thought")
    await field.press("Enter")
    assert await calls(page, "sendMessage") == [["sendMessage", "half a thought"]]
    await enact(page, "listening")
    await expect(page.locator(".notice")).to_have_count(0)


async def test_text_of_a_transcript_is_text(visit: Visit) -> None:
    page = await visit(scene="transcript")
    lines = page.locator(".lines .words")
    await expect(lines.nth(3)).to_have_text("<img src=x onerror=alert(1)> yes, please")
    script = "<script>window.broken = 1</script><a href='javascript:window.broken = 1'>x</a>"
    await page.evaluate(
        """(text) => harness.play({state: {
            agent_config: {name: text, avatarImageUrl: "javascript:window.broken = 1"},
            error: text,
            transcript: [{id: "x", role: "agent", text, final: true}],
        }, pending: [{id: "p", text, failed: text}]})""",
        script,
    )
    await expect(page.locator(".captions .agent")).to_have_text(script)
    foreign = "() => harness.surface.shadowRoot.querySelectorAll('script, a, img[src]').length"
    assert await page.evaluate(foreign) == 0
    assert await page.evaluate("() => window.broken") is None


async def test_the_mood_of_what_an_agent_says_stands_beside_its_name(visit: Visit) -> None:
    page = await visit(scene="listening")
    said = {"text": "Yes", "final": True}
    lines = [
        {"id": "a", "role": "agent", "mood": "<b>cheerful</b>", **said},
        {"id": "b", "role": "agent", "mood": None, **said},
        {"id": "c", "role": "user", "mood": "cross", **said},
    ]
    await page.evaluate("(transcript) => harness.play({state: {transcript}})", lines)
    who = page.locator(".lines .who")
    await expect(who).to_have_text(["Ada · <b>cheerful</b>", "Ada", "You"])


async def test_a_line_is_said_once_when_it_is_final(visit: Visit) -> None:
    page = await visit()
    await page.evaluate("(base) => harness.play(base)", SCENES["base"])
    await expect(page.locator(".status .word")).to_have_text("Listening")
    said = page.locator(".unseen[role=log] p")
    await expect(said).to_have_count(0)  # what was there before is history
    add = """(entry) => {
        const others = harness.client.state.transcript.filter((one) => one.id !== "n");
        harness.play({state: {transcript: [...others, entry]}});
    }"""
    for text in ("It", "It costs", "It costs 24 euros"):
        await page.evaluate(add, {"id": "n", "role": "agent", "text": text, "final": False})
        await page.evaluate("() => harness.painted()")
        await expect(page.locator(".captions .agent")).to_have_text(text)
        await expect(said).to_have_count(0)
    final = {"id": "n", "role": "agent", "text": "It costs 24 euros.", "final": True}
    await page.evaluate(add, final)
    await expect(said).to_have_text(["Ada: It costs 24 euros."])
    await page.evaluate(add, final)
    await page.evaluate("() => harness.painted()")
    await expect(said).to_have_count(1)


async def test_states_are_said_politely_and_by_one_surface(visit: Visit, enact: Enact) -> None:
    page = await visit(SESSION + PANEL + WIDGET, scene="listening")
    live = page.locator("[role=status]")
    await expect(live.first).to_have_text("Listening")
    await expect(live.first).to_have_attribute("aria-live", "polite")
    for scene, words in {
        "thinking": "Thinking",
        "speaking": "Speaking",
        "recovering": "Connection lost. Connection lost. Trying again. Nothing you type is lost.",
        "microphone-busy": "The microphone is in use by recorder.",
        "error": "The room could not be reached",
    }.items():
        await enact(page, scene)
        await expect(live.first).to_contain_text(words)
    await expect(live.nth(1)).to_have_text("")


async def test_pictures_are_wanted_only_while_somebody_can_see_them(visit: Visit) -> None:
    page = await visit(SESSION + WIDGET, scene="listening", device_scale_factor=2)
    await expect_height(page, 152)
    await page.locator(".bubble").click()
    await page.evaluate("() => harness.painted()")
    box = await page.locator(".stage").bounding_box()
    assert box is not None
    await expect_height(page, round(box["height"] * 2))
    await page.evaluate("() => { harness.surface.display = 'hidden'; }")
    await expect_height(page, None)
    await page.evaluate("() => { harness.surface.display = 'expanded'; }")
    await expect_height(page, round(box["height"] * 2))
    await page.evaluate("() => harness.surface.remove()")
    await expect_height(page, None)


async def expect_height(page: Page, height: int | None) -> None:
    await page.wait_for_function(
        """(height) => {
            const last = harness.client.calls.findLast(([name]) => name.endsWith("Video"));
            return height === null ? last[0] === "releaseVideo" : last[2]?.height === height;
        }""",
        arg=height,
    )


async def test_a_panel_out_of_sight_wants_no_picture(visit: Visit) -> None:
    page = await visit(SESSION + PANEL, scene="listening")
    await expect_height(page, await page.locator(".stage").evaluate("(one) => one.clientHeight"))
    await page.evaluate(
        """() => {
            const space = document.createElement("p");
            space.textContent = ".\\n".repeat(3000);
            document.querySelector("main").append(space);
            scrollTo(0, document.body.scrollHeight);
        }"""
    )
    await expect_height(page, None)


async def test_a_picture_stays_while_the_avatar_is_renewed(visit: Visit) -> None:
    page = await visit(scene="speaking")
    await page.evaluate("() => harness.play({media: {phase: 'recovering', stream: null}})")
    await page.evaluate("() => harness.painted()")
    stage = page.locator(".stage")
    await expect(stage).to_have_attribute("data-picture", "live")
    await expect(page.locator(".renewing")).to_be_visible()
    await page.evaluate("() => harness.play({media: {phase: 'live', stream: '@picture'}})")
    await expect(page.locator(".renewing")).to_be_hidden()
    muted = "() => [...harness.surface.shadowRoot.querySelectorAll('video')].map((v) => v.muted)"
    assert await page.evaluate(muted) == [True] * 5


async def test_fields_are_shown_as_they_come_and_then_the_result(visit: Visit) -> None:
    page = await visit(scene="fields")
    rows = page.locator(".known > div")
    await expect(rows).to_have_count(3)
    await expect(rows.nth(0)).to_have_text("NameGrace Hopper")
    await expect(rows.nth(2)).to_have_text("Team sizeempty")
    await page.evaluate(
        """() => {
            const result = {results: {name: "Grace Hopper", team: 4}, summary: "All set."};
            const payload = {type: "task_completed", result};
            harness.client.tell({event: "CommandReceived", command: "task_completed", payload});
        }"""
    )
    await expect(page.locator(".done-mark")).to_have_text("Complete")
    await expect(rows.nth(2)).to_have_text("Team size4")
    await expect(page.locator(".summary")).to_have_text("All set.")


async def test_every_event_streams_into_a_bounded_log(visit: Visit) -> None:
    page = await visit(scene="debug", permissions=["clipboard-read", "clipboard-write"])
    rows = page.locator(".events li")
    await expect(rows).to_have_count(7)
    await page.evaluate(
        """() => { for (let n = 0; n < 600; n += 1) harness.client.tell({event: "Tick", n}); }"""
    )
    await expect(page.locator(".debug .count")).to_have_text("500 of 500 shown, 107 dropped")
    await expect(rows).to_have_count(500)
    await page.get_by_role("button", name="Pause").click()
    await page.evaluate("""() => harness.client.tell({event: "Late"})""")
    await page.evaluate("() => harness.painted()")
    await expect(rows.last).to_contain_text('{"n":599}')
    await page.get_by_role("button", name="Go on").click()
    await expect(rows.last).to_contain_text("Late")
    await page.get_by_role("searchbox", name="Filter").fill("late")
    await expect(rows).to_have_count(1)
    await page.get_by_role("button", name="Copy").click()
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert '"kind":"Late"' in await page.evaluate("() => navigator.clipboard.readText()")
    await page.get_by_role("button", name="Clear").click()
    await expect(rows).to_have_count(0)
    await page.keyboard.press("Escape")
    await expect(page.locator(".debug")).to_be_hidden()


async def test_a_session_that_comes_later_is_found(visit: Visit, enact: Enact) -> None:
    page = await visit(PANEL)
    await expect(page.locator(".placeholder .title")).to_have_text("No session")
    await page.evaluate("() => document.body.append(document.createElement('livelayer-session'))")
    await enact(page, "idle")
    await expect(page.get_by_role("button", name="Talk to Ada")).to_be_visible()


async def test_an_ancestor_or_a_named_session_comes_before_the_only_one(visit: Visit) -> None:
    page = await visit(
        '<livelayer-session id="one"></livelayer-session>'
        '<livelayer-session id="two"><livelayer-avatar></livelayer-avatar></livelayer-session>'
        '<livelayer-avatar session="one"></livelayer-avatar><livelayer-avatar></livelayer-avatar>'
    )
    found = await page.evaluate(
        """() => [...document.querySelectorAll("livelayer-avatar")].map((surface) =>
            ["one", "two"].find((id) => document.getElementById(id).client === surface.client))"""
    )
    assert found == ["two", "one", None]


async def test_a_surface_alone_brings_its_session_when_asked_and_ends_it(visit: Visit) -> None:
    page = await visit(
        '<livelayer-avatar mode="embedded" class="tall" agent-id="ada" base="/ll" '
        'capabilities="scroll">'
    )
    assert await page.locator("livelayer-session").count() == 0
    await page.get_by_role("button", name="Talk to Assistant").click()
    session = page.locator("livelayer-session")
    await expect(session).to_have_count(1)
    assert await session.evaluate(
        "(one) => ['agent-id', 'base', 'capabilities', 'private'].map((n) => one.getAttribute(n))"
    ) == ["ada", "/ll", "scroll", ""]
    assert [name for name, *_ in await calls(page, "open", "connect")] == ["open", "connect"]
    await page.evaluate("() => harness.surface.remove()")
    await expect(session).to_have_count(0)


async def test_a_session_that_a_surface_brought_gets_its_tokens(visit: Visit) -> None:
    page = await visit(PANEL.replace(">", ' agent-id="ada" token="first">', 1))
    await page.evaluate("() => { harness.surface.tokenProvider = () => 'provided'; }")
    await page.get_by_role("button", name="Talk to Assistant").click()
    session = page.locator("livelayer-session")
    tokens = "(one) => [one.getAttribute('token'), one.tokenProvider()]"
    assert await session.evaluate(tokens) == ["first", "provided"]
    await page.evaluate("""() => {
        harness.surface.setAttribute("token", "second");
        harness.surface.tokenProvider = () => "another";
    }""")
    assert await session.evaluate(tokens) == ["second", "another"]
    await page.evaluate("() => harness.surface.removeAttribute('token')")
    assert await session.evaluate("(one) => one.hasAttribute('token')") is False


async def test_a_typed_line_is_shown_once_with_what_became_of_it(visit: Visit) -> None:
    page = await visit(SESSION + PANEL, scene="listening")
    lines = page.locator(".lines .words")
    await expect(lines).to_have_count(3)
    add = """(entry) => harness.play({state: {transcript: [
        ...harness.client.state.transcript.filter((one) => one.id !== entry.id), entry]}})"""
    line = {"id": "y", "role": "user", "text": "Yes", "final": True, "sender": None}
    await page.evaluate(add, {**line, "delivery": "pending"})  # by another page
    await expect(lines).to_have_count(4)
    await expect(page.locator(".captions .user")).to_have_text("Yes")
    last = page.locator(".lines li").last
    await expect(last).to_have_class("user partial")
    await page.evaluate(add, {**line, "delivery": "sent"})
    await expect(last).to_have_class("user")
    await expect(last.locator(".note")).to_be_hidden()
    await page.evaluate(add, {**line, "delivery": "failed"})
    await expect(last.locator(".note")).to_have_text("Not sent")
    # This page's own line stands below, with its choices, until the server has taken it.
    await page.evaluate(
        "() => harness.play({pending: [{id: 't1', text: 'Yes', failed: 'timeout'}]})"
    )
    await expect(lines).to_have_count(3)
    await expect(page.locator(".outbox li")).to_have_count(1)
    await page.evaluate("() => harness.play({pending: []})")
    await expect(lines).to_have_count(4)
    await page.evaluate("() => harness.play({state: {transcript: []}})")
    await expect(lines).to_have_count(0)


SAID = """([first, count, omitted]) => harness.play({state: {
    transcript: Array.from({length: count}, (_, index) => ({id: `S${first + index}`, role: "agent",
        text: `line ${first + index}`, final: true, opened: first + index, sender: "agent"})),
    transcript_omitted: omitted}, choices: {transcript: true}})"""


async def test_a_long_conversation_is_drawn_in_parts_as_a_person_scrolls_up(visit: Visit) -> None:
    page = await visit(SESSION + PANEL, scene="transcript")
    lines = page.locator(".lines .words")
    await page.evaluate(
        """() => { harness.asked = []; harness.client.earlierTranscript = async (before) => {
            harness.asked.push(before.id);
            const first = Math.max(0, before.opened - 100);
            return Array.from({length: before.opened - first}, (_, index) => (
                {id: `S${first + index}`, role: "agent", text: `line ${first + index}`,
                    final: true, opened: first + index, sender: "agent"}));
        }; }"""
    )
    await page.evaluate(SAID, [150, 100, 150])
    await expect(lines).to_have_count(60)
    await expect(lines.last).to_have_text("line 249")
    box = page.locator(".transcript")

    async def scroll_up(expected: int) -> None:
        await box.evaluate("(one) => { one.scrollTop = 0; }")
        await expect(lines).to_have_count(expected)

    await scroll_up(100)
    await scroll_up(200)
    await expect(lines.first).to_have_text("line 50")
    # What is being read stays where it is.
    assert await box.evaluate("(one) => one.scrollTop") > 0
    await page.evaluate(SAID, [160, 100, 160])
    await expect(lines.last).to_have_text("line 259")
    assert await lines.all_inner_texts() == [f"line {number}" for number in range(50, 260)]
    await scroll_up(260)
    await expect(lines.first).to_have_text("line 0")
    assert await page.evaluate("() => harness.asked") == ["S150", "S50"]
    await box.evaluate(
        """(one) => new Promise((scrolled) => {
            one.addEventListener("scroll", scrolled, { once: true });
            one.scrollTop = one.scrollHeight;
        })"""
    )
    await page.evaluate(SAID, [161, 100, 161])
    await expect(lines).to_have_count(60)


async def test_an_update_touches_as_many_elements_after_10_and_after_100000_lines(
    visit: Visit,
) -> None:
    page = await visit(SESSION + PANEL, scene="transcript")
    touched = """async (entry) => {
        let count = 0;
        const watch = new MutationObserver((records) => { count += records.length; });
        watch.observe(harness.surface.shadowRoot.querySelector(".lines"),
            {subtree: true, childList: true, characterData: true, attributes: true});
        const said = harness.client.state.transcript.filter((one) => one.id !== entry.id);
        harness.play({state: {transcript: [...said, entry]}});
        await harness.painted();
        watch.disconnect();
        return [count, harness.surface.shadowRoot.querySelectorAll(".lines li").length];
    }"""
    counts = []
    for first, count in ((0, 10), (99_500, 500)):
        await page.evaluate(SAID, [first, count, first])
        await page.evaluate("() => harness.painted()")
        entry = {"id": f"S{first + count - 1}", "role": "agent", "final": True, "sender": "agent",
                 "text": "another wording", "opened": first + count - 1}  # fmt: skip
        counts.append(await page.evaluate(touched, entry))
    assert counts[0][0] == counts[1][0] > 0
    assert [rows for _, rows in counts] == [10, 60]


async def test_a_conversation_that_starts_afresh_says_so(visit: Visit) -> None:
    page = await visit(SESSION + PANEL, scene="listening")
    words = "The earlier conversation has ended. This is a new one."
    await page.evaluate("() => harness.play({state: {transcript: [], continued: false}})")
    await expect(page.locator(".notice p")).to_have_text(words)
    await page.evaluate(SAID, [0, 5, 0])
    await expect(page.locator(".notice")).to_have_count(0)


@pytest.mark.parametrize("body", [SESSION + PANEL, SESSION + WIDGET])
async def test_a_person_interrupts_an_agent_that_speaks_in_any_size(
    visit: Visit, enact: Enact, body: str
) -> None:
    page = await visit(body, scene="speaking")
    stop = page.get_by_role("button", name="Interrupt Ada")
    await stop.click()
    assert await calls(page, "interrupt") == [["interrupt"]]
    # Only what can be done is offered.
    for changes in ("{agent_state: 'listening'}", "{agent_confirms: false}"):
        await enact(page, "speaking")
        await expect(stop).to_be_visible()
        await page.evaluate(f"() => harness.client.set({{state: {changes}}})")
        await expect(stop).to_be_hidden()
    await enact(page, "watching")
    await page.evaluate("() => harness.client.set({state: {agent_state: 'speaking'}})")
    await page.evaluate("() => harness.painted()")
    await expect(stop).to_be_hidden()


async def test_tool_calls_are_quiet_lines_in_their_place_and_the_running_one_is_the_state(
    visit: Visit,
) -> None:
    page = await visit(scene="tools")
    lines = page.locator(".lines li")
    isolated = "\u2068{}\u2069".format
    words = await page.locator(".lines .quiet").all_inner_texts()
    assert words[0].startswith(f"Finished {isolated('look up prices')}: ")
    assert "<b>24 euros</b>" in words[0]
    assert words[1:] == [
        f"{isolated('send mail')} failed",
        f"Working on {isolated('compare plans')}",
    ]
    await expect(page.locator(".status .word")).to_have_text(words[2])
    # What is said later comes after them; what the state does not have as running was stopped.
    await page.evaluate("""() => {
        const { transcript } = harness.client.state;
        const entry = {id: "t9", role: "agent", text: "Here.", final: true};
        harness.client.set({state: {transcript: [...transcript, entry], tools: []}});
    }""")
    await expect(lines.last).to_contain_text("Here.")
    stopped = page.locator(".lines .quiet").last
    await expect(stopped).to_have_text(f"Stopped {isolated('compare plans')}")
    # There are never many of them.
    await page.evaluate("""() => {
        const done = {event: "ToolCallChanged", name: "n", status: "done"};
        for (let index = 0; index < 200; index += 1) {
            harness.client.tell({...done, call_id: `n${index}`});
        }
    }""")
    await expect(page.locator(".lines .quiet")).to_have_count(40)
    await page.evaluate("() => harness.client.tell({event: 'TranscriptCleared'})")
    await expect(page.locator(".lines .quiet")).to_have_count(0)


async def test_a_question_takes_the_focus_and_gives_it_back(visit: Visit) -> None:
    page = await visit(scene="listening")
    camera = page.locator(".switch.camera")
    await camera.focus()
    asked = "{number: 1, question: 'Go?', details: null, seconds: 60}"
    await page.evaluate(f"() => harness.client.set({{state: {{approvals: [{asked}]}}}})")
    dialog = page.get_by_role("alertdialog", name="Ada asks for your approval")
    await expect(dialog).to_have_accessible_description("Go?")
    await expect(page.get_by_role("button", name="Refuse")).to_be_focused()
    await expect(page.locator(".root > [role=status]")).to_contain_text("Go?")
    await page.keyboard.press("Escape")
    assert await calls(page, "answerApproval") == [["answerApproval", 1, False]]
    await page.evaluate("() => harness.client.set({state: {approvals: []}})")
    await expect(dialog).to_be_hidden()
    await expect(camera).to_be_focused()


async def test_who_types_is_not_disturbed_by_a_question(visit: Visit) -> None:
    page = await visit(scene="listening")
    field = page.get_by_role("textbox", name="Message Ada")
    await field.press_sequentially("wait a ")
    asked = "{number: 1, question: 'Go?', details: null, seconds: 60}"
    await page.evaluate(f"() => harness.client.set({{state: {{approvals: [{asked}]}}}})")
    await expect(page.get_by_role("alertdialog")).to_be_visible()
    await field.press_sequentially("moment")
    await expect(field).to_have_value("wait a moment")
    await page.keyboard.press("Escape")
    assert await calls(page, "answerApproval") == []
    # Only a press that comes after the question was seen approves.
    approve = page.get_by_role("button", name="Approve")
    await approve.click()
    assert await calls(page, "answerApproval") == [["answerApproval", 1, True]]


@pytest.mark.parametrize("display", ["minimized", "hidden"])
async def test_a_question_opens_a_widget_until_it_is_settled(
    visit: Visit, enact: Enact, display: str
) -> None:
    widget = WIDGET.replace(">", f' display="{display}" persist-key="">', 1)
    page = await visit(SESSION + widget, scene="listening")
    dialog = page.get_by_role("alertdialog")
    shown = page.locator(f".root[data-display={display}]")
    await expect(shown).to_be_visible()
    await enact(page, "approval")
    await expect(dialog).to_be_visible()
    assert await page.evaluate("() => harness.surface.display") == display
    await page.evaluate("() => harness.client.set({state: {approvals: []}})")
    await expect(shown).to_be_visible()

    # A person may close it without an answer; the next question opens it again.
    await enact(page, "approval")
    await page.get_by_role("button", name="Minimise").click()
    await expect(dialog).to_be_hidden()
    assert await calls(page, "answerApproval") == []
    more = "{number: 2, question: 'And this?', details: null, seconds: 60}"
    await page.evaluate(f"() => harness.client.set({{state: {{approvals: [{more}]}}}})")
    await expect(dialog).to_be_visible()


async def test_a_session_that_is_recorded_says_so(visit: Visit) -> None:
    page = await visit(SESSION + PANEL, scene="listening")
    await expect(page.locator(".recording")).to_be_hidden()
    await page.evaluate("() => harness.play({state: {recording: ['recorder']}})")
    await expect(page.locator(".recording")).to_have_text("Recording")
    await expect(page.locator(".notice p")).to_have_text("This conversation is being recorded.")
    await page.evaluate("() => harness.play({state: {recording: []}})")
    await expect(page.locator(".recording")).to_be_hidden()
    await expect(page.locator(".notice")).to_have_count(0)
