"""Takes access tokens out of text that people read."""

from __future__ import annotations

import re
from typing import Final

_JWT: Final = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")
_STAND_IN: Final = "<token>"


def without_tokens(text: str, token: str = "") -> str:
    """`text` without `token` and without anything that looks like a JSON Web Token."""
    if token:
        text = text.replace(token, _STAND_IN)
    return _JWT.sub(_STAND_IN, text) if "eyJ" in text else text
