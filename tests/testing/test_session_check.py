from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import ClassVar

import anyio
import pytest

from livelayer_bus.bus import Bus, Subscription
from livelayer_bus.contract import ControlledSession, E, Outgoing
from livelayer_bus.errors import NotConnectedError, NotSupportedError, StaleCursorError
from livelayer_bus.events import (
    ConnectionStateChanged,
    Event,
    ResumeWindowClosed,
    TranscriptCleared,
)
from livelayer_bus.media import AudioChannel, AudioWriter, VideoChannel, VideoWriter
from livelayer_bus.state import REDUCERS, Reducer, SessionState, reduce
from livelayer_bus.tasks import RootTask, start
from livelayer_bus.testing import (
    PATIENCE,
    CheckFailedError,
    LeakedTasksError,
    check_controlled_session,
)

pytestmark = pytest.mark.anyio


class OwnSession(ControlledSession):
    """A session of an application's own, as short as it gets; connects to nothing."""

    reducers: ClassVar[Mapping[type[Event], Reducer]] = REDUCERS

    def __init__(self) -> None:
        self._bus: Bus[Event, SessionState] = Bus(
            state=SessionState(id="own", agent_id="agt"),
            reducers=self.reducers,
            as_of=SessionState.as_of,
        )
        self._video, self._audio = VideoWriter(), AudioWriter()

    @property
    def state(self) -> SessionState:
        return self._bus.state

    @property
    def video(self) -> VideoChannel:
        return self._video.channel

    @property
    def audio(self) -> AudioChannel:
        return self._audio.channel

    def publish(self, event: Event) -> None:
        self._bus.publish(event)

    def subscribe(
        self, *types: type[E], after: int | str | None = None
    ) -> Subscription[E, SessionState]:
        if isinstance(after, str):
            owner, _, number = after.rpartition(":")
            if owner != "own":
                raise StaleCursorError(after, "it belongs to another session")
            after = int(number)
        return self._bus.subscribe(*types, after=after)

    async def connect(self) -> None:
        if self.connection_state != "connected":
            self.publish(ConnectionStateChanged("connected"))

    async def disconnect(self) -> None:
        if self.connection_state == "connected":
            self.publish(TranscriptCleared())
            self.publish(ConnectionStateChanged("disconnected"))

    async def send_data(
        self, message: Outgoing, *, timeout: float = 5.0, require_agent: bool = True
    ) -> None:
        if self.connection_state != "connected":
            raise NotConnectedError(self.connection_state)


async def test_a_session_that_keeps_the_contract_passes() -> None:
    await check_controlled_session(OwnSession)


async def test_a_session_may_be_an_async_context_manager() -> None:
    left: list[str] = []

    @asynccontextmanager
    async def opened() -> AsyncGenerator[ControlledSession]:
        yield OwnSession()
        left.append("left")

    await check_controlled_session(opened)
    assert len(left) > 1


async def test_a_session_that_cannot_connect_passes_with_a_provoke_of_its_own() -> None:
    class Replay(OwnSession):
        async def connect(self) -> None:
            raise NotSupportedError("connecting", "a replay")

    async def play(session: ControlledSession) -> None:
        assert isinstance(session, Replay)
        session.publish(ResumeWindowClosed())

    await check_controlled_session(Replay, provoke=play)


class Forgets(OwnSession):
    """Publishes without reducing."""

    reducers: ClassVar[Mapping[type[Event], Reducer]] = {}


class Diverges(OwnSession):
    """Changes its state behind the events' back."""

    @property
    def state(self) -> SessionState:
        return reduce(super().state, ResumeWindowClosed())


class Lies(OwnSession):
    @property
    def agent_id(self) -> str:
        return "another"


class Ignores(OwnSession):
    """Takes any cursor and starts at the head."""

    def subscribe(
        self, *types: type[E], after: int | str | None = None
    ) -> Subscription[E, SessionState]:
        return self._bus.subscribe(*types)


class Unfiltered(OwnSession):
    def subscribe(
        self, *types: type[E], after: int | str | None = None
    ) -> Subscription[E, SessionState]:
        return super().subscribe(after=after)


class Swallows(OwnSession):
    async def send_data(
        self, message: Outgoing, *, timeout: float = 5.0, require_agent: bool = True
    ) -> None:
        pass


class Remembers(OwnSession):
    async def disconnect(self) -> None:
        pass


class Silent(OwnSession):
    async def connect(self) -> None:
        pass

    async def disconnect(self) -> None:
        pass


class Hangs(OwnSession):
    async def connect(self) -> None:
        await anyio.sleep_forever()


@pytest.mark.parametrize(
    ("session", "rule"),
    [
        (Forgets, "state"),
        (Diverges, "snapshot"),
        (Lies, "properties"),
        (Ignores, "cursor"),
        (Unfiltered, "types"),
        (Swallows, "no message is lost"),
        (Remembers, "disconnect"),
        (Silent, "publishes what happens"),
        (Hangs, "check_controlled_session"),
    ],
)
async def test_a_broken_rule_is_named(session: type[OwnSession], rule: str) -> None:
    # One rule is broken by what never happens; no other may fail for a slow machine.
    seconds = 1.0 if session is Hangs else PATIENCE
    with pytest.raises(CheckFailedError, match=rule) as caught:
        await check_controlled_session(session, seconds=seconds)
    assert isinstance(caught.value, AssertionError)
    assert caught.value.hint


async def test_a_task_that_a_session_leaves_behind_fails_the_check() -> None:
    started: list[RootTask] = []

    class Leaks(OwnSession):
        def __init__(self) -> None:
            super().__init__()
            started.append(start(anyio.sleep_forever, "left behind"))

    with pytest.raises(LeakedTasksError, match="left behind"):
        await check_controlled_session(Leaks)
    for task in started:
        task.cancel()
        assert await task.wait(5)
