"""What goes wrong with recordings; each error is of one of the five kinds of `livelayer_bus`."""

from __future__ import annotations

from pathlib import Path

from livelayer_bus.errors import BrokenError, MisuseError


class RecordingBrokenError(BrokenError):
    """A recording cannot be written, or not any more; what was written can be played."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path} cannot be written: {problem}")
        self.path = path
        self.problem = problem


class NotARecordingError(MisuseError):
    """A folder is not a recording, or not one that this version can read."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(
            f"{path} is not a recording: {problem}; give the folder that RecorderSurface wrote"
        )
        self.path = path
        self.problem = problem
