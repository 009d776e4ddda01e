"""The stream and the bucket as the server keeps them, and the reads of single messages."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
import nats.js.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import RePublish, StorageType, StreamConfig

from .connection import CALL_SECONDS, Link, NatsOptions, Servers, connected
from .errors import NatsError
from .wire import Subjects

BATCH: Final = 256  # messages that one request for a range gives
BATCH_BYTES: Final = 8 * 1024 * 1024
WRONG_LAST: Final = (10071, 10164)  # the subject has another last message than the writer expects
EXPECTED: Final = "Nats-Expected-Last-Subject-Sequence"


class Limits(msgspec.Struct, frozen=True):
    """What the server keeps; asked for when the stream is made, never changed afterwards."""

    max_age: float = 24 * 3600.0
    """Seconds that a message is kept."""
    max_bytes: int = 1024 * 1024 * 1024
    """Of the whole stream, all sessions together; the oldest messages go first."""
    replicas: int = 1


class Stored(msgspec.Struct, frozen=True):
    """A message of the stream."""

    seq: int
    """Its stream sequence."""
    last: int
    """The stream sequence of the message before it with the same subject; 0: it is the first."""
    data: bytes


class SessionStore:
    """One stream, and what is written to it and read from it, by any role."""

    def __init__(self, link: Link, subjects: Subjects) -> None:
        self.link: Final = link
        self.client: Final = link.client
        self.subjects: Final = subjects
        self.js: Final[JetStreamContext] = link.client.jetstream(timeout=CALL_SECONDS)

    @property
    def max_payload(self) -> int:
        """Bytes of one message."""
        return self.client.max_payload

    async def ensure(self, limits: Limits) -> None:
        """Make the stream and the bucket where there are none.

        Raises:
            NatsError: they cannot be made.
        """
        name = self.subjects.stream
        config = StreamConfig(
            name=name,
            subjects=[self.subjects.events("*")],
            max_age=limits.max_age,
            max_bytes=limits.max_bytes,
            num_replicas=limits.replicas,
            storage=StorageType.FILE,
            allow_direct=True,
            republish=RePublish(
                src=self.subjects.events("*"), dest=self.subjects.live("{{wildcard(1)}}")
            ),
        )
        owners = StreamConfig(
            name=f"KV_{self.subjects.bucket}",
            subjects=[f"$KV.{self.subjects.bucket}.>"],
            max_msgs_per_subject=1,
            max_age=limits.max_age,
            num_replicas=limits.replicas,
            storage=StorageType.FILE,
            allow_direct=True,
            allow_rollup_hdrs=True,
            deny_delete=True,
        )
        for wanted in (config, owners):
            with self.link.translated(f"making the stream {wanted.name}"):
                try:
                    found = (await self.js.stream_info(str(wanted.name))).config
                except nats.js.errors.NotFoundError:
                    await self.js.add_stream(wanted)
                    continue
            same = found.subjects == wanted.subjects and found.republish == wanted.republish
            if not (same and found.allow_direct):
                reason = "it exists with other subjects, without republishing or direct reads"
                raise NatsError(f"using the stream {wanted.name}", reason, retryable=False)

    async def newest(self, session_id: str) -> Stored | None:
        """The last message of a session, as the server that answers first has it.

        Raises:
            NatsError: the server does not answer.
        """
        subject = self.subjects.events(session_id)
        return await self._get(f"{self.subjects.stream}.{subject}", b"")

    async def at(self, seq: int) -> Stored | None:
        """The message with this stream sequence.

        Raises:
            NatsError: the server does not answer.
        """
        return await self._get(self.subjects.stream, msgspec.json.encode({"seq": seq}))

    async def _get(self, what: str, request: bytes) -> Stored | None:
        with self.link.translated("reading the stream"):
            answer = await self.client.request(
                f"$JS.API.DIRECT.GET.{what}", request, timeout=CALL_SECONDS
            )
        return _stored(answer)

    async def after(self, session_id: str, seq: int) -> list[Stored]:
        """The next messages of a session after this stream sequence, at most `BATCH`.

        Raises:
            NatsError: the server does not answer, or it breaks off.
        """
        request = {
            "seq": seq + 1,
            "next_by_subj": self.subjects.events(session_id),
            "batch": BATCH,
            "max_bytes": BATCH_BYTES,
        }
        client, found = self.client, list[Stored]()
        with self.link.translated("reading the stream"):
            inbox = client.new_inbox()
            answers = await client.subscribe(inbox)
            try:
                await client.publish(
                    f"$JS.API.DIRECT.GET.{self.subjects.stream}",
                    msgspec.json.encode(request),
                    reply=inbox,
                )
                while True:
                    answer = await answers.next_msg(CALL_SECONDS)
                    stored = _stored(answer)
                    if stored is None:
                        return found
                    found.append(stored)
            finally:
                if not client.is_closed:
                    await answers.unsubscribe()

    async def owned(self, session_id: str) -> tuple[int, bytes]:
        """The revision and the value of who owns a session, as the stream's leader has them.

        Raises:
            NatsError: the server does not answer.
        """
        with self.link.translated("reading who owns the session"):
            try:
                found = await self.js.get_last_msg(
                    f"KV_{self.subjects.bucket}", self._owner(session_id)
                )
            except nats.js.errors.NotFoundError:
                return 0, b""
        return found.seq or 0, found.data or b""

    async def own(self, session_id: str, value: bytes, revision: int) -> int | None:
        """Replace who owns a session, if it still has this revision; the new one, or None.

        Raises:
            NatsError: the server does not answer: it may have happened.
        """
        headers = {EXPECTED: str(revision)}
        with self.link.translated("writing who owns the session"):
            try:
                ack = await self.js.publish(self._owner(session_id), value, headers=headers)
            except nats.js.errors.APIError as exc:
                if exc.err_code in WRONG_LAST:
                    return None
                raise
        return ack.seq

    def _owner(self, session_id: str) -> str:
        return f"$KV.{self.subjects.bucket}.{session_id}"


@asynccontextmanager
async def opened(
    servers: Servers, options: NatsOptions, subjects: Subjects, role: str, seconds: float | None
) -> AsyncGenerator[SessionStore]:
    """The store for a block, over a connection that says what it is for; see `connected`."""
    name = f"livelayer {role} {os.getpid()}"
    async with connected(servers, options, name, seconds) as link:
        yield SessionStore(link, subjects)


def _stored(answer: Msg) -> Stored | None:
    """The message in an answer to a direct get; None: there is none (any more)."""
    headers: dict[str, Any] = answer.headers or {}
    status = headers.get("Status")
    if status in ("404", "204"):
        return None
    try:
        return Stored(
            int(headers["Nats-Sequence"]), int(headers.get("Nats-Last-Sequence", 0)), answer.data
        )
    except (KeyError, ValueError):
        reason = f"{status or 'an answer of another form'} {headers.get('Description', '')}"
        retryable = status in ("408", "503")
        raise NatsError("reading the stream", reason.strip(), retryable=retryable) from None


def live(message: Msg, subject: str) -> Stored | None:
    """A message of `subject` that the server republished; None: it comes from somewhere else."""
    headers: dict[str, Any] = message.headers or {}
    if headers.get("Nats-Subject") != subject:
        return None
    try:
        return Stored(
            int(headers["Nats-Sequence"]), int(headers["Nats-Last-Sequence"]), message.data
        )
    except (KeyError, ValueError):
        return None
