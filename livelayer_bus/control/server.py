"""The server of the control socket, in the session's process."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Final, get_args

import anyio
import msgspec
from anyio.abc import Listener, SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from ..contract import ControlledSession
from ..errors import BusyError, ControlError, LivelayerError, MisuseError
from ..events import AnyEvent, Event
from ..jsonl import LineReader
from ..tasks import TaskOwner
from . import protocol
from .protocol import SessionStatus, check_peer, socket_path

logger = logging.getLogger(__name__)

MAX_CLIENTS: Final = 16
REQUEST_SECONDS: Final = 10.0  # how long a client may take to send its request
MAX_SEND_SECONDS: Final = 60.0
CLOSE_SECONDS: Final = 2.0
_GONE: Final = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)
_EVENTS: Final[dict[str, type[Event]]] = {kind.__name__: kind for kind in get_args(AnyEvent)}


@asynccontextmanager
async def serve_control(session: ControlledSession) -> AsyncGenerator[Path]:
    """Let this user's other processes reach `session` for the length of the block.

    Yields the socket's path. At most 16 clients at once; one that reads slowly gets a lagged line,
    and neither the session nor another client waits for it. A malformed request ends its client's
    connection alone. Leaving the block ends every client at once and removes the socket.

    Raises:
        ControlError: the socket cannot be made.
        NotSupportedError: on Windows.
    """
    path = await anyio.to_thread.run_sync(lambda: socket_path(session.id, create=True))
    # It listens before it gets its name, so that every client that finds the socket can connect.
    unnamed = path.with_suffix(".new")
    try:
        listener = await anyio.create_unix_listener(unnamed, mode=0o600)
        await anyio.Path(unnamed).rename(path)
    except OSError as exc:
        advice = "set XDG_RUNTIME_DIR to your own directory"
        reason = f"cannot be made ({exc.strerror or exc}); {advice}"
        raise ControlError(str(path), reason, retryable=False) from exc
    server, tasks = _Server(session), TaskOwner()
    tasks.start(lambda: _accept(listener, server), "control socket")
    try:
        yield path
    finally:
        with anyio.CancelScope(shield=True):
            await server.hang_up(CLOSE_SECONDS / 2)
            await listener.aclose()  # first: to cancel `accept` would be such an error too
            await tasks.aclose(CLOSE_SECONDS / 2)
            await anyio.Path(path).unlink(missing_ok=True)


async def _accept(listener: Listener[SocketStream], server: _Server) -> None:
    try:
        await listener.serve(server.serve)
    except* (anyio.ClosedResourceError, anyio.BrokenResourceError):
        pass  # the listener was closed: that is how serving ends


class _Server:
    def __init__(self, session: ControlledSession) -> None:
        self._session = session
        self._clients: set[SocketStream] = set()
        self._tails = 0
        self._idle = anyio.Event()

    async def serve(self, stream: SocketStream) -> None:
        self._clients.add(stream)
        try:
            async with stream:
                await self._answer(stream)
        except* _GONE:
            pass  # the client has left; a tail's task group wraps what it raised
        except* Exception:
            logger.exception("a client of the control socket failed")
        finally:
            self._clients.discard(stream)
            if not self._clients:
                self._idle.set()

    async def hang_up(self, seconds: float) -> None:
        # Cancelling a reader at the instant its data arrives would put an error into asyncio's log.
        if not self._clients:
            return
        self._idle = anyio.Event()
        for stream in self._clients:
            with suppress(OSError):
                _socket(stream).shutdown(socket.SHUT_RDWR)
        with anyio.move_on_after(seconds):
            await self._idle.wait()

    async def _answer(self, stream: SocketStream) -> None:
        reply: protocol.Reply
        try:
            check_peer(_socket(stream))
            if len(self._clients) > MAX_CLIENTS:
                raise BusyError("the control socket", f"{MAX_CLIENTS} clients are connected")
            match await _request(stream):
                case protocol.TailRequest() as tail:
                    await self._tail(stream, tail)
                    return
                case protocol.SendRequest(message, timeout, require_agent):
                    if not 0 < timeout <= MAX_SEND_SECONDS:
                        limit = f"more than 0 and at most {MAX_SEND_SECONDS:g} seconds"
                        raise MisuseError(f"timeout is {limit}")
                    send = self._session.send_data
                    await send(message, timeout=timeout, require_agent=require_agent)
                    reply = protocol.Ok()
                case protocol.StatusRequest():
                    reply = self._status()
        except LivelayerError as error:
            reply = protocol.Problem.of(error)
        await stream.send(protocol.encode(reply))

    def _status(self) -> SessionStatus:
        state = self._session.state
        return SessionStatus(
            id=self._session.id,
            pid=os.getpid(),
            agent_id=state.agent_id,
            connection_state=state.connection_state,
            reconnecting=state.reconnecting,
            agent_ready=state.agent_ready,
            sequence=state.sequence,
            surfaces=state.surfaces,
            tails=self._tails,
        )

    async def _tail(self, stream: SocketStream, request: protocol.TailRequest) -> None:
        types = tuple(_event_type(name) for name in request.types)
        with LineReader(self._session, after=request.after, types=types) as reader:
            self._tails += 1
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(_cancel_when_gone, stream, group.cancel_scope)
                    while lines := await reader.read():
                        await stream.send(lines)
                    group.cancel_scope.cancel()
            finally:
                self._tails -= 1


def _socket(stream: SocketStream) -> socket.socket:
    return stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - no Django here


async def _request(stream: SocketStream) -> protocol.Request:
    buffered = BufferedByteReceiveStream(stream)
    try:
        with anyio.fail_after(REQUEST_SECONDS):
            line = await buffered.receive_until(b"\n", protocol.MAX_REQUEST)
    except anyio.DelimiterNotFound as exc:
        raise MisuseError(f"the request is longer than {protocol.MAX_REQUEST} bytes") from exc
    except anyio.IncompleteRead as exc:
        raise anyio.EndOfStream from exc
    except TimeoutError as exc:
        raise MisuseError(f"no request within {REQUEST_SECONDS:g} seconds") from exc
    try:
        request: protocol.Request = msgspec.json.decode(line, type=protocol.Request)
    except (ValueError, RecursionError) as exc:  # msgspec.DecodeError is a ValueError, too
        reason = str(exc) if isinstance(exc, msgspec.ValidationError) else "it is not valid JSON"
        raise MisuseError(f"not a control request: {reason}") from exc
    return request


async def _cancel_when_gone(stream: SocketStream, scope: anyio.CancelScope) -> None:
    """End a tail whose client has left, even while the session publishes nothing."""
    with suppress(*_GONE):
        while True:
            await stream.receive()
    scope.cancel()


def _event_type(name: str) -> type[Event]:
    if name not in _EVENTS:
        close = get_close_matches(name, _EVENTS, n=1)
        advice = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(_EVENTS)}"
        raise MisuseError(f"{name!r} is not an event; {advice}")
    return _EVENTS[name]
