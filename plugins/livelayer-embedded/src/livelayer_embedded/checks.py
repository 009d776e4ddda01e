"""What `livelayer doctor` checks for the embedded server."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping

from livelayer_bus.cli import Finding, check_port

from .command import PORT


def check(_environ: Mapping[str, str]) -> Iterator[Finding]:
    """Whether the server can listen on loopback."""
    try:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_INET, kind) as probe:
                probe.bind(("127.0.0.1", 0))
    except OSError as exc:
        advice = "the embedded server needs it: check the firewall or the container"
        yield Finding("fail", "loopback", f"cannot bind 127.0.0.1 ({exc.strerror})", advice)
    else:
        yield Finding("ok", "loopback", "127.0.0.1 accepts TCP and UDP")
    yield check_port(PORT, "livelayer dev-server")
