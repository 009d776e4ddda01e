"""Where pages reach the media: ports of a range, an address to tell, servers with credentials."""

from __future__ import annotations

import ast
import os
import re
from base64 import b64encode
from collections.abc import Awaitable, Callable
from hmac import digest
from typing import Any, Final

import psutil
import pytest
from livelayer_web import IceServer, MediaSettings
from livelayer_web.media import Media, MediaConnection, MediaPortsTakenError
from livelayer_web.media.network import SECRET_SECONDS, MediaPorts, advertise, ice_servers

from livelayer_bus.errors import MisuseError
from livelayer_bus.testing import polled

pytestmark = pytest.mark.anyio

FIRST: Final = 15_000 + os.getpid() * 40 % 15_000
"""Below the ports that systems give to anybody; another one in each process."""
Serve = Callable[..., Awaitable[Media]]


def candidates(sdp: str) -> list[tuple[str, int]]:
    """Address and port of each host candidate."""
    found = re.findall(r"^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host\r?$", sdp, re.M)
    return [(host, int(port)) for host, port in found]


def ports_of(connection: MediaConnection) -> set[int]:
    return {port for _, port in candidates(connection.answer)}


def bound() -> set[int]:
    """UDP ports of this process."""
    return {one.laddr.port for one in psutil.Process().net_connections("udp")}


async def test_each_connection_has_a_port_of_the_range_until_none_is_left(
    serve: Serve, offer: str
) -> None:
    media = await serve(MediaSettings(ports=(FIRST, FIRST + 2)))
    before = bound()
    opened = [await media.connect(offer) for _ in range(3)]
    assert [len(ports_of(one)) for one in opened] == [1, 1, 1]
    assert set.union(*map(ports_of, opened)) == set(range(FIRST, FIRST + 3))
    assert bound() - before == set(range(FIRST, FIRST + 3))
    with pytest.raises(
        MediaPortsTakenError, match=rf"{FIRST} to {FIRST + 2}.*try again later"
    ) as refused:
        await media.connect(offer)
    assert (refused.value.first, refused.value.last) == (FIRST, FIRST + 2)
    free = ports_of(opened[1])
    await opened[1].aclose()
    assert ports_of(await media.connect(offer)) == free


async def test_media_flows_over_such_a_port_and_its_end_frees_it(
    serve: Serve, view: Callable[[Media], Awaitable[Any]], agent: Any
) -> None:
    media = await serve(MediaSettings(ports=FIRST + 10))
    viewer = await view(media)
    await polled(lambda: viewer.connection.connected)
    assert ports_of(viewer.connection) == {FIRST + 10}
    await viewer.connection.aclose()
    await polled(lambda: FIRST + 10 not in bound())


async def test_an_offer_that_fails_leaves_no_port_open(serve: Serve, offer: str) -> None:
    media = await serve(MediaSettings(ports=FIRST + 20))
    with pytest.raises(MisuseError):
        await media.connect(offer.replace("a=ice-pwd:", "a=nothing:"))
    assert FIRST + 20 not in bound()
    assert ports_of(await media.connect(offer)) == {FIRST + 20}


async def test_pages_are_told_the_address_in_front(serve: Serve, offer: str) -> None:
    media = await serve(MediaSettings(ports=FIRST + 30, address="203.0.113.7"))
    answer = (await media.connect(offer)).answer
    assert [one for one in candidates(answer) if ":" not in one[0]] == [("203.0.113.7", FIRST + 30)]
    assert "c=IN IP4 203.0.113.7" in answer


def test_only_addresses_of_the_same_family_are_replaced() -> None:
    sdp = (
        "c=IN IP4 10.0.0.2\r\n"
        "a=candidate:a 1 udp 1 10.0.0.2 5000 typ host\r\n"
        "a=candidate:b 1 udp 1 172.17.0.1 5000 typ host\r\n"
        "a=candidate:c 1 udp 1 2001:db8::2 5000 typ host\r\n"
        "a=candidate:d 1 udp 1 198.51.100.1 6000 typ srflx raddr 10.0.0.2 rport 5000\r\n"
    )
    told = advertise(sdp, "203.0.113.7")
    assert candidates(told) == [("203.0.113.7", 5000), ("2001:db8::2", 5000)]
    assert "c=IN IP4 203.0.113.7" in told
    assert "typ srflx" in told
    assert candidates(advertise(sdp, "2001:db8::9"))[-1] == ("2001:db8::9", 5000)


@pytest.mark.parametrize("form", ["{0}", "'{0}'", "({0}, {0})", "[{0}, {0}]", "'{0}-{0}'"])
def test_ports_may_be_said_in_several_ways(form: str) -> None:
    ports: Any = ast.literal_eval(form.format(FIRST + 38))
    MediaSettings(ports=ports)
    sockets = MediaPorts(ports).open(["127.0.0.1"])
    with pytest.raises(MediaPortsTakenError, match=f"{FIRST + 38} to {FIRST + 38}"):
        MediaPorts(ports).open(["127.0.0.1"])
    for one in sockets:
        one.close()


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"ports": 80}, "from 1024 to 65535"),
        ({"ports": (50_010, 50_000)}, "from 1024 to 65535"),
        ({"ports": "some"}, "a port or a range"),
        ({"ports": "50000-"}, None),
        ({"ports": (1, 2, 3)}, "a port or a range"),
        ({"address": "agent.example.com"}, "the IP address"),
        ({"address": "0.0.0.0"}, "no page reaches"),  # noqa: S104 - refused
        ({"ice_servers": ("http://x",)}, "is not an ICE server"),
        ({"ice_servers": ("turn:turn.example.com",)}, "needs username and credential"),
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any], why: str | None) -> None:
    if why is None:
        MediaSettings(**wrong)
        return
    with pytest.raises(MisuseError, match=why):
        MediaSettings(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"urls": ()},
        {"urls": "turn:a.example", "username": "u"},
        {"urls": "turn:a.example", "username": "u", "credential": "c", "secret": "s"},
        {"urls": "turn:me:pass@a.example", "username": "u", "credential": "hidden-one"},
    ],
)
def test_a_wrong_server_is_refused_without_its_secrets(wrong: dict[str, Any]) -> None:
    with pytest.raises(MisuseError) as refused:
        IceServer(**wrong)
    assert "hidden-one" not in str(refused.value)
    assert "pass" not in str(refused.value).replace("a password", "")


def test_a_page_gets_credentials_of_its_own() -> None:
    stun, fixed, shared = ice_servers(
        [
            "stun:stun.example.com:3478",
            IceServer(urls="turn:turn.example.com", username="user", credential="pass-word"),
            IceServer(urls=("turns:turn.example.com",), secret="shared-secret"),
        ]
    )
    assert (stun.for_page("v1", 0).username, stun.for_page("v1", 0).credential) == (None, None)
    assert fixed.for_page("v1", 0).credential == "pass-word"
    one = shared.for_page("v1", 1000.5)
    assert one.username == f"{1000 + SECRET_SECONDS}:v1"
    assert one.username is not None
    expected = b64encode(digest(b"shared-secret", one.username.encode(), "sha1")).decode()
    assert one.credential == expected
    for record in (fixed, shared, one, MediaSettings(ice_servers=(fixed, shared))):
        assert not re.search("pass-word|shared-secret", repr(record))
        assert expected not in repr(record)
