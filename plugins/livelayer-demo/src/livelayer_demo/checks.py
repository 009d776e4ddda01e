"""What `livelayer doctor` checks for the demo."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from livelayer_bus.cli import Finding


def check(_environ: Mapping[str, str]) -> Iterator[Finding]:
    """Whether the demo's voice loads."""
    what = "voice (espeak-ng)"
    try:
        loader = import_module("espeakng_loader")
        found = f"{loader.get_library_path()}"
        loader.load_library()
    except (ImportError, OSError, RuntimeError, AttributeError) as exc:
        advice = "pip install --force-reinstall espeakng-loader"
        yield Finding("fail", what, f"does not load ({type(exc).__name__})", advice)
    else:
        yield Finding("ok", what, found)
