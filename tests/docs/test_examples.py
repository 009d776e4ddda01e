"""What README and examples show is run, so that it stays true."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from livelayer_bus.testing import PATIENCE

ROOT = Path(__file__).parents[2]
SECONDS = 5 * PATIENCE  # a bound for a program that hangs, not a measurement


def run(*arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own programs
        [sys.executable, "-W", "error", *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def readme_example() -> str:
    (program,) = re.findall(
        r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S
    )
    return str(program)


def test_the_readme_example_shows_the_agent_on_both_surfaces(tmp_path: Path) -> None:
    program = tmp_path / "example.py"
    program.write_text(readme_example())

    lines = run(str(program)).splitlines()

    assert any(line.startswith("panel") and "Hello" in line for line in lines)
    assert any(line.startswith("bubble") and "Hello" in line for line in lines)


def test_a_session_of_the_applications_own_feeds_two_surfaces() -> None:
    lines = run("examples/own_session.py").splitlines()

    assert sorted(lines) == [
        "bubble: Hello.",
        "bubble: I was recorded yesterday.",
        "panel: Hello.",
        "panel: I was recorded yesterday.",
    ]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_asgi_application_finds_the_session_in_its_state() -> None:
    import httpx

    from examples.asgi_app import app

    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client,
    ):
        answer = (await client.get("/state")).json()

    assert answer["agent"] == "agt_abc123"
    assert answer["connection"] == "idle"


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_application_lets_into_its_page_who_is_logged_in(anyio_backend: str) -> None:
    import httpx

    from examples.web_page import app

    async def join(client: httpx.AsyncClient, token: str) -> httpx.Response:
        bearer = {"authorization": f"Bearer {token}"}
        return await client.post("/livelayer/viewers", json={}, headers=bearer)

    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://127.0.0.1"
        ) as client,
    ):
        page = (await client.get("/")).text
        module = await client.get("/livelayer/js/livelayer.js")
        stranger = await client.post("/viewer-token")
        uninvited = await client.post("/livelayer/viewers", json={})
        mistaken = await client.post("/login", json={"name": "ada", "password": "?"})
        await client.post("/login", json={"name": "ada", "password": "analytical engine"})
        token = (await client.post("/viewer-token")).json()["token"]
        joined = await join(client, token)
        again = await join(client, token)
        key = {"authorization": f"Bearer {joined.json()['key']}"}
        beat = {"wants": {"video": False, "audio": False}}
        seen = await client.post("/livelayer/viewers/me/beat", json=beat, headers=key)
        await client.post("/logout")
        gone = await client.post("/livelayer/viewers/me/beat", json=beat, headers=key)
        later = await client.post("/viewer-token")

    assert "<livelayer-session" in page
    assert module.headers["content-type"].startswith("text/javascript")
    assert [stranger.status_code, mistaken.status_code, later.status_code] == [401, 401, 401]
    assert (uninvited.status_code, uninvited.json()["code"]) == (401, "token")
    assert joined.status_code == 201
    assert sorted(joined.json()["capabilities"]) == ["navigate", "read_page", "scroll"]
    assert (again.status_code, again.json()["code"]) == (401, "replayed")
    assert seen.status_code == 204
    assert gone.status_code == 401


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_every_page_may_open_a_session_of_its_own(anyio_backend: str) -> None:
    import httpx

    from examples.web_standalone import surface

    web = surface(port=0)
    async with anyio.create_task_group() as group:
        group.start_soon(web.serve)
        url = await web.wait_url()
        async with httpx.AsyncClient(base_url=url) as client:
            page = (await client.get("/")).text
            opened = await client.post("/livelayer/sessions", json={"agent_id": "demo"})
            joined = await client.post(f"/livelayer/{opened.json()['base']}/viewers", json={})
            unknown = await client.post("/livelayer/sessions", json={"agent_id": "another"})
            assert 'agent-id="demo"' in page
            assert (opened.status_code, joined.status_code) == (201, 201)
            assert joined.json()["capabilities"] == ["scroll"]
            assert (unknown.status_code, unknown.json()["code"]) == (404, "agent")
        group.cancel_scope.cancel()
