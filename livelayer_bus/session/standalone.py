"""The default mode: a surface that owns its session and has the microphone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Unpack

from ..surfaces.surface import Surface, SurfaceFunction
from .session import Session, SessionOptions


@asynccontextmanager
async def standalone(
    surface: Surface | SurfaceFunction,
    agent_id: str,
    *,
    microphone: bool = True,
    key: str = "standalone",
    capabilities: Iterable[str] = (),
    **options: Unpack[SessionOptions],
) -> AsyncGenerator[Session, None]:
    """The default mode: one surface that owns its session, connected for the block.

    Args:
        surface: what shows the agent.
        agent_id: the agent.
        microphone: keep the microphone for this surface alone.
        key: the surface's key.
        capabilities: what the agent may do to it.
        options: as for `Session`.

    Raises:
        RefusedError, BrokenError: the session could not connect.
    """
    async with Session(agent_id, **options) as session:
        if microphone:
            session.microphone.reserve(key)
        session.mount(surface, key=key, capabilities=capabilities)
        await session.connect()
        yield session
