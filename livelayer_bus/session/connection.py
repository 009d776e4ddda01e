"""Joining a room, leaving it, and coming back with a new token: the session's one connection."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Literal, TypeAlias, final

import anyio
import msgspec
from livekit import rtc

from .. import errors, events
from ..clock import Backoff
from ..rooms import BorrowedRoom, LiveKitRoom, RoomFactory, RoomFactoryWithTokens
from ..rooms.port import RoomLost, RoomPort
from ..state import SessionState
from ..tasks import RootTask, fault_of, start, wait_through
from ..tokens import RoomAccess, SessionEndpoint, TokenRequest, TokenSource
from ..tokens.access import read_claims
from .room_events import RoomEventHandler, SessionWriters
from .store import Store
from .transcript import TranscriptWriter

ANNOUNCE_SECONDS = 1.0  # for an active agent to announce that it speaks LiveLayer's messages

Joined: TypeAlias = events.ConnectionStateChanged | events.Reconnected
EndState: TypeAlias = Literal["disconnected", "error"]


class Target(msgspec.Struct, frozen=True):
    """Where tokens come from, and what joins a room with them."""

    tokens: TokenSource
    rooms: RoomFactory
    borrowed: bool = False  # the application owns the room: it belongs to one agent


def target_of(
    base_url: str | None, tokens: TokenSource | None, room: rtc.Room | RoomFactory | None
) -> Target:
    """The target that these arguments of `Session` mean; `MisuseError` if they give no token."""
    if tokens is not None and not callable(tokens):
        raise errors.MisuseError(
            f"tokens= is not a token source but of type {type(tokens).__name__}: for a token that "
            "you have, give tokens=LiteralToken(url, token)"
        )
    if isinstance(room, rtc.Room):
        return Target(tokens or _no_token, lambda: BorrowedRoom(room), borrowed=True)
    if tokens is None and isinstance(room, RoomFactoryWithTokens):
        tokens = room.tokens
    if tokens is None:
        if base_url is None:
            raise errors.MisuseError(
                "a session needs a way to get a token: give tokens= (LiteralToken, LocalKeys, "
                "SessionEndpoint, TokenEndpoint or an async function), base_url=, or room="
            )
        tokens = SessionEndpoint.at(base_url)
    return Target(tokens, room or LiveKitRoom)


async def _no_token(request: TokenRequest) -> RoomAccess:
    # A borrowed room is joined already.
    return RoomAccess(url="", token="", room_name=request.prior_room_name)


class _Joined(msgspec.Struct, frozen=True):
    port: RoomPort
    handler: RoomEventHandler
    access: RoomAccess


@final
@dataclass(eq=False, repr=False)
class Connection:
    """At most one room at a time; every change is an event."""

    store: Store
    media: SessionWriters
    transcript: TranscriptWriter
    target: Target
    new_handler: Callable[[Callable[[RoomLost], None], Callable[[], None]], RoomEventHandler]
    _: KW_ONLY
    reconnect: Backoff | None
    resume_window: float
    agent_timeout: float | None
    close_timeout: float
    _joined: _Joined | None = None
    _attempt: RootTask | None = None  # the first join, or a rejoin
    _waiting: int = 0  # callers of connect()
    _leaving: RootTask | None = None
    _prior_room: str | None = None
    _resume_until: float = 0.0  # on the clock: until then `_prior_room` can be returned to

    def __post_init__(self) -> None:
        self._resume_timer = self.store.timer(self._resume_expired, "resume window")
        self._agent_timer = self.store.timer(self._agent_timed_out, "agent timeout")

    @property
    def state(self) -> SessionState:
        return self.store.state

    @property
    def port(self) -> RoomPort | None:
        return self._joined.port if self._joined else None

    @property
    def room_name(self) -> str | None:
        joined = self._joined
        return (joined.port.room_name or joined.access.room_name) if joined else self._prior_room

    @property
    def visit(self) -> object:
        """Equal only as long as the agent can have kept what it was sent."""
        return self._joined and (self._joined.handler, self._joined.handler.visit)

    async def agent_speaks_livelayer(self) -> bool:
        """Whether the agent has announced, in time, that it understands LiveLayer's messages."""
        if self._joined is None:
            return False
        handler = self._joined.handler
        if handler.speaks_livelayer is None and self.store.state.agent_active:
            with anyio.move_on_after(ANNOUNCE_SECONDS):
                await self.store.wait_until(
                    lambda _: handler.speaks_livelayer is not None,
                    events.DataReceived,
                    events.AgentAvailabilityChanged,
                )
            # An agent that has not announced itself is a plain one; it may still do so.
            handler.speaks_livelayer = bool(handler.speaks_livelayer)
        return bool(handler.speaks_livelayer)

    async def connect(self) -> None:
        if self._joined is not None and self._attempt is None:
            if self.store.state.error_code is None:
                return
            self._leave()
            self._forget_room()
        attempt = self._attempt
        if attempt is None:
            if self._prior_room is not None and self.store.clock.now() >= self._resume_until:
                self._resume_expired()  # its timer is late: the machine was suspended
            self._resume_timer.stop()
            self.store.publish(events.ConnectionStateChanged("connecting"))
            join = partial(self._try, (0.0,), events.ConnectionStateChanged("connected"))
            attempt = self._attempt = self.store.tasks.start(join, "connect")
        self._waiting += 1
        try:
            await attempt.wait()
        finally:
            self._waiting -= 1
            if not attempt.ended and not self._waiting:
                self._give_up(attempt)
        if attempt.error is not None:
            raise attempt.error
        if self.store.state.connection_state != "connected":
            reason = "connecting was ended by disconnect() or a change of agent"
            raise errors.NotConnectedError(self.store.state.connection_state, reason)

    async def disconnect(self, reason: str | None = None) -> None:
        state = self.store.state.connection_state
        self._leave()
        if state in ("connecting", "connected", "error"):
            self.transcript.leave()
            self._ended("disconnected", reason)
        await self._wait_left()

    async def switch(self, target: Target, news: events.EpochStarted) -> None:
        live = self.store.state.connection_state in ("connecting", "connected")
        self._leave()
        self._forget_room()
        self.media.video.discard()
        self.media.audio.discard()
        self.target = target
        self.transcript.forget()
        self.store.publish(news)
        await self._wait_left()
        if live:
            await self.connect()

    async def aclose(self) -> None:
        """Leave the room for good, in bounded time, however often this is cancelled."""
        self._leave()
        self._resume_timer.stop()
        if self.store.state.connection_state in ("connecting", "connected"):
            self.store.publish(events.ConnectionStateChanged("disconnected"))
        if self._leaving is not None:
            await wait_through(self._leaving, self.close_timeout)

    def _leave(self) -> None:
        """Stop using the room at once, and begin to close it: the next join waits for that."""
        if self._attempt is not None:
            self._cancel(self._attempt)
        port = self._drop_room()
        if port is not None:
            leave = partial(self._close_port, port)
            self._leaving = self.store.tasks.start(leave, "leave the room")

    def _cancel(self, attempt: RootTask) -> None:
        self._attempt, self._leaving = None, attempt
        attempt.cancel()

    def _drop_room(self) -> RoomPort | None:
        joined, self._joined = self._joined, None
        self._agent_timer.stop()
        if joined is None:
            return None
        self._prior_room = joined.port.room_name or joined.access.room_name
        self._resume_until = self.store.clock.now() + self.resume_window
        joined.handler.close()
        return joined.port

    async def _close_port(self, port: RoomPort) -> None:
        async def close() -> None:
            fault = None
            with anyio.move_on_after(self.close_timeout):
                fault = await fault_of(port.aclose)
            if fault is not None:
                # The room is left all the same: the caller of disconnect() can do nothing about it.
                problem = errors.describe(fault)
                self.store.publish_late(events.HandlerFailed("leaving the room", problem))

        # On a task without an owner: nothing cancels it.
        await wait_through(start(close, "leave the room"), self.close_timeout)

    async def _wait_left(self) -> None:
        if self._leaving is not None:
            await self._leaving.wait(self.close_timeout)

    async def _try(self, pauses: Iterable[float], news: Joined) -> None:
        """Join a room, with a new attempt after each pause, until one succeeds or all fail."""
        error: errors.LivelayerError = errors.BrokenError("no attempt was made")
        retryable = True
        for attempt, pause in enumerate(pauses, 1):
            if attempt > 1:
                self.store.publish(events.Reconnecting(errors.readable(str(error)), attempt))
            if pause:
                await self.store.clock.sleep(pause)
            try:
                joined = await self._open()
            except errors.LivelayerError as fault:
                error = fault
                retryable = isinstance(fault, errors.BrokenError) and fault.retryable
                if not retryable:
                    break
            else:
                self._attempt = None
                self._enter(joined, news)
                return
        self._attempt = None
        self._fail(errors.readable(str(error)), retryable=retryable)
        raise error

    async def _open(self) -> _Joined:
        await self._wait_left()
        target = self.target
        access = await self._access("user", self._prior_room)
        try:
            return await self._join(target.rooms(), access)
        except errors.LivelayerError:
            raise
        except Exception as error:
            # An application's own room adapter may raise anything.
            reason = errors.describe(error)
            raise errors.ConnectError(access.url, reason, retryable=False) from error

    async def viewer_access(self) -> RoomAccess:
        """Access to the room that the session is in; see `Session.viewer_access`."""
        joined, room = self._joined, self.room_name
        if joined is not None:
            access = await self._access("viewer", room)
            claims = read_claims(access.token)
            if not claims.is_viewer or claims.room_name != room:
                raise errors.NotSupportedError("viewers", "the session's token source")
            if self._joined is joined:
                return access
        raise errors.not_connected(self.state.connection_state, self.state.error)

    async def _access(self, role: Literal["user", "viewer"], room: str | None) -> RoomAccess:
        request = TokenRequest(self.state.agent_id, self.state.base_url, room, role)
        try:
            return await self.target.tokens(request)
        except errors.LivelayerError:
            raise
        except Exception as error:
            source = "the application's token source"
            raise errors.TokenSourceError(source, errors.describe(error)) from error

    async def _join(self, port: RoomPort, access: RoomAccess) -> _Joined:
        handler = self.new_handler(lambda loss: self._lost(port, loss), self._watch_agent)
        try:
            await port.connect(access, handler, self.media)
        except BaseException:
            handler.close()
            await self._close_port(port)
            raise
        return _Joined(port, handler, access)

    def _enter(self, joined: _Joined, news: Joined) -> None:
        self._joined = joined
        is_same = self.room_name is not None and self.room_name == self._prior_room
        self.transcript.returned(same_room=is_same)
        self.store.publish(news)
        config = joined.access.agent_config
        if config is not None and config != self.store.state.agent_config:
            self.store.publish(events.AgentConfigChanged(config))
        joined.handler.open()
        self._watch_agent()

    def _give_up(self, attempt: RootTask) -> None:
        if self._attempt is attempt and self.store.state.connection_state == "connecting":
            self._cancel(attempt)
            self._ended("disconnected", None)

    def _lost(self, port: RoomPort, loss: RoomLost) -> None:
        if self._joined is None or self._joined.port is not port:
            return
        self._drop_room()
        self.store.tasks.start(lambda: self._close_port(port), "close a lost room")
        if not loss.fault:
            self._forget_room()
            self._ended("disconnected", loss.reason)
        elif loss.rejoin and self.reconnect is not None:
            self._begin_rejoin(loss.reason, self.reconnect)
        else:
            self._fail(loss.reason, retryable=loss.rejoin)

    def take_over(self, room_name: str | None) -> None:
        self._prior_room = room_name
        self._resume_until = self.store.clock.now() + self.resume_window
        reason = "another process has taken the session over"
        if self.store.state.connection_state == "connected":
            self._begin_rejoin(reason, self.reconnect or Backoff(attempts=1))
        elif self.store.state.connection_state == "connecting":
            self._ended("disconnected", reason)

    def _begin_rejoin(self, reason: str, backoff: Backoff) -> None:
        self.store.publish(events.Reconnecting(reason, attempt=1))
        rejoin = partial(self._try, backoff.pauses(), events.Reconnected(rejoined=True))
        self._attempt = self.store.tasks.start(rejoin, "rejoin")

    def _fail(self, reason: str, *, retryable: bool) -> None:
        self._ended("error", reason)
        self.store.publish(events.SessionFailed(reason, retryable))

    def _watch_agent(self) -> None:
        """Count the time without an active agent."""
        joined = self._joined
        if joined is None or self.store.state.agent_active or joined.port.playback is not None:
            self._agent_timer.stop()
        elif self.agent_timeout is not None and not self._agent_timer.running:
            self._agent_timer.start(self.agent_timeout)

    async def _agent_timed_out(self) -> None:
        seconds = self.agent_timeout or 0.0
        gone = self.transcript.agent is not None and self.store.state.agent_identity is None
        reason = "the agent left and none came" if gone else "no agent came"
        reason += f" within {seconds:g} s"
        self.store.publish(events.AgentTimedOut(seconds, reason))
        if gone:
            await self.disconnect(reason)

    def _ended(self, state: EndState, reason: str | None) -> None:
        seconds_left = self._resume_until - self.store.clock.now()
        can_resume = self._prior_room is not None and seconds_left > 0
        self.store.publish(events.ConnectionStateChanged(state, reason, can_resume))
        self._resume_timer.stop()
        if can_resume:
            self._resume_timer.start(seconds_left)
        else:
            self._forget_room()

    def _resume_expired(self) -> None:
        self._forget_room()
        self.store.publish(events.ResumeWindowClosed())

    def _forget_room(self) -> None:
        self._prior_room = None
        self.transcript.forget_tail()
        self._resume_timer.stop()
