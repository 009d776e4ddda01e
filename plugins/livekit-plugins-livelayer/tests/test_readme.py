"""Every snippet of the README runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from livekit import rtc
from livekit.agents import Agent, AgentSession
from livekit.plugins.livelayer import SurfaceBridge
from livekit.plugins.livelayer.testing import (
    Call,
    FakeTTS,
    Prompt,
    ScriptedModel,
    ScriptedSurface,
    run_agent,
)

from livelayer_bus.testing import PATIENCE, polled

README = Path(__file__).parents[1] / "README.md"
SNIPPETS = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.M | re.S)
CONNECT, EXTEND, FIELDS, ASK, FACE, TEST = SNIPPETS
SECONDS = 5 * PATIENCE  # a bound for a program that hangs, not a measurement


class Job:
    """The part of a job's context that the snippets use."""

    def __init__(self, room: rtc.Room) -> None:
        self.room = room


def names(snippet: str) -> dict[str, Any]:
    """The names that a snippet defines."""
    found: dict[str, Any] = {}
    exec(compile(snippet, "README.md", "exec"), found)  # noqa: S102 - our own text
    return found


def booking(prompt: Prompt) -> str | Call:
    name, has_value, value = prompt.user.partition("=")
    if prompt.result is None and has_value:
        return Call("record_field", {"field": name, "value": value})
    return prompt.result or f"Tools: {', '.join(prompt.tools)}."


@pytest.mark.anyio
async def test_the_first_snippet_connects_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    snippet = names(CONNECT)
    model = ScriptedModel(lambda prompt: prompt.result or Call("navigate", {"href": "/pricing"}))
    session: AgentSession[Any] = AgentSession(llm=model, tts=FakeTTS(), user_away_timeout=None)
    # A model that needs no key.
    snippet["inference"] = SimpleNamespace(LLM=lambda _name: model)
    snippet["AgentSession"] = lambda **_: session
    surface = ScriptedSurface(capabilities=["navigate"])
    async with run_agent(Agent(instructions="-")) as harness:
        await harness.bridge.aclose()
        await harness.session.aclose()
        await harness.join(surface, "reader")
        await snippet["entrypoint"](Job(harness.room))
        await surface.next("bot_ready")
        await surface.type("go to pricing")
        assert (await surface.next("navigate"))["href"] == "/pricing"
        await surface.hear("Done.")
        await session.aclose()
        await surface.aclose()


@pytest.mark.anyio
async def test_the_second_snippet_adds_a_handler_a_command_and_a_form(
    capsys: pytest.CaptureFixture[str],
) -> None:
    snippet = names(EXTEND)
    async with run_agent(Agent(instructions="-"), booking) as harness:
        snippet["extend"](harness.bridge)
        await harness.surface.send({"type": "form_submitted", "formId": "contact"})
        await harness.surface.type("hello")
        assert "show_product" in await harness.surface.hear("Tools:")
        assert "user submitted contact" in capsys.readouterr().out
        found: list[dict[str, object]] = []

        async def collect() -> None:
            found.append(await snippet["book"](harness.bridge))

        async with anyio.create_task_group() as group:
            group.start_soon(collect)
            await harness.surface.hear("record_field")
            await harness.surface.type("email=ada@example.org")
            await harness.surface.hear("Ask next for: seats")
            await harness.surface.type("seats=3")
    assert found == [{"email": "ada@example.org", "seats": 3}]


@pytest.mark.anyio
async def test_the_fourth_snippet_asks_a_person() -> None:
    snippet = names(ASK)

    def order(prompt: Prompt) -> str | Call:
        return prompt.result or Call("order", {"seats": 12})

    async with run_agent(Agent(instructions="-"), order) as harness:
        harness.session.update_agent(snippet["Clerk"](harness.bridge))
        await harness.surface.type("twelve seats, please")
        assert (await harness.surface.next("request_approval"))["details"] == "288 euros a month."
        await harness.surface.hear("Ordered.")


@pytest.mark.anyio
async def test_the_third_snippet_is_a_tool_that_knows_the_fields_of_the_page() -> None:
    snippet = names(FIELDS)
    fields = [
        {"id": "name", "label": "Name", "value": "Ada", "required": True},
        {"id": "mail", "label": "E-mail", "value": "", "required": True},
        {"id": "more", "label": "More", "value": ""},
    ]
    async with run_agent(Agent(instructions="-"), lambda p: p.result or Call("missing")) as harness:
        agent = Agent(instructions="-", tools=[snippet["missing_fields"](harness.bridge)])
        harness.session.update_agent(agent)
        page = {"agent.context": json.dumps({"elements": fields})}
        await harness.surface.room.local_participant.set_attributes(page)
        await polled(lambda: harness.bridge.agent_context() is not None)
        await harness.surface.type("what is missing?")
        assert await harness.surface.hear("E-mail") == "E-mail"


@pytest.mark.anyio
async def test_the_fifth_snippet_shows_a_face() -> None:
    snippet = names(FACE)
    session: AgentSession[Any] = AgentSession()
    surface = ScriptedSurface()
    async with run_agent(Agent(instructions="-"), surface=surface) as harness:
        seen = anyio.Event()
        surface.room.on(
            "track_subscribed",
            lambda track, *_: seen.set() if track.kind == rtc.TrackKind.KIND_VIDEO else None,
        )
        started: list[Any] = []
        avatar = snippet["livelayer"].FaceAvatar
        snippet["livelayer"] = SimpleNamespace(FaceAvatar=lambda: keep(started, avatar()))
        await snippet["show_face"](session, Job(harness.room))
        with anyio.fail_after(SECONDS):
            await seen.wait()
        await started[0].aclose()


def keep(started: list[Any], avatar: Any) -> Any:
    started.append(avatar)
    return avatar


def test_the_last_snippet_is_a_test_that_passes(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        'pytest_plugins = ["livekit.plugins.livelayer.testing"]\n'
    )
    (tmp_path / "test_agent.py").write_text(
        "\n".join(line for line in TEST.splitlines() if "pytest_plugins" not in line)
    )
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_the_names_of_the_text_exist() -> None:
    told = {"command", "statistics", "collect", "add_command", "on", "agent_context"}
    assert told | {"request_approval"} <= set(dir(SurfaceBridge))
