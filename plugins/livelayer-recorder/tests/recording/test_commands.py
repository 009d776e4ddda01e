"""The commands, on the project's own recording: play it, list it, export it, delete what may go."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import av
import pytest
from livelayer_recorder import Recording
from livelayer_recorder.commands import seconds_of
from livelayer_recorder.html_export import html_page
from livelayer_recorder.testing import Replayed, replay_fixture
from playwright.async_api import Browser

from livelayer_bus import MisuseError, SurfaceSession, TranscriptUpdated
from livelayer_bus.testing import PATIENCE

WELCOME = Path(__file__).parent.parent / "recordings" / "welcome"
MAX_BYTES = 1_000_000
MAIN = "from livelayer_bus.cli import main; main()"

welcome = replay_fixture(WELCOME, speed=50)


def livelayer(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", MAIN, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * PATIENCE,
    )


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
@pytest.mark.anyio
async def test_the_fixture_is_a_session_that_replays(welcome: Replayed) -> None:
    lines: dict[str, str] = {}

    async def panel(session: SurfaceSession) -> None:
        with session.subscribe(TranscriptUpdated) as updates:
            async for update in updates:
                lines[update.entry.id] = update.entry.text

    welcome.session.mount(panel, key="panel")
    await welcome.session.connect()
    with anyio.fail_after(PATIENCE):
        await welcome.room.wait_finished()
    assert any("Lumi" in text for text in lines.values())


def test_the_recording_of_the_project_is_small_and_whole() -> None:
    assert sum(file.stat().st_size for file in WELCOME.iterdir()) < MAX_BYTES
    recording = Recording(WELCOME)
    assert recording.manifest.status == "finished"
    assert recording.unreadable == 0
    assert recording.media is not None


def test_a_recording_is_played_in_the_terminal() -> None:
    done = livelayer("replay", WELCOME, "--speed", 20, "--from", "0:01")
    assert done.returncode == 0, done.stderr
    assert "Lumi" in done.stdout


def test_recordings_are_listed_with_a_picture_of_each(tmp_path: Path) -> None:
    shutil.copytree(WELCOME, tmp_path / "one")
    shutil.copytree(WELCOME, tmp_path / "two")
    (tmp_path / "two" / "media.mp4").write_bytes(
        (WELCOME / "media.mp4").read_bytes()[:20_000]  # as a crash leaves it
    )
    (tmp_path / "other").mkdir()
    done = livelayer("recordings", tmp_path, "--sheet", tmp_path / "sheet.png")
    assert done.returncode == 0, done.stderr
    assert "one" in done.stdout
    assert "two" in done.stdout
    with av.open(str(tmp_path / "sheet.png")) as sheet:
        [image] = [frame.to_ndarray(format="rgb24") for frame in sheet.decode(video=0)]
    assert image[: image.shape[0] // 2].std() > 10  # there are pictures in the first row


def test_what_may_be_deleted_is_deleted_on_request(tmp_path: Path) -> None:
    for name, deadline in (("old", "2020-01-01T00:00:00Z"), ("new", "2999-01-01T00:00:00Z")):
        shutil.copytree(WELCOME, tmp_path / name)
        manifest: Any = json.loads((tmp_path / name / "manifest.json").read_text())
        manifest["delete_after"] = deadline
        (tmp_path / name / "manifest.json").write_text(json.dumps(manifest))
    shutil.copytree(WELCOME, tmp_path / "kept")
    done = livelayer("recordings", tmp_path, "--delete-expired")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "new"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("replay", "nowhere"), 1, "is not a recording: it has no manifest.json"),
        (("replay", WELCOME, "--from", "9:00"), 1, "behind the end"),
        (("replay", WELCOME, "--speed", "0"), 1, "speed must be more than 0"),
        (("recordings", "nowhere"), 2, "holds no recording"),
    ],
)
def test_errors_are_one_line_that_helps(
    arguments: tuple[object, ...], code: int, words: str
) -> None:
    done = livelayer(*arguments)
    assert done.returncode == code
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_times_are_read_as_people_write_them() -> None:
    assert [seconds_of(text) for text in ("90", "1:30", "0:01:30.5")] == [90.0, 90.0, 90.5]
    with pytest.raises(MisuseError, match="is not a time"):
        seconds_of("a minute")


@pytest.mark.anyio
async def test_the_exported_page_plays_and_loads_nothing(tmp_path: Path, browser: Browser) -> None:
    page_path = tmp_path / "welcome.html"
    page_path.write_text(html_page(Recording(WELCOME)))
    page = await browser.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: problems.append(request.url[:80]))
    await page.goto(page_path.as_uri())
    problems.clear()  # the page itself
    line = page.locator("#lines li button").last
    await line.click()
    await page.wait_for_function("document.querySelector('#lines li:last-child').matches('.now')")
    assert await page.evaluate("document.querySelector('video').error") is None
    assert [one for one in problems if not one.startswith("data:")] == []
    await page.close()
