"""Sessions on other machines: one session's events to many remotes, and many sessions at once."""

from .area import AREA

__all__ = ["AREA"]
