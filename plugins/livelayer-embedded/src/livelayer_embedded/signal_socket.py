"""The sending side of a signalling WebSocket, and what the server says of itself on one."""

from __future__ import annotations

import asyncio
from collections import deque

from aiohttp import web
from google.protobuf.message import Message
from livekit.protocol.models import ServerInfo

SEND_QUEUE = 2048  # messages; a client that lets more pile up is disconnected and resumes
CLOSE_WITHIN = 1.0  # seconds to send what is queued when closing
SERVER_INFO = ServerInfo(
    edition=ServerInfo.Standard,
    version="1.11.0",  # the LiveKit server whose behaviour is followed
    protocol=17,
    agent_protocol=1,
)


class SignalSocket:
    """One WebSocket's sending side: a bounded queue and the one task that empties it.

    Messages arrive in the order they were sent, or the socket is cut; `dropped` counts those
    that were still queued then.
    """

    def __init__(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        self._socket = socket
        self._transport = request.transport
        self._queue: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._task = asyncio.get_running_loop().create_task(
            self._write(), name="livelayer embedded signal writer"
        )
        self.dropped = 0

    def send(self, message: Message) -> None:
        """Queue a message; never blocks."""
        if self._closing:
            return
        if len(self._queue) >= SEND_QUEUE:
            self.dropped += len(self._queue)
            self.abort()
            return
        self._queue.append(message.SerializeToString())
        self._wake.set()

    def abort(self) -> None:
        """Abort the socket without a close frame."""
        self._closing = True
        self._queue.clear()
        self._wake.set()
        if self._transport is not None:
            self._transport.abort()

    async def aclose(self) -> None:
        """Send what is queued, then close, in bounded time."""
        self._closing = True
        self._wake.set()
        try:
            async with asyncio.timeout(CLOSE_WITHIN):
                await asyncio.wait([self._task])
                await self._socket.close()
        except TimeoutError:
            self.abort()
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _write(self) -> None:
        try:
            while True:
                while self._queue:
                    await self._socket.send_bytes(self._queue.popleft())
                if self._closing:
                    return
                self._wake.clear()
                await self._wake.wait()
        except (ConnectionError, RuntimeError):
            # The client disconnected; the reading side ends the socket.
            self._queue.clear()
