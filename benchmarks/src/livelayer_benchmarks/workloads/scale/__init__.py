"""Sessions on other machines: one session's events to many remotes, and many sessions at once."""

from .area import AREA, FanOut, Part, Plan, Trip

__all__ = ["AREA", "FanOut", "Part", "Plan", "Trip"]
