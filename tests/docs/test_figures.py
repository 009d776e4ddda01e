"""What README and the demo's site say was measured is what `benchmarks/results` holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from docs.generator.figures import RESULTS, measured

ROOT = Path(__file__).parents[2]
SITE = ROOT / "plugins" / "livelayer-demo" / "src" / "livelayer_demo" / "site" / "pricing.html"


def audio_streams() -> float:
    """The CPU of 16 `AudioStream`s against one."""
    cases: list[dict[str, Any]] = json.loads((RESULTS / "audio.json").read_text())["cases"]
    [case] = [one for one in cases if (one["rival"], one.get("readers")) == ("n AudioStreams", 16)]
    return float(case["ratio"])


def row(path: Path, start: str) -> str:
    """The line of a table that begins with `start`, behind what opens its row."""
    [line] = [line for line in path.read_text().splitlines() if start in line]
    return line


README = {
    "| a session's bus, 16 readers,": [
        ("bus", "16 readers, bursts of 1024, by item, against asyncio.Queue", "{:.1f}x")
    ],
    "`batches()` of bursts": [
        ("bus", "16 readers, bursts of 64, batches, against asyncio.Queue", "{:.1f}x,"),
        ("bus", "16 readers, bursts of 1024, batches, against asyncio.Queue", "{:.1f}x:"),
    ],
    "| waking an idle reader": [("bus", "wake-up p50, against a bare future", "{:.2f}x")],
    "| 720p30 over a server": [
        ("frames", "server: 16 surfaces against 1, in turns, CPU a frame", "{:.2f}x,"),
        ("frames", "server: 16 surfaces against 1, in turns, p50", "{:.2f}x |"),
    ],
    "`VideoStream`, p50": [
        ("frames", "server: what the channel adds to 1 raw VideoStream, p50", "{:.2f} ms")
    ],
    "| a local track": [
        ("frames", "local: 16 surfaces against 1, in turns, CPU a frame", "{:.2f}x,"),
        ("frames", "local: 16 surfaces against 1, in turns, p50", "{:.2f}x |"),
    ],
    "| audio, 16 listeners": [("audio", "16 listeners against 1, CPU", "{:.2f}x (")],
    "voice and picture arrive": [("audio", "audio and video apart", "{:.0f} ms")],
    "| 4 widgets on one": [
        ("session", "4 widgets on one session against 1, CPU a frame", "{:.2f}x (")
    ],
    "| one surface asleep": [("stalls", "2 of 6 asleep: the others' p99", "{:.2f}x,")],
    "| the loop blocked for 5 s": [
        ("stalls", "loop blocked 5 s, LiveKitRoom: back to normal", "{:.0f} ms")
    ],
    "| web pages, 4 against 1": [("web", "4 pages against 1, server CPU a picture", "{:.2f}x (")],
    "data round trip, relay": [
        ("server", "data round trip p50, embedded against real", "{:.2f}x,"),
        ("server", "720p30 relay CPU, embedded against real", "{:.2f}x"),
    ],
}
"""How a row of the table begins, or what only it has: what is measured there, and its form."""


@pytest.mark.parametrize("start", README)
def test_readme_says_what_was_measured(start: str) -> None:
    line = row(ROOT / "README.md", start)
    for area, goal, form in README[start]:
        assert form.format(measured(area, goal)) in line


def test_sixteen_streams_each_cost_what_readme_says() -> None:
    streams = measured("frames", "local: 16 surfaces against 16 VideoStreams, CPU")
    assert f"{streams:.1f}x less" in (ROOT / "README.md").read_text()
    listeners = row(ROOT / "README.md", "| audio, 16 listeners")
    assert f"`AudioStream`s: {audio_streams():.1f}x)" in listeners


def test_the_demos_site_says_what_was_measured() -> None:
    one = measured("frames", "local: 16 surfaces against 1, in turns, CPU a frame")
    streams = measured("frames", "local: 16 surfaces against 16 VideoStreams, CPU")
    copied = measured("frames", "local: 16 surfaces, copied a further surface")
    assert f"<td>{one:.2f} times</td><td>{streams:.1f} times ours</td>" in row(SITE, "frame, 720p")
    assert copied == 0
    assert "<td>none</td>" in row(SITE, "Bytes copied")
    listeners = measured("audio", "16 listeners against 1, CPU")
    cells = f"<td>{listeners:.2f} times</td><td>{audio_streams():.1f} times</td>"
    assert cells in row(SITE, "time for sound")
