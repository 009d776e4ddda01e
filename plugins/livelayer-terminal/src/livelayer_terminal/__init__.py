"""The terminal surface of livelayer-bus."""

from .surface import ConsoleSurface
from .terminal import TerminalSurface

__all__ = ["ConsoleSurface", "TerminalSurface"]
