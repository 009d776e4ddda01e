"""A session of its own for every page: stand-alone avatars, and nothing else in the application.

Each page that begins a conversation has an agent to itself, up to a limit; the session ends some
seconds after its page has gone.

    livelayer serve --open                  # the session endpoint, and a server for rooms
    python examples/agent_worker.py start   # the agents; serve prints the environment
    python examples/web_standalone.py
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from livelayer_web import SessionsOnDemand, WebSurface

from livelayer_bus import Session

ENDPOINT = os.environ.get("LIVELAYER_URL", "http://127.0.0.1:8787")
SITE = Path(__file__).with_suffix("")  # the folder web_standalone, with index.html


def surface(port: int) -> WebSurface:
    sessions = SessionsOnDemand(
        lambda agent_id: Session(agent_id, base_url=ENDPOINT),
        agents=["demo"],
        capabilities=["scroll"],
        limit=8,
    )
    return WebSurface(port=port, site=SITE, sessions=sessions)


async def main() -> None:
    web = surface(port=8080)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(web.serve())
        print(await web.wait_url())
        await serving


if __name__ == "__main__":
    asyncio.run(main())
