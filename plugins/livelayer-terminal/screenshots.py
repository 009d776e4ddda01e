"""Make the pictures of the terminal surface that the documentation shows.

    python plugins/livelayer-terminal/screenshots.py docs

A scripted session, with the drawn face of livekit-plugins-livelayer.
"""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import anyio
import numpy as np
from livekit.plugins.livelayer.face import HEIGHT, WIDTH, Expression, Face
from livekit.plugins.livelayer.face.mouth import MouthShape
from livelayer_terminal import TerminalSurface
from livelayer_terminal.app import TerminalApp
from textual.pilot import Pilot

from livelayer_bus import AudioFrame, Session, VideoFrame
from livelayer_bus.messages import (
    AgentToolCall,
    BotReady,
    FillForm,
    Navigate,
    RequestApproval,
    TaskFieldUpdated,
)
from livelayer_bus.testing import ScriptedRoom, ScriptedRooms

SIZE = 80, 24
_FONTS = re.compile(r"@font-face \{.*?\}", re.DOTALL)  # from a server: the reader's own serve


def _speaks(room: ScriptedRoom, face: Face, expression: Expression, at: float) -> None:
    mouth = MouthShape(0.7, 0.3) if round(at * 8) % 2 else MouthShape(0.3, 0.1)
    face.draw(expression.look(at, mouth))
    room.push_video(VideoFrame(bytes(face.buffer), WIDTH, HEIGHT))
    wave = np.sin(np.arange(480) * 2 * np.pi * 220 / 48_000) * 6000
    room.push_audio(AudioFrame(wave.astype(np.int16).tobytes(), 48_000, 1, 480))


async def make(folder: Path) -> None:
    """Write an SVG for each part of the screen into `folder`."""
    rooms = ScriptedRooms()
    surface = TerminalSurface(size=SIZE)
    async with Session("lumi", tokens=rooms.tokens, room=rooms) as session:
        capabilities = ["ask_approval", "collect_data", "fill_forms"]
        session.mount(surface, key="terminal", capabilities=capabilities)
        await session.connect()
        room = await rooms.next()
        room.agent_joins("Lumi", confirms=True)
        room.agent_says(BotReady())
        room.track_starts("video")
        room.track_starts("audio")
        await surface.shown.wait()
        app = surface.app
        if app is None:
            raise RuntimeError("the surface does not run")
        room.transcribes("1", "Hello, I am Lumi. What would you like to know?")
        room.transcribes("2", "What is a surface?", "user")
        room.agent_state("speaking")
        room.agent_says(AgentToolCall(call_id="1", name="look_up", status="started"))
        words = "A surface is anything that shows a session: a web page, a terminal, a recorder."
        room.open_stream("3").write(words)
        face, expression = Face(), Expression()
        expression.set_state("speaking")
        await _watch(app, room, face, expression)
        _save(app, folder / "terminal.svg")
        room.agent_says(Navigate("/pricing"))
        await session.send_data(
            {"type": "cart", "items": 2, "total": {"amount": 39, "unit": "EUR"}}
        )
        await _open(app, room, face, expression, "f2", "up")
        _save(app, folder / "terminal-data.svg")
        room.agent_says(FillForm("sign-up", {"name": "Ada Lovelace", "mail": "ada@example.org"}))
        room.agent_says(
            TaskFieldUpdated(
                field_id="3", field_name="plan", value="team", kind="text", source="agent"
            )
        )
        room.agent_says(RequestApproval("Order the plan for 39 euros a month?", request_id="1"))
        await _open(app, room, face, expression, "f3")
        _save(app, folder / "terminal-fields.svg")
        await _open(app, room, face, expression, "f4")
        _save(app, folder / "terminal-figures.svg")


async def _open(
    app: TerminalApp, room: ScriptedRoom, face: Face, expression: Expression, *keys: str
) -> None:
    pilot = Pilot(app)
    await pilot.press(keys[0])
    await pilot.pause(0.3)
    if len(keys) > 1 and app.pane is not None:
        app.pane.inspector.focus()
        await pilot.press(*keys[1:])
    await _watch(app, room, face, expression)


async def _watch(app: TerminalApp, room: ScriptedRoom, face: Face, expression: Expression) -> None:
    for number in range(45):
        _speaks(room, face, expression, 1.0 + number / 15)
        await anyio.sleep(1 / 30)
    await Pilot(app).pause(0.3)


def _save(app: TerminalApp, path: Path) -> None:
    picture = _FONTS.sub("", app.export_screenshot(simplify=True))
    lines = (line.strip() for line in picture.splitlines())
    path.write_text("\n".join(filter(None, lines)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(make(Path(sys.argv[1])))
