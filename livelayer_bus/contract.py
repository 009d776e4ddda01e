"""What a surface is fed from: a `Session`, a remote session, a replay, or one of your own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeAlias, TypeVar, overload

from .bus import Subscription
from .errors import NoAgentError, NotSupportedError, not_connected
from .events import AgentConfig, AgentState, ConnectionState, DataReceived, Event, TranscriptEntry
from .media import AudioChannel, AudioFrame, VideoChannel, VideoFrame
from .media.publishing import MediaSource
from .messages import AgentContext, Command, Interrupt, Message, RawMessage, WireMessage
from .state import SessionState
from .tokens import RoomAccess

E = TypeVar("E", bound=Event)

Outgoing: TypeAlias = Message | RawMessage | Mapping[str, object]
"""What `send_data` takes: a typed message, or any JSON object with a string `type`."""

DataHandler: TypeAlias = Callable[[DataReceived], Awaitable[None] | None]
Unsubscribe: TypeAlias = Callable[[], None]


class Playback(Protocol):
    """The controls of a recording that is played; times are seconds of the recording."""

    @property
    def duration(self) -> float: ...
    @property
    def position(self) -> float: ...
    @property
    def paused(self) -> bool: ...
    @property
    def speed(self) -> float:
        """Seconds of the recording in a second."""
        ...

    @speed.setter
    def speed(self, speed: float) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def seek(self, seconds: float) -> None: ...


class ControlledSession(ABC):
    """What any surface can be fed from: a base class to write a session of your own.

    A subclass has `state` and `subscribe`; the properties derived from `state` come with this
    class. Every other member raises `NotSupportedError` until the subclass overrides it.
    """

    @property
    @abstractmethod
    def state(self) -> SessionState:
        """What is known, as of `state.sequence`."""

    @overload
    def subscribe(self, *, after: int | str | None = None) -> Subscription[Event, SessionState]: ...
    @overload
    def subscribe(
        self, *types: type[E], after: int | str | None = None
    ) -> Subscription[E, SessionState]: ...
    @abstractmethod
    def subscribe(
        self, *types: type[Any], after: int | str | None = None
    ) -> Subscription[Any, SessionState]:
        """Events of these types (none: all), each once and in order; see `Subscription`."""

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

    @property
    def room_name(self) -> str | None:
        """The room that it is in, or can return to; None where that is not known."""
        return None

    @property
    def playback(self) -> Playback | None:
        """The controls, while the session plays a recording; None: it is live."""
        return None

    # Media ----------------------------------------------------------------------------------

    @property
    def video(self) -> VideoChannel:
        """The agent's picture; there before a track is, and while one is renewed."""
        return self._behind("video").video

    @property
    def audio(self) -> AudioChannel:
        """The agent's voice; there before a track is."""
        return self._behind("audio").audio

    @property
    def microphone(self) -> MediaSource[AudioFrame]:
        """The session's one microphone; nothing is published before it is acquired."""
        return self._behind("the microphone").microphone

    @property
    def camera(self) -> MediaSource[VideoFrame]:
        """The session's one camera, leased as the microphone is."""
        return self._behind("the camera").camera

    @property
    def screen(self) -> MediaSource[VideoFrame]:
        """The session's one shared screen, leased as the microphone is."""
        return self._behind("the screen").screen

    # The connection -------------------------------------------------------------------------

    async def connect(self) -> None:
        """Return when the room is joined."""
        await self._behind("connect").connect()

    async def viewer_access(self) -> RoomAccess:
        """Access to the room for one viewer: hidden, it receives all, and sends nothing."""
        return await self._behind("viewers").viewer_access()

    async def disconnect(self) -> None:
        """Leave the room; surfaces stay mounted."""
        await self._behind("disconnect").disconnect()

    async def switch_agent(self, agent_id: str) -> None:
        """Turn the session to another agent."""
        await self._behind("switch_agent").switch_agent(agent_id)

    # Messages -------------------------------------------------------------------------------

    async def send_data(
        self,
        message: Outgoing,
        *,
        timeout: float = 5.0,
        require_agent: bool = True,
        confirm: bool | None = False,
    ) -> None:
        """Return when the transport took `message`; with `confirm`, when the agent has it."""
        await self._behind("send_data").send_data(
            message, timeout=timeout, require_agent=require_agent, confirm=confirm
        )

    async def send_text(
        self, text: str, *, timeout: float = 5.0, line_id: str | None = None
    ) -> None:
        """Send what a person typed, in the way the agent understands."""
        await self._behind("send_text").send_text(text, timeout=timeout, line_id=line_id)

    async def interrupt(self, *, timeout: float = 5.0) -> None:
        """Stop what the agent says; return when its bridge (`SurfaceBridge`) has been told.

        `agent_state` shows when it has stopped; a speech that allows no interruption goes on.

        Raises:
            NoAgentError: no agent is active.
            NotSupportedError: it has no bridge; to interrupt it, speak.
            NotConnectedError, ConnectionLostError, SendTimeoutError, BrokenError, BusyError: as
                `Session.send_data`.
        """
        state = self.state
        if state.connection_state != "connected":
            raise not_connected(state.connection_state, state.error)
        if not state.agent_active:
            raise NoAgentError
        await self.send_data(Interrupt(), timeout=timeout, confirm=True)

    async def answer_approval(
        self, number: int, *, approved: bool, surface: str | None = None
    ) -> bool:
        """Answer one of `state.approvals`; whether this was its answer, the first one."""
        behind = self._behind("answer_approval")
        return await behind.answer_approval(number, approved=approved, surface=surface)

    async def earlier_transcript(
        self, before: TranscriptEntry, *, limit: int = 100
    ) -> tuple[TranscriptEntry, ...]:
        """The utterances before `before`, which the state may have left out, oldest first."""
        return await self._behind("earlier_transcript").earlier_transcript(before, limit=limit)

    async def request(
        self, message: Outgoing, *, reply: type[WireMessage] | str, timeout: float = 10.0
    ) -> Message:
        """Send `message` and return the agent's answer: the `reply` with the same `requestId`."""
        return await self._behind("request").request(message, reply=reply, timeout=timeout)

    def subscribe_to_data_messages(self, handler: DataHandler) -> Unsubscribe:
        """Have `handler` called with every data packet; undone by calling what is returned."""
        return self._behind("subscribe_to_data_messages").subscribe_to_data_messages(handler)

    def commands(self) -> AsyncIterator[Command | RawMessage]:
        """The agent's commands from now on, and its messages of unknown type."""
        return self._behind("commands").commands()

    def describe_page(self, page: AgentContext | None, *, surface: str = "") -> None:
        """Publish what a surface's page shows, as `agent.context`; None: it shows no page.

        Described is the page of the surface that a person used last, of those with `read_page`.
        """
        self._behind("describe_page").describe_page(page, surface=surface)

    def _behind(self, what: str) -> ControlledSession:
        """The session that has what this class does not override; this default raises."""
        raise NotSupportedError(what, type(self).__name__)
