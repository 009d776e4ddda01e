"""`livelayer demo` with its site: commands follow the person, and the report says where to."""

from __future__ import annotations

import asyncio
from pathlib import Path

import anyio
import pytest
from livelayer_demo.report import DemoReport, check_recording
from livelayer_demo.run import DemoOptions, run_demo
from playwright.async_api import Page

from livelayer_bus.testing import PATIENCE

pytestmark = [pytest.mark.anyio, pytest.mark.realtime]

SECONDS = 20.0  # for the script to reach its first command


async def test_commands_go_to_the_site_while_it_is_open_and_to_the_terminal_afterwards(
    page: Page, tmp_path: Path
) -> None:
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    reports: list[DemoReport] = []

    def hear(line: str) -> None:
        if line.startswith("on the web: "):
            address.set_result(line.split()[3])

    async def demo() -> None:
        options = DemoOptions(seconds=SECONDS, port=0, recording=tmp_path / "demo.jsonl")
        reports.append(await run_demo(options, hear))

    async with anyio.create_task_group() as group:
        group.start_soon(demo)
        url = await asyncio.wait_for(address, PATIENCE)
        await page.goto(url)
        with anyio.fail_after(PATIENCE):
            await page.evaluate(
                """async () => {
                  await document.querySelector("livelayer-session").sendMessage("scroll down");
                  while (scrollY < 100) await new Promise(requestAnimationFrame);
                }"""
            )
        await page.close()

    [report] = reports
    assert report.site == address.result()
    assert report.site_commands == ("scroll_page",)
    assert report.commands[0] == "navigate"
    assert not report.faults
    assert not check_recording(report.recording, report.session_id).problems
