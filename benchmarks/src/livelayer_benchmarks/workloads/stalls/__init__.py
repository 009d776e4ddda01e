"""What a sleeping surface, one that never reads, and a blocked loop cost the other surfaces."""

from .area import AREA

__all__ = ["AREA"]
