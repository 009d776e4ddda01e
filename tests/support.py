"""What the tests of several distributions share."""

from __future__ import annotations

import random
import socket
from collections.abc import AsyncGenerator
from typing import Final

import anyio

PORTS: Final = range(20_000, 30_000)
"""Outside the range from which systems choose the ports of connections: while the server is down,
the system gives the port to nothing else."""


def lasting_port() -> int:
    """A free port of the loopback for a server that is restarted."""
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"no port of {PORTS} is free")


async def every(seconds: float) -> AsyncGenerator[None]:
    """Pace a source of real-time media, such as a camera; a late step does not shorten the next.

    Never use it to wait for something.
    """
    due = anyio.current_time()
    while True:
        yield
        now = anyio.current_time()
        due = max(due + seconds, now)
        await anyio.sleep(due - now)
