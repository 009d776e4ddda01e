"""A session with a surface and a recorder."""

from __future__ import annotations

from pathlib import Path

from livelayer_recorder import RecorderSurface

from ...workloads.record import PRESET, QUALITY, Shown, Source
from ._session import shown

NAME = "livelayer-bus, recorded"
REQUIRES = ("livelayer-recorder",)


async def recorded(source: Source, folder: Path) -> Shown:
    recorder = RecorderSurface(folder / "r", preset=PRESET, quality=QUALITY)
    late = (await shown(source, recorder)).late
    manifest = recorder.manifest
    return Shown(0 if manifest is None else manifest.pictures, late)
