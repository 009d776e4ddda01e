"""The control socket: how `livelayer send` and `tail` reach a session that runs elsewhere.

Local and private: a Unix domain socket that only this user's processes can open (`protocol.py`
says how that is enforced). One request a connection, JSON lines both ways.
"""

from .client import Tail, find_session, list_sessions, send_message, tail
from .protocol import SessionStatus, runtime_dir
from .server import serve_control

__all__ = [
    # In the session's process
    "serve_control",
    # In any other of this user
    "list_sessions", "find_session", "send_message", "tail", "Tail",
    "SessionStatus", "runtime_dir",
]  # fmt: skip

Tail.__module__ = __name__
