"""The conformance check of implementations of `ControlledSession`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, nullcontext, suppress
from inspect import iscoroutinefunction
from typing import Final, TypeAlias, cast

import anyio
import anyio.lowlevel

from .. import errors
from ..bus import Record, Subscription
from ..contract import ControlledSession, E
from ..events import Event, SessionFailed, TranscriptUpdated
from ..media import AudioChannel, VideoChannel
from ..messages import UserMessage
from ..state import SessionState, reduce
from ..tasks import TaskOwner
from .check_thread import Rule, in_time, no_leaked_tasks

SessionFactory: TypeAlias = Callable[
    [], ControlledSession | AbstractAsyncContextManager[ControlledSession]
]
Provoke: TypeAlias = Callable[[ControlledSession], Awaitable[None]]
Reader: TypeAlias = Subscription[Event, SessionState]

DERIVED: Final = (
    "id", "agent_id", "base_url", "connection_state", "agent_state", "transcript", "agent_config",
    "can_resume", "error",
)  # fmt: skip
ATTACHES = 20  # readers that join while events are being published

IS_A_SESSION = Rule("a session is a ControlledSession", "subclass ControlledSession")
ASYNC = Rule(
    "the members that wait are async functions",
    "write `async def`, or leave it to ControlledSession",
)
CHANNELS = Rule(
    "`video` and `audio` are channels, also before there is a track",
    "return a VideoChannel and an AudioChannel, or raise NotSupportedError",
)
STATE = Rule("`state` is a SessionState", "keep one, and change it with `reduce` for every event")
PROPERTIES = Rule("the properties are those of `state`", "leave them to ControlledSession")
SNAPSHOT = Rule(
    "a subscription's snapshot is the state at the instant of attaching",
    "reduce, then publish, in one synchronous step; give the Bus its `state=` and `reducers=`",
)
PUBLISHES = Rule(
    "a session publishes what happens",
    "give check_controlled_session a `provoke` that makes something happen",
)
ONE_BY_ONE = Rule("events follow the snapshot one by one", "publish every event once, on one Bus")
FORWARDS = Rule("time does not run backwards", "leave the times to the Bus")
TAIL = Rule(
    "the snapshot and the events after it give the state",
    "change `state` only by `reduce(state, event)`, and publish that event",
)
RESUMES = Rule("a cursor resumes exactly after the event it names", "pass `after` to Bus.subscribe")
STALE = Rule(
    "a cursor from the future or of another session is refused",
    "raise StaleCursorError: events would be lost silently",
)
FILTERS = Rule(
    "a subscription to some types gets these, and all of these", "pass the types to Bus.subscribe"
)
UNSUBSCRIBES = Rule(
    "subscribe_to_data_messages returns the function that undoes it",
    "return a function without arguments",
)
NOT_LOST = Rule(
    "no message is lost silently: without a room, sending is refused at once",
    "raise NotConnectedError, or NotSupportedError if it never sends",
)
CONNECTS = Rule(
    "connect() returns when the room is joined",
    "publish ConnectionStateChanged('connected') before you return",
)
TWICE = Rule("connecting twice is harmless", "return at once when connected")
LEAVES = Rule(
    "disconnect() leaves the room and clears the transcript",
    "publish TranscriptCleared and ConnectionStateChanged('disconnected')",
)


async def check_controlled_session(
    factory: SessionFactory, *, provoke: Provoke | None = None, seconds: float = 10.0
) -> None:
    """Prove that surfaces can rely on an implementation of `ControlledSession`.

    Shown, each on a fresh session: all members exist, and properties are those of `state`; a
    snapshot and the events after it give exactly the state, at any instant of attaching; a cursor
    resumes without gap or repetition, and is refused on another session; filters filter; what is
    not offered raises `NotSupportedError`; sending without a room is refused; connecting and
    disconnecting twice is harmless; no task is left.

    Args:
        factory: makes a session, or an async context manager that gives one.
        provoke: makes the session publish something; by default it is connected and disconnected,
            which an implementation may refuse with `NotSupportedError` only if this is given.
        seconds: how long one part of the check may take.

    Raises:
        CheckFailedError: a rule is broken; the error says which, what was found, and what to do.
    """
    stir = provoke or _connect_and_disconnect
    parts: tuple[Callable[[ControlledSession, Provoke], Awaitable[None]], ...] = (
        _members,
        _properties,
        _snapshot_and_tail,
        _cursors,
        _filters,
        _data_handlers,
        _sending,
        _connecting,
    )
    for part in parts:
        name = f"{part.__name__.strip('_').replace('_', ' ')} (check_controlled_session)"
        ends = Rule(name, "every call has to end in bounded time")
        async with (
            no_leaked_tasks(),
            in_time(seconds, ends, "it did not end"),
            _opened(factory()) as session,
        ):
            await part(session, stir)


async def _connect_and_disconnect(session: ControlledSession) -> None:
    await session.connect()
    await session.disconnect()


async def _members(session: ControlledSession, provoke: Provoke) -> None:
    is_one = isinstance(cast(object, session), ControlledSession)  # a factory may return anything
    IS_A_SESSION.check(is_one, f"it is {type(session).__name__}")
    for name in ("connect", "disconnect", "send_data"):
        member = getattr(session, name, None)
        ASYNC.check(iscoroutinefunction(member), f"{name} is {type(member).__name__}")
    for name, kind in (("video", VideoChannel), ("audio", AudioChannel)):
        with suppress(errors.NotSupportedError):
            found: object = getattr(session, name)
            CHANNELS.check(isinstance(found, kind), f"`{name}` is {type(found).__name__}")


async def _properties(session: ControlledSession, provoke: Provoke) -> None:
    for name in (*DERIVED, None, *DERIVED):
        if name is None:
            await provoke(session)
            continue
        state = session.state
        STATE.check(type(state) is SessionState, f"it is {type(state).__name__}")
        found, expected = getattr(session, name, None), getattr(state, name)
        differs = f"is {type(found).__name__} that differs from session.state.{name}"
        PROPERTIES.check(found == expected, f"session.{name} {differs}")


async def _snapshot_and_tail(session: ControlledSession, provoke: Provoke) -> None:
    with ExitStack() as readers:
        attached: list[Reader] = []
        tasks = TaskOwner()
        provoking = tasks.start(lambda: provoke(session), "provoke a session")
        try:
            while not provoking.ended and len(attached) < ATTACHES:
                reader = readers.enter_context(session.subscribe())
                found = (reader.snapshot.sequence, reader.sequence, session.state.sequence)
                differ = "snapshot {}, cursor {}, state {}".format(*found)
                SNAPSHOT.check(len(set(found)) == 1, differ)
                attached.append(reader)
                await anyio.lowlevel.checkpoint()
            await provoking.wait()
        finally:
            await tasks.aclose(1.0)
        if provoking.error is not None:
            raise provoking.error
        counts = [await _compare_with_state(session, reader) for reader in attached]
    published = bool(counts) and counts[0] > 0
    PUBLISHES.check(published, "nothing was published while it was provoked")


async def _compare_with_state(session: ControlledSession, reader: Reader) -> int:
    state, time_ns = reader.snapshot, 0
    records = reader.records()
    count = 0
    while reader.lag:
        record = await anext(records)
        number, after = record.sequence, state.sequence
        ONE_BY_ONE.check(number == after + 1, f"event {number} came after {after}")
        older = f"event {number} is older than the one before"
        FORWARDS.check(record.time_ns >= time_ns, older)
        state, time_ns, count = reduce(state, record.event), record.time_ns, count + 1
    differ = f"they differ at sequence {state.sequence} (state: {session.state.sequence})"
    TAIL.check(state == session.state, differ)
    return count


async def _cursors(session: ControlledSession, provoke: Provoke) -> None:
    start = session.state.sequence
    with session.subscribe() as live:
        await provoke(session)
        expected = [record.sequence for record in await _drain(live)]
    for after in (start, f"{session.id}:{start}"):
        with session.subscribe(after=after) as again:
            found = [record.sequence for record in await _drain(again)]
            gave = f"after={after!r} gave {len(found)} events, a live reader got {len(expected)}"
            RESUMES.check(found[: len(expected)] == expected, gave)
    for cursor in (session.state.sequence + 1000, f"another-session:{start}", "no cursor"):
        with suppress(errors.StaleCursorError), session.subscribe(after=cursor):
            STALE.check(False, f"after={cursor!r} was taken")


async def _filters(session: ControlledSession, provoke: Provoke) -> None:
    with (
        session.subscribe() as everything,
        session.subscribe(TranscriptUpdated) as some,
        session.subscribe(TranscriptUpdated, SessionFailed) as more,
    ):
        await provoke(session)
        events = [record.event for record in await _drain(everything)]
        for found, types in (
            ([record.event for record in await _drain(some)], (TranscriptUpdated,)),
            ([record.event for record in await _drain(more)], (TranscriptUpdated, SessionFailed)),
        ):
            wanted = [event for event in events if isinstance(event, types)]
            kinds = ", ".join(kind.__name__ for kind in types)
            FILTERS.check(found == wanted, f"{len(found)} of {kinds}")


async def _data_handlers(session: ControlledSession, provoke: Provoke) -> None:
    with suppress(errors.NotSupportedError):
        unsubscribe = session.subscribe_to_data_messages(lambda _: None)
        returned = f"it returned {type(unsubscribe).__name__}"
        UNSUBSCRIBES.check(callable(unsubscribe), returned)
        unsubscribe()
        unsubscribe()  # twice is harmless


async def _sending(session: ControlledSession, provoke: Provoke) -> None:
    if session.connection_state == "connected":
        return
    try:
        await session.send_data(UserMessage("hello"), timeout=0.1)
    except (errors.NotConnectedError, errors.ConnectionLostError, errors.NotSupportedError):
        return
    except errors.LivelayerError as error:
        problem = f"it raised {type(error).__name__}"
    else:
        problem = "send_data returned"
    NOT_LOST.check(False, problem)


async def _connecting(session: ControlledSession, provoke: Provoke) -> None:
    with suppress(errors.NotSupportedError):
        await session.connect()
        for rule in (CONNECTS, TWICE):
            await session.connect()
            state = session.connection_state
            rule.check(state == "connected", f"the state is {state}")
        await session.disconnect()
        state, entries = session.connection_state, session.transcript
        left = state == "disconnected" and not entries
        LEAVES.check(left, f"the state is {state}, {len(entries)} utterances")
        await session.disconnect()


def _opened(
    made: ControlledSession | AbstractAsyncContextManager[ControlledSession],
) -> AbstractAsyncContextManager[ControlledSession]:
    return made if isinstance(made, AbstractAsyncContextManager) else nullcontext(made)


async def _drain(reader: Subscription[E, SessionState]) -> list[Record[E]]:
    records = reader.records()
    found: list[Record[E]] = []
    with suppress(errors.ClosedError):
        while reader.lag:
            with suppress(errors.Lagged):  # a small ring: what is left must still be in order
                found.append(await anext(records))
    return found
