"""A real HTTP server on this machine, in a thread of its own, that answers as a test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass
class Answer:
    """What the server says next."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict[str, str])
    silent: bool = False
    """Say nothing until the test is over."""
    endless: bool = False
    """Repeat the body until the client hangs up."""


@dataclass
class Asked:
    """What the server was asked."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Endpoint:
    """The server as a test sees it."""

    def __init__(self) -> None:
        self.answer = Answer()
        self.asked: list[Asked] = []
        self.over = threading.Event()
        self.port = 0

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self, body: object, status: int = 200, **headers: str) -> None:
        """From now on, this JSON value with this status."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answer = Answer(status, json.dumps(body).encode(), names)


def _handler(endpoint: Endpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self._reply()

        def do_GET(self) -> None:
            self._reply()

        def _reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            endpoint.asked.append(Asked(self.command, self.path, headers, body))
            answer = endpoint.answer
            if answer.silent:
                endpoint.over.wait(20)
                return
            try:
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                if not answer.endless:
                    self.send_header("content-length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)
                while answer.endless:
                    self.wfile.write(answer.body)
            except OSError:  # the client hung up, as it may
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base names it
            """Keep the tests' output clean."""

    return Handler


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """An endpoint on a free port of the loopback."""
    ours = Endpoint()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(ours))
    ours.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield ours
    ours.over.set()
    server.shutdown()
    thread.join()
    server.server_close()
