"""The errors of the embedded server, each of one of the five kinds of `livelayer_bus.errors`."""

from __future__ import annotations

from livelayer_bus.errors import BrokenError, MisuseError, RefusedError


class LoopbackOnlyError(MisuseError):
    """The embedded server was asked to listen elsewhere than on this machine's loopback."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"the embedded server cannot listen on {host}: it serves 127.0.0.1 only; for other "
            "machines run a LiveKit server"
        )
        self.host = host


class EmbeddedServerError(BrokenError):
    """The embedded server could not start, most often because its port is taken."""

    def __init__(self, port: int, reason: str) -> None:
        super().__init__(
            f"the embedded server cannot listen on 127.0.0.1:{port}: {reason}; choose another "
            "port, or 0 for a free one"
        )
        self.port = port


class AccessDeniedError(RefusedError):
    """The embedded server refused a token; `reason` never holds the token."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the embedded server refused the token: {reason}; mint one with server.token()"
        )
        self.reason = reason


class ServerRequestError(MisuseError):
    """A request to the embedded server names something unknown, or is not allowed.

    `code` is the Twirp error code ("not_found", "invalid_argument", "failed_precondition").
    """

    def __init__(self, code: str, problem: str) -> None:
        super().__init__(f"the embedded server refused the request ({code}): {problem}")
        self.code = code
        self.problem = problem
