"""Where a session gets its tokens and its rooms: what the arguments of `Session` mean."""

from __future__ import annotations

import msgspec
from livekit import rtc

from ..errors import MisuseError
from ..rooms import BorrowedRoom, LiveKitRoom, RoomFactory, RoomFactoryWithTokens
from ..tokens import RoomAccess, SessionEndpoint, TokenRequest, TokenSource


class Target(msgspec.Struct, frozen=True):
    """Where tokens come from, and what joins a room with them."""

    tokens: TokenSource
    rooms: RoomFactory
    borrowed: bool = False
    """The application owns the room: it belongs to one agent."""


def target_of(
    base_url: str | None, tokens: TokenSource | None, room: rtc.Room | RoomFactory | None
) -> Target:
    """The target that these arguments of `Session` mean.

    Raises:
        MisuseError: they give no way to get a token.
    """
    if tokens is not None and not callable(tokens):
        raise MisuseError(
            f"tokens= is not a token source but of type {type(tokens).__name__}: for a token that "
            "you have, give tokens=LiteralToken(url, token)"
        )
    if isinstance(room, rtc.Room):
        return Target(tokens or _no_token, lambda: BorrowedRoom(room), borrowed=True)
    if tokens is None and isinstance(room, RoomFactoryWithTokens):
        tokens = room.tokens
    if tokens is None:
        if base_url is None:
            raise MisuseError(
                "a session needs a way to get a token: give tokens= (LiteralToken, LocalKeys, "
                "SessionEndpoint, TokenEndpoint or an async function), base_url=, or room="
            )
        tokens = SessionEndpoint.at(base_url)
    return Target(tokens, room or LiveKitRoom)


async def _no_token(request: TokenRequest) -> RoomAccess:
    """A borrowed room is joined already."""
    return RoomAccess(url="", token="", room_name=request.prior_room_name)
