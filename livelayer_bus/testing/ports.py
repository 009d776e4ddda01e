"""A port that a server gets back after it was closed."""

from __future__ import annotations

import random
import socket
from typing import Final

PORTS: Final = range(20_000, 30_000)
"""Outside the range from which systems take the ports of connections: in a pause of the server,
nothing else can be given the port."""


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
