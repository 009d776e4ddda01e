"""The `/agent` WebSocket: registration of workers, and their messages."""

from __future__ import annotations

import asyncio
import logging
import time

from aiohttp import WSMsgType, web
from google.protobuf.message import DecodeError
from livekit.protocol import agent

from ..auth import TokenAuthority
from ..errors import AccessDeniedError
from ..signal_socket import SERVER_INFO, SignalSocket
from .dispatcher import Dispatcher
from .workers import Worker, WorkerPool

logger = logging.getLogger(__name__)

REGISTER_WITHIN = 10.0  # seconds from the upgrade to the registration
HEARTBEAT = 15.0  # seconds between pings to a worker; one that does not answer has disconnected


class AgentSockets:
    """The `/agent` route and the sockets that are open on it."""

    def __init__(self, authority: TokenAuthority, pool: WorkerPool, dispatcher: Dispatcher) -> None:
        self._authority = authority
        self._pool = pool
        self._dispatcher = dispatcher
        self._sockets: set[SignalSocket] = set()

    def routes(self) -> list[web.RouteDef]:
        """The one route of workers."""
        return [web.get("/agent", self.serve)]

    async def aclose(self) -> None:
        """Close all sockets, in bounded time; workers try to reconnect."""
        await asyncio.gather(*(socket.aclose() for socket in list(self._sockets)))

    def vanish(self) -> None:
        """Abort all sockets, without a close frame."""
        for socket in list(self._sockets):
            socket.abort()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One worker's socket, from its registration to its end."""
        socket = web.WebSocketResponse(
            compress=False, max_msg_size=1 << 20, autoping=True, heartbeat=HEARTBEAT
        )
        if not socket.can_prepare(request).ok:
            return web.Response(status=404)
        if not self._authority.access(request).video.agent:
            raise AccessDeniedError("it does not allow registering as an agent worker")
        await socket.prepare(request)
        sender = SignalSocket(socket, request)
        self._sockets.add(sender)
        worker: Worker | None = None
        try:
            worker = await self._register(socket, sender)
            if worker is not None:
                await self._read(socket, sender, worker)
        finally:
            if worker is not None:
                self._pool.remove(worker)
            self._sockets.discard(sender)
            await sender.aclose()
        return socket

    async def _register(self, socket: web.WebSocketResponse, sender: SignalSocket) -> Worker | None:
        try:
            async with asyncio.timeout(REGISTER_WITHIN):
                while (message := await _receive(socket)) is not None:
                    if message.HasField("ping"):
                        sender.send(_pong(message.ping))
                    elif message.HasField("register"):
                        return self._registered(message.register, sender)
                    else:
                        logger.warning("a worker sent another message before it registered")
                        return None
        except TimeoutError:
            logger.warning("a worker did not register in time")
        return None

    def _registered(
        self, request: agent.RegisterWorkerRequest, sender: SignalSocket
    ) -> Worker | None:
        if request.type not in (agent.JT_ROOM, agent.JT_PUBLISHER, agent.JT_PARTICIPANT):
            logger.warning("a worker registered for an unknown type of job")
            return None
        worker = Worker(request, sender.send)
        self._pool.add(worker)
        response = agent.RegisterWorkerResponse(worker_id=worker.id, server_info=SERVER_INFO)
        sender.send(agent.ServerMessage(register=response))
        return worker

    async def _read(
        self, socket: web.WebSocketResponse, sender: SignalSocket, worker: Worker
    ) -> None:
        while (message := await _receive(socket)) is not None:
            kind = message.WhichOneof("message")
            if kind == "availability":
                worker.answered(message.availability)
            elif kind == "update_worker":
                worker.updated(message.update_worker)
            elif kind == "update_job":
                worker.job_updated(message.update_job)
            elif kind == "ping":
                sender.send(_pong(message.ping))
            elif kind == "simulate_job":
                self._dispatcher.simulate_job(worker, message.simulate_job)
            elif kind == "migrate_job":
                self._dispatcher.adopt_jobs(worker, list(message.migrate_job.job_ids))
            else:
                logger.warning("a worker sent an unexpected %s message", kind)


async def _receive(socket: web.WebSocketResponse) -> agent.WorkerMessage | None:
    """The next message; None when the socket ended or carries something else."""
    message = await socket.receive()
    if message.type is not WSMsgType.BINARY:
        return None
    try:
        return agent.WorkerMessage.FromString(message.data)
    except DecodeError:
        logger.warning("a worker sent a message that is not protobuf")
        return None


def _pong(ping: agent.WorkerPing) -> agent.ServerMessage:
    now_ms = time.time_ns() // 1_000_000
    return agent.ServerMessage(
        pong=agent.WorkerPong(last_timestamp=ping.timestamp, timestamp=now_ms)
    )
