"""A session with a surface and a recorder."""

from __future__ import annotations

from pathlib import Path

from livelayer_recorder import RecorderSurface

from ...workloads.record import PRESET, QUALITY, Source
from ._session import shown

NAME = "livelayer-bus, recorded"
REQUIRES = ("livelayer-recorder",)


async def recorded(source: Source, folder: Path) -> list[float]:
    return await shown(source, RecorderSurface(folder / "r", preset=PRESET, quality=QUALITY))
