"""What a web surface holds, did and turned away, in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from .http import GuardStatistics
from .media import MediaStatistics
from .session_pool import OpeningStatistics
from .session_view import Showing
from .tokens import TokenStatistics


class ViewerStatistics(msgspec.Struct, frozen=True):
    """The pages of the session that is mounted."""

    now: int
    peak: int
    joined: int
    """Those that came back included."""
    resumed: int
    """Came back to their place."""
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
    """Lost to a stream that was read too slowly, and told as such."""


class MessageStatistics(msgspec.Struct, frozen=True):
    """What pages had to say to the agent."""

    sent: int
    repeated: int
    """Posted again after it was sent, and not sent again."""
    failed: int


class CommandStatistics(msgspec.Struct, frozen=True):
    """What the agent wanted of pages."""

    waiting: int
    outcomes: Mapping[str, int]
    """Settled: `ok`, or why not."""


class WebStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one web surface; what belongs to a session is None while none is mounted.

    With sessions on demand alone, their numbers are added up.
    """

    viewers: ViewerStatistics | None
    streams: StreamStatistics | None
    messages: MessageStatistics | None
    commands: CommandStatistics | None
    media: tuple[MediaStatistics, ...]
    """One for each session that is shown."""
    guard: GuardStatistics
    tokens: TokenStatistics | None
    opening: OpeningStatistics | None
    places: int
    """Places that pages may come back to."""


def viewers_of(showings: Iterable[Showing]) -> ViewerStatistics:
    """The pages of these sessions."""
    all_viewers = [(showing.viewers, showing.sources) for showing in showings]
    return ViewerStatistics(
        now=sum(len(viewers) for viewers, _ in all_viewers),
        peak=sum(viewers.peak for viewers, _ in all_viewers),
        joined=sum(viewers.joined for viewers, _ in all_viewers),
        resumed=sum(viewers.resumed for viewers, _ in all_viewers),
        fell_silent=sum(viewers.fell_silent for viewers, _ in all_viewers),
        sources=sum(len(sources) for _, sources in all_viewers),
    )


def streams_of(showings: Iterable[Showing]) -> StreamStatistics:
    """Their event streams."""
    found = [(s.streams, s.events_written, s.events_missed) for s in showings]
    return StreamStatistics(*(sum(column) for column in zip(*found, strict=True)))


def messages_of(showings: Iterable[Showing]) -> MessageStatistics:
    """What their pages had to say."""
    found = [(s.messages.sent, s.messages.repeated, s.messages.failed) for s in showings]
    return MessageStatistics(*(sum(column) for column in zip(*found, strict=True)))


def commands_of(showings: Iterable[Showing]) -> CommandStatistics:
    """What their agents wanted."""
    waiting = 0
    outcomes: Counter[str] = Counter()
    for showing in showings:
        waiting += len(showing.pages)
        outcomes += showing.pages.outcomes
    return CommandStatistics(waiting, dict(outcomes))
