"""A program with a TerminalSurface on a scripted session, which tests run in a pseudo-terminal."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import anyio
from livelayer_terminal import TerminalSurface

from livelayer_bus import Session
from livelayer_bus.cli import run_async
from livelayer_bus.messages import BotReady
from livelayer_bus.testing import ScriptedRooms, grey_picture


async def main() -> int:
    """Show pictures until the surface has ended; a typed line makes the program end as asked."""
    ending, folder = sys.argv[1], Path(sys.argv[2])
    beat, report = folder / "beat", folder / "report"
    rooms, surface = ScriptedRooms(), TerminalSurface(fps=60)
    async with Session("agt", tokens=rooms.tokens, room=rooms) as session:
        mounted = session.mount(surface, key="terminal")
        await session.connect()
        room = await rooms.next()
        room.agent_joins("lumi")
        room.agent_says(BotReady())
        room.track_starts("video")
        await surface.shown.wait()
        print("printed by the program")
        room.transcribes("1", "Hello there.")
        number = 0
        while mounted.status == "running":
            room.push_video(grey_picture(64, 36, 40 + 20 * (number % 10)))
            number += 1
            beat.write_text(str(number))
            await anyio.sleep(0.02)
            if room.sent and room.sent[-1].type == "user_message":
                if ending == "raise":
                    raise RuntimeError("the program failed")
                if ending == "_exit":
                    os._exit(7)
        report.write_text(f"{mounted.status} {session.connection_state}")
    return 0


if __name__ == "__main__":
    if sys.argv[1] == "hangup":
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    run_async(main)
