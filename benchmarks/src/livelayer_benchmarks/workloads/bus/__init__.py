"""The event bus against its alternatives."""

from .area import AREA

__all__ = ["AREA"]
