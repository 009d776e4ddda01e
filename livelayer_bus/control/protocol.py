"""The control socket: its path, and its messages, one request a connection, JSON lines both ways.

    {"request": "status"}                                     -> {"reply": "status", ...}
    {"request": "send", "message": {"type": ...}}             -> {"reply": "ok"}
    {"request": "tail", "after": "<session id>:<sequence>"}   -> {"line": ...} until the end

Any request may be answered with `{"reply": "problem", ...}`; `tail` gives `jsonl`'s lines.
"""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import struct
import sys
import tempfile
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import msgspec

from .. import errors
from ..errors import BrokenError, ControlError, LivelayerError, MisuseError, RefusedError
from ..events import ConnectionState

MAX_REQUEST: Final = 128 * 1024
"""Bytes of a request's line; a message may have far less, and the session says so itself."""
MAX_REPLY: Final = 64 * 1024 * 1024
"""Bytes of a line that a client takes: a snapshot holds a whole transcript."""

Fault: TypeAlias = Literal["closed", "broken", "busy", "misuse", "refused"]

_KINDS: Final[dict[Fault, type[LivelayerError]]] = {
    "closed": errors.ClosedError,
    "busy": errors.BusyError,
    "misuse": MisuseError,
    "refused": RefusedError,
    "broken": BrokenError,
}


class _Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="request"):
    pass


class StatusRequest(_Request, frozen=True, tag="status"):
    """Ask for the session's status."""


class SendRequest(_Request, frozen=True, tag="send"):
    """Publish a data message in the session's room."""

    message: dict[str, Any]
    timeout: float = 5.0  # seconds
    require_agent: bool = True


class TailRequest(_Request, frozen=True, tag="tail"):
    """Follow the session's events."""

    after: str | None = None  # a cursor to go on after; without one, a snapshot comes first
    types: tuple[str, ...] = ()  # names of events; all, if empty


Request: TypeAlias = StatusRequest | SendRequest | TailRequest


class _Reply(msgspec.Struct, frozen=True, tag_field="reply"):
    pass


class Ok(_Reply, frozen=True, tag="ok"):
    """Done."""


class SessionStatus(_Reply, frozen=True, tag="status"):
    """A running session, as it described itself."""

    id: str
    pid: int
    agent_id: str
    connection_state: ConnectionState
    reconnecting: bool
    agent_ready: bool
    sequence: int
    surfaces: tuple[str, ...]
    tails: int
    """Clients that follow it."""


class Problem(_Reply, frozen=True, tag="problem"):
    """Why a request was not carried out."""

    kind: Fault
    error: str  # the error's class in the session's process
    message: str
    retryable: bool = False

    @classmethod
    def of(cls, error: LivelayerError) -> Problem:
        kind: Fault = next(name for name, base in _KINDS.items() if isinstance(error, base))
        retryable = error.retryable if isinstance(error, BrokenError) else kind == "busy"
        return cls(kind, type(error).__name__, str(error), retryable)

    def rebuild(self) -> LivelayerError:
        """The error for a client to raise: of the same kind, with the same message."""
        if self.kind in ("misuse", "refused"):
            return _KINDS[self.kind](self.message)
        return BrokenError(self.message, retryable=self.retryable)


Reply: TypeAlias = Ok | SessionStatus | Problem


def encode(message: Request | Reply) -> bytes:
    return msgspec.json.encode(message) + b"\n"


# Only processes of this user on this machine may connect. The directory of sockets has mode 0700
# and must belong to this user, a socket has mode 0600: to connect, the system requires both. On
# Linux the server asks the kernel in addition who connected (SO_PEERCRED). There is no token: it
# would lie in the same directory, behind the same permissions.

SUFFIX: Final = ".sock"
MAX_PATH: Final = 100  # bytes of a socket's path; the system's own limit is 104 to 108
_UCRED: Final = struct.Struct("3i")  # pid, uid, gid


def runtime_dir(*, create: bool) -> Path:
    """This user's directory of control sockets: below $XDG_RUNTIME_DIR, or else in the temp one.

    Raises:
        NotSupportedError: on Windows.
        ControlError: it belongs to another user, is open to others, or cannot be created.
    """
    if sys.platform == "win32":
        raise errors.NotSupportedError("the control socket (Unix domain sockets)", "Windows")
    base = os.environ.get("XDG_RUNTIME_DIR")
    if base:
        path = Path(base) / "livelayer"
    else:
        path = Path(tempfile.gettempdir()) / f"livelayer-{os.getuid()}"
    try:
        if create:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        elif not path.exists():
            return path
        status = path.lstat()
    except OSError as exc:
        reason = f"the directory cannot be used ({exc.strerror}); set XDG_RUNTIME_DIR to yours"
        raise ControlError(str(path), reason, retryable=False) from exc
    private = stat.S_ISDIR(status.st_mode) and not stat.S_IMODE(status.st_mode) & 0o077
    if status.st_uid != os.getuid() or not private:
        reason = "not a directory that is yours alone: remove it, or set XDG_RUNTIME_DIR"
        raise ControlError(str(path), reason, retryable=False)
    return path


def socket_path(session_id: str, *, create: bool) -> Path:
    """The socket of a session; raises ControlError if its path is too long for the system."""
    directory = runtime_dir(create=create)
    # A short name: macOS allows 104 bytes, and half of them are its directory of temporary files.
    name = hashlib.blake2s(session_id.encode(), digest_size=6).hexdigest()
    path = directory / f"{name}{SUFFIX}"
    if len(os.fsencode(path)) > MAX_PATH:
        reason = f"its path is longer than {MAX_PATH} bytes: set XDG_RUNTIME_DIR to a short one"
        raise ControlError(str(path), reason, retryable=False)
    return path


def check_peer(connection: socket.socket) -> None:
    """Raise RefusedError if the system says that another user's process is at the other end."""
    if sys.platform != "linux":
        return
    answer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    _pid, uid, _gid = _UCRED.unpack(answer)
    if uid != os.getuid():
        raise RefusedError(f"user {uid} may not control a session of user {os.getuid()}")
