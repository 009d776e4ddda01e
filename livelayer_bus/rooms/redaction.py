"""Keeps access tokens out of texts that people read: errors, addresses, the SDK's own log."""

from __future__ import annotations

import logging
import re
from typing import Final, final
from urllib.parse import urlsplit, urlunsplit

_JWT: Final = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")
_STAND_IN: Final = "<token>"


def without_secrets(text: str, token: str = "") -> str:
    """`text` with the token, and anything that looks like one, taken out."""
    if token:
        text = text.replace(token, _STAND_IN)
    return _JWT.sub(_STAND_IN, text).strip()


def shown_url(url: str) -> str:
    """`url` without user information, query and fragment, where secrets hide."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "<unreadable url>"
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


@final
class _TokenFilter(logging.Filter):
    """Takes tokens out of a record's text; passes every record on."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if "eyJ" in text:
            record.msg, record.args = without_secrets(text), None
        return True


_filter: Final = _TokenFilter()


def redact_sdk_log() -> None:
    """Have the SDK's logger leave out tokens: it quotes one that a server refused, in full."""
    logging.getLogger("livekit").addFilter(_filter)
