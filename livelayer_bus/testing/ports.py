"""A port that a server can reopen after it was closed."""

from __future__ import annotations

import random
import socket
from typing import Final

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
