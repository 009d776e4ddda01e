"""`SurfaceBridge`: makes an `AgentSession` of livekit-agents a LiveLayer agent."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Self, TypeVar, final, overload
from uuid import uuid4

import msgspec
from livekit import rtc
from livekit.agents import AgentSession, get_job_context
from livekit.agents.voice import room_io

from livelayer_bus.errors import ClosedError, MisuseError, NotSupportedError
from livelayer_bus.messages import (
    AgentContext,
    ApprovalWithdrawn,
    Capability,
    Interrupt,
    PageContextPending,
    RawMessage,
    RequestApproval,
    UserMessage,
    WireMessage,
    by_type,
    capability_of,
    encode,
    message_type,
)
from livelayer_bus.rooms import names, prepare_sdk
from livelayer_bus.tasks import TaskOwner

from .activity import ActivityReporter, ToolSharing
from .agent_context import read_context
from .approval import APPROVAL_SECONDS, Approval
from .capabilities import GrantedCapabilities
from .command_requests import CommandRequests, PendingCommand
from .command_result import Answer, Outcome
from .custom_commands import CustomCommand, custom_tool
from .data_channel import Incoming, MessageSender, Outgoing, is_person, read
from .data_collection import CollectionRunner, DataCollection
from .data_listeners import DataListeners, Handler
from .errors import CapabilityNotGrantedError
from .form_fields import Field
from .page_context import PageContextNote
from .receipts import Announcement, Receipts, TypedLines, confirmed_id
from .replay import TAIL, Replay
from .session_observer import SessionObserver
from .statistics import BridgeStatistics, Counts, snapshot
from .status_announcer import StatusAnnouncer
from .text_input import TextInput
from .tools import SurfaceTools

ANSWER_SECONDS: Final = 5.0
"""How long a surface has to answer a command."""
CLOSE_SECONDS: Final = 2.0
"""How long closing may take to send what is queued, and to end its tasks, each."""

M = TypeVar("M", bound=WireMessage)


@final
class SurfaceBridge:
    """Connects one `AgentSession` with the LiveLayer surfaces in its room.

    From `start` to `aclose` every participant knows the agent's state, also one who joins late;
    typed lines interrupt the agent and are answered; the model has a tool for each command that
    the surfaces allow, and gets its result, refusals included. Commands go to the participant
    whose line is being answered, else to the one that the session is linked to. A participant who
    comes back to the room gets the transcript's tail. The surfaces are told which tools run, when
    a turn ends, and what the models have used; they can interrupt the agent. All of it continues
    over handoffs between agents. Messages sent with `confirm` are confirmed and taken once, however
    often they come, and so are typed lines that have an id.
    Incoming data never raises: hostile input is counted (`statistics`). Queues are bounded, and
    every task ends with `aclose`.

    Start it before or after the session; it closes with the session, or with the job.
    """

    def __init__(
        self,
        agent_session: AgentSession[Any],
        room: rtc.Room,
        *,
        capabilities: Iterable[str] = (),
        command_timeout: float = ANSWER_SECONDS,
        leave_after: float | None = None,
        replay: int = TAIL,
        share_tools: ToolSharing = "names",
    ) -> None:
        """
        Args:
            agent_session: The session to bridge.
            room: The agent's room; it is neither connected nor left here.
            capabilities: What the surfaces let the agent do. Each surface still decides by itself:
                what it refuses is withdrawn from the model for a minute.
            command_timeout: Seconds that a surface has to answer a command.
            leave_after: Seconds between `idle_warning` (the session reports that the user is away)
                and `idle_timeout`, when the session shuts down; None: the session stays.
            replay: Lines of the transcript that a returning participant gets again; 0: none.
            share_tools: What the surfaces are told of the agent's tool calls: `"nothing"`, the
                `"names"`, or the `"details"`: also arguments, progress, results and errors.

        Raises:
            MisuseError: a name in `capabilities` is not a capability.
        """
        self._session = agent_session
        self._room = room
        self._timeout = command_timeout
        self._counts: Counts = Counter()
        self._capabilities = GrantedCapabilities(capabilities)
        self._tasks = TaskOwner()
        self._sender = MessageSender(room, self._counts)
        self._receipts = Receipts()
        self._lines = TypedLines()
        self._announcement = Announcement(room, self._tasks)
        self._requests = CommandRequests(self._counts)
        self._text_input = TextInput(agent_session, self._counts)
        self._note = PageContextNote(agent_session)
        self._listeners = DataListeners(self._tasks, self._counts)
        self._observer = SessionObserver(
            agent_session,
            room,
            StatusAnnouncer(self._sender.send),
            self._tasks,
            send=self._sender.send,
            leave_after=leave_after,
            on_running=self._on_running,
            on_handoff=self._note.mark_stale,
            on_closed=self._on_session_closed,
        )
        self._activity = ActivityReporter(agent_session, room, self._sender.send, share_tools)
        self._replay = Replay(agent_session, room, self._tasks, self._counts, lines=replay)
        self._tools = SurfaceTools(lambda: self._capabilities.current, self._observer.current_agent)
        self._tools.offer_commands(self)
        self._collections = CollectionRunner(self._tools)
        self._state = "new"

    # Lifetime -------------------------------------------------------------------------------

    async def start(self) -> Self:
        """Connect the session with the room from now on; returns the bridge.

        Raises:
            MisuseError: the bridge was started before.
            ClosedError: the bridge was closed.
            NotSupportedError: this version of livekit-agents has no tools of the session.
        """
        if self._state != "new":
            if self._state == "closed":
                raise ClosedError("this SurfaceBridge")
            raise MisuseError("this SurfaceBridge was started before: create a new one")
        self._state = "open"
        prepare_sdk()
        self._give_tools()
        self._room.on("data_received", self._on_data)
        self._room.on("participant_disconnected", self._on_left)
        self._room.on("participant_active", self._on_active)
        self._room.on("participant_attributes_changed", self._on_attributes)
        for participant in self._room.remote_participants.values():
            self._on_active(participant)
        for work, name in (
            (self._sender.run, "bridge sender"),
            (self._text_input.run, "bridge text input"),
            (self._note.run, "bridge page context"),
        ):
            self._tasks.start(work, name)
        self._listeners.start()
        job = get_job_context(required=False)
        if job is not None:
            job.add_shutdown_callback(self.aclose)
        self._announcement.start()
        self._observer.start()
        self._activity.start()
        self._replay.start()
        return self

    async def aclose(self) -> None:
        """Send what is queued, then stop; pending commands end with `SILENCE`. Repeatable.

        The session and the room continue.
        """
        was = self._state
        self._stop()
        self._state = "closed"
        if was != "new":
            await self._wind_down()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def statistics(self) -> BridgeStatistics:
        """What was sent, received and rejected so far."""
        return snapshot(self._counts, waiting=self._requests.waiting)

    # From the surfaces ----------------------------------------------------------------------

    @overload
    def on(self, kind: type[M]) -> Callable[[Handler[M]], Handler[M]]: ...
    @overload
    def on(self, kind: str) -> Callable[[Handler[Any]], Handler[Any]]: ...
    def on(self, kind: type[WireMessage] | str) -> Callable[[Handler[Any]], Handler[Any]]:
        """Call the decorated handler with each message of a kind, and its sender's identity.

        A handler gets one message at a time, in order, and does not delay other handlers; its
        exceptions are logged and counted. Answers to the bridge's own commands are not passed on.

        Args:
            kind: A message class (`@bridge.on(FormSubmitted)` gets a `FormSubmitted`), or any type
                of the application (`@bridge.on("quiz_response")` gets a `RawMessage`).
        """
        name = kind if isinstance(kind, str) else kind.wire_type()

        def add(handler: Handler[Any]) -> Handler[Any]:
            self._listeners.add(name, handler)
            return handler

        return add

    def agent_context(self, identity: str | None = None) -> AgentContext | None:
        """What a page says of its fields now, in the participant attribute `agent.context`.

        It is the page's word: check a value before it matters. The model's note about the page has
        it, too.

        Args:
            identity: whose page; by default that of `asker`, or of the only person in the room.

        Returns:
            The valid part of the context; None if the participant has not published one.
        """
        people = self._observer.people()
        identity = identity or self.asker or (next(iter(people)) if len(people) == 1 else None)
        if identity not in people:
            return None
        participant = self._room.remote_participants[identity]
        return read_context(participant.attributes.get(names.AGENT_CONTEXT, ""))

    def text_input(self, session: AgentSession[Any], event: room_io.TextInputEvent) -> None:
        """Answer a line of `lk.chat` like a `user_message`.

        Use it as `TextInputOptions(text_input_cb=bridge.text_input)`.
        """
        self._text_input.put(event.text, event.participant.identity if event.participant else "")

    # To the surfaces ------------------------------------------------------------------------

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What the model may do now: what is granted, less what was refused in the last minute."""
        return self._capabilities.current

    def grant(self, *capabilities: str) -> None:
        """Replace what the surfaces let the agent do.

        Raises:
            MisuseError: a name is not a capability.
        """
        self._capabilities.replace(capabilities)

    @property
    def asker(self) -> str | None:
        """The sender of the line that the calling task answers, else the linked participant."""
        return self._text_input.asker or self._observer.linked

    def send(self, message: Outgoing, *, to: str | None = None) -> bool:
        """Queue a message; never waits, needs no capability and expects no answer.

        Args:
            message: A typed message, or one of the application's own.
            to: A participant's identity; None: all participants.

        Returns:
            Whether there was room in the queue (256 messages).

        Raises:
            MalformedMessageError: the message is not valid.
            MessageTooLargeError: it exceeds LiveKit's 15 KiB.
        """
        return self._sender.send(message, to)

    async def command(
        self,
        message: Outgoing,
        *,
        to: str | None = None,
        reply: str | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """Send a command and return its result; never claims more than a surface reported.

        If the call is cancelled, the command may have been carried out.

        Args:
            message: A typed command, or any message of the application's own.
            to: A participant's identity; by default `asker`, or all participants without one.
            reply: The type of the application's own message that answers it.
            timeout: Seconds to wait; by default `command_timeout`.

        Raises:
            MalformedMessageError: the message is not valid.
            MessageTooLargeError: it exceeds LiveKit's 15 KiB.
            ClosedError: the bridge is not running.
        """
        if self._state != "open":
            raise ClosedError("this SurfaceBridge", "start it, or create a new one")
        kind = message_type(encode(message)) or ""
        known = by_type(kind)
        has_id = known is not None and "request_id" in known.__struct_fields__
        identity = f"agent-{uuid4().hex[:12]}" if has_id or reply else None
        target = to or self.asker
        people = self._observer.people()
        asked = people if target is None else people & {target}
        if not asked:
            return Answer(Outcome.GONE, participant=target)
        pending = PendingCommand(kind, identity, asked, reply)
        self._requests.add(pending)
        if not self._sender.send(_with_id(message, identity), target):
            pending.settle(Answer(Outcome.FAILED))
        try:
            seconds = self._timeout if timeout is None else timeout
            answer = await self._requests.wait(pending, seconds)
        finally:
            if kind == RequestApproval.wire_type() and identity is not None:
                for person in pending.asked & self._observer.people():
                    self._sender.send(ApprovalWithdrawn(identity), person)
        if answer or answer.outcome is Outcome.REFUSED:
            self._capabilities.record(capability_of(kind), refused=not answer)
        return answer

    async def request_approval(
        self,
        question: str,
        *,
        details: str | None = None,
        to: str | None = None,
        timeout: float = APPROVAL_SECONDS,
    ) -> Approval:
        """Ask a person to approve something; true only if they did. The first answer counts.

        For a tool of the agent: `if not approval: return approval.words`. If the call is cancelled,
        the question is taken back.

        Args:
            question: What they are asked, in their language.
            details: More about it, in smaller print.
            to: A participant's identity; by default `asker`, or all participants without one.
            timeout: Seconds that they have, at most 600.

        Raises:
            CapabilityNotGrantedError: `ask_approval` is not granted.
            MalformedMessageError: the question is empty, or `timeout` is out of range.
            MessageTooLargeError: it exceeds LiveKit's 15 KiB.
            ClosedError: the bridge is not running.
        """
        if "ask_approval" not in self._capabilities.granted:
            raise CapabilityNotGrantedError("ask_approval")
        request = RequestApproval(question, details, timeout)
        # The surface's own time limit comes first, unless its connection is gone.
        answer = await self.command(request, to=to, timeout=timeout + ANSWER_SECONDS)
        return Approval(answer.outcome, surface=answer.surface, participant=answer.participant)

    def add_command(self, command: CustomCommand) -> None:
        """Offer the model a command of the application, as a function tool.

        Raises:
            CommandNameError: a tool of this name exists.
        """
        self._tools.offer(custom_tool(command, self), command.capability)

    async def collect(
        self, fields: Iterable[Field], *, instructions: str = "", timeout: float | None = None
    ) -> DataCollection:
        """Fill fields by conversation; returns when every required one has a valid value.

        The model asks the user, and records each value with a tool that checks it. Each value is
        sent as `task_field_updated`, and `task_completed` once at the end. If the call is cancelled
        or times out, nothing is completed.

        Args:
            fields: The fields to fill.
            instructions: Additional instructions for the model.
            timeout: Seconds that the conversation may take; None: no limit.

        Raises:
            CapabilityNotGrantedError: `collect_data` is not granted.
            CollectionBusyError: another collection is running.
            CollectionEndedError: it took too long, or the bridge was closed.
            MisuseError: there are no fields, or two have the same id.
        """
        participant = self.asker
        collection = DataCollection(
            tuple(fields),
            session_id=self._room.name or "session",
            send=lambda message: self._sender.send(message, participant),
        )
        return await self._collections.run(
            collection, self._capabilities.granted, self._session, instructions, timeout
        )

    # Internal -------------------------------------------------------------------------------

    def _give_tools(self) -> None:
        # Tools of the session stay over handoffs; the agents' own have precedence.
        self._session.tools.append(self._tools)
        if self._tools not in self._session.tools:
            raise NotSupportedError("tools of the session", "this version of livekit-agents")

    def _on_running(self) -> None:
        self._text_input.begin()
        self._note.begin()

    def _on_session_closed(self) -> None:
        self._stop()
        self._tasks.start(self._wind_down, "bridge end")

    async def _wind_down(self) -> None:
        if self._room.isconnected():
            try:
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._sender.drained()
            except TimeoutError:
                self._counts["dropped"] += 1
        await self._tasks.aclose(CLOSE_SECONDS)

    def _stop(self) -> None:
        if self._state != "open":
            return
        self._state = "stopped"
        self._room.off("data_received", self._on_data)
        self._room.off("participant_disconnected", self._on_left)
        self._room.off("participant_active", self._on_active)
        self._room.off("participant_attributes_changed", self._on_attributes)
        self._announcement.stop()
        self._observer.stop()
        self._activity.stop()
        self._replay.stop()
        self._requests.close()
        self._collections.close("the bridge was closed")
        if self._tools in self._session.tools:
            self._session.tools.remove(self._tools)

    def _on_data(self, packet: rtc.DataPacket) -> None:
        message_id = confirmed_id(packet.topic)
        if message_id is not None:
            self._on_confirmable(packet, message_id)
            return
        message = read(packet, self._counts)
        if message is not None:
            self._take(message, packet.participant.identity if packet.participant else "")

    def _on_confirmable(self, packet: rtc.DataPacket, message_id: str) -> None:
        person = packet.participant
        if person is None:
            # A LiveKit server reports who joined up to three seconds after their first packets. The
            # message comes again, and its answer then goes to its sender.
            self._counts["deferred"] += 1
            return
        if not is_person(person):
            self._counts["unexpected"] += 1
            return
        sender = person.identity
        if not self._receipts.add(message_id, sender):
            self._counts["repeated"] += 1
        elif (message := read(packet, self._counts)) is not None:
            if self._has_no_room(message):
                self._receipts.forget(message_id)
                self._counts["deferred"] += 1
                return
            self._take(message, sender)
        self._sender.confirm(message_id, sender)

    def _has_no_room(self, message: Incoming) -> bool:
        typed = isinstance(message, UserMessage)
        return (typed and self._text_input.full) or self._listeners.full(message)

    def _take(self, message: Incoming, sender: str) -> None:
        if isinstance(message, UserMessage):
            line = message.id
            if line is not None and not self._lines.add(line, message.text, sender):
                self._counts["repeated"] += 1
                return
            self._text_input.put(message.text, sender, line)
        elif isinstance(message, Interrupt):
            self._interrupt()
        elif self._requests.take(message, sender):
            return
        if isinstance(message, PageContextPending):
            return
        self._note.record(message, sender)
        self._listeners.deliver(message, sender)

    def _interrupt(self) -> None:
        try:
            self._session.interrupt()
        except RuntimeError:
            return  # it does not run, or what it says does not allow interruptions

    def _on_active(self, participant: rtc.RemoteParticipant) -> None:
        self._on_attributes(participant.attributes, participant)

    def _on_attributes(self, changed: Mapping[str, str], participant: rtc.Participant) -> None:
        if names.AGENT_CONTEXT in changed and participant.identity in self._observer.people():
            context = read_context(participant.attributes.get(names.AGENT_CONTEXT, ""))
            self._note.record_fields(context, participant.identity)

    def _on_left(self, participant: rtc.RemoteParticipant) -> None:
        self._requests.left(participant.identity)
        self._note.forget(participant.identity)


def _with_id(message: Outgoing, identity: str | None) -> Outgoing:
    if identity is None:
        return message
    if isinstance(message, RawMessage):
        return RawMessage(message.type, {**message.fields, "requestId": identity})
    if isinstance(message, WireMessage):
        if "request_id" in message.__struct_fields__:
            replaced: Any = msgspec.structs.replace(message, request_id=identity)
            return replaced  # type: ignore[no-any-return] # of the message's own type
        return message
    return {**message, "requestId": identity}
