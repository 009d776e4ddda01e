"""Pages of one session: what a further viewer costs the server, beside an encode for each."""

from .area import AREA

__all__ = ["AREA"]
