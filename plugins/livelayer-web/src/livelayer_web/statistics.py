"""Statistics of a web surface."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import msgspec

from .http import GuardStatistics
from .media import MediaStatistics
from .session_pool import SessionPoolStatistics
from .session_view import SessionView
from .tokens import TokenStatistics

T = TypeVar("T")


class ViewerStatistics(msgspec.Struct, frozen=True):
    """The pages of the session that is mounted."""

    now: int
    peak: int
    joined: int
    """Including those that came back."""
    resumed: int
    """Pages that came back as the same viewer."""
    fell_silent: int
    """Vanished without leaving."""
    sources: int
    """Microphones, cameras and screens that pages hold."""


class StreamStatistics(msgspec.Struct, frozen=True):
    """Their event streams."""

    now: int
    events: int
    """Written, over all streams."""
    missed: int
    """Lost by streams that were read too slowly, and reported to them."""
    shared: int
    """Pages that get their events by the stream of another page of their browser."""
    polls: int
    """Long polls answered. A page sends one when it begins to share a stream, and many if a proxy
    holds event streams back."""


class MessageStatistics(msgspec.Struct, frozen=True):
    """Messages of pages to the agent."""

    sent: int
    repeated: int
    """Posted again after they were sent, and not sent again."""
    failed: int


class CommandStatistics(msgspec.Struct, frozen=True):
    """Commands of the agent to pages."""

    waiting: int
    outcomes: Mapping[str, int]
    """Finished commands by outcome: `ok`, or the reason."""


class WebStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one web surface; a session's part is None while no session is mounted.

    The numbers of sessions on demand are added up.
    """

    viewers: ViewerStatistics | None
    streams: StreamStatistics | None
    messages: MessageStatistics | None
    commands: CommandStatistics | None
    media: tuple[MediaStatistics, ...]
    """One for each session."""
    guard: GuardStatistics
    tokens: TokenStatistics | None
    sessions: SessionPoolStatistics | None
    resumable: int
    """Pages that may come back."""


def viewers_of(views: Iterable[SessionView]) -> ViewerStatistics | None:
    """The pages of these sessions."""
    pages = [(view.viewers, len(view.sources)) for view in views]
    rows = [(len(v), v.peak, v.joined, v.resumed, v.fell_silent, held) for v, held in pages]
    return _total(ViewerStatistics, rows)


def streams_of(views: Iterable[SessionView]) -> StreamStatistics | None:
    """Their event streams."""
    rows = [(v.streams, v.events_written, v.events_missed, v.shared, v.polls) for v in views]
    return _total(StreamStatistics, rows)


def messages_of(views: Iterable[SessionView]) -> MessageStatistics | None:
    """Their pages' messages to the agents."""
    rows = [(m.sent, m.repeated, m.failed) for m in (view.messages for view in views)]
    return _total(MessageStatistics, rows)


def commands_of(views: Iterable[SessionView]) -> CommandStatistics | None:
    """The commands of their agents."""
    pages = [view.pages for view in views]
    outcomes = sum((one.outcomes for one in pages), Counter[str]())
    return CommandStatistics(sum(map(len, pages)), dict(outcomes)) if pages else None


def _total(kind: Callable[..., T], rows: Iterable[tuple[int, ...]]) -> T | None:
    """The sum of each column; None without rows."""
    sums = [sum(column) for column in zip(*rows, strict=True)]
    return kind(*sums) if sums else None
