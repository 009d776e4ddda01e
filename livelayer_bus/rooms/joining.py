"""Joining and leaving an SDK room, so that nothing stays behind when a caller gives up."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final, final

from livekit import rtc

from ..errors import ConnectError, without_tokens
from ..tasks import RootTask
from ..tokens.addresses import shown
from .errors import join_error, report
from .sdk_private import keep, prepare_sdk, run_to_end

JOIN_SECONDS: Final = 15.0  # for a join as a whole; the SDK alone would try for over 30 s
SIGNAL_SECONDS: Final = 5.0  # for each of the SDK's own attempts
LEAVE_SECONDS: Final = 3.0  # for a leave; a server that is gone never answers it


@final
class Joining:
    """One attempt to join a room."""

    def __init__(self, room: rtc.Room, url: str, token: str) -> None:
        self._room = room
        self._url = url
        self._token = token
        self._given_up = False
        self._task: RootTask | None = None

    async def run(self) -> None:
        """Return when the room is joined; cancelled or failed, the room is left again.

        Raises:
            RoomRefusedError: the server turned the token down.
            ConnectError: the server could not be reached, or did not answer.
        """
        prepare_sdk(self._url)
        task = self._task = run_to_end(self._join, "joining a room")
        joined = False
        try:
            ended = await task.wait(JOIN_SECONDS)
            joined = ended and task.error is None
        finally:
            if not joined:
                self._give_up(task)
        if not ended:
            raise ConnectError(shown(self._url), f"no answer within {JOIN_SECONDS:g} s")
        if task.error is not None:
            # A copy: the SDK quotes the token in its text, which a traceback would print.
            foreign = rtc.ConnectError(without_tokens(str(task.error), self._token))
            raise join_error(self._url, self._token, str(foreign)) from foreign

    async def settled(self, seconds: float) -> bool:
        """Wait until an attempt that was given up has been undone; False if it takes longer."""
        return self._task is None or await self._task.wait(seconds)

    def _give_up(self, task: RootTask) -> None:
        self._given_up = True
        if task.ended and task.error is None:
            self._task = leaving(self._room)

    async def _join(self) -> None:
        options = rtc.RoomOptions(connect_timeout=SIGNAL_SECONDS, single_peer_connection=False)
        await self._room.connect(self._url, self._token, options)
        keep(self._room)
        if self._given_up:
            await _leave(self._room)


def leaving(room: rtc.Room) -> RootTask:
    """Start to leave `room`; the task ends within `LEAVE_SECONDS` and never raises."""
    return run_to_end(partial(_leave, room), "leaving a room")


async def _leave(room: rtc.Room) -> None:
    try:
        async with asyncio.timeout(LEAVE_SECONDS):
            await room.disconnect()
    except TimeoutError:
        return  # the SDK's own task was cancelled with it; the server notices by itself
    except Exception as error:  # noqa: BLE001 - no caller is left to raise to
        report("leaving a room", error)
