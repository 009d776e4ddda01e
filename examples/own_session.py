"""A session of the application's own: twenty lines around a Bus.

It plays a recorded transcript to whatever surfaces are mounted on it. What it lacks raises
`NotSupportedError`, so that a surface that asks for too much says so instead of hanging.
"""

from __future__ import annotations

from typing import Any

import anyio
import anyio.lowlevel

from livelayer_bus import (
    Bus,
    ControlledSession,
    Event,
    SessionState,
    Subscription,
    SurfaceSession,
    TranscriptEntry,
    TranscriptUpdated,
    mount,
)
from livelayer_bus.state import REDUCERS


class Playback(ControlledSession):
    """Shows what is fed to `play` as if an agent were saying it."""

    def __init__(self, agent_id: str) -> None:
        self._bus: Bus[Event, SessionState] = Bus(
            state=SessionState(id="playback", agent_id=agent_id),
            reducers=REDUCERS,
            as_of=SessionState.as_of,
        )

    @property
    def state(self) -> SessionState:
        return self._bus.state

    def subscribe(
        self, *types: type[Any], after: int | str | None = None
    ) -> Subscription[Any, SessionState]:
        return self._bus.subscribe(*types, after=int(after) if after is not None else None)

    def play(self, event: Event) -> None:
        """Publish an event; the bus reduces it into the state in the same step."""
        self._bus.publish(event)


async def captions(session: SurfaceSession) -> None:
    """A surface that is a plain function."""
    with session.subscribe(TranscriptUpdated) as updates:
        async for update in updates:
            print(f"{session.key}: {update.entry.text}")


async def main() -> None:
    playback = Playback("agt_recorded")
    panel = mount(captions, playback, key="panel")
    bubble = mount(captions, playback, key="bubble")
    await anyio.lowlevel.checkpoint()
    for number, text in enumerate(["Hello.", "I was recorded yesterday."], 1):
        playback.play(TranscriptUpdated(TranscriptEntry(str(number), "agent", text, True, number)))
    await anyio.sleep(0.1)
    await panel.unmount()
    await bubble.unmount()


if __name__ == "__main__":
    anyio.run(main)
