"""Whether the server that runs an application is about to end."""

from __future__ import annotations

import signal

import uvicorn


def foreign_server_is_leaving() -> bool:
    """Whether a uvicorn that runs the application was told to end, by a signal.

    It waits for every request that is under way, and tells none of them: an event stream would
    hold it up for ever. What it has told the process is who handles its signals.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        server = getattr(signal.getsignal(number), "__self__", None)
        if isinstance(server, uvicorn.Server) and server.should_exit:
            return True
    return False
