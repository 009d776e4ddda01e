"""One mounted session and its pages: the options of a view, what outlives it, and the view."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Final, TypeVar, final

import anyio
import anyio.abc
import msgspec

from livelayer_bus import ClosedError
from livelayer_bus.clock import Clock
from livelayer_bus.errors import NotSupportedError
from livelayer_bus.rooms import Playback
from livelayer_bus.surfaces import SurfaceSession

from .http.server import server_is_shutting_down
from .media import (
    KINDS,
    Media,
    MediaConnection,
    MediaPortsTakenError,
    MediaSettings,
    SourceKind,
)
from .messages import MessageMemory, Messages
from .pages import Pages
from .permissions import Permission
from .problems import full, no_replay, no_token, not_carrying, unmounted
from .resume_store import RESUME_SECONDS, ResumeStore
from .sources import Sources, Work
from .stream import Bye, EventStream
from .token_format import GRANTS, Grant
from .tokens import ViewerTokens
from .viewers import BEAT_SECONDS, Info, Replay, ShownQuality, Viewer, ViewerInfo, Viewers, Wants
from .workers import leave

T = TypeVar("T")


class Agent(msgspec.Struct, frozen=True, omit_defaults=True):
    """An agent that pages may switch the session to."""

    id: str
    name: str
    role: str | None = None
    avatar_image_url: str | None = None


class ViewOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of every session view of one surface."""

    clock: Clock
    tokens: ViewerTokens | None
    name: str | None
    """The session's name in viewer tokens; None: its id."""
    agents: Sequence[Agent]
    media: MediaSettings
    local_only: bool
    """Whether media of other machines are ignored."""
    max_viewers: int
    max_message_bytes: int
    allow: frozenset[Permission]


@final
class SurfaceMemory:
    """What outlives a restart of the surface; all of it bounded."""

    def __init__(self, clock: Clock, resume_seconds: float = RESUME_SECONDS) -> None:
        self.resume_store: Final = ResumeStore(clock, resume_seconds)
        self.messages: Final = MessageMemory()
        self.numbers: Final = count(1)
        """Numbers of commands on the wire."""


@final
class SessionView:
    """Serves one mounted session to its pages.

    Guarantee: pages are served while `run` runs. When it ends, all waiting requests, event streams
    (with a `bye`), leases and media connections end with it.

    Args:
        session: the mounted session.
        options: how it is served.
        memory: what outlives a restart of the surface.
        last_word: returns the reason of the `bye`.
        changed: called when a page joined or left.
    """

    def __init__(
        self,
        session: SurfaceSession,
        options: ViewOptions,
        memory: SurfaceMemory,
        *,
        last_word: Callable[[], Bye] = lambda: "unmounted",
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.session: Final = session
        self.options: Final = options
        self.instance: Final = secrets.token_hex(8)
        self.media: Final = Media(
            session, options.media, clock=options.clock, local_only=options.local_only
        )
        self.viewers: Final = Viewers(
            session.id,
            memory.resume_store,
            options.clock,
            options.max_viewers,
            self._viewers_changed,
        )
        self.messages: Final = Messages(session, memory.messages, options.max_message_bytes)
        self.pages: Final = Pages(
            session,
            self.viewers,
            self._ready_stream_of,
            memory.numbers,
            options.clock,
            options.max_message_bytes,
        )
        self.sources: Final = Sources(session, self._start)
        self._last_word = last_word
        self._changed = changed
        self._streams: dict[Viewer, EventStream] = {}
        self._connections: dict[str, tuple[Viewer, MediaConnection]] = {}
        self._requests: set[anyio.CancelScope] = set()
        self._group: anyio.abc.TaskGroup | None = None
        self._events_written = 0
        self._events_missed = 0
        self.polls = 0
        """Long polls that were answered."""
        self._share: Final[dict[frozenset[Grant], str]] = {}

    @property
    def open(self) -> bool:
        """Whether pages are served."""
        return self._group is not None

    # Lifecycle --------------------------------------------------------------------------------

    async def run(self, started: Callable[[], object] = lambda: None) -> None:
        """Serve pages until cancelled, or until the session ends; `started` is called first."""
        tokens = self.options.tokens
        forget = tokens.on_revoke(self.viewers.revoke) if tokens is not None else None
        try:
            async with anyio.create_task_group() as group:
                try:
                    group.start_soon(self.media.run)
                    group.start_soon(self.viewers.run)
                    group.start_soon(self._beat)
                    self._group = group
                    started()
                    await self.pages.run()
                finally:
                    # At once: media may take some time to end.
                    self.close()
                group.cancel_scope.cancel()
        finally:
            if forget is not None:
                forget()

    def close(self) -> None:
        """End every page's stream and requests now. `run` then ends by itself."""
        self._group = None
        for scope in tuple(self._requests):
            scope.cancel()
        self.viewers.close("closed")

    async def serve(self, call: Callable[[], Awaitable[T]]) -> T:
        """Run a request's work. It is cancelled when this view closes.

        Raises:
            Problem: this view is closed, or closes meanwhile.
        """
        if self._group is None:
            raise unmounted()
        scope = anyio.CancelScope()
        self._requests.add(scope)
        try:
            with scope:
                return await call()
        finally:
            self._requests.discard(scope)
        raise unmounted()

    # Joining ------------------------------------------------------------------------------------

    def admit(self, bearer: str | None) -> tuple[frozenset[Grant], str | None]:
        """The grants of a token, and its id; without viewer tokens, every grant.

        Raises:
            ViewerTokenError: the token is refused.
            Problem: the surface has viewer tokens, and the request has none.
        """
        tokens = self.options.tokens
        if tokens is None:
            return GRANTS, None
        if bearer is None:
            raise no_token()
        claims = tokens.verify(bearer, self.options.name or self.session.id)
        return claims.grants, claims.token_id

    def join(
        self, bearer: str | None, previous: str | None, *, silent: bool = False
    ) -> tuple[Viewer, str]:
        """A page and its key: the same viewer as before, if `previous` or `bearer` is its key.

        Raises:
            ViewerTokenError: the token is refused.
            Problem: a token is missing, or the limit of pages is reached.
        """
        for key in (previous, bearer):
            if key is not None and (found := self.viewers.resume(key)) is not None:
                viewer, fresh = found
                break
        else:
            if self.viewers.full:
                raise full("page")
            viewer, fresh = self.viewers.join(*self.admit(bearer), silent=silent)
        viewer.on_end(partial(self._viewer_ended, viewer))
        return viewer, fresh

    def allowed(self, viewer: Viewer) -> frozenset[Permission]:
        """What the page's person may send: nothing to a recording, which hears no one."""
        if "talk" not in viewer.grants or self.session.playback is not None:
            return frozenset()
        return self.options.allow

    def use(self, viewer: Viewer) -> None:
        """A person used the page: commands go to this surface, and to this page."""
        self.viewers.use(viewer)
        self.session.mark_used()

    def want(self, viewer: Viewer, wants: Wants) -> None:
        """Set what the page can use from now on."""
        viewer.wants = wants
        if viewer.connection is not None:
            _apply(wants, viewer.connection)

    def describe(self) -> None:
        """Describe the page that commands go to, as `agent.context`, where the session can."""
        active = self.viewers.active
        with suppress(NotSupportedError, ClosedError):
            self.session.describe_page(active.context if active is not None else None)

    def control_replay(
        self, position: float | None, speed: float | None, paused: bool | None
    ) -> None:
        """Seek, play or pause; every page is told.

        Raises:
            Problem: no recording is played.
        """
        playback = self.session.playback
        if playback is None:
            raise no_replay()
        if speed is not None:
            playback.speed = speed
        if position is not None:
            playback.seek(position)
        if paused is not None:
            (playback.pause if paused else playback.resume)()
        self._look()

    # Event streams ------------------------------------------------------------------------------

    def share(self, viewer: Viewer) -> str:
        """The secret name under which pages of one browser share an event stream.

        Pages with other grants have another one, pages of another session as well.
        """
        return self._share.setdefault(viewer.grants, secrets.token_urlsafe(16))

    def stream(
        self,
        viewer: Viewer,
        after: str | None,
        wait: float | None = None,
        carrier: str | None = None,
    ) -> EventStream:
        """A page's event stream, to be run. An earlier stream of the page ends.

        Args:
            viewer: the page.
            after: the cursor to resume; None: from now on.
            wait: see `EventStream`.
            carrier: the page whose event stream has this one's frames from then on.

        Raises:
            Problem: that page does not carry others, or has other grants.
        """
        other = self.viewers.by_id(carrier) if carrier is not None else None
        if carrier is not None and (
            other in (None, viewer)
            or other.carrier is not None
            or other.silent
            or self.share(other) != self.share(viewer)
        ):
            raise not_carrying()
        viewer.share(other)
        if (earlier := self._streams.get(viewer)) is not None:
            earlier.end()
        stream = self._streams[viewer] = EventStream(
            self.session,
            viewer,
            after,
            wait,
            info=self._info,
            opened=self._stream_opened,
            closed=self._stream_closed,
        )
        return stream

    @property
    def streams(self) -> int:
        """Open event streams."""
        return len(self._streams)

    @property
    def events_written(self) -> int:
        """Events written to all event streams."""
        return self._events_written + sum(s.written for s in self._streams.values())

    @property
    def shared(self) -> int:
        """Pages that get their events by another page's stream."""
        carriers = (viewer.carrier for viewer in self.viewers)
        return sum(carrier is not None and carrier.ended is None for carrier in carriers)

    @property
    def events_missed(self) -> int:
        """Events that streams lost because their pages read too slowly."""
        return self._events_missed + sum(s.missed for s in self._streams.values())

    # Media --------------------------------------------------------------------------------------

    async def connect_media(self, viewer: Viewer, offer: str) -> MediaConnection:
        """Answer a page's offer. An earlier connection of the page ends.

        Raises:
            OfferError: the offer cannot be answered.
            MediaFullError, MediaPortsTakenError, MediaUnavailableError: see `Media.connect`.
            Problem: the page has gone meanwhile.
        """
        allowed = self.allowed(viewer)
        sources: list[SourceKind] = [kind for kind in KINDS if kind in allowed]
        try:
            connection = await self.media.connect(offer, allow_sources=sources)
        except MediaPortsTakenError:
            if viewer.connection is None:
                raise
            await viewer.connection.aclose()  # its port is free then
            connection = await self.media.connect(offer, allow_sources=sources)
        if viewer.ended is not None:
            await connection.aclose()
            raise unmounted()
        earlier, viewer.connection = viewer.connection, connection
        self._connections[connection.id] = viewer, connection
        if earlier is not None:
            self._start(earlier.aclose)
        if not viewer.silent:
            _apply(viewer.wants, connection)
        connection.on_end(partial(self._connection_ended, viewer, connection))
        self._look()
        return connection

    def connection(self, connection_id: str) -> tuple[Viewer, MediaConnection] | None:
        """The connection of this id and its page; None if it has ended."""
        return self._connections.get(connection_id)

    # For the application --------------------------------------------------------------------------

    def viewer_infos(self) -> tuple[ViewerInfo, ...]:
        """The pages, in the order of joining."""
        active = self.viewers.active
        return tuple(
            ViewerInfo(
                id=viewer.id,
                grants=viewer.grants,
                page=viewer.page,
                active=viewer is active,
                streaming=viewer.streaming,
                connected=viewer.connection is not None,
            )
            for viewer in self.viewers
        )

    # Callbacks of the parts -----------------------------------------------------------------------

    def _start(self, work: Work) -> None:
        if self._group is None:
            raise ClosedError("this surface", "mount it again")
        self._group.start_soon(work)

    async def _beat(self) -> None:
        while True:
            await self.options.clock.sleep(BEAT_SECONDS)
            if shutting_down := server_is_shutting_down():
                leave()
            for stream in tuple(self._streams.values()):
                if shutting_down:
                    stream.end("unmounted")
                else:
                    stream.beat()

    def _look(self) -> None:
        for stream in tuple(self._streams.values()):
            stream.look()

    def _viewers_changed(self) -> None:
        self.describe()
        self._look()
        self._changed()

    def _viewer_ended(self, viewer: Viewer) -> None:
        words: dict[str | None, Bye] = {"revoked": "revoked", "closed": self._last_word()}
        word = words.get(viewer.ended)
        if (stream := self._streams.get(viewer)) is not None:
            stream.end(word)
        elif word is not None and (carrying := self._ready_stream_of(viewer)) is not None:
            carrying.bye(viewer, word)
        viewer.share(None)
        self.sources.end(viewer)
        if viewer.connection is not None and self._group is not None:
            self._group.start_soon(viewer.connection.aclose)

    def _connection_ended(self, viewer: Viewer, connection: MediaConnection) -> None:
        self._connections.pop(connection.id, None)
        self.sources.end(viewer, connection)
        if viewer.connection is connection:
            viewer.connection = None
            if viewer.silent:
                self.viewers.leave(viewer)
            self._look()

    def _ready_stream_of(self, viewer: Viewer) -> EventStream | None:
        for page in (viewer, viewer.carrier):
            stream = self._streams.get(page) if page is not None else None
            if stream is not None and stream.ready:
                return stream
        return None

    def _stream_opened(self, stream: EventStream) -> None:
        if self._streams.get(stream.viewer) is stream:
            for viewer in (stream.viewer, *stream.viewer.carried):
                self.pages.stream_opened(viewer)

    def _stream_closed(self, stream: EventStream) -> None:
        self._events_written += stream.written
        self._events_missed += stream.missed
        self.polls += stream.is_poll
        if self._streams.get(stream.viewer) is not stream:
            return
        del self._streams[stream.viewer]
        for viewer in (stream.viewer, *stream.viewer.carried):
            self.viewers.stream_closed(viewer)
            if self._ready_stream_of(viewer) is None:
                self.pages.stream_closed(viewer)

    def _info(self, viewer: Viewer) -> Info:
        quality = viewer.connection.quality if viewer.connection is not None else None
        shown = ShownQuality(quality.height, quality.bitrate) if quality is not None else None
        return Info(
            len(self.viewers), self.viewers.active is viewer, shown, _replay(self.session.playback)
        )


def _replay(playback: Playback | None) -> Replay | None:
    """Written anew at each beat, as the position moves."""
    if playback is None:
        return None
    position = round(playback.position, 2)
    return Replay(playback.duration, position, playback.speed, playback.paused)


def _apply(wants: Wants, connection: MediaConnection) -> None:
    connection.want(video=wants.video, audio=wants.audio, height=wants.height)
