"""Pages come, come back, fall silent, are used, and leave nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from livelayer_web import NetworkPolicy, Rate, WebSurface
from livelayer_web.resume_store import (
    CAPACITY,
    RESUME_SECONDS,
    ResumeRecord,
    ResumeStore,
    digest_of,
)
from livelayer_web.token_format import GRANTS
from livelayer_web.viewers import SILENCE_SECONDS, STREAM_SECONDS, Viewers

from livelayer_bus import Session
from livelayer_bus.testing import (
    PATIENCE,
    ManualClock,
    ScriptedRooms,
    no_leaked_tasks,
    polled,
    settle,
)

from .scripted import Serve, Web, client_of, code_of

pytestmark = pytest.mark.anyio


async def test_who_joins_learns_what_it_may_do(web: Web) -> None:
    answer = await web.join({"page": {"url": "https://shop/", "title": "Shop"}})
    assert answer.status_code == 201
    joined = answer.json()
    assert joined["session"] == web.session.id
    assert joined["cursor"] == f"{web.session.id}:{web.session.state.sequence}"
    assert joined["grants"] == ["control", "talk", "watch"]
    assert joined["capabilities"] == ["navigate", "read_page", "scroll"]
    assert joined["sources"] == ["microphone", "camera", "screen"]
    assert (joined["beat_seconds"], joined["silence_seconds"]) == (1.5, 5.0)
    assert joined["max_message_bytes"] == 15_360
    [info] = web.surface.viewers()
    assert info.page is not None
    assert (info.id, info.page.title) == (joined["viewer"], "Shop")


async def test_the_page_used_last_is_described_until_it_falls_silent(web: Web) -> None:
    room = await web.connect()

    async def described() -> str | None:
        await web.clock.elapse(0.2)
        return room.attributes.get("agent.context")

    def page(route: str) -> dict[str, Any]:
        return {"page": {"route": route, "elements": []}}

    first, other = await web.page(), await web.page()
    for viewer, route in ((first, "/first"), (other, "/other")):
        assert (await viewer.ask("PUT", "viewers/me/page", page(route))).status_code == 204
    assert await described() == '{"route":"/first"}'
    await other.beat(used=True)
    assert await described() == '{"route":"/other"}'
    wrong = {"page": {"route": 5}}
    assert code_of(await other.ask("PUT", "viewers/me/page", wrong)) == (400, "body")
    assert code_of(await other.ask("PUT", "viewers/me/page", {})) == (400, "body")
    assert await described() == '{"route":"/other"}'
    await web.clock.elapse(SILENCE_SECONDS - 1)
    await first.beat()
    await web.clock.elapse(1)
    assert await described() == '{"route":"/first"}'
    await first.ask("PUT", "viewers/me/page", {"page": None})
    assert await described() is None
    await first.ask("PUT", "viewers/me/page", page("/again"))
    assert await described() == '{"route":"/again"}'
    await web.mounted.unmount()
    assert await described() is None


async def test_a_page_that_falls_silent_is_gone_five_seconds_after_it_was_heard(web: Web) -> None:
    page, other = await web.page(), await web.page()
    await web.clock.elapse(SILENCE_SECONDS - 0.1)
    assert (await other.beat()).status_code == 204
    await web.clock.elapse(0.1)
    assert [info.id for info in web.surface.viewers()] == [other.id]
    assert code_of(await page.beat()) == (401, "viewer")
    statistics = web.surface.statistics().viewers
    assert statistics is not None
    assert (statistics.now, statistics.peak, statistics.fell_silent) == (1, 2, 1)


async def test_any_request_of_a_page_is_a_sign_of_life(web: Web) -> None:
    page = await web.page()
    await web.clock.elapse(SILENCE_SECONDS - 0.1)
    assert code_of(await page.ask("PATCH", "sources/microphone", {"muted": True})) == (
        404,
        "source",
    )
    await web.clock.elapse(SILENCE_SECONDS - 0.1)
    assert [info.id for info in web.surface.viewers()] == [page.id]


async def test_a_page_that_reloads_finds_its_place(web: Web) -> None:
    first, used = await web.page(), await web.page()
    await used.beat(used=True)
    assert (await used.leave()).status_code == 204
    assert [info.active for info in web.surface.viewers()] == [True]
    again = await web.page(used.key)
    assert again.id == used.id
    assert again.key != used.key
    assert {info.id: info.active for info in web.surface.viewers()} == {
        first.id: False,
        again.id: True,
    }
    assert code_of(await used.beat()) == (401, "viewer")  # the old key opens nothing else
    assert (await again.beat()).status_code == 204


async def test_who_did_not_get_the_answer_joins_again_with_the_same_key(web: Web) -> None:
    page = await web.page()
    await page.leave()
    lost = await web.page(page.key)
    found = await web.page(page.key)
    assert lost.id == found.id == page.id
    assert code_of(await lost.beat()) == (401, "viewer")
    assert len(web.surface.viewers()) == 1


async def test_a_late_goodbye_of_the_page_before_does_not_end_the_one_after(web: Web) -> None:
    page = await web.page()
    again = await web.page(page.key)  # overtook the keep-alive DELETE
    assert code_of(await page.leave()) == (401, "viewer")
    assert (await again.beat()).status_code == 204


async def test_a_duplicated_tab_is_a_page_of_its_own(web: Web) -> None:
    page = await web.page()
    async with page.events() as events:
        await events.next("snapshot")
        twin = await web.page(page.key)
        assert twin.id != page.id
        assert (await page.beat()).status_code == 204
        assert (await twin.beat()).status_code == 204
        frame = await events.next("info")
        while frame.data["viewers"] != 2:
            frame = await events.next("info")


async def test_a_place_is_forgotten_in_time(web: Web) -> None:
    page = await web.page()
    await page.leave()
    web.clock.advance(RESUME_SECONDS)
    again = await web.page(page.key)
    assert again.id != page.id


async def test_a_place_is_forgotten_after_a_night_in_which_the_machine_was_suspended(
    web: Web,
) -> None:
    gone, there = await web.page(), await web.page()
    await gone.leave()
    web.clock.suspend(8 * 3600)
    assert (await web.page(gone.key)).id != gone.id
    assert (await there.beat()).status_code == 204  # it woke with the machine
    await web.clock.elapse(0)
    assert there.id in {info.id for info in web.surface.viewers()}


async def test_a_page_that_is_silent_after_a_suspend_is_gone_and_may_return(web: Web) -> None:
    page = await web.page()
    web.clock.suspend(8 * 3600)
    await web.clock.elapse(0)
    assert web.surface.viewers() == ()
    assert (await web.page(page.key)).id == page.id


async def test_a_full_house_says_so(serve: Serve) -> None:
    async with serve(max_viewers=2) as web:
        page, _ = await web.page(), await web.page()
        refused = await web.join()
        assert code_of(refused) == (503, "full")
        assert refused.headers["retry-after"]
        await page.leave()
        assert (await web.join()).status_code == 201


async def test_a_thousand_pages_come_and_go_and_leave_nothing(clock: ManualClock) -> None:
    free = Rate(per_minute=1e9, burst=1_000_000)
    rooms = ScriptedRooms(agent="agent")
    surface = WebSurface(port=None, clock=clock, policy=NetworkPolicy(joins=free, everything=free))
    async with (
        no_leaked_tasks(PATIENCE),
        Session("agt", tokens=rooms.tokens, room=rooms, clock=clock) as session,
        client_of(surface.asgi, "http://localhost/") as http,
    ):
        mounted = session.mount(surface, key="web")
        await settle()
        for _ in range(1000):
            key = (await http.post("viewers", json={})).json()["key"]
            bearer = {"authorization": f"Bearer {key}"}
            assert (await http.delete("viewers/me", headers=bearer)).status_code == 204
        statistics = surface.statistics()
        assert statistics.viewers is not None
        assert statistics.streams is not None
        assert (statistics.viewers.now, statistics.viewers.joined) == (0, 1000)
        assert statistics.streams.now == 0
        assert statistics.resumable == 1000
        assert surface.viewers() == ()
        sleeping = clock.sleepers
        await mounted.unmount()
        assert clock.sleepers < sleeping
        assert clock.sleepers == 0


def test_places_are_bounded_and_bound_to_their_session() -> None:
    clock = ManualClock()
    store = ResumeStore(clock)
    for number in range(CAPACITY + 10):
        store.remember(digest_of(f"key-{number}"), ResumeRecord("s", f"v{number}", GRANTS, None, 0))
    assert len(store) == CAPACITY
    assert store.find(digest_of("key-0"), "s") is None
    assert store.find(digest_of("key-10"), "s") is not None
    assert store.find(digest_of("key-10"), "another") is None
    clock.advance(RESUME_SECONDS)
    assert store.find(digest_of("key-10"), "s") is None
    store.remember(digest_of("new"), ResumeRecord("s", "v", GRANTS, "token", 0))
    assert len(store) == 1
    store.revoke("token")
    assert len(store) == 0


STEP = st.one_of(
    st.tuples(st.just("join"), st.integers(0, 3)),
    st.tuples(st.just("leave"), st.integers(0, 3)),
    st.tuples(st.just("back"), st.integers(0, 3)),
    st.tuples(st.just("use"), st.integers(0, 3)),
)


@given(st.lists(STEP, max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_the_active_page_is_the_one_used_last_or_else_the_first(
    steps: list[tuple[str, int]],
) -> None:
    clock = ManualClock()
    viewers = Viewers("s", ResumeStore(clock), clock, 100, lambda: None)
    keys: dict[int, str] = {}
    used: dict[str, int] = {}
    order: list[str] = []  # ids, in the order of joining
    for turn, (act, who) in enumerate(steps, 1):
        held = viewers.by_key(keys[who]) if who in keys else None
        if act == "join" and held is None:
            viewer, keys[who] = viewers.join()
            order.append(viewer.id)
        elif act == "leave" and held is not None:
            viewers.leave(held)
            order.remove(held.id)
        elif act == "back" and who in keys:
            resumed = viewers.resume(keys[who])
            assert resumed is not None
            viewer, keys[who] = resumed
            if viewer.id in order:
                order.remove(viewer.id)
            order.append(viewer.id)
        elif act == "use" and held is not None:
            viewers.use(held)
            used[held.id] = turn
        expected = max(
            order, key=lambda name: (used.get(name, 0), -order.index(name)), default=None
        )
        assert (viewers.active.id if viewers.active else None) == expected
        assert [viewer.id for viewer in viewers] == order


async def test_a_page_that_was_closed_with_its_socket_is_gone_in_time(web: Web) -> None:
    page = await web.page()
    async with page.events() as events:
        await events.next("snapshot")
    await polled(lambda: not web.surface.viewers()[0].streaming)
    await web.clock.elapse(SILENCE_SECONDS)
    assert web.surface.viewers() == ()


async def test_an_open_stream_is_presence_and_its_end_begins_the_silence(web: Web) -> None:
    page, other = await web.page(), await web.page()

    def there() -> list[str]:
        return [info.id for info in web.surface.viewers()]

    async with page.events() as events:
        await events.next("info")
        await other.poll(carrier=page.id)
        await web.clock.elapse(STREAM_SECONDS - 1)  # its heartbeats do not get through
        assert there() == [page.id, other.id]
    await polled(lambda: not any(info.streaming for info in web.surface.viewers()))
    await web.clock.elapse(SILENCE_SECONDS - 0.1)
    assert there() == [page.id, other.id]
    await web.clock.elapse(SILENCE_SECONDS)
    assert there() == []


async def test_a_frozen_page_is_not_kept_by_its_stream_for_ever(web: Web) -> None:
    page = await web.page()
    async with page.events() as events:
        await events.next("info")
        await web.clock.elapse(STREAM_SECONDS + SILENCE_SECONDS)
        assert web.surface.viewers() == ()
        await events.rest()


async def test_a_carried_page_that_its_carrier_reports_gone_falls_silent_unless_it_asks(
    web: Web,
) -> None:
    page, dead, alive = [await web.page() for _ in range(3)]
    async with page.events() as events:
        await events.next("info")
        for carried in (dead, alive):
            await carried.poll(carrier=page.id)
            await carried.ask("DELETE", f"events/{page.id}")  # it does not carry that page
            answer = await page.ask("DELETE", f"events/{carried.id}")
            assert answer.status_code == 204
        await web.clock.elapse(SILENCE_SECONDS - 1)
        await alive.beat()
        await web.clock.elapse(SILENCE_SECONDS)
        assert [info.id for info in web.surface.viewers()] == [page.id, alive.id]
