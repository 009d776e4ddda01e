"""A process that owns a session, or waits to: `python owner_program.py URL SESSION [RATE]`."""

from __future__ import annotations

import sys

import anyio
from livelayer_nats import NatsBridge, take_over

from livelayer_bus import Session, SurfaceFailed
from livelayer_bus.testing import ScriptedRooms


async def main(url: str, session_id: str, rate: float) -> None:
    failure: SurfaceFailed | None = None
    async with take_over(NatsBridge(url, lease_seconds=2.0), session_id, "agt_1") as taken:
        rooms = ScriptedRooms(agent="agent")
        async with Session(
            "agt_1",
            tokens=rooms.tokens,
            room=rooms,
            continues=taken.state,
            prior_room_name=taken.room_name,
        ) as session:
            bridge = session.mount(taken.bridge, key="nats", on_fault="unmount")
            await session.connect()
            room = await rooms.next()
            print(f"owns {session.room_name}", flush=True)
            async with anyio.create_task_group() as tasks:

                async def talk() -> None:
                    number = 0
                    while True:
                        room.agent_says({"type": "tick", "number": number})
                        number += 1
                        await anyio.sleep(1 / rate)

                tasks.start_soon(talk)
                with session.subscribe(SurfaceFailed) as failures:
                    await bridge.wait()
                    failure = await anext(failures) if bridge.status == "failed" else None
                tasks.cancel_scope.cancel()
    print(f"ended: {failure and failure.error.partition(':')[0]}", flush=True)


if __name__ == "__main__":
    rate = float(sys.argv[3]) if len(sys.argv) > 3 else 200.0
    anyio.run(main, sys.argv[1], sys.argv[2], rate)
