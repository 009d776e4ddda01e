"""How old a frame is on the glass of a real browser, and how soon the first one is there."""

from .area import AREA

__all__ = ["AREA"]
