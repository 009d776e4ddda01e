"""A ControlledSession of the application's own: thirty lines around a Bus.

It plays a recorded transcript to whatever surfaces are mounted on it. What it lacks raises
`NotSupportedError`, so that a surface that asks for too much says so instead of hanging.
"""

from __future__ import annotations

from typing import Any

import anyio
import anyio.lowlevel

from livelayer_bus import (
    AudioChannel,
    Bus,
    Event,
    SessionState,
    Subscription,
    SurfaceSession,
    TranscriptEntry,
    TranscriptUpdated,
    VideoChannel,
    mount,
)
from livelayer_bus.contract import StateProperties
from livelayer_bus.errors import NotSupportedError
from livelayer_bus.media import AudioWriter, VideoWriter
from livelayer_bus.state import REDUCERS


class Playback(StateProperties):
    """Shows what is fed to `play` as if an agent were saying it."""

    def __init__(self, agent_id: str) -> None:
        self._bus: Bus[Event, SessionState] = Bus(
            state=SessionState(id="playback", agent_id=agent_id),
            reducers=REDUCERS,
            as_of=SessionState.as_of,
        )
        self._video, self._audio = VideoWriter(), AudioWriter()

    @property
    def state(self) -> SessionState:
        return self._bus.state

    @property
    def video(self) -> VideoChannel:
        return self._video.channel

    @property
    def audio(self) -> AudioChannel:
        return self._audio.channel

    def subscribe(
        self, *types: type[Any], after: int | str | None = None
    ) -> Subscription[Any, SessionState]:
        return self._bus.subscribe(*types, after=int(after) if after is not None else None)

    async def connect(self) -> None:
        raise NotSupportedError("connect()", "a playback")

    async def disconnect(self) -> None:
        raise NotSupportedError("disconnect()", "a playback")

    async def send_data(
        self, message: object, *, timeout: float = 5.0, require_agent: bool = True
    ) -> None:
        raise NotSupportedError("send_data()", "a playback")

    def subscribe_to_data_messages(self, handler: object) -> Any:
        raise NotSupportedError("data messages", "a playback")

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
