"""A surface as it runs in a container: `python contained.py OPTIONS`, JSON for `WebSurface`.

Its agent shows a moving picture. It prints a line once pages are served, and ends with its input.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from livelayer_web import WebSurface

from livelayer_bus import Session
from livelayer_bus.testing import ScriptedRoom, ScriptedRooms, grey_picture

PAGE = """<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>Contained</title>
    <link rel="icon" href="data:,">
    <script type="module" src="/livelayer/js/livelayer.js"></script>
  </head>
  <body>
    <livelayer-session base="/livelayer" token="{token}">
      <livelayer-avatar mode="embedded"></livelayer-avatar>
    </livelayer-session>
  </body>
</html>
"""


async def main(options: dict[str, Any]) -> None:
    rooms = ScriptedRooms(agent="agent")
    with tempfile.TemporaryDirectory() as folder:
        secret = b"a secret of at least thirty-two bytes"
        surface = WebSurface(site=folder, secret=secret, **options)
        async with Session("agt", tokens=rooms.tokens, room=rooms) as session:
            session.mount(surface, key="web")
            await session.connect()
            room = await rooms.next()
            await surface.wait_url()
            _write(folder, surface.token())
            room.track_starts("video")
            showing = asyncio.create_task(_show(room), name="agent's picture")
            print("serving", flush=True)
            await asyncio.to_thread(sys.stdin.read)
            showing.cancel()


def _write(folder: str, token: str) -> None:
    Path(folder, "index.html").write_text(PAGE.format(token=token))


async def _show(room: ScriptedRoom) -> None:
    luma = 0
    while True:
        luma = (luma + 8) % 256
        room.push_video(grey_picture(64, 64, luma))
        await asyncio.sleep(1 / 30)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
