"""A recording whose process is killed can be played, and each of its lines is whole."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from livelayer_recorder.event_log import read_events
from livelayer_recorder.tracks import MediaFormat

from livelayer_bus.jsonl import EventLine
from livelayer_bus.testing import PATIENCE

from .media_kit import durations, frames

TRIALS = 20
LOST = 1.0  # seconds before the kill that may be missing

# One process writes as a recorder does, in steps of 50 ms that it reports; another one kills it in
# the middle of what follows a step.
PROGRAM = """
import os, select, signal, sys, time
from pathlib import Path
import msgspec
import numpy as np
from livelayer_bus import AudioFrame, Record, TranscriptEntry, TranscriptUpdated, VideoFrame
from livelayer_recorder.event_log import LineFile, event_line
from livelayer_recorder.media_file import MediaFile
from livelayer_recorder.tracks import MediaOptions

MS, START = 1_000_000, 5_000_000_000_000
WIDTH, HEIGHT, STEP = 320, 240, 50

def write(folder, form, report):
    folder.mkdir()
    media = MediaFile(folder / f"media.{form}", START, MediaOptions(format=form))
    log = LineFile(folder / "events.jsonl")
    luma = np.arange(WIDTH * HEIGHT * 3 // 2, dtype=np.uint32)
    for step in range(1, 100_000):
        now = START + step * STEP * MS
        picture = ((luma * 7 + step * 13) % 200 + 16).astype(np.uint8).tobytes()
        media.add_picture(VideoFrame(picture, WIDTH, HEIGHT, received_ns=now))
        for part in range(1, 6):
            at = now - STEP * MS + part * 10 * MS
            media.add_sound(AudioFrame(bytes(960), 48_000, 1, 480, received_ns=at))
        media.advance(now)
        entry = TranscriptEntry(str(step), "agent", "word " * (step % 900), True, step, step, "a")
        event = TranscriptUpdated(entry)
        log.write(event_line("ses", Record(step, now, event), event))
        os.write(report, b".")

folder, form, waits = Path(sys.argv[1]), sys.argv[2], msgspec.json.decode(sys.argv[3])
found = []
for number, (steps, pause) in enumerate(waits):
    read, report = os.pipe()
    child = os.fork()
    if not child:
        write(folder / str(number), form, report)
    os.close(report)
    seen = 0
    while seen < steps:
        seen += len(os.read(read, 1))
    time.sleep(pause)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while select.select([read], [], [], 0)[0] and os.read(read, 1):
        seen += 1
    os.close(read)
    found.append(seen * STEP / 1000)
print(msgspec.json.encode(found).decode())
"""


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs os.fork")
@pytest.mark.parametrize(("form", "trials"), [("mp4", TRIALS), ("mkv", 3)])
def test_killed_at_any_instant_it_can_be_played_to_within_a_second(
    tmp_path: Path, form: MediaFormat, trials: int
) -> None:
    dice = random.Random(14)
    waits = [(dice.randrange(30, 120), dice.random() * 0.02) for _ in range(trials)]
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", PROGRAM, str(tmp_path), form, json.dumps(waits)],
        capture_output=True,
        text=True,
        check=False,
        timeout=5 * PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    for number, written in enumerate(json.loads(done.stdout)):
        folder = tmp_path / str(number)
        path = folder / f"media.{form}"
        for kind, end in durations(path).items():
            assert end > written - LOST, (kind, end, written)
        pictures = sum(1 for _ in frames(path, "video"))
        assert pictures >= (written - LOST) * 20 - 1
        text = (folder / "events.jsonl").read_bytes()
        assert text.endswith(b"\n")
        lines = list(read_events(folder / "events.jsonl"))
        assert all(isinstance(line, EventLine) for line in lines)
        assert len(lines) == text.count(b"\n")
        assert len(lines) * 0.05 >= written - 0.001
