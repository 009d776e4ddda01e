"""aiortc's `MediaRelay`, buffered as by default: a queue without a bound for each reader."""

from __future__ import annotations

from functools import partial

from ._relay import relayed

NAME = "aiortc MediaRelay"
PART = "local"
REQUIRES = ("aiortc", "av")

connected = partial(relayed, buffered=True)
