"""What a remote asks of a session's owner: request and reply, each carried out once.

A request that gets no answer is sent again with its key. The owner knows the keys of the newest
1,024 requests and answers one that it knows with what it answered before.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias, final
from uuid import uuid4

import anyio
import anyio.abc
import msgspec
import nats.errors
from nats.aio.msg import Msg

from livelayer_bus import (
    BrokenError,
    BusyError,
    ClosedError,
    LivelayerError,
    MisuseError,
    RefusedError,
    TranscriptEntry,
)
from livelayer_bus.errors import (
    MalformedMessageError,
    MessageTooLargeError,
    describe,
    without_tokens,
)
from livelayer_bus.messages import Capability, RefusalReason

from .errors import NatsError, NoOwnerError
from .store import SessionStore
from .wire import VERSION

MAX_OPEN: Final = 256  # requests that are carried out at once
MAX_KNOWN: Final = 1024  # answers that are kept for a request that comes again
MAX_KEPT: Final = 16 * 1024 * 1024  # bytes of them together
FIRST: Final = 0.5  # seconds until a request is sent again, the first time
RESEND: Final = 2.0  # and later
GRACE: Final = 3.0  # seconds, on top of a call's own time limit, for its way there and back


class Ask(msgspec.Struct, frozen=True, tag=True):
    """The root of what can be asked."""


class SendData(Ask, frozen=True):
    message: msgspec.Raw
    timeout: float
    require_agent: bool
    confirm: bool | None


class SendText(Ask, frozen=True):
    text: str
    timeout: float
    line_id: str | None


class Request(Ask, frozen=True):
    message: msgspec.Raw
    reply: str
    timeout: float


class AnswerApproval(Ask, frozen=True):
    number: int
    approved: bool
    surface: str | None


class EarlierTranscript(Ask, frozen=True):
    before: TranscriptEntry
    limit: int


class Connect(Ask, frozen=True):
    pass


class Disconnect(Ask, frozen=True):
    pass


class SwitchAgent(Ask, frozen=True):
    agent_id: str


class TakeSnapshot(Ask, frozen=True):
    """A remote cannot go on from what it has."""


class Announce(Ask, frozen=True):
    """A remote is there, and what its surfaces may do."""

    capabilities: tuple[Capability, ...] = ()
    uses: int = 0
    """Counts how often a person used one of them."""
    leaves: bool = False


class Finish(Ask, frozen=True):
    """A remote has settled a command."""

    number: int
    ok: bool
    reason: RefusalReason | None = None


AnyAsk: TypeAlias = (
    SendData | SendText | Request | AnswerApproval | EarlierTranscript | Connect | Disconnect
    | SwitchAgent | TakeSnapshot | Announce | Finish
)  # fmt: skip


class Call(msgspec.Struct, frozen=True):
    """One request."""

    v: int
    key: str
    """The same each time that it is sent."""
    remote: str
    ask: AnyAsk


class Problem(msgspec.Struct, frozen=True):
    """An error as it travels: of the same class where it is known, else of the same kind."""

    kind: str
    name: str
    message: str
    fields: dict[str, Any] = {}


class Answer(msgspec.Struct, frozen=True):
    """What became of a request."""

    v: int
    sequence: int = 0
    """The owner's newest event then: the caller returns when it has it, too."""
    value: msgspec.Raw = msgspec.Raw(b"null")
    error: Problem | None = None


KINDS: Final[dict[str, type[LivelayerError]]] = {
    "closed": ClosedError,
    "broken": BrokenError,
    "busy": BusyError,
    "misuse": MisuseError,
    "refused": RefusedError,
}
_calls: Final = msgspec.json.Decoder(Call)
_answers: Final = msgspec.json.Decoder(Answer)
_PLAIN = (str, int, float, bool, type(None))


def problem_of(error: BaseException) -> Problem:
    """An error as it travels; nothing of it looks like a token."""
    if not isinstance(error, LivelayerError):
        return Problem(
            "broken", "BrokenError", without_tokens(describe(error)), {"retryable": False}
        )
    kind = next((name for name, base in KINDS.items() if isinstance(error, base)), "broken")
    fields = {
        name: without_tokens(value) if isinstance(value, str) else value
        for name, value in vars(error).items()
        if isinstance(value, _PLAIN) and not name.startswith("_")
    }
    return Problem(kind, type(error).__name__, without_tokens(str(error)), fields)


def error_of(problem: Problem) -> LivelayerError:
    """The error that travelled: text and fields are those it had."""
    base = KINDS.get(problem.kind, BrokenError)
    kind = next((one for one in _subclasses(base) if one.__name__ == problem.name), base)
    error = kind.__new__(kind)
    error.args = (problem.message,)
    vars(error).update({"retryable": True} if kind is BrokenError else {}, **problem.fields)
    return error


def _subclasses(kind: type[LivelayerError]) -> list[type[LivelayerError]]:
    found = [kind]
    for one in found:
        found.extend(one.__subclasses__())
    return found


@final
class RequestServer:
    """The owner's end.

    Args:
        store: whose NATS.
        session_id: the session.
        carry_out: does what is asked; the call it comes in, and gives the JSON of the result.
        sequence: the session's newest event.
        may_answer: False while another process may own the session.
        report: told what is no request.
    """

    def __init__(
        self,
        store: SessionStore,
        session_id: str,
        carry_out: Callable[[Call], Awaitable[object]],
        sequence: Callable[[], int],
        may_answer: Callable[[], bool],
        report: Callable[[str], None],
    ) -> None:
        self._store = store
        self._subject: Final = store.subjects.requests(session_id)
        self._carry_out = carry_out
        self._sequence = sequence
        self._may_answer = may_answer
        self._report = report
        self._known: OrderedDict[str, bytes] = OrderedDict()
        self._kept = 0  # bytes of those answers
        self._waiting: dict[str, list[Msg]] = {}
        self.malformed = 0
        """Messages that were no request."""

    async def serve(self) -> None:
        """Answer requests until cancelled.

        Raises:
            NatsError: it cannot subscribe.
        """
        async with anyio.create_task_group() as tasks:

            async def take(message: Msg) -> None:
                self._take(message, tasks)

            with self._store.link.translated("subscribing to requests"):
                subscription = await self._store.client.subscribe(self._subject, cb=take)
            try:
                await anyio.sleep_forever()
            finally:
                tasks.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    if not self._store.client.is_closed:
                        await subscription.unsubscribe()

    def _take(self, message: Msg, tasks: anyio.abc.TaskGroup) -> None:
        if not message.reply or not self._may_answer():
            return
        try:
            call = _calls.decode(message.data)
            if call.v != VERSION or not 0 < len(call.key) <= 64:
                raise MalformedMessageError("request", f"version {call.v}")
        except (ValueError, RecursionError, MalformedMessageError) as exc:
            self.malformed += 1
            self._report(f"{self.malformed} requests are not of version {VERSION}")
            problem = MisuseError(f"this is no request of version {VERSION}: {type(exc).__name__}")
            tasks.start_soon(self._reply, [message], _refusal(problem))
            return
        key = f"{call.remote}:{call.key}"
        answer = self._known.get(key)
        if answer is not None:
            tasks.start_soon(self._reply, [message], answer)
        elif key in self._waiting:
            self._waiting[key] = [*self._waiting[key][-7:], message]
        elif len(self._waiting) >= MAX_OPEN:
            busy = BusyError("the session's owner", f"{MAX_OPEN} requests are carried out")
            tasks.start_soon(self._reply, [message], _refusal(busy))
        else:
            self._waiting[key] = [message]
            tasks.start_soon(self._run, key, call)

    async def _run(self, key: str, call: Call) -> None:
        error: BaseException | None = None
        value: object = None
        try:
            value = await self._carry_out(call)
        except Exception as exc:  # noqa: BLE001 - it is the remote's to handle
            error = exc
        finally:
            waiting = self._waiting.pop(key)
        problem = None if error is None else problem_of(error)
        raw = msgspec.Raw(msgspec.json.encode(value))
        answer = _encode(Answer(VERSION, self._sequence(), raw, problem))
        if len(answer) > self._store.max_payload:
            large = MessageTooLargeError(len(answer), self._store.max_payload)
            answer = _encode(Answer(VERSION, self._sequence(), error=problem_of(large)))
        self._known[key] = answer
        self._kept += len(answer)
        while len(self._known) > MAX_KNOWN or self._kept > MAX_KEPT:
            self._kept -= len(self._known.popitem(last=False)[1])
        await self._reply(waiting, answer)

    async def _reply(self, messages: list[Msg], answer: bytes) -> None:
        for message in messages:
            try:
                await message.respond(answer)
            except (nats.errors.Error, OSError):
                continue  # the remote sends it again


@final
class RequestClient:
    """A remote's end."""

    def __init__(self, store: SessionStore, session_id: str, remote_id: str) -> None:
        self._store = store
        self._session_id: Final = session_id
        self._subject: Final = store.subjects.requests(session_id)
        self._remote_id: Final = remote_id

    async def call(self, ask: AnyAsk, what: str, timeout: float) -> Answer:
        """Have the owner do it, once; its answer.

        Raises:
            NoOwnerError: none came in time: it may have been done.
            LivelayerError: what the owner's session raised.
        """
        call = Call(VERSION, uuid4().hex, self._remote_id, ask)
        data = msgspec.json.encode(call)
        if len(data) > self._store.max_payload:
            raise MessageTooLargeError(len(data), self._store.max_payload)
        answer: Answer | None = None
        pause, seconds = 0.05, FIRST
        with anyio.move_on_after(timeout):
            while answer is None:
                await self._store.link.wait_connected()
                seconds, limit = RESEND, seconds
                try:
                    message = await self._store.client.request(self._subject, data, timeout=limit)
                    answer = _answers.decode(message.data)
                except nats.errors.NoRespondersError:
                    await anyio.sleep(pause)
                    pause = min(2 * pause, 1.0)
                except (nats.errors.TimeoutError, nats.errors.OutboundBufferLimitError):
                    complaint = self._store.link.complaint or ""
                    if "ermissions" in complaint and self._subject in complaint:
                        raise RefusedError(
                            f"NATS does not let this user command session {self._session_id}"
                        ) from None
                except ValueError as exc:
                    raise NatsError(what, "the owner's answer cannot be read") from exc
                except (nats.errors.Error, OSError) as exc:
                    raise NatsError(what, describe(exc)) from exc
        if answer is None:
            raise NoOwnerError(self._session_id, what, timeout)
        if answer.error is not None:
            raise error_of(answer.error)
        return answer


def _refusal(error: LivelayerError) -> bytes:
    return _encode(Answer(VERSION, error=problem_of(error)))


def _encode(answer: Answer) -> bytes:
    return msgspec.json.encode(answer)
