"""A session's events arrive at a real receiver: signed, in order, again after failures, bounded."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
import standardwebhooks
from livelayer_web.webhooks import (
    EVENTS,
    WebhookSurface,
    new_webhook_secret,
    verify_webhook,
)
from livelayer_web.webhooks import (
    surface as module,
)

from livelayer_bus import BusyError, MisuseError, SurfaceDidNotStop
from livelayer_bus.config import load_config, load_surface
from livelayer_bus.testing import PATIENCE, ManualClock, check_surface, polled

from .conftest import LOOPBACK, Make, Open, Receiver

pytestmark = pytest.mark.anyio

FIELD = {
    "type": "task_field_updated",
    "fieldId": "f1",
    "fieldName": "email",
    "value": "ada@example.com",
    "kind": "email",
    "source": "agent",
}
RESULT = {
    "sessionId": "s1",
    "startedAt": 1,
    "endedAt": 2,
    "source": "agent",
    "results": {"email": "ada@example.com"},
}


async def test_a_conversation_arrives_in_order_and_signed(
    make: Make, opened: Open, receiver: Receiver, secret: str
) -> None:
    surface = make(events=EVENTS)
    async with opened() as (session, rooms):
        session.mount(surface, key="hooks")
        await session.connect()
        room = await rooms.next()
        stream = room.open_stream("s1")
        stream.write("Good ")
        stream.write("morning")
        stream.close()
        room.agent_says(FIELD)
        room.agent_says({"type": "task_completed", "result": RESULT})
        got = [await receiver.next() for _ in range(4)]
        await session.disconnect()
        got += [await receiver.next() for _ in range(2)]
        await polled(lambda: surface.statistics().delivered == 6)
        statistics = surface.statistics()
    assert [one.type for one in got] == [
        "session.started",
        "transcript.line",
        "field.collected",
        "collection.completed",
        "transcript.completed",
        "session.ended",
    ]
    library = standardwebhooks.Webhook(secret)
    for one in got:
        assert library.verify(one.body, one.headers) == one.json
        assert verify_webhook(one.headers, one.body, secret) == one.id
        assert abs(int(one.headers["webhook-timestamp"]) - time.time()) < PATIENCE
        assert one.headers["content-type"] == "application/json"
        assert one.json["timestamp"].endswith("Z")
        assert (one.json["data"]["session_id"], one.json["data"]["agent_id"]) == (
            session.id,
            "agt_1",
        )
    assert len({one.id for one in got}) == 6
    assert len({one.json["data"]["conversation_id"] for one in got}) == 1
    _, line, field, result, transcript, ended = (one.json["data"] for one in got)
    assert line["line"]["text"] == "Good morning"
    assert field["field"] == {name: value for name, value in FIELD.items() if name != "type"}
    assert result["result"] == RESULT
    assert [one["text"] for one in transcript["transcript"]] == ["Good morning"]
    assert transcript["omitted"] == 0
    assert ended["reason"] is None
    assert ended["seconds"] >= 0
    assert (statistics.attempts, statistics.waiting, statistics.waiting_bytes) == (6, 0, 0)


async def test_the_end_arrives_also_when_the_session_closes(
    make: Make, opened: Open, receiver: Receiver
) -> None:
    async with opened() as (session, _):
        await session.connect()
        # It comes late: what was said is in the transcript all the same.
        surface = make()
        session.mount(surface, key="hooks")
        assert (await receiver.next()).type == "session.started"
        await polled(lambda: surface.statistics().delivered)
    assert [one.type for one in receiver.got[1:]] == ["transcript.completed", "session.ended"]


async def test_another_agent_and_another_conversation_are_others(
    make: Make, opened: Open, receiver: Receiver
) -> None:
    async with opened() as (session, _):
        session.mount(make(events=["session.started", "session.ended"]), key="hooks")
        await session.connect()
        await session.switch_agent("agt_2")
        got = [await receiver.next() for _ in range(3)]
    told = [(one.type, one.json["data"]["agent_id"]) for one in got]
    assert told == [
        ("session.started", "agt_1"),
        ("session.ended", "agt_1"),
        ("session.started", "agt_2"),
    ]
    assert got[1].json["data"]["reason"] == "switched to another agent"
    first, same, second = (one.json["data"]["conversation_id"] for one in got)
    assert (first == same, first == second) == (True, False)


async def test_mounted_again_it_goes_on_and_repeats_nothing(
    make: Make, opened: Open, receiver: Receiver
) -> None:
    surface = make()
    async with opened() as (session, _):
        await session.connect()
        mounted = session.mount(surface, key="hooks")
        assert (await receiver.next()).type == "session.started"
        # An attempt that unmounting interrupts is made again.
        await polled(lambda: surface.statistics().delivered)
        await mounted.unmount()
        session.mount(surface, key="again")
        await session.disconnect()
        assert (await receiver.next()).type == "transcript.completed"
        assert (await receiver.next()).type == "session.ended"
        assert len(receiver.got) == 3


async def test_it_is_mounted_once_at_a_time(make: Make, opened: Open) -> None:
    surface = make()
    async with opened() as (session, _):
        session.mount(surface, key="hooks")
        await session.connect()
        twice = session.mount(surface, key="twice", on_fault="raise")
        with anyio.fail_after(PATIENCE), pytest.raises(Exception, match="mounted already") as told:
            await twice.wait()
        assert isinstance(told.value.__cause__, BusyError)


# Failures -------------------------------------------------------------------------------------


async def test_it_tries_again_with_growing_pauses_and_one_id(
    make: Make, opened: Open, receiver: Receiver, clock: ManualClock, secret: str
) -> None:
    receiver.answers.extend(["500 No", f"302 There\r\nlocation: {receiver.url}", "503 Later"])
    surface = make(events=["session.started"])
    async with opened() as (session, _):
        session.mount(surface, key="hooks")
        await session.connect()
        got = [await receiver.next()]
        for pause, answer in ((5.0, 500), (20.0, 302), (80.0, 503)):
            await clock.wait_for_sleepers()
            assert clock.next_in == pause
            [record] = surface.deliveries()
            assert (record.status, record.answer) == ("waiting", answer)
            assert record.next_seconds == pause
            clock.advance(pause - 0.1)
            clock.advance(0.1)
            got.append(await receiver.next())
        await polled(lambda: surface.statistics().delivered)
        [record] = surface.deliveries()
    assert len({(one.id, one.body) for one in got}) == 1
    for one in got:
        assert verify_webhook(one.headers, one.body, secret) == record.id
    assert (record.status, record.attempts, record.answer) == ("delivered", 4, 204)


async def test_a_receiver_may_ask_for_more_time(
    make: Make, opened: Open, receiver: Receiver, clock: ManualClock
) -> None:
    receiver.answers.extend(["503 Later\r\nretry-after: 60", "429 No\r\nretry-after: 9999"])
    async with opened() as (session, _):
        session.mount(make(events=["session.started"]), key="hooks")
        await session.connect()
        await receiver.next()
        await clock.wait_for_sleepers()
        assert clock.next_in == 60
        clock.advance(60)
        await receiver.next()
        await clock.wait_for_sleepers()
        assert clock.next_in == 100  # the longest pause


async def test_pauses_have_jitter(opened: Open, receiver: Receiver, secret: str) -> None:
    pauses: set[float | None] = set()
    for _ in range(3):
        clock = ManualClock()
        receiver.answers.append("500 No")
        surface = WebhookSurface(
            receiver.url,
            secret,
            events=["session.started"],
            allow_private=LOOPBACK,
            clock=clock,
        )
        async with opened() as (session, _rooms):
            session.mount(surface, key="hooks")
            await session.connect()
            await receiver.next()
            await clock.wait_for_sleepers()
            pauses.add(clock.next_in)
    assert len(pauses) == 3
    assert all(pause is not None and 3.75 <= pause <= 6.25 for pause in pauses)


async def test_an_event_that_failed_lets_the_others_pass(
    make: Make, opened: Open, receiver: Receiver, clock: ManualClock
) -> None:
    receiver.answers.append("500 No")
    async with opened() as (session, _):
        session.mount(make(events=["session.started", "session.ended"]), key="hooks")
        await session.connect()
        started = await receiver.next()
        await clock.wait_for_sleepers()
        await session.disconnect()
        assert (await receiver.next()).type == "session.ended"
        clock.advance(5)
        assert (await receiver.next()).id == started.id


async def test_after_the_last_attempt_it_gives_up(
    make: Make,
    opened: Open,
    receiver: Receiver,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
    secret: str,
) -> None:
    receiver.answers.extend(["500 No"] * 4)
    surface = make(events=["session.started"])
    with caplog.at_level(logging.DEBUG):
        async with opened() as (session, _):
            session.mount(surface, key="hooks")
            await session.connect()
            for _ in range(3):
                await receiver.next()
                await clock.wait_for_sleepers()
                clock.advance(100)
            await receiver.next()
            await polled(lambda: surface.statistics().failed)
    [record] = surface.deliveries()
    assert (record.status, record.attempts, record.answer) == ("failed", 4, 500)
    lines = [entry.getMessage() for entry in caplog.records]
    told = [line for line in lines if line.startswith("webhook to 127.0.0.1: ")]
    assert [json.loads(line.partition(": ")[2])["status"] for line in told] == [
        *(["waiting"] * 3),
        "failed",
    ]
    for line in lines:
        assert "hunter2" not in line
        assert secret not in line
        assert receiver.got[0].headers["webhook-signature"] not in line


async def test_a_receiver_that_is_gone_gets_no_more(
    make: Make, opened: Open, receiver: Receiver
) -> None:
    receiver.answers.append("410 Gone")
    surface = make()
    async with opened() as (session, _):
        session.mount(surface, key="hooks")
        await session.connect()
        await receiver.next()
        await session.disconnect()
        await polled(lambda: surface.statistics().failed)
    assert len(receiver.got) == 1
    statistics = surface.statistics()
    assert (statistics.failed, statistics.dropped, statistics.waiting) == (1, 2, 0)


async def test_what_waits_is_bounded_and_drops_are_counted(
    make: Make, opened: Open, receiver: Receiver, clock: ManualClock
) -> None:
    receiver.answers.extend(["500 No"] * 10)
    surface = make(events=["field.collected"], max_waiting=3, log_size=4)
    async with opened() as (session, rooms):
        session.mount(surface, key="hooks")
        await session.connect()
        room = await rooms.next()
        for number in range(5):
            room.agent_says({**FIELD, "value": number})
            await receiver.next()
            await clock.wait_for_sleepers()
        statistics = surface.statistics()
        assert (statistics.waiting, statistics.dropped, statistics.peak_waiting) == (3, 2, 3)
        records = surface.deliveries()
        assert len(records) == 4
        assert [one.status for one in records].count("dropped") <= 2
        sizes = [len(one.body) for one in receiver.got[2:]]
        assert statistics.waiting_bytes == sum(sizes)


async def test_a_private_address_is_never_asked(
    make: Make, opened: Open, receiver: Receiver
) -> None:
    surface = WebhookSurface(f"https://127.0.0.1:{receiver.port}/", new_webhook_secret())
    async with opened() as (session, _):
        session.mount(surface, key="hooks")
        await session.connect()
        await polled(lambda: surface.statistics().failed)
        [record] = surface.deliveries()
    assert receiver.got == []
    assert (record.status, record.attempts) == ("failed", 1)
    assert record.problem == "its address is not a public one: name it in allow_private"


async def test_a_receiver_that_does_not_answer_delays_nobody_for_long(
    make: Make, opened: Open, receiver: Receiver
) -> None:
    receiver.silent = True
    surface = make(close_timeout=0.05)
    async with opened() as (session, _):
        mounted = session.mount(surface, key="hooks")
        await session.connect()
        await receiver.next()
        with session.subscribe(SurfaceDidNotStop) as late, anyio.fail_after(PATIENCE):
            await mounted.unmount()
            assert late.lag == 0
        # What was not answered waits for the next mount.
        assert surface.statistics().waiting == 1
        receiver.silent = False
        session.mount(surface, key="again")
        await polled(lambda: surface.statistics().delivered)
    assert receiver.got[0].id in {one.id for one in receiver.got[1:]}


async def test_an_attempt_ends_in_time(
    make: Make, opened: Open, receiver: Receiver, clock: ManualClock
) -> None:
    receiver.silent = True
    surface = make(timeout=0.05, events=["session.started"])
    async with opened() as (session, _):
        session.mount(surface, key="hooks")
        await session.connect()
        await clock.wait_for_sleepers()
        [record] = surface.deliveries()
    assert record.problem == "no answer within 0.05 s"


# Operating it ---------------------------------------------------------------------------------


async def test_a_secret_is_changed_without_losing_a_webhook(
    make: Make, opened: Open, receiver: Receiver, secret: str
) -> None:
    surface, new = make(), new_webhook_secret()
    async with opened() as (session, _):
        session.mount(surface, key="hooks")
        await session.connect()
        first = await receiver.next()
        surface.use_secrets([new, secret])
        await session.disconnect()
        second = await receiver.next()
    assert verify_webhook(first.headers, first.body, secret)
    for one in (secret, new):
        assert verify_webhook(second.headers, second.body, one)
        standardwebhooks.Webhook(one).verify(second.body, second.headers)


async def test_the_log_is_a_bounded_file(
    make: Make,
    opened: Open,
    receiver: Receiver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_LOG", 400)
    path = tmp_path / "logs" / "webhooks.jsonl"
    async with opened() as (session, rooms):
        session.mount(make(log_file=path), key="hooks")
        await session.connect()
        room = await rooms.next()
        room.agent_says(FIELD)
        for _ in range(2):
            await receiver.next()
    older = path.with_name("webhooks.jsonl.1")
    lines = (older.read_text() + path.read_text()).splitlines()
    records = [json.loads(line) for line in lines]
    assert {one["status"] for one in records} == {"delivered"}
    assert records[-1]["type"] == "session.ended"
    assert {one["id"] for one in records} <= {one.id for one in receiver.got}
    for file in (path, older):
        assert file.stat().st_size <= 400
        assert "ada@example.com" not in file.read_text()


async def test_it_keeps_the_contract_of_surfaces(secret: str) -> None:
    await check_surface(
        lambda: WebhookSurface(
            "http://127.0.0.1:9/", secret, allow_private=LOOPBACK, close_timeout=1.0
        )
    )


async def test_a_file_configures_it(
    opened: Open, receiver: Receiver, tmp_path: Path, secret: str
) -> None:
    path = tmp_path / "livelayer.toml"
    path.write_text(f"""
agent_id = "agt_1"
base_url = "http://127.0.0.1:9"
[surfaces.webhook.options]
url = "{receiver.url}"
secrets = [{{ env = "WEBHOOK_SECRET" }}]
events = ["session.ended"]
allow_private = ["127.0.0.0/8"]
retries = {{ attempts = 2 }}
""")
    config = load_config(path)
    async with opened() as (session, _):
        config.mount_surfaces(session, {"WEBHOOK_SECRET": secret})
        await session.connect()
        await session.disconnect()
        got = await receiver.next()
    assert got.type == "session.ended"
    assert verify_webhook(got.headers, got.body, secret) == got.id


def test_the_repr_shows_the_host_alone(secret: str) -> None:
    surface = WebhookSurface("https://example.com/path-hunter2?key=hunter2", secret)
    assert repr(surface) == "WebhookSurface(to 'example.com')"
    assert load_surface("webhook") is WebhookSurface


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"secrets": []}, "secrets"),
        ({"secrets": "hunter2"}, "secrets"),
        ({"url": "http://example.com/"}, "url"),
        ({"events": ["session.paused"]}, "session.paused"),
        ({"events": "session.ended"}, "give a list"),
        ({"max_waiting": 0}, "max_waiting"),
        ({"retries": {"attempts": "many"}}, "retries"),
        ({"allow_private": ["10.0.0.0/99"]}, "allow_private"),
    ],
)
def test_an_option_that_is_invalid_is_named(options: dict[str, Any], where: str) -> None:
    given: dict[str, Any] = {"url": "https://example.com/", "secrets": new_webhook_secret()}
    with pytest.raises(MisuseError, match=where) as refused:
        WebhookSurface(**(given | options))
    assert "hunter2" not in str(refused.value)
