"""What the tests of several distributions share."""

from __future__ import annotations

import os
import random
import socket
import subprocess
from collections.abc import AsyncGenerator
from functools import cache
from typing import Final

import anyio
import pytest

PORTS: Final = range(20_000, 30_000)
"""Outside the range from which systems choose the ports of connections: while the server is down,
the system gives the port to nothing else."""

EXAMPLES: Final = int(os.environ.get("LIVELAYER_TEST_EXAMPLES", "1"))
"""How many times as many examples property tests try."""

_PROCESS: Final = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


def lasting_port() -> int:
    """A free port of the loopback for a server that is restarted, for this test process alone."""
    own = PORTS[_PROCESS % 16 :: 16]
    # Hypothesis seeds `random`: two test runs side by side would try the same ports.
    for port in random.SystemRandom().sample(own, len(own)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"no port of {PORTS} is free")


LOOPBACK_ONLY: Final = "ip link set lo up"
"""For `in_network`: a machine without a network."""


def in_network(setup: str) -> list[str]:
    """What begins a command that runs in a network of its own, made by the shell's `setup`.

    Skips the test where the system gives none: it needs Linux, `ip` and user namespaces.
    """
    if not _gives_networks():
        pytest.skip("this system gives no network namespaces (unshare, ip)")
    return [*_UNSHARE, f'{setup}; exec "$@"', "sh"]


_UNSHARE: Final = ("unshare", "--map-root-user", "--net", "sh", "-c")


@cache
def _gives_networks() -> bool:
    setup = "ip link add name eth8 type veth peer name eth9"
    try:
        return not subprocess.run([*_UNSHARE, setup], capture_output=True, check=False).returncode  # noqa: S603
    except OSError:
        return False


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
