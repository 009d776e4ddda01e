"""Who gets in, and what they see of each other."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from livekit import rtc
from livelayer_embedded import EmbeddedServer

from .conftest import Join, Server, either_mode

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "options",
    [{"ttl": -3600}, {"room_join": False}],
    ids=["expired", "without the join grant"],
)
async def test_a_useless_token_is_refused(
    server: Server, join_at: Any, room_name: str, options: dict[str, Any]
) -> None:
    token = server.token("alice", room_name, **options)
    with pytest.raises(rtc.ConnectError, match="401"):
        await join_at(server.url, token)


async def test_a_token_of_another_secret_is_refused(
    server: Server, join_at: Any, room_name: str
) -> None:
    stranger = EmbeddedServer(key="stranger", secret="x" * 40)
    with pytest.raises(rtc.ConnectError, match="401"):
        await join_at(server.url, stranger.token("alice", room_name))


@either_mode
async def test_a_client_joins_with_either_connection_mode(join: Join) -> None:
    alice, bob = await join("alice"), await join("bob")
    assert alice.room.isconnected()
    assert (await bob.sees("alice")).identity == "alice"
    assert (await alice.sees("bob")).identity == "bob"
    assert (await alice.room.sid).startswith("RM_")


async def test_participants_show_what_their_tokens_say(join: Join) -> None:
    await join("alice", name="Alice A.", metadata="m", attributes={"role": "host"})
    bob = await join("bob")
    alice = await bob.sees("alice")
    assert (alice.name, alice.metadata, dict(alice.attributes)) == (
        "Alice A.",
        "m",
        {"role": "host"},
    )
    assert alice.kind == rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD


async def test_an_agent_token_makes_an_agent(join: Join) -> None:
    alice = await join("alice")
    await join("helper", kind="agent")
    helper = await alice.sees("helper")
    assert helper.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT


async def test_a_hidden_participant_is_not_seen_but_sees(join: Join) -> None:
    alice = await join("alice")
    watcher = await join("watcher", hidden=True)
    bob = await join("bob")
    assert set(watcher.room.remote_participants) >= {"alice"}
    await watcher.sees("bob")
    await alice.sees("bob")
    assert set(alice.room.remote_participants) == {"bob"}
    assert set(bob.room.remote_participants) == {"alice"}


async def test_validate_names_the_reason_in_plain_text(embedded: EmbeddedServer) -> None:
    address = embedded.url.replace("ws", "http") + "/rtc/validate"
    good = {"Authorization": f"Bearer {embedded.token('alice', 'r')}"}
    expired = {"Authorization": f"Bearer {embedded.token('alice', 'r', ttl=-3600)}"}
    async with aiohttp.ClientSession() as client:
        async with client.get(address, headers=good) as answer:
            assert (answer.status, await answer.text()) == (200, "success")
        async with client.get(address, headers=expired) as answer:
            assert (answer.status, await answer.text()) == (401, "it has expired")
        async with client.get(address) as answer:
            assert (answer.status, await answer.text()) == (401, "no token was given")


async def test_a_full_room_takes_nobody_more(
    embedded: EmbeddedServer, join_at: Any, room_name: str
) -> None:
    embedded.rooms.create_room(room_name, max_participants=1)
    await join_at(embedded.url, embedded.token("alice", room_name))
    # Not with the SDK: after a join that fails beside a joined room, its clients in this process
    # may stay silent, whatever the server.
    headers = {"Authorization": f"Bearer {embedded.token('bob', room_name)}"}
    async with aiohttp.ClientSession() as client:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await client.ws_connect(f"{embedded.url}/rtc", headers=headers)
    assert caught.value.status == 403
