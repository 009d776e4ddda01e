"""Access for viewers: to the session's room, by its token source, and to do no more than watch."""

from __future__ import annotations

import pytest

from livelayer_bus import LocalKeys, RoomAccess, Session, TokenRequest
from livelayer_bus.errors import NotConnectedError, NotSupportedError, TokenSourceError
from livelayer_bus.testing import ScriptedRooms
from livelayer_bus.tokens.access import read_claims

KEYS = LocalKeys("ws://rooms.example", "devkey", "secret" * 6)

pytestmark = pytest.mark.anyio


async def test_a_viewer_gets_access_to_the_room_that_the_session_is_in(
    scripted_rooms: ScriptedRooms,
) -> None:
    async with Session("agt", tokens=KEYS, room=scripted_rooms) as session:
        with pytest.raises(NotConnectedError):
            await session.viewer_access()
        await session.connect()
        access = await session.viewer_access()
        claims = read_claims(access.token)
        assert claims.is_viewer
        assert claims.room_name == access.room_name == session.room_name
        await session.disconnect()
        with pytest.raises(NotConnectedError):
            await session.viewer_access()


async def test_the_application_is_told_who_asks(scripted_rooms: ScriptedRooms) -> None:
    asked: list[TokenRequest] = []

    async def tokens(request: TokenRequest) -> RoomAccess:
        asked.append(request)
        return await KEYS(request)

    async with Session("agt", tokens=tokens, room=scripted_rooms) as session:
        await session.connect()
        await session.viewer_access()
        assert asked == [
            TokenRequest("agt"),
            TokenRequest("agt", None, session.room_name, "viewer"),
        ]


async def test_what_is_not_a_viewers_token_is_given_to_nobody(
    scripted_rooms: ScriptedRooms,
) -> None:
    async def as_ever(request: TokenRequest) -> RoomAccess:
        return await KEYS(TokenRequest(request.agent_id, None, request.prior_room_name))

    async def another_room(request: TokenRequest) -> RoomAccess:
        return await KEYS(TokenRequest(request.agent_id, None, None, request.role))

    for source in (as_ever, another_room, scripted_rooms.tokens):
        async with Session("agt", tokens=source, room=scripted_rooms) as session:
            await session.connect()
            with pytest.raises(NotSupportedError, match="token source does not support viewers"):
                await session.viewer_access()


async def test_what_the_application_raises_is_a_fault_of_its_token_source(
    scripted_rooms: ScriptedRooms,
) -> None:
    async def failing(request: TokenRequest) -> RoomAccess:
        if request.role == "viewer":
            raise RuntimeError("no database")
        return await KEYS(request)

    async with Session("agt", tokens=failing, room=scripted_rooms) as session:
        await session.connect()
        with pytest.raises(TokenSourceError, match="no database"):
            await session.viewer_access()
