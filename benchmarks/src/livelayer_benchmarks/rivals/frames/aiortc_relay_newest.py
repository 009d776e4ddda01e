"""aiortc's `MediaRelay`, unbuffered: a reader gets the newest frame and misses the others."""

from __future__ import annotations

from functools import partial

from ._relay import relayed

NAME = "aiortc MediaRelay, unbuffered"
PART = "local"
REQUIRES = ("aiortc", "av")

connected = partial(relayed, buffered=False)
