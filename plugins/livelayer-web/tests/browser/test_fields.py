"""A page's fields, on a real server, to an agent in a process of its own, which acts on them."""

from __future__ import annotations

import json
import sys
from asyncio.subprocess import PIPE, create_subprocess_exec
from pathlib import Path
from typing import Any

import anyio
import pytest
from livelayer_demo import demo_agent_token
from playwright.async_api import Page, expect

from livelayer_bus.testing import PATIENCE

pytestmark = pytest.mark.anyio

PROGRAM = Path(__file__).with_name("fields_agent.py")
MILLISECONDS = PATIENCE * 1000


async def test_an_agent_process_reads_the_fields_and_fills_what_is_missing(
    page: Page, show: Any, until: Any
) -> None:
    async with show(agent=None) as shown:
        token = demo_agent_token(shown.server.key, shown.server.secret, shown.room)
        agent = await create_subprocess_exec(
            sys.executable, str(PROGRAM), shown.server.url, token, stdin=PIPE, stdout=PIPE
        )
        assert agent.stdin is not None
        assert agent.stdout is not None
        try:
            await shown.connect()
            await page.goto(f"{shown.url}/sign-up")
            await until(page, "client.link.phase === 'live' && client.state?.agent_active")
            await expect(page.get_by_label("Name")).to_have_value("Ada", timeout=MILLISECONDS)
            read: list[Any] = []
            with anyio.fail_after(PATIENCE):
                while not any("Ada" in str(one) for one in read):
                    read.append(json.loads(await agent.stdout.readline()))
            first, last = read[0], read[-1]
            assert (first["route"], first["title"]) == ("/sign-up", "Sign up")
            name = next(one for one in last["elements"] if one["label"] == "Name")
            assert (name["id"], name["formId"], name["value"]) == ("name", "contact", "Ada")
        finally:
            agent.stdin.close()
            with anyio.fail_after(PATIENCE):
                await agent.wait()
    assert agent.returncode == 0
