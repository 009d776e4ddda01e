"""Connections open, end, and leave nothing behind, whichever end closes them and when."""

from __future__ import annotations

import asyncio
import gc
import random
import re
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import aioice.ice
import psutil
import pytest
from aioice import stun
from livelayer_web import MediaSettings
from livelayer_web.media import (
    Media,
    MediaConnection,
    MediaFullError,
    MediaUnavailableError,
    OfferError,
)

from livelayer_bus.errors import MisuseError
from livelayer_bus.testing import PATIENCE, ManualClock, no_leaked_tasks, polled

pytestmark = pytest.mark.anyio

STRANGE = (
    b"",
    b"\x00",
    b"\x16\xfe\xff" + bytes(40),  # DTLS
    b"\x80\x60" + bytes(200),  # RTP
    bytes.fromhex("000100082112a442") + bytes(12) + bytes.fromhex("0020000400010000"),  # STUN, cut
)
"""Datagrams that do not come from the page."""

Serve = Callable[..., Awaitable[Media]]
View = Callable[[Media], Awaitable[Any]]
Until = Callable[[Callable[[], bool]], Awaitable[None]]


@pytest.fixture(autouse=True)
async def faults(anyio_backend: object) -> AsyncGenerator[None]:
    """A task whose exception was never retrieved fails the test."""
    told: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context))
    yield
    gc.collect()
    loop.set_exception_handler(None)
    assert not told


def sockets() -> int:
    """UDP sockets of this process."""
    return len(psutil.Process().net_connections("udp"))


async def test_the_answer_lists_this_machines_addresses_only(media: Media, offer: str) -> None:
    connection = await media.connect(offer)
    candidates = [line for line in connection.answer.splitlines() if "a=candidate" in line]
    assert candidates
    assert all(" typ host" in line for line in candidates)
    assert not any("127.0.0.1" in line or ".local" in line for line in candidates)


async def test_the_answers_sections_mirror_the_offers(media: Media, offer: str) -> None:
    connection = await media.connect(offer)
    assert directions(connection) == ["sendonly", "sendonly", "recvonly", "recvonly", "recvonly"]
    watched = await media.connect(offer, allow_sources=())
    assert directions(watched) == ["sendonly", "sendonly", "inactive", "inactive", "inactive"]


def directions(connection: MediaConnection) -> list[str]:
    """Of the answer's sections."""
    known = ("a=sendonly", "a=recvonly", "a=inactive", "a=sendrecv")
    return [line[2:] for line in connection.answer.splitlines() if line in known]


async def test_a_page_that_never_connects_is_ended_after_fifteen_seconds(
    serve: Serve, offer: str
) -> None:
    clock = ManualClock()
    media = await serve(clock=clock)
    connection = await media.connect(offer)
    ended: list[str] = []
    connection.on_end(lambda: ended.append("told"))
    await clock.elapse(14)
    assert (ended, connection.ended) == ([], False)
    await clock.elapse(2)
    assert (ended, connection.ended) == (["told"], True)
    assert media.statistics().connections == 0
    connection.on_end(lambda: ended.append("late"))
    assert ended == ["told", "late"]


def ports_of(connection: MediaConnection) -> set[tuple[str, int]]:
    """The addresses that its answer lists."""
    found = re.findall(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host", connection.answer)
    return {(host, int(port)) for host, port in found}


def strange_datagrams(seed: int) -> list[bytes]:
    """Datagrams that do not come from the page: known ones, noise, and damaged STUN."""
    dice = random.Random(seed)
    noise = [dice.randbytes(dice.choice((1, 2, 19, 20, 60, 1200))) for _ in range(40)]
    damaged: list[bytes] = []
    for _ in range(60):
        check = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        check.attributes["USERNAME"] = "abcd:efgh"
        check.add_message_integrity(b"not the password of the connection")
        data = bytearray(bytes(check))
        for _ in range(dice.randrange(3)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        damaged.append(bytes(data[: dice.choice((len(data), dice.randrange(len(data) + 1)))]))
    return [*STRANGE, *noise, *damaged]


async def test_what_strangers_send_to_a_port_is_counted_and_ignored(
    agent: Any, media: Media, view: View, until: Until
) -> None:
    def counted(sent: int) -> Callable[[], bool]:
        return lambda: media.statistics().ignored_datagrams == sent

    viewer = await view(media)
    connection = viewer.connection
    ports = ports_of(connection)
    sent = 0
    for seed, moment in enumerate((lambda: True, lambda: connection.connected)):
        await until(moment)
        for host, port in ports:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as stranger:
                for data in strange_datagrams(seed):
                    stranger.sendto(data, (host, port))
                    sent += 1
                    await asyncio.sleep(0)  # the socket's buffer holds only so many
            await until(counted(sent))
    before = viewer.packets["video"]
    await until(lambda: viewer.packets["video"] > before)
    assert not connection.ended


async def test_what_a_page_itself_sends_does_not_end_its_connection(
    agent: Any, media: Media, view: View, until: Until
) -> None:
    viewer = await view(media)
    await until(lambda: viewer.connection.connected)
    [pair] = viewer.picture.transport.transport._connection._nominated.values()
    for data in strange_datagrams(0):
        pair.protocol.transport._sock.sendto(data, pair.remote_addr)  # asyncio sends no empty one
    before = viewer.packets["video"]
    await until(lambda: viewer.packets["video"] > before)
    assert media.statistics().ignored_datagrams > 0
    assert not viewer.connection.ended


@pytest.mark.parametrize("local_only", [False, True])
async def test_media_of_other_machines_pass_unless_all_is_local(
    serve: Serve, offer: str, local_only: bool
) -> None:
    media = await serve(local_only=local_only)
    connection = await media.connect(offer)
    peer: Any = connection._peer
    [transport] = {one.receiver.transport.transport for one in peer.getTransceivers()}
    ice = transport._connection
    protocol = ice._protocols[0]
    passed: list[str] = []
    ice.request_received = lambda message, addr, _: passed.append(addr[0])
    check = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    check.add_message_integrity(ice.local_password.encode())
    here = ["127.0.0.1", "::1", protocol.local_candidate.host]
    for host in (*here, "192.0.2.1", "2001:db8::1", "fe80::1%lo"):
        protocol.datagram_received(bytes(check), (host, 4000))
    assert passed[:3] == here
    assert (len(passed), media.statistics().ignored_datagrams) == ((3, 3) if local_only else (6, 0))


async def answered_or_refused(media: Media, text: str) -> bool:
    """Whether an offer is answered; any other error than a refusal fails the test."""
    try:
        connection = await media.connect(text)
    except OfferError:
        return False
    await connection.aclose()
    return True


async def test_an_offer_without_any_one_line_is_answered_or_refused(
    media: Media, offer: str
) -> None:
    lines = offer.splitlines()
    answered = 0
    for left_out in range(len(lines)):
        text = "\r\n".join([*lines[:left_out], *lines[left_out + 1 :], ""])
        answered += await answered_or_refused(media, text)
    assert 0 < answered < len(lines)


def damage(offer: str, dice: random.Random) -> str:
    """One to three lines of it are dropped, repeated, moved, cut, or have another value."""
    lines = offer.splitlines()
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(1, len(lines))
        words = lines[at].split(" ")
        match dice.randrange(6):
            case 0:
                del lines[at]
            case 1:
                lines.insert(dice.randrange(1, len(lines)), lines[at])
            case 2:
                lines.insert(dice.randrange(1, len(lines)), lines.pop(at))
            case 3:
                lines[at] = lines[at][: dice.randrange(len(lines[at]) + 1)]
            case 4:
                values = (
                    "",
                    "-1",
                    "0",
                    "99999999999",
                    "x",
                    "\u00e9",
                    "a=b:c",
                    "passive",
                    "UDP/XYZ",
                )
                words[dice.randrange(len(words))] = dice.choice(values)
                lines[at] = " ".join(words)
            case _:
                lines = lines[: dice.randint(1, len(lines))]
        if len(lines) < 2:
            break
    return "\r\n".join([*lines, ""])


async def test_a_viewer_that_goes_is_noticed(media: Media, view: View, until: Until) -> None:
    viewer = await view(media)
    await until(lambda: viewer.connection.connected)
    ended: list[None] = []
    viewer.connection.on_end(lambda: ended.append(None))
    await viewer.aclose()
    await until(lambda: bool(ended))
    assert media.statistics().connections == 0


async def come_and_go(media: Media, view: View, until: Until) -> None:
    """Connect a viewer, and end it."""
    viewer = await view(media)
    await until(lambda: bool(viewer.connection.connected))
    await viewer.connection.aclose()
    await viewer.aclose()


async def test_fifty_connections_leave_no_task_and_no_socket(
    media: Media, view: View, until: Until, offer: str
) -> None:
    await come_and_go(media, view, until)
    before = sockets()
    async with no_leaked_tasks(PATIENCE):
        for number in range(50):
            if number % 10:
                connection = await media.connect(offer)
                await connection.aclose()
                await connection.aclose()  # again, it waits for the same end
            else:
                await come_and_go(media, view, until)
    await polled(lambda: sockets() <= before)
    assert media.statistics().connections == 0


async def test_a_connection_may_end_at_any_moment_of_its_coming_about(
    media: Media, view: View
) -> None:
    before = sockets()
    for steps in range(0, 60, 3):
        async with no_leaked_tasks(PATIENCE):
            viewer = await view(media)
            for _ in range(steps):
                await asyncio.sleep(0)
            await viewer.connection.aclose()
            await viewer.aclose()
    await polled(lambda: sockets() <= before)


async def test_a_track_that_connects_while_it_is_closed_is_not_started(
    media: Media, view: View
) -> None:
    async with no_leaked_tasks(PATIENCE):
        viewer = await view(media)
        peer: Any = viewer.connection._peer
        for one in peer.getTransceivers():
            stop, parameters = one.sender.stop, peer._RTCPeerConnection__localRtp(one)

            async def connect_late(
                one: Any = one, stop: Any = stop, parameters: Any = parameters
            ) -> None:
                await stop()
                await one.sender.send(parameters)

            one.sender.stop = connect_late
        await viewer.connection.aclose()
        await viewer.aclose()


async def test_an_answer_that_is_cancelled_leaves_nothing(media: Media, offer: str) -> None:
    before = sockets()
    async with no_leaked_tasks(PATIENCE):
        for steps in range(12):
            task = asyncio.create_task(media.connect(offer))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                await task.result().aclose()
    await polled(lambda: sockets() <= before)
    assert media.statistics().connections == 0


async def test_a_damaged_offer_is_answered_or_refused_and_nothing_else(
    media: Media, offer: str
) -> None:
    chance = random.Random(6)
    before = sockets()
    answered = 0
    async with no_leaked_tasks(PATIENCE):
        for _ in range(200):
            start = chance.randrange(len(offer))
            end = start + chance.randrange(1, 30)
            put = "".join(chance.choices("a=:0 9\r\nvideo", k=chance.randrange(6)))
            answered += await answered_or_refused(media, offer[:start] + put + offer[end:])
            answered += await answered_or_refused(media, damage(offer, chance))
    assert 0 < answered < 400
    await polled(lambda: sockets() <= before)


@pytest.mark.parametrize(
    "wrong",
    [
        {"ladder": ()},
        {"max_connections": 0},
        {"ice_servers": ("stun.example",)},
        {"ice_servers": ("turn:relay.example:3478",)},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(MisuseError):
        MediaSettings(**wrong)


async def test_a_machine_without_an_address_says_so(
    media: Media, offer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: [])
    with pytest.raises(MediaUnavailableError, match="loopback"):
        await media.connect(offer)


async def test_no_more_connections_than_allowed(serve: Serve, offer: str) -> None:
    media = await serve(MediaSettings(max_connections=2))
    first, _ = await asyncio.gather(media.connect(offer), media.connect(offer))
    with pytest.raises(MediaFullError):
        await media.connect(offer)
    await first.aclose()
    await media.connect(offer)


async def test_unmounting_ends_every_connection(serve: Any, offer: str) -> None:
    media = await serve()
    connection = await media.connect(offer)
    ended: list[None] = []
    connection.on_end(lambda: ended.append(None))
    await serve.unmount()
    assert ended == [None]
    with pytest.raises(MediaUnavailableError):
        await media.connect(offer)
