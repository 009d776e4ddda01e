"""Web pages that watch through this process (WHEP) and through the LiveKit server (SFU)."""

from .area import AREA

__all__ = ["AREA"]
