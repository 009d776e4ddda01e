"""Behind a real nginx, with the server in a network of its own and a fixed range of media ports.

The namespace stands for a container: its addresses are not the ones that pages are told, and what
is sent to a published port of the host is passed on to it, as Docker's proxy does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio
import pytest
from livelayer_web import IceServer
from playwright.async_api import Page

from livelayer_bus.testing import PATIENCE, polled

pytestmark = [pytest.mark.anyio, pytest.mark.realtime]

HERE: Final = Path(__file__).parent
NUMBER: Final = os.getpid() % 250 + 1
HOST: Final = f"10.231.{NUMBER}.1"
"""The address of the host at which the ports are published."""
INSIDE: Final = f"10.231.{NUMBER}.2"
HTTP: Final = 8080
FIRST: Final = 15_000 + os.getpid() * 40 % 15_000 + 30
PORTS: Final = range(FIRST, FIRST + 3)
Site = Callable[..., Awaitable[tuple[str, int]]]
CLIENT: Final = "document.querySelector('livelayer-session')?.client"

NGINX: Final = """
daemon off;
user root;
pid {folder}/nginx.pid;
error_log stderr;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://{inside}:{http};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""


def run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if done.returncode:
        pytest.skip(f"needs a network namespace: {' '.join(words[:4])}: {done.stderr.strip()}")


@pytest.fixture(scope="module")
def namespace() -> Generator[str]:
    """A network of its own, with one way to this machine; removed with what is in it."""
    ip = shutil.which("ip")
    if ip is None or os.geteuid() != 0:
        pytest.skip("needs root and iproute2, to make a network namespace")
    name = f"livelayer{os.getpid()}"
    run(ip, "netns", "add", name)
    try:
        outer, inner = f"ll{os.getpid()}o", f"ll{os.getpid()}i"
        run(ip, "link", "add", outer, "type", "veth", "peer", "name", inner, "netns", name)
        run(ip, "addr", "add", f"{HOST}/24", "dev", outer)
        run(ip, "link", "set", outer, "up")
        for words in (
            f"addr add {INSIDE}/24 dev {inner}",
            f"link set {inner} up",
            "link set lo up",
        ):
            run(ip, "-n", name, *words.split())
        yield name
    finally:
        subprocess.run([ip, "netns", "del", name], check=False)  # noqa: S603 - ours


class Published(asyncio.DatagramProtocol):
    """One UDP port of the host that is passed on: each sender gets a port of its own inside."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.passed = 0
        self._transport: Any = None
        self._ways: dict[Any, asyncio.Task[Any]] = {}

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.passed += 1
        if addr not in self._ways:
            self._ways[addr] = asyncio.create_task(self._open(addr))
        self._ways[addr].add_done_callback(lambda way: way.cancelled() or way.result().sendto(data))

    async def _open(self, addr: Any) -> Any:
        answer, sender = self._transport.sendto, addr

        class Back(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: Any) -> None:
                answer(data, sender)

        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(Back, remote_addr=(INSIDE, self.port))
        return transport

    async def close(self) -> None:
        self._transport.close()
        for way in self._ways.values():
            (await way).close()


def _same(one: Published) -> Published:
    return one


@pytest.fixture
async def published(namespace: str) -> AsyncGenerator[list[Published]]:
    loop = asyncio.get_running_loop()
    made = [Published(port) for port in PORTS]
    for one in made:
        await loop.create_datagram_endpoint(partial(_same, one), local_addr=(HOST, one.port))
    yield made
    for one in made:
        await one.close()


@contextlib.asynccontextmanager
async def running(*words: str, **options: Any) -> AsyncGenerator[asyncio.subprocess.Process]:
    """A program that is ended by the end of its input, or else killed."""
    program = await asyncio.create_subprocess_exec(
        *words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options
    )
    try:
        yield program
    finally:
        if program.returncode is None:
            program.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(program.wait(), PATIENCE)
        if program.returncode is None:
            program.kill()
            await program.wait()


@pytest.fixture
async def site(namespace: str, tmp_path: Path) -> AsyncGenerator[Site]:
    """Starts the server, and nginx before it."""
    nginx = shutil.which("nginx")
    if nginx is None:
        pytest.skip("needs nginx (apt-get install nginx-light)")
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    text = NGINX.format(folder=tmp_path, port=port, inside=INSIDE, http=HTTP)
    (tmp_path / "nginx.conf").write_text(text)
    async with AsyncExitStack() as stack:

        async def start(**options: Any) -> tuple[str, int]:
            options |= {"host": INSIDE, "port": HTTP, "allow_origins": [url]}
            own = [sys.executable, str(HERE / "contained.py"), json.dumps(options)]
            server = await stack.enter_async_context(
                running("ip", "netns", "exec", namespace, *own)
            )
            conf = str(tmp_path / "nginx.conf")
            await stack.enter_async_context(running(nginx, "-p", str(tmp_path), "-c", conf))
            assert server.stdout is not None
            with anyio.fail_after(PATIENCE):
                assert await server.stdout.readline() == b"serving\n"
            await _listens("127.0.0.1", port)
            return url, server.pid

        yield start


@pytest.fixture
async def turn(namespace: str, tmp_path: Path) -> AsyncGenerator[IceServer]:
    """A TURN server of the host, which knows no user but a secret."""
    program = shutil.which("turnserver")
    if program is None:
        pytest.skip("needs a TURN server (apt-get install coturn)")
    port, secret = _free_port(), "the secret of both servers"
    options = {
        "listening-ip": HOST,
        "relay-ip": HOST,
        "listening-port": str(port),
        "min-port": str(FIRST - 20),
        "max-port": str(FIRST - 1),
        "static-auth-secret": secret,
        "realm": "livelayer.test",
        "pidfile": str(tmp_path / "turn.pid"),
        "userdb": str(tmp_path / "turn.db"),
        "log-file": str(tmp_path / "turn.log"),
    }
    words = [f"--{name}={value}" for name, value in options.items()]
    switches = ["-n", "--use-auth-secret", "--no-cli", "--no-tls", "--no-dtls", "--fingerprint"]
    async with running(program, *switches, *words):
        await _listens(HOST, port)
        yield IceServer(urls=f"turn:{HOST}:{port}?transport=udp", secret=secret)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


async def _listens(host: str, port: int) -> None:
    async def look() -> Any:
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            return False
        writer.close()
        return True

    await polled(look)


def media_ports(pid: int) -> set[int]:
    """The UDP ports that are open in the network of a process."""
    lines = Path(f"/proc/{pid}/net/udp").read_text().splitlines()[1:]
    return {int(re.split(r"[\s:]+", line.strip())[2], 16) for line in lines}


PLAY: Final = f"""async () => {{
  const video = document.createElement("video");
  video.muted = true;
  video.srcObject = {CLIENT}.media.stream;
  document.body.append(video);
  await video.play();
  const frame = () => new Promise((resolve) => video.requestVideoFrameCallback(resolve));
  for (let count = 0; count < 10; count += 1) await frame();
  const statistics = new Map(await window.peers.at(-1).getStats());
  const used = ({{ type, nominated, state }}) =>
    type === "candidate-pair" && nominated && state === "succeeded";
  const pair = [...statistics.values()].find(used);
  const here = statistics.get(pair.localCandidateId);
  const there = statistics.get(pair.remoteCandidateId);
  return [here.candidateType, there.address, there.port];
}}"""
"""Waits for ten pictures; tells the way that they came."""


async def play(page: Page) -> list[Any]:
    async def live() -> Any:
        return await page.evaluate(f"{CLIENT}?.media.phase === 'live'")

    await polled(live)
    way: list[Any] = await page.evaluate(PLAY)
    return way


async def test_pictures_arrive_through_the_published_ports_alone(
    site: Site, published: list[Published], page: Page
) -> None:
    url, pid = await site(media_ports=f"{PORTS[0]}-{PORTS[-1]}", media_address=HOST)
    await page.goto(url)
    _, address, port = await play(page)
    assert address == HOST
    assert port in PORTS
    assert media_ports(pid) == {port}
    assert sum(one.passed for one in published) > 0


async def test_pictures_arrive_through_a_turn_server_with_credentials_for_this_page(
    site: Site, turn: IceServer, page: Page
) -> None:
    """The page uses no other way; the server behind it is told nothing of the TURN server."""
    await page.add_init_script("window.relayed = true;")
    server = {"urls": turn.urls, "secret": turn.secret}
    url, _ = await site(media_ports=PORTS[0], ice_servers=[server])
    await page.goto(url)
    kind, address, port = await play(page)
    assert (kind, address, port) == ("relay", INSIDE, PORTS[0])


@pytest.fixture
async def page(page: Page) -> Page:
    """A page that remembers its media connections."""
    await page.add_init_script("""
window.peers = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(given) {
    super({ ...given, iceTransportPolicy: window.relayed ? "relay" : "all" });
    window.peers.push(this);
  }
};""")
    return page
