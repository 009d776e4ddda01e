"""Plays a machine that was suspended for eight hours: Linux lets a process set its boot clock.

The process must have one thread. Its monotonic and wall clocks go on as if nothing had happened, as
the event loop's timers do after a suspend. Prints what a session made of it.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
import time
from datetime import datetime
from pathlib import Path

from livelayer_bus import Session, clock
from livelayer_bus.clock import SystemClock
from livelayer_bus.events import Event, ResumeWindowClosed, TranscriptCleared
from livelayer_bus.jsonl import EventLine, LineReader, decode_line
from livelayer_bus.testing import ScriptedRooms

NIGHT = 8 * 3600  # seconds
NOT_ALLOWED = 77  # exit code

_CLONE_NEWTIME = 0x80
_CLONE_NEWUSER = 0x1000_0000


def suspend(seconds: int) -> None:
    """Move the boot clock of this process, and nothing else."""
    libc = ctypes.CDLL(None, use_errno=True)
    user = 0 if os.geteuid() == 0 else _CLONE_NEWUSER
    if libc.unshare(_CLONE_NEWTIME | user):
        print(os.strerror(ctypes.get_errno()))
        sys.exit(NOT_ALLOWED)
    Path("/proc/self/timens_offsets").write_text(f"boottime {seconds} 0\n")
    namespace = os.open("/proc/self/ns/time_for_children", os.O_RDONLY)
    if libc.setns(namespace, _CLONE_NEWTIME):
        raise OSError(ctypes.get_errno(), "setns")


async def main(asked: bool) -> None:
    rooms = ScriptedRooms()
    async with Session("agt", tokens=rooms.tokens, room=rooms) as session:
        await session.connect()
        sleeper = asyncio.create_task(SystemClock().sleep(NIGHT / 2))
        with LineReader(session) as reader:
            await session.disconnect()
            assert session.can_resume
            began = time.monotonic()
            suspend(NIGHT)
            if asked:
                await session.connect()
            times: dict[type[Event], datetime] = {}
            while ResumeWindowClosed not in times:
                for line in map(decode_line, (await reader.read()).splitlines()):
                    if isinstance(line, EventLine):
                        times[type(line.event)] = datetime.fromisoformat(line.time)
            assert time.monotonic() - began < NIGHT / 2, "the monotonic clock moved as well"
        await sleeper
        slept = times[ResumeWindowClosed] - times[TranscriptCleared]
        print(session.can_resume, round(slept.total_seconds() / 3600))
        print(*(request.prior_room_name for request in rooms.tokens.requests))


if __name__ == "__main__":
    setattr(clock, "SLICE", 0.05)  # noqa: B010 - it is final: a sleeper looks at the clock sooner
    asyncio.run(main(sys.argv[1] == "asked"))
