"""The client of the control socket, for the other processes of this user."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, final

import anyio
import msgspec
from anyio.streams.buffered import BufferedByteReceiveStream as Lines

from ..errors import BrokenError, ControlError, MisuseError
from ..jsonl import Line, decode_line
from . import protocol
from .protocol import SUFFIX, SessionStatus, runtime_dir, socket_path

ANSWER_SECONDS: Final = 5.0
"""How long a session may take to answer, beyond what the request itself allows."""


async def list_sessions() -> tuple[SessionStatus, ...]:
    """This user's running sessions that serve a control socket, but not those that do not answer.

    Sockets that a crashed process left behind are removed.

    Raises:
        ControlError: the directory of sockets is not this user's alone.
        NotSupportedError: on Windows.
    """
    found: list[SessionStatus] = []
    directory = await anyio.to_thread.run_sync(lambda: runtime_dir(create=False))
    for path in sorted(await anyio.to_thread.run_sync(lambda: [*directory.glob(f"*{SUFFIX}")])):
        with suppress(BrokenError):
            reply = await _ask(path, protocol.StatusRequest(), ANSWER_SECONDS)
            if isinstance(reply, SessionStatus):
                found.append(reply)
    return tuple(found)


async def find_session(prefix: str | None = None) -> str:
    """The id of the one running session whose id begins with `prefix` (None: any).

    Raises:
        ControlError: no session is running.
        MisuseError: several sessions match; the error lists them.
        NotSupportedError: on Windows.
    """
    ids = [status.id for status in await list_sessions()]
    matching = [known for known in ids if known.startswith(prefix or "")]
    if len(matching) == 1:
        return matching[0]
    if matching:
        listed = ", ".join(matching)
        raise MisuseError(f"{len(matching)} sessions are running ({listed}): name one of them")
    reason = "no session is running: start one with 'livelayer run' or 'livelayer demo'"
    if ids:
        reason = f"no session {prefix!r}; running: {', '.join(ids)}"
    where = await anyio.to_thread.run_sync(lambda: runtime_dir(create=False))
    raise ControlError(str(where), reason)


async def send_message(
    session_id: str, message: Mapping[str, Any], *, timeout: float = 5.0, require_agent: bool = True
) -> None:
    """Publish a data message in a running session's room; returns when the transport took it.

    Args:
        session_id: the whole id, see `find_session`.
        message: a JSON object with a string `type`.
        timeout: seconds the session may wait for an active agent.
        require_agent: False sends also when no agent is there.

    Raises:
        ControlError: the session cannot be reached.
        MisuseError: the message is malformed or too large, or the session is not in a room.
        BrokenError: the session could not send it; the message is the session's own.
    """
    request = protocol.SendRequest(dict(message), timeout, require_agent)
    reply = await _ask(await _path(session_id), request, timeout + ANSWER_SECONDS)
    if not isinstance(reply, protocol.Ok):
        raise ControlError(session_id, "did not confirm the request 'send'", retryable=False)


@final
@dataclass(eq=False, repr=False)
class Tail:
    """The lines of a running session, in order; iteration ends when the session does."""

    _where: str
    _stream: Lines

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Line:
        return decode_line(await self._next())

    async def raw(self) -> AsyncIterator[bytes]:
        """The lines as they came, each with its line break."""
        with suppress(StopAsyncIteration):
            while True:
                yield await self._next()

    async def _next(self) -> bytes:
        line = await _line(self._stream, self._where)
        if line is None:
            raise StopAsyncIteration
        if line.startswith(b'{"reply":'):
            _reply(line)
        return line + b"\n"


@asynccontextmanager
async def tail(
    session_id: str, *, after: str | None = None, types: tuple[str, ...] = ()
) -> AsyncGenerator[Tail]:
    """Follow a running session: `async with tail(id) as lines: async for line in lines`.

    The first line is a snapshot, unless `after` is a cursor to continue after. A client that reads
    too slowly gets a lagged line and a new snapshot; the session does not wait.

    Raises:
        ControlError: the session cannot be reached.
        MisuseError: while iterating: a stale cursor, or a name in `types` that is not an event.
    """
    path = await _path(session_id)
    async with _asked(path, protocol.TailRequest(after, types)) as stream:
        yield Tail(str(path), stream)


async def _path(session_id: str) -> Path:
    return await anyio.to_thread.run_sync(lambda: socket_path(session_id, create=False))


async def _ask(path: Path, request: protocol.Request, seconds: float) -> protocol.Reply:
    try:
        with anyio.fail_after(seconds):
            async with _asked(path, request) as stream:
                line = await _line(stream, str(path))
    except TimeoutError as exc:
        reason = f"no answer within {seconds:g} s; is its event loop blocked?"
        raise ControlError(str(path), reason) from exc
    if line is None:
        raise ControlError(str(path), "the session ended before it answered")
    return _reply(line)


@asynccontextmanager
async def _asked(path: Path, request: protocol.Request) -> AsyncGenerator[Lines]:
    try:
        stream = await anyio.connect_unix(path)
    except FileNotFoundError as exc:
        raise ControlError(str(path), "no such session is running") from exc
    except ConnectionRefusedError as exc:
        # The process crashed: a live session listens before its socket gets its name.
        await anyio.Path(path).unlink(missing_ok=True)
        raise ControlError(str(path), "its session ended unexpectedly") from exc
    except OSError as exc:
        raise ControlError(str(path), f"cannot connect ({exc.strerror or exc})") from exc
    async with stream:
        line = protocol.encode(request)
        if len(line) > protocol.MAX_REQUEST:
            problem = f"the request is {len(line)} bytes of JSON"
            raise MisuseError(f"{problem}, the limit is {protocol.MAX_REQUEST}")
        try:
            await stream.send(line)
        except anyio.BrokenResourceError as exc:
            raise ControlError(str(path), "the session closed the connection") from exc
        yield Lines(stream)


async def _line(stream: Lines, where: str) -> bytes | None:
    try:
        return await stream.receive_until(b"\n", protocol.MAX_REPLY)
    except (anyio.IncompleteRead, anyio.EndOfStream, anyio.BrokenResourceError):
        return None
    except anyio.DelimiterNotFound as exc:
        raise ControlError(where, "sent a line that is too long") from exc


def _reply(line: bytes) -> protocol.Reply:
    try:
        reply: protocol.Reply = msgspec.json.decode(line, type=protocol.Reply)
    except (ValueError, RecursionError) as exc:
        problem = "the session gave an answer that this version does not understand"
        raise BrokenError(problem, retryable=False) from exc
    if isinstance(reply, protocol.Problem):
        raise reply.rebuild()
    return reply
