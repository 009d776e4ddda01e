"""Statistics of a web surface."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from .http import GuardStatistics
from .media import MediaStatistics
from .session_pool import SessionPoolStatistics
from .session_view import SessionView
from .tokens import TokenStatistics


class ViewerStatistics(msgspec.Struct, frozen=True):
    """The pages of the session that is mounted."""

    now: int
    peak: int
    joined: int
    """Including those that came back."""
    resumed: int
    """Pages that came back as the same viewer."""
    fell_silent: int
    """Vanished without shutting_down."""
    sources: int
    """Microphones, cameras and screens that pages hold."""


class StreamStatistics(msgspec.Struct, frozen=True):
    """Their event streams."""

    now: int
    events: int
    """Written, over all streams."""
    missed: int
    """Lost by streams that were read too slowly, and reported to them."""


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


def viewers_of(views: Iterable[SessionView]) -> ViewerStatistics:
    """The pages of these sessions."""
    all_viewers = [(view.viewers, view.sources) for view in views]
    return ViewerStatistics(
        now=sum(len(viewers) for viewers, _ in all_viewers),
        peak=sum(viewers.peak for viewers, _ in all_viewers),
        joined=sum(viewers.joined for viewers, _ in all_viewers),
        resumed=sum(viewers.resumed for viewers, _ in all_viewers),
        fell_silent=sum(viewers.fell_silent for viewers, _ in all_viewers),
        sources=sum(len(sources) for _, sources in all_viewers),
    )


def streams_of(views: Iterable[SessionView]) -> StreamStatistics:
    """Their event streams."""
    found = [(s.streams, s.events_written, s.events_missed) for s in views]
    return StreamStatistics(*(sum(column) for column in zip(*found, strict=True)))


def messages_of(views: Iterable[SessionView]) -> MessageStatistics:
    """What their pages had to say."""
    found = [(s.messages.sent, s.messages.repeated, s.messages.failed) for s in views]
    return MessageStatistics(*(sum(column) for column in zip(*found, strict=True)))


def commands_of(views: Iterable[SessionView]) -> CommandStatistics:
    """What their agents wanted."""
    waiting = 0
    outcomes: Counter[str] = Counter()
    for view in views:
        waiting += len(view.pages)
        outcomes += view.pages.outcomes
    return CommandStatistics(waiting, dict(outcomes))
