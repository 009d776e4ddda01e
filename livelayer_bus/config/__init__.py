"""The configuration file `livelayer.toml`: which agent, with whose token, on which surfaces."""

from .load import (  # isort: skip
    FILE_NAME, Config, InstalledSurface, SurfaceFactory, installed_surfaces, load_config,
    load_surface,
)  # fmt: skip

from .tables import (  # isort: skip
    Environment, Head, ReconnectTable, SessionTable, SurfaceTable, Table, Text, TokenTable,
    convert, read_document, reveal,
)  # fmt: skip

__all__ = [
    "FILE_NAME", "Config", "load_config", "SessionTable", "ReconnectTable", "SurfaceTable",
    "TokenTable",
    # Installed surfaces
    "InstalledSurface", "SurfaceFactory", "installed_surfaces", "load_surface",
    # For distributions that read tables of their own from the same file
    "Table", "Head", "Text", "Environment", "reveal", "convert", "read_document",
]  # fmt: skip
