"""The embedded server as a benchmark's process of its own, so that its work is nobody else's."""

from __future__ import annotations

import asyncio

from livelayer_embedded import EmbeddedServer

from .child import Say, serve
from .places import Server, ServerJob


async def work(job: ServerJob, say: Say, ended: asyncio.Event) -> None:
    """Serve until the parent ends it."""
    async with EmbeddedServer(key=job.key, secret=job.secret) as server:
        say(Server(server.url, server.key, server.secret))
        await ended.wait()


if __name__ == "__main__":
    serve(ServerJob, work)
