"""The page's link: cut, silent, restarted, frozen, reloaded, refused; and what was typed then."""

from __future__ import annotations

from typing import Any

import anyio
import jwt
import pytest
from livelayer_web import SessionsOnDemand, ViewerTokens
from playwright.async_api import BrowserContext, Error, Page, Route

from livelayer_bus import Session
from livelayer_bus.testing import PATIENCE, ScriptedRooms, polled

pytestmark = pytest.mark.anyio

IDLE = "new Promise((resolve) => setTimeout(resolve)).then(() => fetch('/blank')).then(() => null)"
"""A turn of the page's loop, and a way to the server and back: what was asked for is under way."""
PHASES = "log.filter(([kind]) => kind === 'client:link').length"


async def sequences(page: Page) -> list[int]:
    """The places of the events that the page's listeners were told."""
    found: list[int] = await page.evaluate("window.places")
    return found


async def note_places(page: Page) -> None:
    await page.add_init_script("""
document.addEventListener("livelayer-session-ready", ({ detail: { client } }) => {
  window.places = [];
  client.addEventListener("event", ({ line }) => window.places.push(line.sequence));
});""")


async def test_a_cut_network_is_told_and_nothing_is_lost_or_sent_twice(
    web: Any, page: Page, until: Any
) -> None:
    await note_places(page)
    await page.goto(web.url)
    room = await web.connected()
    await until(page, "window.client?.state?.agent_active")
    web.proxy.cut()
    await until(page, "client.link.phase === 'recovering' && client.link.retryAt > 0")
    assert await page.evaluate("client.link.code") == "network"
    await page.evaluate(
        "void (client.sendMessage('typed while away'), client.sendMessage('and another'))"
    )
    assert await page.evaluate("client.pending.map(({text}) => text)") == [
        *("typed while away", "and another"),
    ]
    room.transcribes("missed", "said while away")
    web.proxy.mend()
    await until(page, "client.link.phase === 'live' && client.pending.length === 0")
    assert [text.text for text in room.sent_texts] == ["typed while away", "and another"]
    await until(page, "client.state.transcript.some(({text}) => text === 'said while away')")
    state = await until(page, "client.state.sequence === window.places.at(-1) && client.state")
    assert state["sequence"] == web.session.state.sequence
    told = await sequences(page)
    assert told == list(range(told[0], told[-1] + 1))


async def test_a_server_that_falls_silent_is_dead_after_six_seconds(
    web: Any, page: Page, until: Any
) -> None:
    await page.clock.install()
    await page.goto(web.url)
    await until(page, "window.client?.link.phase === 'live'")
    web.proxy.silence()
    await page.clock.run_for(7500)
    await until(page, "client.link.phase === 'recovering'")
    assert await page.evaluate("client.link.code") == "timeout"
    web.proxy.mend()
    await page.evaluate("window.dispatchEvent(new Event('online'))")
    await until(page, "client.link.phase === 'live'")


async def test_a_restarted_server_is_found_and_gets_what_was_typed(
    web: Any, live: Page, until: Any
) -> None:
    await web.connected()
    await until(live, "client.state.agent_active")
    before = await live.evaluate("client.state.id")
    await web.stop()
    await until(live, "client.link.phase === 'recovering'")
    await live.evaluate("void client.sendMessage('typed without a server')")
    await web.start()
    await until(live, "client.link.phase === 'live'")
    assert await live.evaluate("client.state.id") == web.session.id != before
    room = await web.connected()
    await until(live, "client.pending.length === 0")
    assert [text.text for text in room.sent_texts] == ["typed without a server"]


async def test_a_reload_misses_no_event_and_keeps_what_was_typed(
    web: Any, page: Page, until: Any
) -> None:
    await note_places(page)
    await page.goto(web.url)
    await until(page, "window.client?.link.phase === 'live'")
    await page.evaluate("void client.sendMessage('typed before the session')")
    await web.session.connect()  # no agent yet: it cannot be sent
    web.room.transcribes("one", "before")
    await until(page, "client.state.transcript.length === 1 && client.state.joined")
    first = await sequences(page)
    viewer = await until(page, "client.joined?.viewer")
    await page.goto(f"{web.url}/blank")
    web.room.transcribes("two", "while no page was there")
    await page.goto(web.url)
    await until(page, "window.client?.link.phase === 'live'")
    assert await until(page, "client.joined?.viewer") == viewer
    assert [info.id for info in web.surface.viewers()] == [viewer]
    assert await page.evaluate("client.pending.map(({text}) => text)") == [
        "typed before the session"
    ]
    web.room.agent_joins()
    await until(page, "client.pending.length === 0")
    assert [text.text for text in web.room.sent_texts] == ["typed before the session"]
    await until(page, "client.state.sequence === window.places.at(-1)")
    told = first + await sequences(page)
    assert told == list(range(told[0], told[-1] + 1))


async def test_a_frozen_tab_comes_back_to_its_place(web: Any, page: Page, until: Any) -> None:
    """Its time stands still, as a frozen tab's does: the server gives it up meanwhile."""
    await note_places(page)
    await page.clock.install()
    await page.goto(web.url)
    await until(page, "window.client?.link.phase === 'live'")
    await web.connected()
    await until(page, "client.state.agent_active")
    viewer = await until(page, "client.joined?.viewer")
    await pause(page)
    await page.evaluate("document.dispatchEvent(new Event('freeze'))")
    await until_gone(web)
    web.room.transcribes("one", "while it was frozen")
    await page.clock.resume()
    await page.evaluate("document.dispatchEvent(new Event('resume'))")
    await until(page, "client.state.transcript.length === 1 && client.link.phase === 'live'")
    await until(page, "client.state.sequence === window.places.at(-1)")
    told = await sequences(page)
    assert told == list(range(told[0], told[-1] + 1))
    assert [info.id for info in web.surface.viewers()] == [viewer]


async def pause(page: Page) -> None:
    """Stop the page's clock a moment from now."""
    with anyio.fail_after(PATIENCE):
        while True:
            try:
                return await page.clock.pause_at(await page.evaluate("Date.now() + 200") / 1000)
            except Error as late:  # the moment was over when the page was told
                if "to the past" not in late.message:
                    raise


async def until_gone(web: Any) -> None:
    await polled(lambda: not web.surface.viewers())


async def test_a_page_from_the_back_forward_cache_joins_again(
    web: Any, live: Page, until: Any
) -> None:
    viewer = await until(live, "client.joined?.viewer")
    await live.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))")
    await until_gone(web)
    assert await live.evaluate("client.link.phase") == "recovering"
    await live.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    await until(live, "client.link.phase === 'live'")
    assert await until(live, "client.joined?.viewer") == viewer


async def test_a_moved_element_keeps_its_connection_and_a_removed_one_leaves(
    web: Any, live: Page, until: Any
) -> None:
    before = await live.evaluate(f"[client.joined.key, {PHASES}]")
    await live.evaluate("document.querySelector('main').append(session)")
    await live.evaluate("new Promise((resolve) => setTimeout(resolve))")  # as the element itself
    assert await live.evaluate(f"[client.joined.key, {PHASES}]") == before
    assert len(web.surface.viewers()) == 1
    await live.evaluate("session.remove()")
    await until_gone(web)
    assert await live.evaluate("[client.link.phase, client.joined]") == ["idle", None]


async def test_a_missing_token_is_final_until_there_is_one(
    make_web: Any, tokens: ViewerTokens, page: Page, until: Any
) -> None:
    web = await make_web(tokens=tokens)
    await page.goto(web.url)
    await until(page, "window.client?.link.phase === 'refused'")
    assert await page.evaluate("client.link.code") == "token"
    token = web.surface.token()
    await page.evaluate("(token) => session.setAttribute('token', token)", token)
    await until(page, "client.link.phase === 'live'")
    await page.reload()
    await until(page, "window.client?.link.phase === 'live'")  # its place needs no token
    stored = await page.evaluate("JSON.stringify({...sessionStorage}) + location.href")
    assert token not in stored


@pytest.mark.parametrize(
    "given",
    ["session.setAttribute('token', token)", "session.tokenProvider = () => token"],
    ids=["token", "provider"],
)
async def test_a_token_that_comes_while_the_page_is_being_refused_is_used(
    make_web: Any, tokens: ViewerTokens, page: Page, until: Any, given: str
) -> None:
    web = await make_web(tokens=tokens)
    asked: list[Route] = []

    async def hold(route: Route) -> None:
        answer = await route.fetch()
        if not asked:
            asked.append(route)
            assert answer.status == 401
            await page.evaluate(f"(token) => {{ {given}; }}", web.surface.token())
        await route.fulfill(response=answer)

    await page.route("**/viewers", hold)
    await page.goto(web.url)
    await until(page, "window.client?.link.phase === 'live'")
    assert asked


async def test_a_replayed_token_is_refused_and_a_fresh_one_is_asked_for(
    make_web: Any, tokens: ViewerTokens, context: BrowserContext, page: Page, until: Any
) -> None:
    web = await make_web(tokens=tokens)
    token = web.surface.token()
    await page.goto(web.url)
    await until(page, "window.client?.link.phase === 'refused'")
    await page.evaluate("(token) => session.setAttribute('token', token)", token)
    await until(page, "client.link.phase === 'live'")
    other = await context.new_page()
    await other.goto(web.url)
    await until(other, "window.client?.link.phase === 'refused'")
    await other.evaluate("(token) => session.setAttribute('token', token)", token)
    await until(other, "client.link.code === 'replayed'")
    await other.expose_function("fresh", lambda: web.surface.token())
    await other.evaluate("void (session.tokenProvider = async () => await window.fresh())")
    await until(other, "client.link.phase === 'live'")


async def test_a_revoked_page_says_so_and_does_not_come_back(
    make_web: Any, tokens: ViewerTokens, page: Page, until: Any
) -> None:
    web = await make_web(tokens=tokens)
    await page.goto(web.url)
    await until(page, "window.client?.link.phase === 'refused'")
    token = web.surface.token()
    await page.evaluate("(token) => session.setAttribute('token', token)", token)
    await until(page, "client.link.phase === 'live'")
    tokens.revoke(jwt.decode(token, options={"verify_signature": False})["jti"])
    await until(page, "client.link.phase === 'refused'")
    assert await page.evaluate("client.link.code") == "revoked"
    assert web.surface.viewers() == ()


async def test_what_cannot_be_sent_is_said_and_kept_from_the_rest(
    web: Any, live: Page, until: Any
) -> None:
    code = "(promise) => promise.then(() => null, (error) => error.code)"
    assert await live.evaluate(f"({code})(client.sendMessage(' '))") == "message"
    assert await live.evaluate(f"({code})(client.sendMessage('x'.repeat(16000)))") == "size"
    assert await live.evaluate(f"({code})(client.sendData({{type: 'quiz'}}))") == "not_connected"
    for number in range(50):
        await live.evaluate(f"void client.sendMessage('line {number}')")
    assert await live.evaluate(f"({code})(client.sendMessage('one more'))") == "full"
    await live.evaluate("for (const {id} of client.pending.slice(4)) client.discardMessage(id)")
    await live.evaluate("client.discardMessage(client.pending[1].id)")
    room = await web.connected()
    await until(live, "client.pending.length === 0")
    assert [text.text for text in room.sent_texts] == ["line 0", "line 2", "line 3"]
    await live.evaluate("client.sendData({type: 'quiz', answer: 4})")
    assert (await room.next_sent("quiz")).data == b'{"type":"quiz","answer":4}'


async def test_an_automatic_connect_waits_for_a_surface_and_respects_an_end(
    web: Any, live: Page, until: Any
) -> None:
    await live.evaluate("session.setAttribute('auto-connect', '')")
    await live.evaluate(IDLE)
    assert web.session.state.connection_state == "idle"
    await live.evaluate("client.retainSurface('panel')")
    await until(live, "client.state.connection_state === 'connected'")
    await live.evaluate("session.disconnect()")
    await until(live, "client.state.connection_state === 'disconnected'")
    await live.evaluate("client.releaseSurface('panel'), client.retainSurface('panel')")
    await live.reload()
    await until(live, "window.client?.link.phase === 'live'")
    await live.evaluate("session.setAttribute('auto-connect', ''), client.retainSurface('panel')")
    await live.evaluate(IDLE)
    assert web.session.state.connection_state == "disconnected"


async def test_two_pages_and_the_one_last_used_gets_the_commands(
    web: Any, live: Page, context: BrowserContext, until: Any
) -> None:
    other = await context.new_page()
    await other.goto(web.url)
    await until(other, "window.client?.info?.viewers === 2 && client.info.active === false")
    room = await web.connected()
    await other.mouse.click(5, 5)
    await until(other, "client.info.active")
    await until(live, "client.info.active === false")
    room.agent_says({"type": "navigate", "href": "/pricing"})
    await until(other, "location.pathname === '/pricing'")
    assert await live.evaluate("location.pathname") == "/"


async def test_a_client_with_an_agent_opens_a_session_of_its_own_and_finds_it_again(
    make_web: Any, scripted_rooms: ScriptedRooms, page: Page, until: Any
) -> None:
    def opened(agent: str) -> Session:
        return Session(agent, tokens=scripted_rooms.tokens, room=scripted_rooms)

    web = await make_web(sessions=SessionsOnDemand(opened, agents=["own"]))
    make = """async () => {
  const { SessionClient } = await import("/livelayer/js/client/client.js");
  window.client = new SessionClient({ agentId: "own" });
  client.open();
}"""
    await page.goto(f"{web.url}/blank")
    await page.evaluate(make)
    await until(page, "client.link.phase === 'live'")
    assert await page.evaluate("client.state.agent_id") == "own"
    mine = await page.evaluate("client.state.id")
    assert mine != web.session.id
    await page.reload()
    await page.evaluate(make)
    await until(page, "client.link.phase === 'live'")
    assert await page.evaluate("client.state.id") == mine


# One stream for the tabs of a browser -----------------------------------------------------------


async def streams(web: Any, now: int, shared: int) -> None:
    """Wait until there are so many streams, and pages that share one."""

    def found() -> tuple[int, int]:
        statistics = web.surface.statistics().streams
        return statistics.now, statistics.shared

    try:
        await polled(lambda: found() == (now, shared))
    except TimeoutError:
        raise AssertionError(f"streams, shared: {found()}, not {(now, shared)}") from None


async def another(context: BrowserContext, web: Any, until: Any) -> Page:
    page = await context.new_page()
    await note_places(page)
    await page.goto(web.url)
    await until(page, "window.client?.link.phase === 'live'")
    return page


async def test_tabs_share_a_stream_and_one_that_comes_late_has_everything(
    web: Any, live: Page, context: BrowserContext, until: Any
) -> None:
    room = await web.connected()
    room.transcribes("1", "before")
    late = await another(context, web, until)
    await streams(web, 1, 1)
    assert await late.evaluate("client.state.transcript.at(-1).text") == "before"
    for number in range(50):
        room.transcribes(f"{number}", f"line {number}")
    for page in (live, late):
        await until(page, "client.state.transcript.at(-1)?.text === 'line 49'")
        assert await page.evaluate("client.state.sequence") == web.session.state.sequence
    told = await sequences(late)
    assert told == list(range(told[0], web.session.state.sequence + 1))
    await late.close()
    await streams(web, 1, 0)


async def test_a_tab_that_goes_into_the_back_forward_cache_leaves_the_stream_to_another(
    web: Any, live: Page, context: BrowserContext, until: Any
) -> None:
    room = await web.connected()
    other = await another(context, web, until)
    await streams(web, 1, 1)
    await live.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))")
    room.transcribes("1", "while it was away")
    await until(other, "client.state.transcript.at(-1)?.text === 'while it was away'")
    await streams(web, 1, 0)
    await live.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    await until(live, "client.link.phase === 'live'")
    await streams(web, 1, 1)
    await until(live, "client.state.transcript.at(-1)?.text === 'while it was away'")
    told = await sequences(other)
    assert told == list(range(told[0], told[-1] + 1))


async def test_a_tab_that_crashes_is_reported_by_the_one_that_reads(
    web: Any, live: Page, context: BrowserContext, until: Any
) -> None:
    other = await another(context, web, until)
    await streams(web, 1, 1)
    kept = await until(live, "client.joined?.viewer")
    debugger = await context.new_cdp_session(other)
    async with anyio.create_task_group() as group:
        async with other.expect_event("crash"):
            group.start_soon(debugger.send, "Page.crash")  # it is never answered
        group.cancel_scope.cancel()
    await polled(lambda: [info.id for info in web.surface.viewers()] == [kept])


async def test_a_restarted_server_is_found_by_every_tab(
    web: Any, live: Page, context: BrowserContext, until: Any
) -> None:
    other = await another(context, web, until)
    await streams(web, 1, 1)
    await web.restart()
    for page in (live, other):
        await until(page, f"client.link.phase === 'live' && client.state.id === '{web.session.id}'")
    await streams(web, 1, 1)


async def test_a_tab_with_other_grants_has_a_stream_of_its_own(
    make_web: Any, tokens: ViewerTokens, context: BrowserContext, until: Any
) -> None:
    web = await make_web(tokens=tokens)
    pages: list[Page] = []
    for grants in (("watch", "talk"), ("watch",), ("talk", "watch")):
        page = await context.new_page()
        await page.goto(web.url)
        await until(page, "window.client?.link.phase === 'refused'")
        await page.evaluate(
            "(token) => session.setAttribute('token', token)", web.surface.token(grants)
        )
        await until(page, "client.link.phase === 'live'")
        pages.append(page)
    await streams(web, 2, 1)
    assert await pages[1].evaluate("client.joined.share") not in [
        await page.evaluate("client.joined.share") for page in (pages[0], pages[2])
    ]


async def test_tabs_without_locks_have_streams_of_their_own(
    web: Any, context: BrowserContext, until: Any
) -> None:
    await context.add_init_script("delete Navigator.prototype.locks")
    pages = [await another(context, web, until) for _ in range(2)]
    await streams(web, 2, 0)
    room = await web.connected()
    room.transcribes("1", "to both")
    for page in pages:
        await until(page, "client.state.transcript.at(-1)?.text === 'to both'")


async def test_a_page_that_moves_on_while_it_joins_is_known_where_it_is(
    web: Any, page: Page
) -> None:
    held, let_go = anyio.Event(), anyio.Event()

    async def hold(route: Route) -> None:
        held.set()
        await let_go.wait()
        await route.continue_()

    await page.route("**/viewers", hold)
    await page.goto(web.url)
    await held.wait()
    await page.evaluate("history.pushState(null, '', '/elsewhere')")
    let_go.set()
    await polled(
        lambda: (
            [one.page.url for one in web.surface.viewers() if one.page is not None]
            == [f"{web.url}/elsewhere"]
        )
    )
