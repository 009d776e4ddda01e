"""Event streams: a snapshot, every event once, cut anywhere and gone on with."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import MutableMapping
from functools import partial
from typing import Any

import anyio
import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from livelayer_web import ViewerTokens
from livelayer_web.resume_store import ResumeStore
from livelayer_web.stream import EventStream
from livelayer_web.token_format import Grant
from livelayer_web.viewers import STREAM_SECONDS, Info, Viewers

from livelayer_bus import Session
from livelayer_bus.surfaces import SurfaceSession
from livelayer_bus.testing import PATIENCE, ManualClock, ScriptedRoom, ScriptedRooms, polled, settle
from tests.support import EXAMPLES

from .scripted import Frame, Page, Serve, Web, code_of, parse_frames

pytestmark = pytest.mark.anyio


async def test_a_snapshot_comes_first_and_then_everything_once(web: Web) -> None:
    room = await web.connect()
    room.transcribes("1", "Good day")
    page = await web.page()
    async with page.events() as events:
        snapshot = await events.next()
        assert snapshot.event == "snapshot"
        assert snapshot.data["resumed"] is False
        assert snapshot.data["state"]["transcript"][0]["text"] == "Good day"
        assert snapshot.cursor == snapshot.data["cursor"] == f"{web.session.id}:{snapshot.sequence}"
        room.transcribes("2", "How much?", "user")
        sequences = [(await events.next("event")).sequence for _ in range(2)]
        assert sequences == [snapshot.sequence + 1, snapshot.sequence + 2]


async def test_a_cursor_goes_on_where_it_was(web: Web) -> None:
    room = await web.connect()
    page = await web.page()
    cursor = page.joined["cursor"]
    sequence = web.session.state.sequence
    room.transcribes("1", "while the page was away")
    async with page.events(cursor) as events:
        snapshot = await events.next()
        assert snapshot.data["resumed"] is True
        assert snapshot.sequence == web.session.state.sequence
        assert snapshot.cursor == cursor  # what is owed is still to come
        missed = [await events.next("event") for _ in range(snapshot.sequence - sequence)]
        assert [frame.sequence for frame in missed] == list(
            range(sequence + 1, snapshot.sequence + 1)
        )
        assert missed[-1].cursor == f"{web.session.id}:{snapshot.sequence}"


@pytest.mark.parametrize(
    "cursor",
    [
        "another:3", "{id}:999999", "{id}:x", "{id}", "", ":", "{id}:-1", "\x7f", "{id}:1e999",
        "{id}:+1", "{id}: 1", "{id}:1_0", "5", "5" * 5000,
        pytest.param("{id}:" + "9" * 5000, id="5000-digits"),
    ],
)  # fmt: skip
async def test_a_cursor_that_is_none_here_gets_a_snapshot_alone(web: Web, cursor: str) -> None:
    page = await web.page()
    async with page.events(cursor.format(id=web.session.id)) as events:
        snapshot = await events.next()
        assert (snapshot.event, snapshot.data["resumed"]) == ("snapshot", False)
        await web.connect()
        assert (await events.next("event")).sequence == snapshot.sequence + 1


async def test_a_cursor_that_the_ring_has_lost_gets_a_snapshot_alone(serve: Serve) -> None:
    async with serve(session={"capacity": 8}) as web:
        page = await web.page()
        cursor = page.joined["cursor"]
        room = await web.connect()
        for number in range(20):
            room.transcribes(f"{number}", "words")
        async with page.events(cursor) as events:
            snapshot = await events.next()
            assert (snapshot.event, snapshot.data["resumed"]) == ("snapshot", False)
            room.transcribes("after", "words")
            assert (await events.next("event")).sequence == snapshot.sequence + 1


async def test_a_page_that_reads_too_slowly_is_told_what_it_missed(serve: Serve) -> None:
    async with serve(session={"capacity": 16}) as web:
        room = await web.connect()
        page = await web.page()
        async with page.events() as events:
            await events.next("snapshot")
            before = web.session.state.sequence
            for number in range(100):  # in one go: the stream's task cannot run in between
                room.transcribes(f"{number}", "words")
            lagged = await events.next("lagged")
            snapshot = await events.next("snapshot")
            assert snapshot.sequence - before == lagged.data["missed"]
            assert snapshot.data["resumed"] is False
            room.transcribes("after", "words")
            assert (await events.next("event")).sequence == snapshot.sequence + 1
        statistics = web.surface.statistics().streams
        assert statistics is not None
        assert statistics.missed == lagged.data["missed"]


async def test_a_sign_of_life_comes_at_least_every_two_seconds(web: Web) -> None:
    page = await web.page()
    async with page.events() as events:
        await events.next("info")
        for _ in range(3):
            await web.clock.elapse(1.5)
            assert (await events.next("comment")).data == "beat"
            await page.beat()


async def test_a_page_learns_its_place_among_the_others(web: Web) -> None:
    page = await web.page()
    async with page.events() as events:
        assert (await events.next("info")).data == {
            "viewers": 1,
            "active": True,
            "quality": None,
            "replay": None,
        }
        other = await web.page()
        assert (await events.next("info")).data == {
            "viewers": 2,
            "active": True,
            "quality": None,
            "replay": None,
        }
        await other.beat(used=True)
        assert (await events.next("info")).data == {
            "viewers": 2,
            "active": False,
            "quality": None,
            "replay": None,
        }
        await other.leave()
        assert (await events.next("info")).data == {
            "viewers": 1,
            "active": True,
            "quality": None,
            "replay": None,
        }


async def test_a_new_stream_of_a_page_ends_the_one_before(web: Web) -> None:
    page = await web.page()
    async with page.events() as first:
        await first.next("snapshot")
        async with page.events() as second:
            await second.next("snapshot")
            assert "bye" not in [frame.event for frame in await first.rest()]
            await web.connect()
            await second.next("event")


async def test_unmounting_says_bye(web: Web) -> None:
    page = await web.page()
    async with page.events() as events:
        await events.next("snapshot")
        await web.mounted.unmount()
        last = (await events.rest())[-1]
        assert (last.event, last.data) == ("bye", {"reason": "unmounted"})


async def test_line_breaks_in_a_message_break_no_frame(web: Web) -> None:
    room = await web.connect()
    page = await web.page()
    async with page.events() as events:
        await events.next("snapshot")
        room.agent_says(b'{\r\n"type":\n"quiz",\r"event": "x\\n\\ndata: y"}')
        frame = await events.event("DataReceived")
        assert frame.data["event"]["payload"] == {"type": "quiz", "event": "x\n\ndata: y"}


async def test_script_in_a_transcript_line_is_only_text(web: Web) -> None:
    room = await web.connect()
    page = await web.page()
    async with page.events() as events:
        await events.next("snapshot")
        assert "text/event-stream" in events.response.headers["content-type"]
        assert events.response.headers["x-content-type-options"] == "nosniff"
        text = "<script>alert(1)</script>\nevent: bye\n\ndata: {}"
        room.transcribes("1", text)
        frame = await events.event("TranscriptUpdated")
        assert frame.data["event"]["entry"]["text"] == text


# Long polls -------------------------------------------------------------------------------------


async def test_a_first_poll_has_what_a_stream_begins_with_and_ends(web: Web) -> None:
    page = await web.page()
    cursor = page.joined["cursor"]
    room = await web.connect()
    room.transcribes("1", "while the page was away")
    frames, after = await page.poll(0, cursor)
    first, *events, info = frames
    assert (first.event, first.data["resumed"]) == ("snapshot", True)
    assert [frame.sequence for frame in events] == list(
        range(int(cursor.rpartition(":")[2]) + 1, web.session.state.sequence + 1)
    )
    assert after == f"{web.session.id}:{web.session.state.sequence}"
    assert info.data == {"viewers": 1, "active": True, "quality": None, "replay": None}


async def test_a_later_poll_waits_for_the_first_thing_and_repeats_nothing(web: Web) -> None:
    room = await web.connect()
    page = await web.page()
    _, after = await page.poll()
    for text in ("one", "two"):
        async with anyio.create_task_group() as group:
            group.start_soon(_say_when_it_waits, web, room, text)
            frames, after = await page.poll(20, after)
            assert {f.data["event"]["entry"]["text"] for f in frames} == {text}
    await web.page()
    frames, after = await page.poll(20, after)
    assert [(frame.event, frame.data["viewers"]) for frame in frames] == [("info", 2)]
    statistics = web.surface.statistics().streams
    assert statistics is not None
    assert (statistics.now, statistics.polls) == (0, 4)


async def _say_when_it_waits(web: Web, room: ScriptedRoom, text: str) -> None:
    await polled(lambda: web.surface.viewers()[0].streaming)
    await settle(20)
    room.transcribes(text, text)


async def test_a_poll_without_news_ends_in_time_and_is_presence(web: Web) -> None:
    page = await web.page()
    _, after = await page.poll()
    for _ in range(4):
        answers: list[list[Frame]] = []

        async def ask(answers: list[list[Frame]] = answers) -> None:
            answers.append((await page.poll(3, after))[0])

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await polled(lambda: web.surface.viewers()[0].streaming)
            assert not answers
            await web.clock.elapse(3.0)
        assert [(frame.event, frame.data) for frame in answers[0]] == [("comment", "beat")]
    assert [info.id for info in web.surface.viewers()] == [page.id]


async def test_a_command_comes_by_one_poll_and_again_only_after_a_first_one(web: Web) -> None:
    room = await web.connect()
    page = await web.page()
    _, after = await page.poll()
    room.agent_says({"type": "navigate", "href": "/plans"})
    frames, after = await page.poll(20, after)
    while not (commands := [frame for frame in frames if frame.event == "command"]):
        frames, after = await page.poll(20, after)
    room.transcribes("1", "meanwhile")
    frames, after = await page.poll(20, after)
    assert {frame.event for frame in frames} == {"event"}
    frames, after = await page.poll(0, after)  # as after an answer that was lost
    assert [f.data for f in frames if f.event == "command"] == [commands[0].data]
    number = commands[0].data["number"]
    assert (await page.ask("POST", f"commands/{number}", {"ok": True})).status_code == 204
    await room.next_sent("command_result")


async def test_a_poll_of_a_cursor_that_the_ring_has_lost_gets_a_snapshot(serve: Serve) -> None:
    async with serve(session={"capacity": 8}) as web:
        page = await web.page()
        room = await web.connect()
        _, after = await page.poll()
        for number in range(20):
            room.transcribes(f"{number}", "words")
        frames, after = await page.poll(20, after)
        assert [frame.event for frame in frames] == ["lagged", "snapshot"]
        assert frames[1].sequence == web.session.state.sequence
        frames, _ = await page.poll(20, "another:3")
        assert (frames[0].event, frames[0].data["resumed"]) == ("snapshot", False)


async def test_a_waiting_poll_says_bye(web: Web) -> None:
    page = await web.page()
    _, after = await page.poll()
    async with anyio.create_task_group() as group:
        group.start_soon(_unmount_when_it_waits, web)
        frames, _ = await page.poll(20, after)
        assert [(f.event, f.data) for f in frames] == [("bye", {"reason": "unmounted"})]


async def _unmount_when_it_waits(web: Web) -> None:
    await polled(lambda: web.surface.viewers()[0].streaming)
    await web.mounted.unmount()


@pytest.mark.parametrize("query", [{"wait": "x"}, {"wait": "-1"}, {"wait": "21"}, {"carrier": ""}])
async def test_a_query_that_does_not_fit_is_refused(web: Web, query: dict[str, str]) -> None:
    page = await web.page()
    answer = await page.http.get("events", headers=page.headers, params=query)
    assert code_of(answer) == (400, "body")


# One stream for several pages --------------------------------------------------------------------


async def test_a_page_is_carried_by_the_stream_of_another_until_that_closes(web: Web) -> None:
    room = await web.connect()
    carrier, other = await web.page(), await web.page()
    assert carrier.joined["share"] == other.joined["share"]
    async with carrier.events() as events:
        await events.next("info")
        frames, after = await other.poll(carrier=carrier.id)
        assert [frame.event for frame in frames] == ["snapshot", "info"]
        await other.beat(used=True)
        frame = await events.next("other")
        assert (frame.data["viewer"], frame.data["event"]) == (other.id, "info")
        room.agent_says({"type": "navigate", "href": "/plans"})
        while (frame := await events.next("other")).data["event"] != "command":
            pass
        number = frame.data["data"]["number"]
        assert frame.data["data"]["message"]["type"] == "navigate"
        assert (await carrier.ask("POST", f"commands/{number}", {"ok": True})).status_code == 404
        assert (await other.ask("POST", f"commands/{number}", {"ok": True})).status_code == 204
        assert [info.streaming for info in web.surface.viewers()] == [True, True]
        statistics = web.surface.statistics().streams
        assert statistics is not None
        assert (statistics.now, statistics.shared) == (1, 1)
    await polled(lambda: not any(info.streaming for info in web.surface.viewers()))
    room.agent_says({"type": "navigate", "href": "/pricing"})
    frames, _ = await other.poll(0, after)  # it is there again within two seconds
    [command] = [frame for frame in frames if frame.event == "command"]
    assert command.data["message"]["href"] == "/pricing"


async def test_a_stream_is_shared_only_with_the_same_grants_and_by_who_has_it(
    serve: Serve,
) -> None:
    tokens = ViewerTokens(b"a secret of at least thirty-two bytes")
    async with serve(tokens=tokens) as web:

        async def joined(*grants: Grant) -> Page:
            answer = await web.join(bearer=web.surface.token(grants))
            return Page(web.http, answer.json())

        carrier, same = await joined("watch", "talk"), await joined("talk", "watch")
        less = await joined("watch")
        assert carrier.joined["share"] == same.joined["share"] != less.joined["share"]
        await same.poll(carrier=carrier.id)
        for page, name in [
            (less, carrier.id), (carrier, carrier.id), (carrier, same.id), (carrier, "v000000"),
        ]:  # fmt: skip
            answer = await web.http.get(
                "events", headers=page.headers, params={"wait": "0", "carrier": name}
            )
            assert code_of(answer) == (409, "carrier")


async def test_a_carried_page_that_is_revoked_is_told_and_the_others_stay(
    serve: Serve,
) -> None:
    tokens = ViewerTokens(b"a secret of at least thirty-two bytes")
    async with serve(tokens=tokens) as web:
        given = [web.surface.token() for _ in range(2)]
        carrier, other = [Page(web.http, (await web.join(bearer=token)).json()) for token in given]
        async with carrier.events() as events:
            await events.next("info")
            await other.poll(carrier=carrier.id)
            tokens.revoke(jwt.decode(given[1], options={"verify_signature": False})["jti"])
            while (frame := await events.next("other")).data["event"] != "bye":
                pass
            assert frame.data == {
                "viewer": other.id, "event": "bye", "data": {"reason": "revoked"},
            }  # fmt: skip
            assert [info.id for info in web.surface.viewers()] == [carrier.id]


# -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["silence", "unmount"])
async def test_a_page_that_does_not_read_piles_nothing_up_and_is_cut_off_at_its_end(
    serve: Serve, end: str
) -> None:
    async with serve(session={"capacity": 64}) as web:
        room = await web.connect()
        page = await web.page()
        url = web.http.base_url
        loop = asyncio.get_running_loop()
        with socket.socket() as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            raw.setblocking(False)
            await loop.sock_connect(raw, (url.host, url.port or 80))
            request = (
                f"GET /livelayer/events HTTP/1.1\r\nHost: {url.host}:{url.port}\r\n"
                f"Authorization: Bearer {page.key}\r\n\r\n"
            )
            await loop.sock_sendall(raw, request.encode())
            await polled(lambda: web.surface.viewers()[0].streaming)

            said = written = 0
            while said - written < 64 and said < 5000:
                said += 1
                room.transcribes(f"{said % 50}", f"{said} " + "words " * 2000)
                await settle(5)
                statistics = web.surface.statistics().streams
                assert statistics is not None
                written = statistics.events
            assert said < 5000  # it waits for the page: what is not written is in no queue of its
            with anyio.fail_after(PATIENCE):
                if end == "silence":
                    await web.clock.elapse(STREAM_SECONDS)
                    assert web.surface.viewers() == ()
                else:
                    await web.mounted.unmount()
                    assert web.mounted.status == "unmounted"
            # What waited for it in the server's socket is gone, too.
            await polled(lambda: raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0)


# Cut anywhere -----------------------------------------------------------------------------------


class Wire:
    """An ASGI server's end of one stream, cut off after so many bytes."""

    def __init__(self, limit: int) -> None:
        self.received = b""
        self.cut = anyio.Event()
        self._limit = limit

    async def receive(self) -> MutableMapping[str, Any]:
        await self.cut.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        await anyio.lowlevel.checkpoint()
        self.received += message.get("body", b"")
        if len(self.received) >= self._limit:
            self.received = self.received[: self._limit]
            self.cut.set()
            await anyio.sleep_forever()

    @property
    def frames(self) -> list[Frame]:
        return parse_frames(self.received.decode(errors="replace"))


class Listener:
    """A page's program: applies a snapshot, tells events once, remembers the last id."""

    def __init__(self) -> None:
        self.last_id: str | None = None
        self.told: list[int] = []
        self.gaps = 0

    def take(self, frames: list[Frame]) -> None:
        for frame in frames:
            if frame.event == "lagged":
                self.gaps += 1
            if frame.event == "event" and (not self.told or frame.sequence > self.told[-1]):
                self.told.append(frame.sequence)
            if frame.cursor is not None:
                self.last_id = frame.cursor


@given(
    cuts=st.lists(st.integers(1, 6000), min_size=1, max_size=8),
    bursts=st.lists(st.integers(0, 12), min_size=9, max_size=9),
    polls=st.booleans(),
)
@settings(
    max_examples=100 * EXAMPLES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
)
def test_a_stream_that_is_cut_anywhere_goes_on_without_gap_or_duplicate(
    cuts: list[int], bursts: list[int], polls: bool
) -> None:
    anyio.run(partial(_cut_and_go_on, cuts, bursts, polls))


async def _cut_and_go_on(cuts: list[int], bursts: list[int], polls: bool) -> None:
    clock = ManualClock()
    rooms = ScriptedRooms(agent="agent")
    listener = Listener()
    async with Session("agt", tokens=rooms.tokens, room=rooms, clock=clock) as session:
        await session.connect()
        room = await rooms.next()
        view = SurfaceSession(session, "web", frozenset(), None)
        viewer, _ = Viewers("s", ResumeStore(clock), clock, 9, lambda: None).join()
        listener.last_id = f"{session.id}:{session.state.sequence}"
        first = session.state.sequence + 1
        wait = 0 if polls else None
        limits = [*cuts, None, None]  # the last ones are not cut, and a poll has a part only
        for cut, burst in zip(limits, [*bursts[: len(cuts) + 1], 0], strict=False):
            limit = cut if cut is not None else 10**9
            wire = Wire(limit)
            stream = EventStream(
                view,
                viewer,
                listener.last_id,
                wait,
                info=lambda _: Info(1, True, None),
                opened=lambda _: None,
                closed=lambda _: None,
            )
            _speak(room, burst)
            async with anyio.create_task_group() as group:
                group.start_soon(stream, {"type": "http"}, wire.receive, wire.send)
                await settle(30)
                _speak(room, burst)
                await settle(60)
                stream.end()
            # Of a poll that broke off, the page takes what came, and begins again.
            listener.take(wire.frames)
            if polls:
                wait = 0 if wire.cut.is_set() else 3
        assert listener.gaps == 0
        assert listener.told == list(range(first, session.state.sequence + 1))


def _speak(room: ScriptedRoom, times: int) -> None:
    for number in range(times):
        room.agent_says({"type": "quiz", "number": number})
