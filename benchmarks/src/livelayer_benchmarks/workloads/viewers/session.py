"""The session of one case and its web surfaces, in a process of their own."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Final

import msgspec
from livelayer_web import WebSurface

from livelayer_bus import Session

from ... import harness

SITE: Final = Path(__file__).parent / "site"


class Job(msgspec.Struct, frozen=True):
    """Which surfaces a session has."""

    room: harness.RoomRef
    ways: list[str]


class Shown(msgspec.Struct, frozen=True, tag="shown"):
    """Pages are served."""

    process: int
    urls: dict[str, str]
    """The address of each way's pages."""


async def show(job: Job, send: harness.Send, ended: asyncio.Event) -> None:
    """Serve pages until the parent ends it."""
    async with Session("bench", tokens=job.room.token_source()) as session:
        await session.connect()
        urls: dict[str, str] = {}
        for way in job.ways:
            surface = WebSurface(port=0, site=SITE, media={"mode": way})
            session.mount(surface, key=way)
            urls[way] = await surface.wait_url()
        await session.video.wait_available()
        send(Shown(os.getpid(), urls))
        await ended.wait()
