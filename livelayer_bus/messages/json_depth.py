"""How deeply JSON text nests, found without recursion, so that hostile text costs no stack."""

from __future__ import annotations

import re

MAX_DEPTH = 100
"""Levels of arrays and objects a message may have; far below any decoder's own limit."""

_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)


def nests_too_deeply(text: str, limit: int = MAX_DEPTH) -> bool:
    """Whether the text opens more than `limit` arrays and objects inside each other.

    The text need not be valid JSON; brackets inside its strings do not count.
    """
    if text.count("[") + text.count("{") <= limit:
        return False
    depth = 0
    for token in _TOKEN.finditer(text):
        match text[token.start()]:
            case "[" | "{":
                depth += 1
                if depth > limit:
                    return True
            case "]" | "}":
                depth -= 1
            case _:
                pass
    return False
