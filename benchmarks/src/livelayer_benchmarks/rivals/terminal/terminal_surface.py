"""The session with a `TerminalSurface` in a pseudo-terminal, which another process reads."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Generator
from contextlib import contextmanager

from livelayer_terminal import TerminalSurface

from ... import harness
from ...workloads.record import Source
from ...workloads.terminal import Answer, Plan
from ._session import joined

NAME = "livelayer-bus, in a terminal"
REQUIRES = ("livelayer-terminal",)

BESIDE = 6  # rows beside the picture: state, caption, voice, prompt, keys
READER = "import os\nwhile os.read(0, 65536): pass"


@contextmanager
def terminal(columns: int, rows: int) -> Generator[None]:
    """Make a pseudo-terminal this process's terminal."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    before = sys.__stdin__, sys.__stdout__
    with (
        subprocess.Popen([sys.executable, "-c", READER], stdin=master) as reader,
        os.fdopen(slave, "r") as keyboard,
        os.fdopen(os.dup(slave), "w", encoding="utf-8") as screen,
    ):
        sys.__stdin__, sys.__stdout__ = keyboard, screen  # type: ignore[misc]
        try:
            yield
        finally:
            sys.__stdin__, sys.__stdout__ = before  # type: ignore[misc]
            reader.kill()
            os.close(master)


async def shown(source: Source, plan: Plan) -> Answer:
    surface = TerminalSurface(picture="blocks", fps=plan.fps)
    with terminal(plan.columns, plan.rows + BESIDE):
        async with joined() as (session, room):
            mounted = session.mount(surface, key="terminal")
            await surface.shown.wait()
            app = surface.app
            if app is None or app.pane is None:
                raise RuntimeError(f"the surface is {mounted.status}")
            app.action_zoom()
            await harness.begun(lambda: session.video.demand > 0)
            facts, written = app.pane.picture.facts, app.output.written
            used = harness.cpu_seconds()
            await source.play(room.push_video, room.push_audio)
            used = harness.cpu_seconds() - used
            written = app.output.written - written
            await mounted.unmount()
    return Answer(
        cpu=used / plan.seconds,
        pictures=facts.drawn / plan.seconds,
        cells=facts.cells / max(1, facts.drawn),
        output=written / 1000 / plan.seconds,
    )
