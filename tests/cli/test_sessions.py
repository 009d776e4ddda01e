"""`run`, `tail`, `send` and `demo`, each a process of its own, on the embedded server."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from livekit import rtc
from livelayer_embedded import EmbeddedServer

from livelayer_bus.jsonl import EventLine, SnapshotLine
from livelayer_bus.rooms import keep
from livelayer_bus.surfaces.jsonl import read_jsonl
from livelayer_bus.testing import PATIENCE

Livelayer = Callable[..., "subprocess.CompletedProcess[str]"]
CONFIG = """
agent_id = "agt"
[tokens]
kind = "local-keys"
url = { env = "URL" }
api_key = { env = "KEY" }
api_secret = { env = "SECRET" }
room_name = "hall"
[surfaces.recording]
plugin = "jsonl"
options = { file = "out.jsonl" }
[surfaces.console]
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def line_of(process: asyncio.subprocess.Process) -> str:
    if process.stdout is None:
        pytest.fail("no pipe")
    async with asyncio.timeout(5 * PATIENCE):  # a program has to start first
        return (await process.stdout.readline()).decode()


@pytest.mark.anyio
async def test_a_session_is_run_followed_spoken_into_and_ended(
    embedded_server: EmbeddedServer,
    tmp_path: Path,
    environ: dict[str, str],
    command: list[str],
    livelayer: Livelayer,
) -> None:
    server = embedded_server
    (tmp_path / "livelayer.toml").write_text(CONFIG)
    access = {"URL": server.url, "KEY": server.key, "SECRET": server.secret}
    packets: asyncio.Queue[rtc.DataPacket] = asyncio.Queue(100)
    agent = rtc.Room()
    agent.on("data_received", packets.put_nowait)
    await agent.connect(server.url, server.token("agent", "hall", kind="agent", agent=True))
    keep(agent)
    run = await asyncio.create_subprocess_exec(
        *command, "run", cwd=tmp_path, env=environ | access, stdout=subprocess.PIPE
    )
    try:
        while "agent active" not in (line := await line_of(run)):
            assert line
        tail = await asyncio.create_subprocess_exec(
            *command, "tail", cwd=tmp_path, env=environ, stdout=subprocess.PIPE
        )
        snapshot = json.loads(await line_of(tail))
        assert snapshot["line"] == "snapshot"
        sent = await asyncio.to_thread(livelayer, "send", "quiz_response", "answer=42", "name=Ada")
        assert (sent.returncode, sent.stderr) == (0, "")
        async with asyncio.timeout(PATIENCE):
            packet = await packets.get()
        assert json.loads(packet.data) == {"type": "quiz_response", "answer": 42, "name": "Ada"}
        event = json.loads(await line_of(tail))
        assert event["sequence"] == snapshot["sequence"] + 1
        assert event["event"]["type"] == "quiz_response"
        tail.send_signal(signal.SIGINT)
        assert await tail.wait() == 130
        again = await asyncio.create_subprocess_exec(
            *(*command, "tail", "--after", snapshot["cursor"]),
            cwd=tmp_path,
            env=environ,
            stdout=subprocess.PIPE,
        )
        assert json.loads(await line_of(again)) == event
        large = await asyncio.to_thread(livelayer, "send", "-", text=_message(20_000))
        assert large.returncode == 1
        assert "the limit is 15360" in large.stderr
        run.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE):
            assert await run.wait() == 130
            assert await again.wait() == 0
    finally:
        if run.returncode is None:
            run.kill()
            await run.wait()
        await agent.disconnect()
    lines = list(read_jsonl(tmp_path / "out.jsonl"))
    assert isinstance(lines[0], SnapshotLine)
    sequences = [line.sequence for line in lines if isinstance(line, EventLine)]
    assert sequences == list(range(lines[0].sequence + 1, lines[0].sequence + 1 + len(sequences)))


def _message(size: int) -> str:
    return json.dumps({"type": "big", "text": "x" * size})


def test_a_server_that_is_not_there_is_code_three(livelayer: Livelayer, tmp_path: Path) -> None:
    (tmp_path / "livelayer.toml").write_text(CONFIG)
    done = livelayer("run", URL="ws://127.0.0.1:1", KEY="key", SECRET="s" * 40)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "check the address and that the server runs" in done.stderr


def test_a_wrong_secret_is_code_four_and_no_token_is_shown(
    embedded_server: EmbeddedServer, livelayer: Livelayer, tmp_path: Path
) -> None:
    (tmp_path / "livelayer.toml").write_text(CONFIG)
    server = embedded_server
    done = livelayer("run", URL=server.url, KEY=server.key, SECRET="s" * 40)
    assert done.returncode == 4
    assert "eyJ" not in done.stderr + done.stdout
    assert "s" * 40 not in done.stderr + done.stdout


def test_a_port_that_is_taken_ends_the_demo_before_it_begins(livelayer: Livelayer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = livelayer("demo", "--seconds", "12", "--port", str(port))
    assert done.returncode == 1
    assert done.stdout.startswith("livelayer demo is starting")
    assert (done.stdout.count("\n"), done.stderr.count("\n")) == (1, 1)
    assert f"port {port} is in use" in done.stderr


def test_the_demo_does_what_it_promises(livelayer: Livelayer, tmp_path: Path) -> None:
    done = livelayer("demo", "--seconds", "12", "-o", "demo.jsonl")
    assert (done.returncode, done.stderr) == (0, "")
    assert "-jsonl, +jsonl" in done.stdout
    assert "one session throughout" in done.stdout
    # With the plugin the site's address, without it how to get it.
    assert "on the web: http://127.0.0.1:" in done.stdout or "livelayer-web" in done.stdout
    assert (tmp_path / "demo.jsonl").stat().st_size > 1000
