"""Keeps access tokens out of texts that people read: errors, addresses, the SDK's own log."""

from __future__ import annotations

import logging
from typing import Final, final
from urllib.parse import urlsplit, urlunsplit

from ..errors import without_tokens


def without_secrets(text: str, token: str = "") -> str:
    """`text` without white space around it, without `token` or anything that looks like one."""
    return without_tokens(text, token).strip()


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
