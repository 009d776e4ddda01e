"""Tests of your own agent: `pytest_plugins = ["livekit.plugins.livelayer.testing"]`.

The fixture `livelayer_rehearsal` puts an agent into a real room on this machine, with a
`SurfaceBridge` and a scripted surface, and ends everything after the test. `rehearse` is the same
as an `async with` block. Needs livekit-plugins-livelayer[testing].
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import Any, Protocol

import pytest
from livekit.agents import Agent

from livelayer_bus.testing.agents import (
    Call,
    HummingVoice,
    Prompt,
    Rehearsal,
    Script,
    ScriptedModel,
    ScriptedSurface,
    rehearse,
)

__all__ = [
    "livelayer_rehearsal",
    "Rehearse",
    "rehearse",
    "Rehearsal",
    "ScriptedSurface",
    "ScriptedModel",
    "Script",
    "Prompt",
    "Call",
    "HummingVoice",
]


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
