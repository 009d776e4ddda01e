"""`WebhookSurface`: mounted on a session, it posts what happens there to a URL."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, final

import anyio
import anyio.lowlevel
import anyio.to_thread
import msgspec

from livelayer_bus import (
    Backoff,
    BusyError,
    Event,
    Lagged,
    MisuseError,
    SessionState,
    Subscription,
    SurfaceSession,
)
from livelayer_bus.clock import Clock, SystemClock
from livelayer_bus.errors import ConfigError

from .delivery import Deliveries, DeliveryRecord, WebhookStatistics
from .reporter import EVENTS, READ, Reporter
from .signing import read_secrets
from .target import Target

logger = logging.getLogger(__package__)

RETRIES: Final = Backoff(initial=5.0, factor=4.0, maximum=21_600.0, jitter=0.25, attempts=9)
"""5 s, 20 s, 80 s, ... 6 h: about a day in all."""
UNLESS_ASKED: Final = frozenset({"transcript.line"})
MAX_LOG: Final = 1_048_576
"""Bytes of a log file; then it becomes `<name>.1`, and a new one begins."""


@final
class WebhookSurface:
    """Posts what happens in a session to a URL, signed as Standard Webhooks are.

    Guarantee: each event is posted at least once, under one id, until the receiver answers 2xx, the
    attempts are used up, or it answers 410: then nothing more is posted. First attempts are in
    order, one at a time; an event that failed waits and lets the others pass. What waits is bounded
    and held in memory: it survives unmounting, but not the process. Nothing of a body, no secret
    and no path of the URL is in a log. Requests go to public addresses and those of
    `allow_private`, follow no redirect and use no proxy. Unmounting takes at most `close_timeout`
    seconds, in which events are posted that were not tried yet.

    Args:
        url: where to post; https, or http for addresses of `allow_private`.
        secrets: what to sign with, as `new_webhook_secret()` makes it. While it is changed, give
            the new and the old one: then each webhook has a signature by each.
        events: types, of `EVENTS`; None: all but `transcript.line`.
        allow_private: addresses and networks, as `10.0.0.0/8`, that need not be public.
        retries: pauses before further attempts, at most `attempts` of them.
        timeout: seconds for an answer.
        max_waiting: events that wait at once; beyond that the oldest is dropped.
        max_bytes: of their bodies.
        close_timeout: seconds that unmounting may take; less than the session's own.
        log_size: how many events `deliveries()` remembers.
        log_file: also gets a JSON line for each attempt.
        clock: for tests.

    Raises:
        ConfigError: a value is invalid; no secret is quoted.
    """

    def __init__(
        self,
        url: str,
        secrets: str | Iterable[str],
        *,
        events: Iterable[str] | None = None,
        allow_private: Iterable[str] = (),
        retries: Backoff | Mapping[str, Any] = RETRIES,
        timeout: float = 15.0,
        max_waiting: int = 1_000,
        max_bytes: int = 16 * 1024 * 1024,
        close_timeout: float = 3.0,
        log_size: int = 200,
        log_file: str | os.PathLike[str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        for name, value in (
            ("timeout", timeout),
            ("max_waiting", max_waiting),
            ("max_bytes", max_bytes),
            ("log_size", log_size),
        ):
            if not value > 0:
                raise ConfigError(name, f"it must be more than 0, got {value}")
        if not isinstance(retries, Backoff):
            try:
                retries = msgspec.convert(msgspec.structs.asdict(RETRIES) | dict(retries), Backoff)
            except msgspec.ValidationError as exc:
                raise ConfigError("retries", str(exc)) from exc
        self._target = Target(url, allow_private)
        self._keys = read_secrets("secrets", secrets)
        self._deliveries = Deliveries(
            self._target,
            lambda: self._keys,
            clock or SystemClock(),
            retries=retries,
            max_waiting=max_waiting,
            max_bytes=max_bytes,
            timeout=timeout,
            log_size=log_size,
            report=self._report,
        )
        self._reporter = Reporter(self._deliveries.put, _wanted(events))
        self._close_timeout = close_timeout
        self._log_file = Path(log_file).expanduser() if log_file is not None else None
        self._missed = 0
        self._running = False

    def __repr__(self) -> str:
        return f"WebhookSurface(to {self._target.host!r})"

    async def run(self, session: SurfaceSession) -> None:
        """Post until unmounted, or until the session ends. Called by `Session.mount`.

        Raises:
            BusyError: it is mounted already.
        """
        if self._running:
            raise BusyError("this WebhookSurface", "it is mounted already; make another one")
        self._running = True
        try:
            with session.subscribe(*READ) as events:
                self._reporter.sync(events.snapshot)
                await self._follow(events)
        except ExceptionGroup as group:
            raise group.exceptions[0] from group
        finally:
            self._running = False

    def use_secrets(self, secrets: str | Iterable[str]) -> None:
        """Sign with these secrets from the next attempt on.

        Raises:
            ConfigError: one is invalid.
        """
        self._keys = read_secrets("secrets", secrets)

    def deliveries(self) -> tuple[DeliveryRecord, ...]:
        """The latest events and what became of them, the latest change at the end."""
        return self._deliveries.records()

    def statistics(self) -> WebhookStatistics:
        """Its statistics so far."""
        return self._deliveries.statistics(self._missed)

    async def _follow(self, events: Subscription[Event, SessionState]) -> None:
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._deliveries.run)
                while await self._take(events):
                    pass
                group.cancel_scope.cancel()
        finally:
            with anyio.move_on_after(self._close_timeout, shield=True):
                # A session that closes says so now, if it has not yet.
                await anyio.lowlevel.checkpoint()
                while events.lag and await self._take(events):
                    pass
                await self._deliveries.finish()
            if waiting := self.statistics().waiting:
                logger.warning("%d webhooks wait: they are lost with the process", waiting)

    async def _take(self, events: Subscription[Event, SessionState]) -> bool:
        """Report the next event; False at the session's end."""
        try:
            self._reporter.take(await anext(events.records()))
        except StopAsyncIteration:
            return False
        except Lagged as lagged:
            self._missed += lagged.missed
            self._reporter.sync(events.resync())
        return True

    async def _report(self, record: DeliveryRecord) -> None:
        line = msgspec.json.encode(record).decode()
        level = logging.WARNING if record.status == "failed" else logging.INFO
        logger.log(level, "webhook to %s: %s", self._target.host, line)
        if self._log_file is None:
            return
        try:
            await anyio.to_thread.run_sync(_append, self._log_file, f"{line}\n")
        except OSError as exc:
            logger.warning("the log of webhooks cannot be written: %s", exc.strerror)


def _wanted(events: Iterable[str] | None) -> frozenset[str]:
    if events is None:
        return frozenset(EVENTS) - UNLESS_ASKED
    if isinstance(events, str):
        raise MisuseError(f"events is the text {events!r}: give a list")
    wanted = frozenset(events)
    if unknown := wanted - frozenset(EVENTS):
        raise ConfigError("events", f"there is no {min(unknown)!r}: choose of {', '.join(EVENTS)}")
    return wanted


def _append(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size + len(line) > MAX_LOG:
        path.replace(path.with_name(f"{path.name}.1"))
    with path.open("a", encoding="utf-8") as file:
        file.write(line)
