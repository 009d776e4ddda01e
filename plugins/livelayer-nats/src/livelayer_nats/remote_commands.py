"""The agent's commands for remotes: each goes to one of them and is settled exactly once."""

from __future__ import annotations

from typing import Final, final

import anyio
import msgspec
import nats.errors

from livelayer_bus import SurfaceSession
from livelayer_bus.clock import SystemClock
from livelayer_bus.errors import MalformedMessageError, NotSupportedError
from livelayer_bus.messages import Capability, RefusalReason, encode, is_command
from livelayer_bus.surfaces import CommandRouter, RoutedCommand, SurfaceCommands
from livelayer_bus.tasks import TaskOwner

from .requests import Announce
from .store import SessionStore
from .wire import VERSION, check_name

ANNOUNCE: Final = 1.0  # seconds between two announcements of a remote
GONE: Final = 5.0  # seconds of silence after which a remote gets no more commands
PATIENCE: Final = 3.0  # seconds that a command waits for a remote that can carry it out
MAX_REMOTES: Final = 10_000


class CommandForRemote(msgspec.Struct, frozen=True):
    """What the owner sends to one remote."""

    v: int
    owner: str
    number: int
    """Of this owner's commands."""
    command: msgspec.Raw


@final
class _Remote:
    """What a bridge knows of a remote that announces itself."""

    def __init__(self, key: str) -> None:
        self.key: Final = key
        self.capabilities: frozenset[Capability] = frozenset()
        self.last_used = 0
        self.uses = 0
        self.seen = 0.0


@final
class RemoteCommands:
    """Gives each command to the remote that a person used last, of those that can carry it out."""

    def __init__(self, session: SurfaceSession, store: SessionStore, owner: str) -> None:
        self._session = session
        self._store = store
        self._owner: Final = owner
        self._remotes: dict[str, _Remote] = {}
        self._tasks = TaskOwner()
        self._clock = SystemClock()
        self._commands: SurfaceCommands | None = None
        self._router: CommandRouter[_Remote] = CommandRouter(
            self._remotes.values(),
            self._deliver,
            self._settled,
            self._tasks,
            self._clock,
            patience=PATIENCE,
        )

    def __len__(self) -> int:
        """Remotes that are there."""
        return len(self._remotes)

    async def route(self) -> None:
        """Route commands until cancelled."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._forget_silent)
                try:
                    self._commands = self._session.commands(auto=False)
                except NotSupportedError:
                    return
                async for command in self._commands:
                    if is_command(command):
                        self._router.route(command, encode(command))
        finally:
            with anyio.CancelScope(shield=True):
                await self._tasks.aclose(1.0)

    async def _forget_silent(self) -> None:
        while True:
            await self._clock.sleep(ANNOUNCE)
            now = self._clock.now()
            for remote in tuple(self._remotes.values()):
                if now - remote.seen > GONE:
                    self._leave(remote)

    # What remotes say ---------------------------------------------------------------------------

    def announce(self, key: str, news: Announce) -> None:
        """A remote says that it is there, and what its surfaces may do; or that it leaves."""
        remote = self._remotes.get(key)
        if news.leaves:
            if remote is not None:
                self._leave(remote)
            return
        if remote is None:
            if len(self._remotes) >= MAX_REMOTES:
                raise MalformedMessageError("announcement", f"{MAX_REMOTES} remotes are there")
            remote = self._remotes[check_name("a remote's id", key)] = _Remote(key)
        remote.seen = self._clock.now()
        capabilities = frozenset(news.capabilities) & self._session.capabilities
        gained, remote.capabilities = capabilities - remote.capabilities, capabilities
        if news.uses > remote.uses:
            remote.uses = news.uses
            self.used(key)
        if gained:
            self._router.target_ready(remote)

    def used(self, key: str) -> None:
        """A person used a surface of this remote."""
        remote = self._remotes.get(key)
        if remote is not None:
            remote.last_used = self._router.next_use()
            self._session.mark_used()

    def finish(self, key: str, number: int, ok: bool, reason: RefusalReason | None) -> None:
        """A remote has settled a command that it was given."""
        if self._router.find(number, key) is not None:
            self._router.finish(number, ok, None if ok else reason or "failed")

    def _leave(self, remote: _Remote) -> None:
        del self._remotes[remote.key]
        self._router.target_ended(remote.key, ok=False)

    # What the router asks for -------------------------------------------------------------------

    def _deliver(self, routed: RoutedCommand, remote: _Remote) -> bool:
        if not self._store.client.is_connected:
            return False
        message = CommandForRemote(VERSION, self._owner, routed.number, msgspec.Raw(routed.payload))
        data = msgspec.json.encode(message)
        subject = self._store.subjects.remote(remote.key)

        async def send() -> None:
            try:
                await self._store.client.publish(subject, data)
            except (nats.errors.Error, OSError):
                self._router.finish(routed.number, False, "failed")

        self._tasks.start(send, "command for a remote")
        return True

    def _settled(self, routed: RoutedCommand, ok: bool, reason: RefusalReason | None) -> None:
        if self._commands is not None:
            self._commands.finish(routed.command, ok=ok, reason=reason)
