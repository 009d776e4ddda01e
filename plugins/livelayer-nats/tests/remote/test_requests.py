"""What a remote asks of the session's owner, and what comes back."""

from __future__ import annotations

import anyio
import msgspec
import pytest
from livelayer_nats import NatsBridge, NoOwnerError, RemoteSession
from livelayer_nats.connection import Link
from livelayer_nats.requests import (
    Answer,
    Call,
    RequestClient,
    SendData,
    TakeSnapshot,
    error_of,
    problem_of,
)
from livelayer_nats.store import SessionStore
from livelayer_nats.wire import VERSION, Subjects

from livelayer_bus import CommandFinished, DataSent, RefusedError, Session, SurfaceSession
from livelayer_bus.errors import MessageTooLargeError, NotConnectedError, SendTimeoutError
from livelayer_bus.events import ApprovalRequested
from livelayer_bus.messages import Navigate, RawMessage, RequestApproval, UserMessage
from livelayer_bus.surfaces import SurfaceFunction
from livelayer_bus.testing import PATIENCE, ScriptedRoom, ScriptedRooms, polled

from .nats_kit import NatsServer, event_of, joined, owned

pytestmark = pytest.mark.anyio


def opened(server: NatsServer, session: Session) -> RemoteSession:
    return RemoteSession(server.url, session.id, connect_timeout=PATIENCE)


async def test_what_a_remote_sends_reaches_the_agent(server: NatsServer) -> None:
    async with owned(server) as (session, rooms), opened(server, session) as remote:
        await remote.connect()
        assert remote.connection_state == "connected"
        room = await rooms.next()
        with remote.subscribe(DataSent) as sent:
            await remote.send_data(UserMessage("hello"))
            assert sent.lag == 1  # the call returns when the remote has seen what it did
            assert (await anext(sent)).type == "user_message"
        assert room.sent[-1].json()["text"] == "hello"
        await remote.send_text("typed")
        assert remote.transcript[-1].text == "typed"
        assert remote.transcript[-1].delivery == "sent"
        before = remote.transcript[-1]
        assert (await remote.earlier_transcript(before))[-1].text == "hello"
        await remote.disconnect()
        assert remote.state.connection_state == "disconnected"


async def test_a_question_to_the_agent_has_its_answer(server: NatsServer) -> None:
    async with owned(server) as (session, rooms), opened(server, session) as remote:
        await remote.connect()
        room = await rooms.next()

        async def answer() -> None:
            packet = await room.next_sent("ask_price")
            number = packet.json()["requestId"]
            room.agent_says({"type": "price", "requestId": number, "euros": 7})

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(answer)
            reply = await remote.request({"type": "ask_price"}, reply="price", timeout=PATIENCE)
            assert isinstance(reply, RawMessage)
            assert reply.fields["euros"] == 7


async def test_a_repeated_request_is_carried_out_once(server: NatsServer) -> None:
    async with owned(server) as (session, rooms), opened(server, session):
        room = await joined(session, rooms)
        message = msgspec.Raw(b'{"type":"once"}')
        call = Call(VERSION, "the-key", "a-remote", SendData(message, PATIENCE, True, False))
        data = msgspec.json.encode(call)
        async with server.client() as client:
            subject = Subjects("LIVELAYER").requests(session.id)
            answers = [await client.request(subject, data, timeout=PATIENCE) for _ in range(3)]
        assert len({answer.data for answer in answers}) == 1
        assert msgspec.json.decode(answers[0].data, type=Answer).error is None
        assert [packet.json()["type"] for packet in room.sent] == ["once"]


async def test_errors_are_those_of_the_owners_session(server: NatsServer) -> None:
    async with owned(server) as (session, _), opened(server, session) as remote:
        with pytest.raises(NotConnectedError):
            await remote.send_data(UserMessage("hello"))
        await remote.connect()
        with pytest.raises(MessageTooLargeError) as large:
            await remote.send_data(RawMessage("much", {"text": "x" * 20_000}))
        assert (large.value.limit, large.value.size > 20_000) == (15_360, True)
        with pytest.raises(SendTimeoutError) as late:
            await remote.interrupt(timeout=0.1)
        assert (late.value.seconds, late.value.confirming) == (0.1, True)


@pytest.mark.parametrize(
    "error",
    [NotConnectedError("idle", "why"), MessageTooLargeError(9, 8), NoOwnerError("s", "x", 1.0)],
)
def test_an_error_travels_whole(error: Exception) -> None:
    again = error_of(problem_of(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_an_error_brings_no_token() -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2VjcmV0"
    assert token not in str(problem_of(RuntimeError(f"refused: {token}")))


async def test_remotes_do_only_what_the_owner_allows(server: NatsServer) -> None:
    bridge = NatsBridge(server.url, allow=["messages"])
    async with owned(server, bridge) as (session, _), opened(server, session) as remote:
        with pytest.raises(RefusedError, match="connection"):
            await remote.connect()
        assert session.connection_state == "idle"


async def test_without_an_owner_the_error_names_the_session(
    server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("livelayer_nats.remote.GRACE", 0.1)
    monkeypatch.setattr("livelayer_nats.remote.CONNECT_SECONDS", 0.1)
    rooms = ScriptedRooms()
    async with Session("agt_1", tokens=rooms.tokens, room=rooms) as session:
        bridge = session.mount(NatsBridge(server.url), key="nats")
        async with opened(server, session) as remote:
            await bridge.unmount()
            with pytest.raises(NoOwnerError, match=session.id) as none:
                await remote.connect()
            assert none.value.retryable
            session.mount(NatsBridge(server.url), key="again")
            monkeypatch.setattr("livelayer_nats.remote.CONNECT_SECONDS", PATIENCE)
            await remote.connect()
            assert remote.connection_state == "connected"


# Commands -----------------------------------------------------------------------------------------


def obeys(name: str, log: list[str]) -> SurfaceFunction:
    async def surface(session: SurfaceSession) -> None:
        async for command in session.commands():
            log.append(f"{name}:{getattr(command, 'href', command)}")  # noqa: PERF401

    return surface


async def commanded(room: ScriptedRoom, session: Session, href: str) -> CommandFinished:
    with session.subscribe(CommandFinished) as finished:
        room.agent_says(Navigate(href))
        return await event_of(finished, lambda _: True)


async def test_a_command_goes_to_one_remote_and_its_result_back(server: NatsServer) -> None:
    log: list[str] = []
    bridge = NatsBridge(server.url)
    async with (
        owned(server, bridge, capabilities=["navigate"]) as (session, rooms),
        opened(server, session) as first,
        opened(server, session) as second,
    ):
        room = await joined(session, rooms)
        surfaces: list[SurfaceSession] = []

        async def used(session: SurfaceSession) -> None:
            surfaces.append(session)
            await obeys("second", log)(session)

        first.mount(obeys("first", log), key="page", capabilities=["navigate"])
        await polled(lambda: bridge.statistics().remotes == 1)
        mounted = second.mount(used, key="page", capabilities=["navigate"])
        await polled(lambda: bridge.statistics().remotes == 2)
        result = await commanded(room, session, "/one")
        assert (result.ok, result.surface, log) == (True, "nats", ["first:/one"])
        surfaces[0].mark_used()
        await surfaces[0].send_text("a person typed this on the second one")
        assert (await commanded(room, session, "/two")).ok
        assert log == ["first:/one", "second:/two"]
        await mounted.unmount()
        await second.aclose()
        await polled(lambda: bridge.statistics().remotes == 1)
        assert (await commanded(room, session, "/three")).ok
        assert log[-1] == "first:/three"
        assert "page" not in session.state.surfaces


async def test_a_person_at_a_remote_answers_an_approval(server: NatsServer) -> None:
    async with (
        owned(server, capabilities=["ask_approval"]) as (session, rooms),
        opened(server, session) as remote,
    ):
        room = await joined(session, rooms)
        with remote.subscribe(ApprovalRequested) as asked:
            room.agent_says(RequestApproval("Really?"))
            question = await event_of(asked, lambda _: True)
        assert await remote.answer_approval(question.number, approved=True, surface="page")
        assert not remote.state.approvals
        assert not await remote.answer_approval(question.number, approved=False)


async def test_no_token_is_in_any_message(server: NatsServer) -> None:
    async with owned(server) as (session, _), opened(server, session) as remote:
        seen: list[bytes] = []
        async with server.client() as client:

            async def note(message: object) -> None:
                seen.append(repr(message).encode())

            await client.subscribe(">", cb=note)
            await client.flush()
            await remote.connect()
            await remote.send_text("hello")
        assert len(seen) > 3
        assert not [message for message in seen if b"token-1" in message]


async def test_many_remotes_that_need_a_snapshot_get_the_same_one(server: NatsServer) -> None:
    bridge = NatsBridge(server.url)
    async with owned(server, bridge) as (session, rooms), server.client() as client:
        room = await joined(session, rooms)
        room.transcribes("one", "hello")
        await polled(lambda: bridge.statistics().events > 0)
        before = bridge.statistics().snapshots
        store = SessionStore(Link(client), Subjects("LIVELAYER"))
        clients = [RequestClient(store, session.id, f"remote-{number}") for number in range(50)]
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                for one in clients:
                    tasks.start_soon(one.call, TakeSnapshot(), "snapshot", PATIENCE)
        await polled(lambda: bridge.statistics().snapshots == before + 1)
        await clients[0].call(TakeSnapshot(), "snapshot", PATIENCE)  # nothing has happened since
        room.transcribes("two", "hello")
        await polled(lambda: bridge.statistics().messages > 1)
        assert bridge.statistics().snapshots == before + 1
