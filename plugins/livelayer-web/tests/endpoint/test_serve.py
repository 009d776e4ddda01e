"""`livelayer serve` as a person runs it: a process of its own, ended by Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from livelayer_bus.testing import PATIENCE
from livelayer_bus.tokens.access import read_claims

SECONDS = 5 * PATIENCE  # a bound for a program that hangs, not a measurement


class Serving:
    """The running command and what it printed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if "Session(" in line:
                break
        self.said = "".join(lines)

    @property
    def base(self) -> str:
        return str(re.findall(r"http://127\.0\.0\.1:\d+", self.said)[0])

    def interrupt(self) -> tuple[int, str]:
        """Ctrl-C: its exit code, and what it wrote to stderr in all."""
        self.process.send_signal(signal.SIGINT)
        _, errors = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, errors


@contextmanager
def serving(
    folder: Path, *arguments: str, env: dict[str, str] | None = None
) -> Generator[Serving, None, None]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("LIVEKIT")}
    command = [sys.executable, "-c", "from livelayer_bus.cli import main; main()", "serve"]
    process = subprocess.Popen(  # noqa: S603 - our own command
        [*command, "--port", "0", *arguments],
        cwd=folder,
        env=environ | {"PYTHONUNBUFFERED": "1"} | (env or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Serving(process)
    finally:
        process.kill()
        process.communicate(timeout=SECONDS)


def test_without_anything_it_serves_an_agent_a_server_and_a_key(tmp_path: Path) -> None:
    with serving(tmp_path) as command:
        (key,) = re.findall(r"API key\s+(\S+)", command.said)
        answer = httpx.post(
            f"{command.base}/api/widget/session?secret=hush",
            json={"agentId": "demo"},
            headers={"x-api-key": key},
        )
        refused = httpx.post(f"{command.base}/api/widget/session", json={"agentId": "demo"})
        code, errors = command.interrupt()
    assert answer.status_code == 200
    assert read_claims(answer.json()["token"]).room_name == answer.json()["roomName"]
    assert refused.status_code == 401
    assert "examples/agent_worker.py" in command.said
    assert code == 130
    requests = [json.loads(line) for line in errors.splitlines() if line.startswith("{")]
    assert [line["status"] for line in requests] == [200, 401]
    assert "Traceback" not in errors
    for secret in (key, "hush", answer.json()["token"]):
        assert secret not in errors


def test_a_file_names_agents_and_keys(tmp_path: Path) -> None:
    (tmp_path / "livelayer.toml").write_text(
        """
        [agents.agt_moss]
        name = "Moss"
        [endpoint]
        keys = { shop = "key-of-the-shop" }
        """
    )
    with serving(tmp_path, "--url", "ws://127.0.0.1:9", "--key", "k", "--secret", "s" * 32) as it:
        face = httpx.get(f"{it.base}/api/agents/agt_moss/config")
        answer = httpx.post(
            f"{it.base}/api/widget/session",
            json={"agentId": "agt_moss"},
            headers={"x-api-key": "key-of-the-shop"},
        )
        code, _ = it.interrupt()
    assert face.json() == {"name": "Moss"}
    assert answer.json()["url"] == "ws://127.0.0.1:9"
    assert code == 130
    assert "key-of-the-shop" not in it.said
    assert "s" * 32 not in it.said


def test_the_environment_names_the_server_its_key_and_its_secret(tmp_path: Path) -> None:
    names = {
        "LIVEKIT_URL": "ws://127.0.0.1:9",
        "LIVEKIT_API_KEY": "k",
        "LIVEKIT_API_SECRET": "s" * 32,
    }
    with serving(tmp_path, env=names) as command:
        assert "ws://127.0.0.1:9" in command.said
        assert "this machine only" not in command.said
        command.interrupt()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--config", "missing.toml"], 2, "missing.toml"),
        (["--url", "ws://127.0.0.1:9"], 2, "LIVEKIT_API_KEY"),
        (["--origin", "nonsense"], 2, "origin"),
    ],
)
def test_what_is_wrong_is_one_line(
    tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    with serving(tmp_path, *arguments) as command:
        _, errors = command.process.communicate(timeout=SECONDS)
    assert command.process.returncode == code
    assert words in errors
    assert len(errors.strip().splitlines()) == 1
