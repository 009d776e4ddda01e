"""Frames are valid for ever: after the room, the session, the loop, in threads, in exit hooks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from threading import Barrier

import anyio
import anyio.to_thread
import numpy as np
import pytest

from livelayer_bus.media import PixelFormat, Pixels, VideoFrame
from livelayer_bus.testing import PATIENCE
from tests.integration import frames_held_program as program
from tests.integration.frames_kit import session_in, showing
from tests.rooms.kit import Stage

pytestmark = [pytest.mark.anyio, pytest.mark.realtime]

THREADS = 8
LAYOUTS: tuple[PixelFormat, ...] = ("rgb24", "bgra", "gray", "i420")
STAGES = [
    "disconnected",
    "session closed",
    "server stopped",
    "loop closed",
    "before the SDK's exit hook",
    "after the SDK's exit hook",
]


async def test_frames_outlive_room_session_loop_and_sdk_in_a_process_of_its_own() -> None:
    with anyio.fail_after(5 * PATIENCE):
        ran = await anyio.run_process(
            [sys.executable, "-X", "faulthandler", "-m", program.__name__],
            cwd=Path(__file__).parents[2],
            stderr=subprocess.PIPE,
            check=False,
        )
    assert ran.returncode == 0, ran.stderr.decode()
    counts = f"{program.PICTURES} {program.STRETCHES}"
    assert ran.stdout.decode().splitlines() == [f"{stage} {counts}" for stage in STAGES]
    assert b"Traceback" not in ran.stderr


async def test_eight_threads_that_convert_one_frame_share_one_array(stage: Stage) -> None:
    agent = await stage.agent()
    async with session_in(stage) as session, showing(agent):
        for layout in LAYOUTS:
            # Maybe the same frame again, but this layout of it was not asked for yet.
            with anyio.fail_after(PATIENCE), session.video.subscribe() as frames:
                frame = await anext(frames)
            arrays = await converted(frame, layout)
            assert len(arrays) == THREADS
            assert all(array is arrays[0] for array in arrays)
            assert arrays[0] is frame.to_ndarray(layout)
            assert not arrays[0].flags.writeable
            with pytest.raises(ValueError, match="read-only"):
                arrays[0][...] = np.uint8(0)
            with pytest.raises(TypeError, match="read-only"):
                frame.data[0] = 0


async def converted(frame: VideoFrame, layout: PixelFormat) -> list[Pixels]:
    """What threads get that ask for the same conversion at the same time."""
    together = Barrier(THREADS)
    arrays: list[Pixels] = []

    def convert() -> None:
        together.wait(PATIENCE)
        arrays.append(frame.to_ndarray(layout))

    async with anyio.create_task_group() as group:
        for _ in range(THREADS):
            group.start_soon(anyio.to_thread.run_sync, convert)
    return arrays
