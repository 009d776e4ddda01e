"""`livelayer bench`: hands over to the measurements of `livelayer_bus.bench`."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

AREAS: Final = ("bus", "frames", "audio", "data", "session")
PACKAGE: Final = "livelayer_bus.bench"


def available() -> tuple[str, ...]:
    """The areas that can be measured with this installation."""
    if find_spec(PACKAGE) is None:
        return ()
    return tuple(area for area in AREAS if find_spec(f"{PACKAGE}.{area}") is not None)
