"""How much text the server APIs take; too much is `ServerRequestError`, "invalid_argument"."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import ServerRequestError

MAX_NAME = 256  # characters of a room's or a participant's name
MAX_METADATA = 64_000  # bytes of metadata, or of all attributes together


def check_name(name: str) -> None:
    """Refuse a name that is too long."""
    if len(name) > MAX_NAME:
        raise ServerRequestError("invalid_argument", f"name length exceeds limits: {MAX_NAME}")


def check_metadata(metadata: str) -> None:
    """Refuse metadata that is too large."""
    if len(metadata.encode()) > MAX_METADATA:
        raise ServerRequestError(
            "invalid_argument", f"metadata size exceeds limits: {MAX_METADATA} bytes"
        )


def check_attributes(attributes: Mapping[str, str]) -> None:
    """Refuse attributes that are too large together."""
    size = sum(len(key.encode()) + len(value.encode()) for key, value in attributes.items())
    if size > MAX_METADATA:
        raise ServerRequestError(
            "invalid_argument", f"attributes size exceeds limits: {MAX_METADATA} bytes"
        )
