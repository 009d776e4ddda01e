"""`livelayer demo` with its site: its script, and commands that follow the person."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import anyio
import pytest
from livelayer_demo import SCRIPT
from livelayer_demo.report import DemoReport, check_recording, print_report
from livelayer_demo.run import DemoOptions, run_demo
from playwright.async_api import Browser, Page, Response

from livelayer_bus.control import find_session, send_message
from livelayer_bus.testing import PATIENCE
from livelayer_bus.testing.waiting import Signal

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture(autouse=True)
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder of control sockets where no other session is found."""
    with tempfile.TemporaryDirectory(prefix="ll") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield


class Run:
    """A demo, and what it has printed so far."""

    def __init__(self, recording: Path) -> None:
        self.lines: list[str] = []
        self.report: DemoReport | None = None
        self.stop = anyio.Event()
        self.url = ""
        self._recording = recording
        self._signal = Signal()

    async def run(self, *, interactive: bool, nats: bool = False) -> None:
        options = DemoOptions(port=0, recording=self._recording, interactive=interactive, nats=nats)
        self.report = await run_demo(options, self._write, self.stop)

    def _write(self, line: str) -> None:
        self.lines.append(line)
        self._signal.notify()

    async def prints(self, beginning: str) -> str:
        """The line that begins so, once it is there."""

        def found() -> list[str]:
            return [line for line in self.lines if line.startswith(beginning)]

        with anyio.fail_after(PATIENCE):
            await self._signal.wait_for(lambda: found() != [])
        return found()[0]


def faultless(report: DemoReport | None) -> DemoReport:
    """The report of a demo in which nothing failed and nothing was missed."""
    assert report is not None
    assert not report.faults
    assert not check_recording(report.recording, report.session_id).problems
    return report


async def test_commands_go_to_the_site_while_it_is_open_and_to_the_terminal_afterwards(
    page: Page, tmp_path: Path
) -> None:
    demo = Run(tmp_path / "demo.jsonl")
    async with anyio.create_task_group() as group:
        group.start_soon(partial(demo.run, interactive=True))
        demo.url = (await demo.prints("on the web: ")).split()[3]
        await page.goto(demo.url)
        with anyio.fail_after(PATIENCE):
            await page.evaluate(
                """async () => {
                  await document.querySelector("livelayer-session").sendMessage("scroll down");
                  while (scrollY < 100) await new Promise(requestAnimationFrame);
                }"""
            )
        assert not [line for line in demo.lines if line.startswith("page: ")]
        async with page.expect_response(has_left):
            await page.evaluate("document.querySelector('livelayer-session').remove()")
        pricing = {"type": "user_message", "text": "go to pricing"}
        await send_message(await find_session(), pricing, timeout=PATIENCE)
        await demo.prints("page: now at /pricing")
        demo.stop.set()

    report = faultless(demo.report)
    assert report.site == demo.url
    assert report.site_commands == ("scroll_page",)
    assert report.commands == ("navigate",)


async def test_a_second_process_shows_the_session_and_its_person_talks_too(
    page: Page, browser: Browser, tmp_path: Path
) -> None:
    demo, second = Run(tmp_path / "demo.jsonl"), ""
    async with anyio.create_task_group() as group:
        group.start_soon(partial(demo.run, interactive=True, nats=True))
        first = (await demo.prints("on the web: ")).split()[3]
        second = (await demo.prints("the same session in a second process: ")).split()[-1]
        assert first != second
        other = await browser.new_page()
        for one, address in ((page, first), (other, second)):
            await one.goto(address)
        with anyio.fail_after(PATIENCE):
            await other.evaluate(
                "document.querySelector('livelayer-session').sendMessage('go to pricing')"
            )
            for one in (page, other):
                await one.evaluate(SAYS, "Here we are: pricing")
            await other.wait_for_url(f"{second}pricing")  # the agent's command follows the person
        await other.close()
        demo.stop.set()
    report = faultless(demo.report)
    assert (report.second, report.second_problem) == (second, None)
    assert report.commands == ()


SAYS = """async (words) => {
  const { client } = document.querySelector("livelayer-session");
  while (!client.state.transcript.some((entry) => entry.text.includes(words)))
    await new Promise(requestAnimationFrame);
}"""


def has_left(response: Response) -> bool:
    """Whether the server lets a viewer go."""
    return response.request.method == "DELETE" and "/viewers/" in response.url


async def test_the_script_is_played_to_its_end(
    anyio_backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = SCRIPT[1:2]
    monkeypatch.setattr("livelayer_demo.run.SCRIPT", lines)
    demo = Run(tmp_path / "demo.jsonl")

    await demo.run(interactive=False)

    report = faultless(demo.report)
    assert report.asked == len(lines)
    assert report.commands == ("navigate",)
    assert report.site_commands == ()


async def test_it_says_where_it_recorded_when_the_folder_holds_a_recording(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "monday"
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")
    events = tmp_path / "events.jsonl"
    options = DemoOptions(port=0, recording=events, record=folder, interactive=False, seconds=0.5)
    with anyio.fail_after(PATIENCE):
        report = await run_demo(options, lambda _: None)
    print_report(report, check_recording(events, report.session_id))
    printed = capsys.readouterr().out.replace("\n", "")
    assert f"media    {folder}-2" in printed
    assert (tmp_path / "monday-2" / "manifest.json").exists()
