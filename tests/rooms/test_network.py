"""What counts as a network is what the SDK can join a room from, in namespaces that Linux gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from livelayer_bus.rooms import network_problem
from livelayer_bus.testing import PATIENCE
from tests.support import in_network

LOOPBACK = "ip link set lo up"
CABLE = f"{LOOPBACK}; ip link add name eth8 type veth peer name eth9; ip link set eth8 up"
ASK = "from livelayer_bus.rooms import network_problem; raise SystemExit(network_problem())"

JOIN = """
import asyncio
from livekit import rtc
from livelayer_bus.rooms import prepare_sdk
from livelayer_embedded import EmbeddedServer

async def main():
    async with EmbeddedServer() as server:
        prepare_sdk(server.url)
        room = rtc.Room()
        await room.connect(server.url, server.token("user", "room"))
        await room.disconnect()

asyncio.run(main())
"""


def run(network: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own program
        [*in_network(network), sys.executable, *arguments],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=5 * PATIENCE,
        check=False,
    )


def test_a_machine_on_a_network_has_no_problem() -> None:
    assert network_problem() is None


@pytest.mark.parametrize(
    ("network", "usable"),
    [
        pytest.param("true", False, id="nothing up"),
        pytest.param(LOOPBACK, False, id="loopback"),
        pytest.param(f"{LOOPBACK}; ip addr add 10.9.9.9/32 dev lo", False, id="another address"),
        pytest.param(f"{CABLE}; ip addr add 10.9.9.9/24 dev eth8", False, id="no carrier"),
        pytest.param(f"{CABLE}; ip link set eth9 up", False, id="no address"),
        pytest.param(
            f"{CABLE}; ip link set eth9 up; ip addr add 10.9.9.9/24 dev eth8", True, id="IPv4"
        ),
        pytest.param(
            f"{CABLE}; ip link set eth9 up; ip addr add 169.254.9.9/16 dev eth8",
            True,
            id="link-local",
        ),
        pytest.param(
            f"{CABLE}; ip link set eth9 up; ip addr add fd00::9/64 dev eth8 nodad", True, id="IPv6"
        ),
    ],
)
def test_an_interface_that_runs_and_has_an_address_is_needed(network: str, usable: bool) -> None:
    asked = run(network, "-c", ASK)
    assert asked.returncode == (0 if usable else 1), asked.stderr
    assert ("only loopback is up" in asked.stderr) is not usable


def test_the_sdk_joins_a_server_of_this_machine_from_any_such_interface() -> None:
    joined = run(f"{CABLE}; ip link set eth9 up; ip addr add 169.254.9.9/16 dev eth8", "-c", JOIN)
    assert joined.returncode == 0, joined.stderr
