"""The fixture `embedded_server`: a server for tests without an event loop of their own."""

from __future__ import annotations

from livelayer_embedded import EmbeddedServer


def test_the_embedded_server_serves_synchronous_tests(embedded_server: EmbeddedServer) -> None:
    assert embedded_server.url.startswith("ws://127.0.0.1:")
    assert embedded_server.token("somebody", room="r")
