"""The connection to NATS, and what nats-py raises as our errors."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias, TypedDict, TypeVar, final

import anyio
import msgspec
import nats.errors
import nats.js.errors
from nats.aio.client import Client

from livelayer_bus import Backoff, ClosedError, MisuseError
from livelayer_bus.errors import describe, without_tokens

from .errors import NatsError

Servers: TypeAlias = str | Sequence[str] | Client
"""An address, several of one cluster, or a connection that the application has."""

T = TypeVar("T")
Report: TypeAlias = Callable[[str | None], None]
"""Told what is wrong when it begins, and None when it is over."""

RETRY: Final = Backoff(initial=0.05, maximum=2.0, attempts=None)
CALL_SECONDS: Final = 2.0  # for one answer of NATS
NO_ROOM: Final = (10023, 10047, 10077, 10122)  # no resources, no memory, or a limit of the stream


class NatsOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to connect; what is secret is in files, or in `options`."""

    credentials: str | None = None
    """A credentials file, as `nsc` makes them."""
    tls_ca: str | None = None
    """A file of the authorities to trust; None: those of the system."""
    tls_cert: str | None = None
    tls_key: str | None = None
    """Files of this client's own certificate, and its key."""
    inbox_prefix: str | None = None
    """Where answers arrive: `_INBOX`, unless the server's permissions say otherwise."""
    options: Mapping[str, Any] = {}
    """Further arguments of `nats.connect`, such as `user` and `password`."""

    def arguments(self) -> dict[str, Any]:
        """The arguments of `nats.connect`.

        Raises:
            MisuseError: a file cannot be used.
        """
        found: dict[str, Any] = dict(self.options)
        if self.credentials is not None:
            found["user_credentials"] = _file("credentials", self.credentials)
        if self.inbox_prefix is not None:
            found["inbox_prefix"] = self.inbox_prefix
        if self.tls_ca is not None or self.tls_cert is not None:
            try:
                context = ssl.create_default_context(
                    cafile=None if self.tls_ca is None else _file("tls_ca", self.tls_ca)
                )
                if self.tls_cert is not None:
                    key = None if self.tls_key is None else _file("tls_key", self.tls_key)
                    context.load_cert_chain(_file("tls_cert", self.tls_cert), key)
            except OSError as exc:  # ssl.SSLError is one, too
                raise MisuseError(f"NATS: no TLS with these files: {describe(exc)}") from exc
            found["tls"] = context
        return found


class NatsArguments(TypedDict, total=False):
    """The same, as keyword arguments; see `NatsOptions`."""

    credentials: str | None
    tls_ca: str | None
    tls_cert: str | None
    tls_key: str | None
    inbox_prefix: str | None
    options: Mapping[str, Any]


def _file(what: str, path: str) -> str:
    found = Path(path).expanduser()
    if not found.is_file():
        raise MisuseError(f"NATS: {what}: the file {path} does not exist")
    return str(found)


@final
class Link:
    """A connection to NATS, and the last thing that it complained about."""

    def __init__(self, client: Client) -> None:
        self.client: Final = client
        self._complaint: Exception | None = None

    async def note(self, error: Exception) -> None:
        """Keep an error that no call gets, such as a permission that is missing."""
        self._complaint = error

    @property
    def complaint(self) -> str | None:
        """The last such error; each is given once."""
        error, self._complaint = self._complaint, None
        return None if error is None else without_tokens(describe(error))

    async def wait_connected(self) -> None:
        """Return once the connection is there; at once if it is."""
        while not self.client.is_connected:
            if self.client.is_closed:
                raise NatsError("reconnecting", "the connection is closed", retryable=False)
            await asyncio.sleep(0.05)

    @contextmanager
    def translated(self, what: str) -> Generator[None]:
        """Raise what nats-py raises in the block as a `NatsError`.

        A caller that has to tell one of its errors from the others catches that inside the block.
        """
        try:
            yield
        except nats.js.errors.NoStreamResponseError as exc:
            raise NatsError(what, "no stream has this subject") from exc
        except nats.js.errors.APIError as exc:
            reason = f"{exc.description or type(exc).__name__} ({exc.err_code or exc.code})"
            retryable = exc.err_code in NO_ROOM or (exc.code or 0) >= 500
            raise NatsError(what, without_tokens(reason), retryable=retryable) from exc
        except nats.errors.TimeoutError as exc:
            reason = self.complaint or f"no answer within {CALL_SECONDS:g} s"
            raise NatsError(what, reason) from exc
        except (nats.errors.Error, OSError) as exc:
            raise NatsError(what, without_tokens(describe(exc))) from exc


@asynccontextmanager
async def connected(
    servers: Servers, options: NatsOptions, name: str, seconds: float | None
) -> AsyncGenerator[Link]:
    """A connection for a block, which comes back by itself; the application's own stays open.

    Args:
        servers: where NATS is, or a connection.
        options: how to connect.
        name: of the connection, as NATS shows it.
        seconds: how long to try; None: until cancelled.

    Raises:
        NatsError: it cannot be reached in time, or refuses us.
    """
    if isinstance(servers, Client):
        if servers.is_closed:
            raise ClosedError("this connection to NATS", "connect again")
        yield Link(servers)
        return
    client = Client()
    link = Link(client)
    arguments = options.arguments()
    try:
        with anyio.fail_after(seconds), link.translated("connecting"):
            while not client.is_connected:
                try:
                    await client.connect(
                        servers if isinstance(servers, str) else list(servers),
                        name=name,
                        error_cb=link.note,
                        allow_reconnect=True,
                        max_reconnect_attempts=-1,
                        reconnect_time_wait=0.25,  # type: ignore[arg-type]
                        connect_timeout=CALL_SECONDS,  # type: ignore[arg-type]
                        max_outstanding_pings=2,
                        ping_interval=10,
                        **arguments,
                    )
                except (TimeoutError, nats.errors.NoServersError, OSError) as exc:
                    await link.note(exc)
                    await anyio.sleep(0.25)
    except TimeoutError as exc:
        await _close(client)
        raise NatsError("connecting", link.complaint or "no answer") from exc
    except BaseException:
        await _close(client)
        raise
    try:
        yield link
    finally:
        await _close(client)


async def _close(client: Client) -> None:
    with anyio.move_on_after(CALL_SECONDS, shield=True):
        try:
            await client.close()
        except (nats.errors.Error, OSError):
            return


@final
class Persistence:
    """Tries until NATS has answered; what is wrong meanwhile is reported once."""

    def __init__(self, link: Link, report: Report) -> None:
        self._link = link
        self._report = report

    async def __call__(self, call: Callable[[], Awaitable[T]], *final_errors: type[NatsError]) -> T:
        """The first answer.

        Raises:
            NatsError: one of `final_errors`.
            LivelayerError: any other error than a `NatsError`.
        """
        reported = False
        for pause in RETRY.pauses():
            try:
                if not self._link.client.is_connected:
                    raise NatsError("sending", "it is not connected at the moment")
                answer = await call()
            except final_errors:
                raise
            except NatsError as exc:
                if not reported:
                    reported = True
                    self._report(str(exc))
            else:
                if reported:
                    self._report(None)
                return answer
            await asyncio.sleep(pause)
        raise AssertionError  # the pauses never end


async def cancellable(work: Callable[[], Awaitable[None]]) -> None:
    """Do `work` in a task of its own, and see that it ends when this one is cancelled.

    nats-py swallows a cancellation that comes while it flushes; a task group's cancellation comes
    again until its tasks have ended.
    """

    async def run() -> None:
        await work()

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
    except BaseExceptionGroup as group:
        raise cause_of(group) from None


def cause_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one fault of a task group, also if several tasks met it at once; else the group."""
    faults: list[BaseException] = [group]
    while any(isinstance(fault, BaseExceptionGroup) for fault in faults):
        inner = (
            fault.exceptions if isinstance(fault, BaseExceptionGroup) else (fault,)
            for fault in faults
        )
        faults = [fault for some in inner for fault in some]
    return faults[0] if len({type(fault) for fault in faults}) == 1 else group
