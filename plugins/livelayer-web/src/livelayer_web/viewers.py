"""The pages of one session: their keys and grants, which one is active, when one has gone."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Iterator
from itertools import count
from typing import Annotated, Final, final

import msgspec
from msgspec import Meta

from livelayer_bus.clock import Clock
from livelayer_bus.messages import ALL, AgentContext, Capability
from livelayer_bus.surfaces import last_used

from .media import MediaConnection
from .resume_store import ResumeRecord, ResumeStore, digest_of
from .token_format import GRANTS, Grant
from .workers import stamp

BEAT_SECONDS: Final = 1.5
"""How often a page sends a heartbeat."""
SILENCE_SECONDS: Final = 5.0
"""How long a page without an event stream may be silent until it counts as gone."""
STREAM_SECONDS: Final = 30.0
"""How long a page with one may send no request: others may use all of its browser's connections. A
suspended phone, or a proxy in front of a page that vanished, keeps its stream open."""
MAX_TOLD: Final = 256  # commands; as many as a session has under way at most

NONE: Final[frozenset[Capability]] = frozenset()


class Wants(msgspec.Struct, frozen=True):
    """What a page can use now."""

    video: bool = True
    audio: bool = True
    height: Annotated[int, Meta(ge=1, le=16_384)] | None = None
    """Of its largest visible video element, in device pixels."""


class PageInfo(msgspec.Struct, frozen=True):
    """A page's address and title, as the page reports them."""

    url: Annotated[str, Meta(max_length=4096)] = ""
    title: Annotated[str, Meta(max_length=1024)] = ""


class ShownQuality(msgspec.Struct, frozen=True):
    """The quality that a page is sent."""

    height: int
    bitrate: int
    """bit/s"""


class Replay(msgspec.Struct, frozen=True):
    """A recording that is played, and where it is; times are seconds of it."""

    duration: float
    position: float
    speed: float
    paused: bool


class Info(msgspec.Struct, frozen=True):
    """The number of pages, whether this one is active, and its quality."""

    viewers: int
    active: bool
    quality: ShownQuality | None
    replay: Replay | None = None


class ViewerInfo(msgspec.Struct, frozen=True):
    """One page, for the application."""

    id: str
    grants: frozenset[Grant]
    page: PageInfo | None
    active: bool
    """Whether the agent's commands go to it."""
    streaming: bool
    """Whether it reads events now, by a stream of its own or by another page's."""
    connected: bool
    """Whether it has a media connection with this process."""


@final
class Viewer:
    """One page, from joining until it leaves, falls silent or is ended.

    Args:
        name: identifies it to people; not a secret.
        grants: what it may do.
        token_id: the token that it joined with; None without viewer tokens.
        silent: it sends no heartbeats: it stays as long as its media connection.
    """

    def __init__(
        self, name: str, grants: frozenset[Grant], token_id: str | None, *, silent: bool
    ) -> None:
        self.id: Final = name
        self.grants: Final = grants
        self.token_id: Final = token_id
        self.silent: Final = silent
        self.last_used = 0
        """In the order of use; 0: never used."""
        self.capabilities: Final = ALL if "talk" in grants and not silent else NONE
        """What the agent may do on this page; at most what it may do on the surface."""
        self.last_seen = 0.0
        """When it last sent a request."""
        self.last_streamed = 0.0
        """When an event stream with its frames last closed."""
        self.doubted = False
        """Whether its browser reports that it has ended."""
        self.wants = Wants()
        self.page: PageInfo | None = None
        self.context: AgentContext | None = None
        """What it shows, as the agent may read it; None: it does not describe itself."""
        self.connection: MediaConnection | None = None
        self.streams = 0
        """Open event streams."""
        self.carrier: Viewer | None = None
        """The page of the same browser whose event stream has the frames for this one, too."""
        self.carried: dict[Viewer, None] = {}
        """The pages whose frames are in this one's event stream."""
        self.info: Info | None = None
        """The last one it was sent."""
        self.told: Final[deque[int]] = deque(maxlen=MAX_TOLD)
        """The numbers of commands that long polls have brought it."""
        self.ended: str | None = None
        """Why it has ended."""
        self._on_end: list[Callable[[], None]] = []

    def __repr__(self) -> str:
        return f"<Viewer {self.id}>"

    @property
    def key(self) -> str:
        """Its name for the command router: its id, not its secret key."""
        return self.id

    @property
    def streaming(self) -> bool:
        """Whether an event stream is open that has its frames."""
        return self.streams > 0 or (self.carrier is not None and self.carrier.streams > 0)

    def share(self, carrier: Viewer | None) -> None:
        """Get its frames by the event stream of another page; None: by its own."""
        if self.carrier is not None:
            self.carrier.carried.pop(self, None)
        self.carrier = carrier
        if carrier is not None:
            carrier.carried[self] = None

    def on_end(self, callback: Callable[[], None]) -> None:
        """Call `callback()` once at its end, or now if it has ended."""
        if self.ended is not None:
            callback()
        else:
            self._on_end.append(callback)

    def end(self, why: str) -> None:
        """Called by the registry."""
        if self.ended is None:
            self.ended = why
            callbacks, self._on_end = self._on_end, []
            for callback in callbacks:
                callback()


@final
class Viewers:
    """Every page of one mounted surface.

    Guarantee: while `run` runs, a page ends `SILENCE_SECONDS` after its last request and after its
    event stream closed; while that is open, `STREAM_SECONDS` after its last request. Keys are kept
    as digests. A page that returns with its old key is the same viewer: with its name, its grants
    and when it was last used. The old key is valid for nothing else. There are at most `limit`
    pages.

    Args:
        session_id: the session's id.
        resume_store: records of pages that have gone.
        clock: what silence is measured on.
        limit: pages at once.
        changed: called when a page joined, left or became active.
    """

    def __init__(
        self,
        session_id: str,
        resume_store: ResumeStore,
        clock: Clock,
        limit: int,
        changed: Callable[[], None],
    ) -> None:
        self._session_id = session_id
        self._resume_store = resume_store
        self._clock = clock
        self._limit = limit
        self._changed = changed
        self._by_key: dict[bytes, Viewer] = {}
        self._key_of: dict[Viewer, bytes] = {}
        self._active: Viewer | None = None
        self._uses = count(1)
        self.joined = 0
        """Pages that ever joined, including those that came back."""
        self.resumed = 0
        self.fell_silent = 0
        self.last_end = ""
        """Why the page that ended last has ended."""
        self.peak = 0

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[Viewer]:
        """In the order of joining."""
        return iter(tuple(self._by_key.values()))

    @property
    def full(self) -> bool:
        """Whether the limit of pages is reached."""
        return len(self._by_key) >= self._limit

    @property
    def active(self) -> Viewer | None:
        """The page that the agent's commands go to: of the pages that may answer them, the one
        that a person used last, or else the one that joined first."""
        return self._active

    def join(
        self,
        grants: frozenset[Grant] = GRANTS,
        token_id: str | None = None,
        *,
        silent: bool = False,
    ) -> tuple[Viewer, str]:
        """A new page and its key. Check `full` before."""
        return self._add(Viewer(self._new_id(), grants, token_id, silent=silent))

    def resume(self, key: str) -> tuple[Viewer, str] | None:
        """The page that had this key, with a new key; None if it is not remembered.

        If the page still has an open event stream (the tab was duplicated), it keeps its name, and
        the caller becomes another page with the same grants.
        """
        digest = digest_of(key)
        held = self._by_key.get(digest)
        record = self._record(held) if held else self._resume_store.find(digest, self._session_id)
        if record is None:
            return None
        # It may have got a new key before, and return with the old one: the answer was lost.
        there = held or self.by_id(record.id)
        name = record.id
        if there is not None and there.streaming:
            name = self._new_id()
        elif there is not None:
            self.leave(there, "replaced")
        self.resumed += name == record.id
        viewer = Viewer(name, record.grants, record.token_id, silent=False)
        viewer.last_used = record.used
        return self._add(viewer)

    def by_key(self, key: str) -> Viewer | None:
        """The page with this key. This counts as a sign of life."""
        viewer = self._by_key.get(digest_of(key))
        if viewer is not None:
            self.seen(viewer)
        return viewer

    def by_id(self, name: str) -> Viewer | None:
        """The page of this name. This does not count as a sign of life."""
        return next((viewer for viewer in self if viewer.id == name), None)

    def seen(self, viewer: Viewer) -> None:
        """Note a request of the page."""
        viewer.last_seen = self._clock.now()
        viewer.doubted = False

    def stream_closed(self, viewer: Viewer) -> None:
        """An event stream with the page's frames closed: it may open another one."""
        viewer.last_streamed = self._clock.now()

    def doubt(self, carrier: Viewer, name: str) -> None:
        """A page reports that one that it carries has ended: that one's silence counts."""
        for viewer in carrier.carried:
            viewer.doubted |= viewer.id == name

    def has_key(self, key: str) -> bool:
        """Whether it is a page's key. This does not count as a sign of life."""
        return digest_of(key) in self._by_key

    def use(self, viewer: Viewer) -> None:
        """A person used this page."""
        viewer.last_used = next(self._uses)
        if self._active is not viewer:
            self._tell_changed()

    def leave(self, viewer: Viewer, why: str = "left") -> None:
        """End it. It may come back as the same viewer. Idempotent."""
        digest = self._key_of.pop(viewer, None)
        if digest is None:
            return
        del self._by_key[digest]
        if not viewer.silent and why != "revoked":
            self._resume_store.remember(digest, self._record(viewer))
        self.last_end = why
        viewer.end(why)
        self._tell_changed()

    def revoke(self, token_id: str) -> None:
        """End the pages that joined with the token, and forget their records."""
        for viewer in self:
            if viewer.token_id == token_id:
                self.leave(viewer, "revoked")
        self._resume_store.revoke(token_id)

    def close(self, why: str) -> None:
        """End every page."""
        for viewer in self:
            self.leave(viewer, why)

    async def run(self) -> None:
        """End pages that fall silent, until cancelled."""
        while True:
            # A page that joins, or whose stream closes, during this sleep is due after it.
            now = self._clock.now()
            due = min((_due(v) for v in self if not v.silent), default=now + SILENCE_SECONDS)
            await self._clock.sleep(min(max(0.0, due - now), SILENCE_SECONDS))
            now = self._clock.now()
            for viewer in self:
                if not viewer.silent and _due(viewer) <= now:
                    self.fell_silent += 1
                    self.leave(viewer, "silent")

    def _record(self, viewer: Viewer) -> ResumeRecord:
        return ResumeRecord(
            self._session_id, viewer.id, viewer.grants, viewer.token_id, viewer.last_used
        )

    def _add(self, viewer: Viewer) -> tuple[Viewer, str]:
        key = stamp(secrets.token_urlsafe(32))
        viewer.last_seen = self._clock.now()
        digest = digest_of(key)
        self._by_key[digest] = viewer
        self._key_of[viewer] = digest
        self.joined += 1
        self.peak = max(self.peak, len(self._by_key))
        self._tell_changed()
        return viewer, key

    def _tell_changed(self) -> None:
        self._active = last_used(viewer for viewer in self if viewer.capabilities)
        self._changed()

    def _new_id(self) -> str:
        taken = {viewer.id for viewer in self}
        while (name := f"v{secrets.token_hex(3)}") in taken:
            pass
        return name


def _due(viewer: Viewer) -> float:
    """When it counts as gone, unless there is a sign of life before."""
    if viewer.doubted:
        return viewer.last_seen + SILENCE_SECONDS
    if viewer.streaming:
        return viewer.last_seen + STREAM_SECONDS
    return max(viewer.last_seen, viewer.last_streamed) + SILENCE_SECONDS
