"""The configuration file `livelayer.toml`: which agent, with whose token, on which surfaces."""

from __future__ import annotations

from .load import FILE_NAME, Config, load_config
from .reading import convert, read_document
from .registry import InstalledSurface, SurfaceFactory, installed_surfaces, load_surface
from .tables import (
    Environment,
    Head,
    ReconnectTable,
    SessionTable,
    SurfaceTable,
    Table,
    Text,
    TokenTable,
    reveal,
)

__all__ = [
    "FILE_NAME", "Config", "load_config", "SessionTable", "ReconnectTable", "SurfaceTable",
    "TokenTable",
    # Installed surfaces
    "InstalledSurface", "SurfaceFactory", "installed_surfaces", "load_surface",
    # For distributions that read tables of their own from the same file
    "Table", "Head", "Text", "Environment", "reveal", "convert", "read_document",
]  # fmt: skip
