"""What a surface is fed from: a `Session`, a remote session, a replay, or one of your own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeAlias, TypeVar, overload

from .bus import Subscription
from .events import (
    AgentConfig,
    AgentState,
    ConnectionState,
    DataReceived,
    Event,
    TranscriptEntry,
)
from .media import AudioChannel, VideoChannel
from .messages import Message, RawMessage
from .state import SessionState

E = TypeVar("E", bound=Event)

Outgoing: TypeAlias = Message | RawMessage | Mapping[str, object]
"""What `send_data` takes: a typed message, or any JSON object with a string `type`."""

DataHandler: TypeAlias = Callable[[DataReceived], Awaitable[None] | None]
Unsubscribe: TypeAlias = Callable[[], None]


class StateProperties:
    """The properties every session derives from its `state`; a session inherits them."""

    __slots__ = ()

    @property
    @abstractmethod
    def state(self) -> SessionState: ...

    @property
    def id(self) -> str:
        return self.state.id

    @property
    def agent_id(self) -> str:
        return self.state.agent_id

    @property
    def base_url(self) -> str | None:
        return self.state.base_url

    @property
    def connection_state(self) -> ConnectionState:
        return self.state.connection_state

    @property
    def agent_state(self) -> AgentState:
        return self.state.agent_state

    @property
    def transcript(self) -> tuple[TranscriptEntry, ...]:
        return self.state.transcript

    @property
    def agent_config(self) -> AgentConfig | None:
        return self.state.agent_config

    @property
    def can_resume(self) -> bool:
        return self.state.can_resume

    @property
    def error(self) -> str | None:
        return self.state.error


class ControlledSession(Protocol):
    """What any surface can be fed from.

    A member that an implementation lacks raises `NotSupportedError`. Inherit `StateProperties`
    to get the derived properties from `state`.
    """

    @property
    def state(self) -> SessionState:
        """What is known, as of `state.sequence`."""
        ...

    @property
    def id(self) -> str: ...
    @property
    def agent_id(self) -> str: ...
    @property
    def base_url(self) -> str | None: ...
    @property
    def connection_state(self) -> ConnectionState: ...
    @property
    def agent_state(self) -> AgentState: ...
    @property
    def transcript(self) -> tuple[TranscriptEntry, ...]: ...
    @property
    def agent_config(self) -> AgentConfig | None: ...
    @property
    def can_resume(self) -> bool: ...
    @property
    def error(self) -> str | None: ...

    @property
    def video(self) -> VideoChannel:
        """The agent's picture; there before a track is, and while one is renewed."""
        ...

    @property
    def audio(self) -> AudioChannel:
        """The agent's voice; there before a track is."""
        ...

    @overload
    def subscribe(self, *, after: int | str | None = None) -> Subscription[Event, SessionState]: ...
    @overload
    def subscribe(
        self, *types: type[E], after: int | str | None = None
    ) -> Subscription[E, SessionState]: ...
    def subscribe(
        self, *types: type[Any], after: int | str | None = None
    ) -> Subscription[Any, SessionState]:
        """Events of these types (none: all), each once and in order; see `Subscription`."""
        ...

    async def connect(self) -> None:
        """Return when the room is joined."""
        ...

    async def disconnect(self) -> None:
        """Leave the room; surfaces stay mounted."""
        ...

    async def send_data(
        self, message: Outgoing, *, timeout: float = 5.0, require_agent: bool = True
    ) -> None:
        """Return when the transport took `message`."""
        ...

    def subscribe_to_data_messages(self, handler: DataHandler) -> Unsubscribe:
        """Have `handler` called with every data packet; undone by calling what is returned."""
        ...
