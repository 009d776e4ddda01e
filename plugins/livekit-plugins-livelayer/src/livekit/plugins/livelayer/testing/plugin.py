"""The pytest fixture of `livekit.plugins.livelayer.testing`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import Any, Protocol

import pytest
from livekit.agents import Agent

from .harness import Rehearsal, rehearse
from .model import Script


class Rehearse(Protocol):
    """Starts a rehearsal that ends with the test; the arguments are those of `rehearse`."""

    async def __call__(
        self, agent: Agent, script: Script | None = None, **options: Any
    ) -> Rehearsal: ...


@pytest.fixture
async def livelayer_rehearsal() -> AsyncGenerator[Rehearse]:
    """Rehearse any agent: `stage = await livelayer_rehearsal(MyAgent(), script)`."""
    async with AsyncExitStack() as stack:

        async def start(agent: Agent, script: Script | None = None, **options: Any) -> Rehearsal:
            return await stack.enter_async_context(rehearse(agent, script, **options))

        yield start
