"""What README and examples show is run, so that it stays true."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 60  # a bound for a program that hangs, not a measurement


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
