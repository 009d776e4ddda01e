"""The path of a control socket, and who may connect: processes of this user on this machine.

The socket lies in a directory with mode 0700 that must belong to this user, and has mode 0600
itself: to connect, the operating system requires both. On Linux the server asks the kernel in
addition who connected (SO_PEERCRED). There is no token: it would lie in the same directory, behind
the same permissions.
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
from typing import Final

from ..errors import ControlError, NotSupportedError, RefusedError

SUFFIX: Final = ".sock"
MAX_PATH: Final = 100
"""Bytes of a socket's path; the system's own limit is 104 to 108."""
_UCRED: Final = struct.Struct("3i")  # pid, uid, gid


def runtime_dir(*, create: bool) -> Path:
    """This user's directory of control sockets: below $XDG_RUNTIME_DIR, or else in the temp one.

    Raises:
        NotSupportedError: on Windows.
        ControlError: it belongs to another user, is open to others, or cannot be created.
    """
    if sys.platform == "win32":
        raise NotSupportedError("the control socket (Unix domain sockets)", "Windows")
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
    """The socket of a session.

    Raises:
        ControlError: the path would be too long for the system.
        NotSupportedError: on Windows.
    """
    directory = runtime_dir(create=create)
    # A short name: macOS allows 104 bytes, and half of them are its directory of temporary files.
    name = hashlib.blake2s(session_id.encode(), digest_size=6).hexdigest()
    path = directory / f"{name}{SUFFIX}"
    if len(os.fsencode(path)) > MAX_PATH:
        reason = f"its path is longer than {MAX_PATH} bytes: set XDG_RUNTIME_DIR to a short one"
        raise ControlError(str(path), reason, retryable=False)
    return path


def check_peer(connection: socket.socket) -> None:
    """Let only this user's processes through, as far as the system tells whose they are.

    Raises:
        RefusedError: the process at the other end belongs to another user.
    """
    if sys.platform != "linux":
        return
    answer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    _pid, uid, _gid = _UCRED.unpack(answer)
    if uid != os.getuid():
        raise RefusedError(f"user {uid} may not control a session of user {os.getuid()}")
