"""Every error this package raises: one root, five kinds that say whose fault it is.

The kinds are `ClosedError` (you closed it), `BrokenError` (the world outside failed; `retryable`
says whether the same call may succeed later), `BusyError` (another user holds what the call needs),
`MisuseError` (the call is wrong; repeating it will not help) and `RefusedError` (a token or a
capability does not allow it). Each error builds its own message from its fields: what happened,
where, and what to do. No message holds a secret, a transcript or a payload.
"""

from __future__ import annotations

import re
import traceback
from pathlib import PurePath

OURS = "livelayer-bus"
EXTRAS = {"rich": "cli", "typer": "cli", "opentelemetry": "telemetry"}
"""Modules of other distributions, and the extra of livelayer-bus that installs them."""

_JWT = r"eyJ[\w-]+\.[\w-]+\.[\w-]*"


def without_tokens(text: str, token: str = "") -> str:
    """`text` without `token` and without anything that looks like a JSON Web Token."""
    known = f"{re.escape(token)}|" if token else ""
    return re.sub(known + _JWT, "<token>", text)


def distribution_of(module: str) -> str | None:
    """What to install for a missing module: an extra of ours, or another of our distributions."""
    if module in EXTRAS:
        return f"{OURS}[{EXTRAS[module]}]"
    return module.replace("_", "-") if module.startswith("livelayer_") else None


class LivelayerError(Exception):
    """The root of all errors of this package."""


class ClosedError(LivelayerError):
    """The object was closed by its owner; it stays closed."""

    def __init__(self, what: str, hint: str = "create a new one") -> None:
        super().__init__(f"{what} is closed: {hint}")
        self.what = what


class BrokenError(LivelayerError):
    """Something outside this process failed.

    `retryable` is True when the same call may succeed later without any change.
    """

    def __init__(self, message: str, *, retryable: bool = True) -> None:
        super().__init__(message)
        self.retryable = retryable


class BusyError(LivelayerError):
    """Another task, surface or process holds what the call needs."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(f"{what} is in use: {hint}")
        self.what = what


class MisuseError(LivelayerError):
    """The call itself is wrong: a bad value, a wrong order, a wrong place."""


class RefusedError(LivelayerError):
    """A token, a capability or a policy does not allow it."""


def readable(text: str) -> str:
    """`text` on one line that UTF-8 can carry: what cannot be printed is escaped."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def describe(error: BaseException) -> str:
    """An exception's type and the first line of its text, for an event; never raises."""
    name = readable(type(error).__name__)
    try:
        text = str(error).strip().split("\n", 1)[0][:300]
    except Exception:  # noqa: BLE001 - foreign code, called while a fault is reported
        return name
    return f"{name}: {readable(text)}" if text else name


def place_of(error: BaseException) -> str | None:
    """The file and line that raised `error`, as `panel.py:12`; None if it was never raised."""
    frames = list(traceback.walk_tb(error.__traceback__))
    if not frames:
        return None
    frame, line = frames[-1]
    return f"{readable(PurePath(frame.f_code.co_filename).name)}:{line}"


def not_connected(state: str, reason: str | None) -> NotConnectedError | ConnectionLostError:
    """The error for a call that needs a joined room, by the state that the session is in."""
    lost = state in ("connected", "error")
    return ConnectionLostError(reason) if lost else NotConnectedError(state, reason)


class ConnectionLostError(BrokenError):
    """A call that needs a joined room was made after the room was lost."""

    def __init__(self, reason: str | None) -> None:
        because = f": {reason}" if reason else ""
        super().__init__(f"the connection to the room was lost{because}; connect() again")
        self.reason = reason


class NotConnectedError(MisuseError):
    """A call that needs a joined room was made before `connect()`, or after the room was left."""

    def __init__(self, connection_state: str, reason: str | None = None) -> None:
        because = f" ({reason})" if reason else ""
        state = f"{connection_state}{because}"
        super().__init__(f"the session is {state}, not connected: await session.connect() first")
        self.connection_state = connection_state


class ConnectError(BrokenError):
    """The room could not be joined, or was lost for good."""

    def __init__(
        self,
        url: str,
        reason: str,
        advice: str = "check the address and that the server runs",
        *,
        retryable: bool = True,
    ) -> None:
        super().__init__(f"cannot join the room at {url}: {reason}; {advice}", retryable=retryable)
        self.url, self.reason = url, reason


class RoomRefusedError(RefusedError):
    """The server turned the token down."""

    def __init__(self, url: str, reason: str) -> None:
        advice = "check key, secret, expiry and room grants"
        super().__init__(f"{url} refused the token: {reason}; {advice}")
        self.url, self.reason = url, reason


class TokenSourceError(BrokenError):
    """A token endpoint could not be reached, or its answer cannot be used."""

    def __init__(self, source: str, reason: str, *, retryable: bool = True) -> None:
        super().__init__(f"no token from {source}: {reason}", retryable=retryable)
        self.source, self.reason = source, reason


class TokenRefusedError(RefusedError):
    """A token endpoint answered that this caller gets no token."""

    def __init__(self, source: str, status: int, reason: str) -> None:
        super().__init__(f"{source} refused to give a token ({status}): {reason}")
        self.source, self.status = source, status


class NoAgentError(BrokenError):
    """A call that needs an agent was made while none is active in the room."""

    def __init__(self) -> None:
        super().__init__("no agent is active in the room: wait for one, or connect() again")


class SendTimeoutError(BrokenError):
    """A message was not taken by the transport in time; `reason` says what it waited for.

    With `handed_over`, the transport had it without confirming it: it may still arrive. With
    `confirming`, the agent's bridge was to confirm it: it takes a line sent again with its id once.
    """

    def __init__(
        self, seconds: float, reason: str, *, handed_over: bool = False, confirming: bool = False
    ) -> None:
        fate = "it may still arrive" if handed_over else "it was not sent; send it again"
        super().__init__(f"message not sent within {seconds:g} s: {reason}; {fate}", retryable=True)
        self.seconds, self.reason = seconds, reason
        self.handed_over, self.confirming = handed_over, confirming


class MessageTooLargeError(MisuseError):
    """A message's encoded form exceeds the limit; nothing was sent."""

    def __init__(self, size: int, limit: int) -> None:
        advice = "shorten it, or send it in parts"
        super().__init__(f"the message is {size} bytes of JSON, the limit is {limit}: {advice}")
        self.size, self.limit = size, limit


class RequestTimeoutError(BrokenError):
    """A request was sent, but no answer with its `requestId` came in time."""

    def __init__(self, message_type: str, request_id: str, seconds: float) -> None:
        super().__init__(f"no answer to {message_type!r} ({request_id}) within {seconds:g} s")
        self.message_type, self.request_id = message_type, request_id


class MalformedMessageError(MisuseError):
    """Bytes or an object are not the message they claim to be."""

    def __init__(self, message_type: str | None, problem: str) -> None:
        name = f"message {message_type!r}" if message_type else "message"
        super().__init__(f"malformed {name}: {problem}")
        self.message_type, self.problem = message_type, problem


class Lagged(BusyError):
    """A reader was too slow: the ring needed the room of `missed` events that it had not read.

    A `BusyError`, because only the load caused it, and the next call succeeds: it reads on from the
    oldest kept event; `resync()` continues at the newest.
    """

    def __init__(self, missed: int) -> None:
        overwritten = f"{missed} events were overwritten before this reader took them"
        advice = "read on from the oldest kept event, or call resync()"
        LivelayerError.__init__(self, f"{overwritten}: {advice}")
        self.what, self.missed = "this subscription", missed


class StaleCursorError(MisuseError):
    """A cursor is in the future, belongs to another session, or is malformed."""

    def __init__(self, cursor: str, reason: str) -> None:
        super().__init__(f"cursor {cursor} cannot be resumed: {reason}; start from a snapshot")
        self.cursor = cursor


class WrongLoopError(MisuseError):
    """An object that belongs to one thread or event loop was used from another."""

    def __init__(self, what: str, owner: str, caller: str, hint: str) -> None:
        super().__init__(f"{what} belongs to {owner} but was called from {caller}: {hint}")
        self.owner, self.caller = owner, caller


class ForkedError(MisuseError):
    """A session was used in a forked child; its threads and sockets stayed in the parent."""

    def __init__(self, what: str) -> None:
        advice = "create it in the child, or use the 'spawn' start method"
        super().__init__(f"{what} was created before this process was forked: {advice}")


class DuplicateSurfaceError(MisuseError):
    """A surface with this key is mounted already."""

    def __init__(self, key: str) -> None:
        advice = "unmount it first, or choose another key"
        super().__init__(f"a surface with key {key!r} is mounted: {advice}")
        self.key = key


class SurfaceFailedError(BrokenError):
    """A surface that was mounted with `on_fault="raise"` ended with an exception (its cause)."""

    def __init__(self, key: str, error: str) -> None:
        super().__init__(f"surface {key!r} failed: {error}", retryable=False)
        self.key = key


class SourceBusyError(BusyError):
    """The session's one microphone, camera or screen is leased to another owner."""

    def __init__(self, source: str, owner: str) -> None:
        super().__init__(f"the {source}", f"{owner!r} holds it; wait until its lease ends")
        self.source, self.owner = source, owner


class MicrophoneBusyError(SourceBusyError):
    """The session's one microphone is leased to another owner."""

    def __init__(self, owner: str) -> None:
        super().__init__("microphone", owner)


class NotSupportedError(MisuseError):
    """This session, room or surface does not offer the feature."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(f"{where} does not support {what}")
        self.what, self.where = what, where


class NoProviderError(MisuseError):
    """`use_agent_session()` was called where no provider is in scope."""

    def __init__(self) -> None:
        super().__init__(
            "no AgentSessionProvider surrounds this task. Open one with 'async with "
            "AgentSessionProvider(...)' in this task or one above it. In an ASGI application a "
            "context variable set in the lifespan does not reach request tasks: put the session "
            "into app.state there and read request.app.state"
        )


class PluginNotFoundError(MisuseError):
    """No installed distribution offers this surface or command."""

    def __init__(
        self, name: str, group: str, known: tuple[str, ...], distribution: str | None = None
    ) -> None:
        have = f"no plugin {name!r} in {group} (installed: {', '.join(known) or 'none'})"
        advice = f"{name!r} is not installed: pip install {distribution}"
        super().__init__(
            advice if distribution else f"{have}: pip install the distribution that offers it"
        )
        self.name = name


class PluginBrokenError(BrokenError):
    """A plugin is installed but cannot be loaded (its cause says why)."""

    def __init__(self, name: str, distribution: str, reason: str) -> None:
        plugin = f"plugin {name!r} of distribution {distribution!r}"
        super().__init__(f"{plugin} cannot be loaded: {reason}", retryable=False)
        self.name, self.distribution = name, distribution


class ConfigError(MisuseError):
    """A configuration file or value cannot be used."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")
        self.where, self.problem = where, problem


class ControlError(BrokenError):
    """A running session could not be reached through its control socket."""

    def __init__(self, where: str, reason: str, *, retryable: bool = True) -> None:
        super().__init__(f"control socket {where}: {reason}", retryable=retryable)
        self.where = where
