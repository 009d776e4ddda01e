"""The terminal surface of livelayer-bus."""

from .surface import ConsoleSurface

__all__ = ["ConsoleSurface"]
