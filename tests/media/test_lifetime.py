"""Frames outlive what made them: read and converted in an exit hook, after the SDK's own."""

from __future__ import annotations

import subprocess
import sys

from livelayer_bus.testing import PATIENCE

PROGRAM = """
import asyncio, atexit, threading
from livelayer_bus.media import AudioWriter, AudioFrame, VideoFrame, VideoWriter

kept = []

def at_exit(when):
    video, converted, audio = kept
    total = sum(sum(plane) for plane in video.planes)
    fresh = VideoFrame(bytes(video.data), 1280, 720).to_ndarray("bgra")
    print(when, total, int(converted.sum()), int(fresh[0, 0, 3]), sum(audio.data), flush=True)

atexit.register(at_exit, "last")  # hooks run in reverse: this one after the SDK's own

async def main():
    video, audio = VideoWriter(), AudioWriter()
    with video.channel.subscribe() as frames, audio.channel.subscribe() as audio_frames:
        video.push(VideoFrame(bytearray(b"\\x80") * (1280 * 720 * 3 // 2), 1280, 720))
        audio.push(AudioFrame(b"\\x01\\x00" * 480, 48000, 1, 480))
        frame = await anext(frames)
        kept.extend((frame, frame.to_ndarray("rgb24"), await anext(audio_frames)))
    video.close()
    audio.close()

asyncio.run(main())
atexit.register(at_exit, "first")
worker = threading.Thread(target=at_exit, args=("thread",))
worker.start()
worker.join()
"""


def test_frames_stay_readable_after_close_in_a_thread_and_in_exit_hooks() -> None:
    done = subprocess.run(  # noqa: S603 - our own interpreter on the text above
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=5 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    total = 1280 * 720 * 3 // 2 * 128
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == ["thread", "first", "last"]
    assert {tuple(line[1:]) for line in lines} == {
        (str(total), str(1280 * 720 * 3 * 130), "255", "480")
    }
