"""The version of this distribution."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

__version__: Final = version("livekit-plugins-livelayer")
