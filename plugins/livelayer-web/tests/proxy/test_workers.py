"""Several processes behind one address, each with a session of its own: noticed, and told."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest
from playwright.async_api import Page

from livelayer_bus.testing import PATIENCE, polled

from .conftest import RunProxy

pytestmark = pytest.mark.anyio

APP = Path(__file__).with_name("workers_app.py")
STOP_SECONDS = 15.0
CLIENT = "document.querySelector('livelayer-session')?.client"
IN_TURN = """
upstream workers { server 127.0.0.1:%d; server 127.0.0.1:%d; }
server {
    listen 127.0.0.1:@port@;
    location / { proxy_pass http://workers; proxy_set_header Host $http_host; }
}
"""
"""Every request goes to the other process."""


@asynccontextmanager
async def uvicorn(log: Path, *arguments: str, before: Sequence[str] = ()) -> AsyncGenerator[str]:
    """The application under `uvicorn`, on a free port: its address."""
    with socket.socket() as reserved:  # nobody else's; uvicorn may listen on it
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        command = [*before, sys.executable, "-m", "uvicorn", "--app-dir", str(APP.parent)]
        command += [*arguments, "--port", str(port), f"{APP.stem}:app"]
        with log.open("ab") as written:
            process = subprocess.Popen(  # noqa: ASYNC220, S603 - our own program
                command, stdout=written, stderr=written, start_new_session=True
            )
        try:
            await polled(lambda: _listens(process, port))
            yield f"http://127.0.0.1:{port}"
        except BaseException as error:
            error.add_note(_tail(log))
            raise
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(_stop, process)


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-4000:]


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    assert process.poll() is None, "uvicorn ended"
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _stop(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGTERM)  # its workers, and what started it
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)


def code_of(answer: httpx.Response) -> str:
    code: str = answer.json().get("code", "") if answer.status_code >= 400 else ""
    return code


needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="siblings are found on Linux only")


@needs_linux
async def test_a_worker_refuses_the_pages_and_sessions_of_another(tmp_path: Path) -> None:
    log = tmp_path / "log"
    # A connection for each request: the workers take turns as it happens.
    single = httpx.Limits(max_keepalive_connections=0)
    async with (
        uvicorn(log, "--workers", "2") as url,
        httpx.AsyncClient(base_url=f"{url}/livelayer/", limits=single, timeout=PATIENCE) as http,
    ):
        key = (await http.post("viewers", json={})).json()["key"]
        headers = {"x-livelayer-key": key}

        async def refused(method: str, path: str) -> Any:
            answer = await http.request(method, path, json={}, headers=headers)
            assert code_of(answer) in ("", "workers")  # never 401: join the other's session
            return code_of(answer) == "workers"

        await polled(lambda: refused("POST", "viewers/me/beat"))
        opened = (await http.post("sessions", json={"agent_id": "own"})).json()["base"]

        async def lost() -> Any:
            answer = await http.post(f"{opened}/viewers", json={"page": {}})
            assert code_of(answer) in ("", "workers", "rate")
            return code_of(answer) == "workers"

        await polled(lost)
        assert "another process of this server has the session" in log.read_text()
        assert "uvicorn --workers 1" in log.read_text()


@pytest.mark.parametrize("parents", ["the same", pytest.param("different", id="other")])
async def test_a_page_says_so_and_is_never_shown_as_live_for_long(
    run_proxy: RunProxy, page: Page, tmp_path: Path, parents: str
) -> None:
    """Workers of one server, and servers that know nothing of each other."""
    log = tmp_path / "log"
    shell = ["sh", "-c", '"$@" & wait', "sh"]
    async with AsyncExitStack() as stack:
        urls = [
            await stack.enter_async_context(uvicorn(log, before=before))
            for before in ([], [] if parents == "the same" else shell)
        ]
        ports = tuple(int(url.rpartition(":")[2]) for url in urls)
        proxy = await stack.enter_async_context(run_proxy("nginx", IN_TURN % ports))
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        await page.goto(f"http://127.0.0.1:{proxy.port}/")
        await polled(lambda: page.evaluate(f"{CLIENT}?.link.phase === 'refused'"))
        assert await page.evaluate(f"{CLIENT}.link.code") == "workers"
        hint = page.locator("livelayer-avatar .placeholder .hint")
        assert "not set up correctly" in (await hint.text_content() or "")
        assert any("one process" in text for text in said)
        assert "one process" in log.read_text()
        await page.goto("about:blank")


@needs_linux
async def test_a_server_that_took_the_place_of_another_lets_the_pages_in(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with httpx.AsyncClient(timeout=PATIENCE) as http:
        async with uvicorn(log) as url:
            key = (await http.post(f"{url}/livelayer/viewers", json={})).json()["key"]
        async with uvicorn(log) as url:
            viewers = f"{url}/livelayer/viewers"
            headers = {"x-livelayer-key": key}
            beat = await http.post(f"{viewers}/me/beat", json={}, headers=headers)
            assert (beat.status_code, code_of(beat)) == (401, "viewer")
            now = beat.headers["x-livelayer-instance"]
            joined = await http.post(viewers, json={"previous": key})
            assert (joined.status_code, joined.json()["instance"]) == (201, now)
            in_order = await http.post(viewers, json={"instances": ["an earlier one", now]})
            assert in_order.status_code == 201
            in_turn = await http.post(viewers, json={"instances": [now, "another in between"]})
            assert code_of(in_turn) == "workers"
