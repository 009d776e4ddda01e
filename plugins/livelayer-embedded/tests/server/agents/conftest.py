"""Workers that do nothing by themselves, and a back end that dispatches to them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import anyio
import pytest
from livekit import api
from livekit.protocol import agent
from livelayer_embedded import EmbeddedServer

from livelayer_bus.testing import PATIENCE


def agent_token(server: EmbeddedServer) -> str:
    return (
        api.AccessToken(server.key, server.secret).with_grants(api.VideoGrants(agent=True)).to_jwt()
    )


class RawWorker:
    """A worker that does nothing by itself."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.id = ""

    async def send(self, **message: Any) -> None:
        await self.socket.send_bytes(agent.WorkerMessage(**message).SerializeToString())

    async def receive(self) -> agent.ServerMessage:
        with anyio.fail_after(PATIENCE):
            return agent.ServerMessage.FromString(await self.socket.receive_bytes())

    async def register(self, **options: Any) -> agent.RegisterWorkerResponse:
        await self.send(register=agent.RegisterWorkerRequest(**options))
        response = (await self.receive()).register
        self.id = response.worker_id
        return response

    async def asked(self) -> agent.Job:
        """The job of the availability request that comes next."""
        message = await self.receive()
        assert message.HasField("availability"), message
        return message.availability.job

    async def answer(self, job: agent.Job, available: bool = True, **options: Any) -> None:
        response = agent.AvailabilityResponse(job_id=job.id, available=available, **options)
        await self.send(availability=response)

    async def assigned(self) -> agent.JobAssignment:
        message = await self.receive()
        assert message.HasField("assignment"), message
        return message.assignment

    async def accept(self, identity: str = "agent") -> agent.JobAssignment:
        """Take the job that is offered next."""
        await self.answer(await self.asked(), participant_identity=identity)
        return await self.assigned()

    async def received_nothing(self) -> None:
        """All that was sent to the server is dealt with, and nothing came back."""
        await self.send(ping=agent.WorkerPing(timestamp=7))
        message = await self.receive()
        assert message.HasField("pong"), message
        assert message.pong.last_timestamp == 7

    async def closed(self) -> None:
        """Wait until the server ends the socket."""
        with anyio.fail_after(PATIENCE):
            message = await self.socket.receive()
        assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)


Hire = Callable[..., Awaitable[RawWorker]]


@pytest.fixture
async def connect(embedded: EmbeddedServer) -> AsyncIterator[Callable[[], Awaitable[RawWorker]]]:
    """Opens worker sockets; all are closed at the end."""
    async with aiohttp.ClientSession() as session:

        async def opened() -> RawWorker:
            headers = {"Authorization": f"Bearer {agent_token(embedded)}"}
            return RawWorker(await session.ws_connect(f"{embedded.url}/agent", headers=headers))

        yield opened


@pytest.fixture
def hire(connect: Callable[[], Awaitable[RawWorker]]) -> Hire:
    """Opens a socket and registers; load and status may be given too."""

    async def hired(
        name: str = "a", load: float = 0, kind: agent.JobType = agent.JT_ROOM, **options: Any
    ) -> RawWorker:
        worker = await connect()
        await worker.register(type=kind, agent_name=name, **options)
        status = agent.UpdateWorkerStatus(status=agent.WS_AVAILABLE, load=load)
        await worker.send(update_worker=status)
        await worker.received_nothing()
        return worker

    return hired


class Desk:
    """A back end that dispatches the agent "a" into this test's room."""

    def __init__(self, client: api.LiveKitAPI, room: str) -> None:
        self.client = client
        self.room = room

    async def dispatch(self, **options: Any) -> api.AgentDispatch:
        request = api.CreateAgentDispatchRequest(agent_name="a", room=self.room, **options)
        return await self.client.agent_dispatch.create_dispatch(request)

    async def open_room(self) -> None:
        """Create the room so that it outlives its participants, however slow the machine is."""
        request = api.CreateRoomRequest(name=self.room, empty_timeout=3600, departure_timeout=3600)
        await self.client.room.create_room(request)

    async def jobs(self) -> list[agent.JobState]:
        listed = await self.client.agent_dispatch.list_dispatch(self.room)
        return [job.state for item in listed for job in item.state.jobs]


@pytest.fixture
async def desk(embedded: EmbeddedServer, room_name: str) -> AsyncIterator[Desk]:
    """A back end of the embedded server."""
    async with api.LiveKitAPI(embedded.url, embedded.key, embedded.secret) as client:
        yield Desk(client, room_name)
