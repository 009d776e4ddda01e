"""How heavy an event is for the ring's bound by bytes, decided once for each concrete type."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from operator import attrgetter

BASE_WEIGHT = 64  # bytes; a small record with its places in the ring
_SIZED = re.compile(r"\b(bytes|bytearray|memoryview|str)\b")

Weigher = Callable[[object], int]


def weigher_for(kind: type) -> int | Weigher:
    """Return the weight of every event of type `kind` in bytes, or the function that weighs one.

    `bytes`, `bytearray` and `str` count whole; a type with an `nbytes` attribute counts as many
    bytes as it says; a record counts its own `str` and `bytes` fields (not those of records inside
    it: give such a type an `nbytes`). Everything else counts `BASE_WEIGHT`.
    """
    if issubclass(kind, bytes | bytearray | str):
        return sys.getsizeof
    if hasattr(kind, "nbytes"):
        return _weigh_nbytes
    fields = _sized_fields(kind)
    if not fields:
        return BASE_WEIGHT
    if len(fields) == 1:
        return _one_field(fields[0])
    return _many_fields(fields)


def _weigh_nbytes(event: object) -> int:
    return BASE_WEIGHT + int(getattr(event, "nbytes", 0))


def _sized_fields(kind: type) -> tuple[str, ...]:
    """Names of the annotated fields of `kind` that may hold text or bytes themselves."""
    names: dict[str, None] = {}
    for base in reversed(kind.__mro__):
        for name, annotation in vars(base).get("__annotations__", {}).items():
            written = annotation if isinstance(annotation, str) else repr(annotation)
            if _SIZED.search(written) and hasattr(kind, name):
                names[name] = None
    return tuple(names)


def _one_field(name: str) -> Weigher:
    read = attrgetter(name)

    def weigh(event: object) -> int:
        value = read(event)
        return BASE_WEIGHT + (len(value) if isinstance(value, _TEXT) else 0)

    return weigh


def _many_fields(names: tuple[str, ...]) -> Weigher:
    read = attrgetter(*names)

    def weigh(event: object) -> int:
        return BASE_WEIGHT + sum([len(value) for value in read(event) if isinstance(value, _TEXT)])

    return weigh


_TEXT = (str, bytes, bytearray, memoryview)
