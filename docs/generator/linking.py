"""For mkdocstrings: names of ours in docstrings are links to their entries."""

from __future__ import annotations

from typing import Any

import griffe

from docs.generator.names import link_names


class LinkNames(griffe.Extension):
    """Rewrites docstrings before they are rendered."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Link the names of one docstring."""
        if obj.docstring is not None:
            obj.docstring.value = link_names(obj.docstring.value, obj.path.split(".")[0])
