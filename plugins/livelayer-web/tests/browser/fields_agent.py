"""An agent in a process of its own: it fills the required fields that the page says are empty.

    python fields_agent.py URL TOKEN

Prints what it read of the page, one JSON object a line, until its input is closed.
"""

from __future__ import annotations

import asyncio
import sys

import msgspec
from livekit import rtc
from livekit.agents import Agent, AgentSession
from livekit.agents.voice import room_io
from livekit.plugins.livelayer import SurfaceBridge
from livekit.plugins.livelayer.testing import ScriptedModel

from livelayer_bus.messages import ALL, FillForm


async def main(url: str, token: str) -> None:
    room = rtc.Room()
    changed = asyncio.Event()
    room.on("participant_attributes_changed", lambda *_: changed.set())
    model = ScriptedModel(lambda _: "Yes.")
    session: AgentSession[None] = AgentSession(llm=model, user_away_timeout=None)
    options = room_io.RoomOptions(audio_input=False, audio_output=False)
    async with SurfaceBridge(session, room, capabilities=ALL) as bridge:
        await room.connect(url, token, rtc.RoomOptions(single_peer_connection=False))
        await session.start(Agent(instructions="-"), room=room, room_options=options, record=False)
        end = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
        while not end.done():
            turn = asyncio.create_task(changed.wait())
            await asyncio.wait({turn, end}, return_when=asyncio.FIRST_COMPLETED)
            turn.cancel()
            changed.clear()
            context = bridge.agent_context()
            if context is None:
                continue
            print(msgspec.json.encode(context).decode(), flush=True)
            for field in context.elements:
                if field.required and field.value == "" and field.form_id is not None:
                    await bridge.command(FillForm(field.form_id, {field.id: "Ada"}))
        await session.aclose()
    await room.disconnect()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
