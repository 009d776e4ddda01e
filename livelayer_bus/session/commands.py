"""Commands as the application follows them, and their results on the way to the agent."""

from __future__ import annotations

from typing import Self, final

from ..bus import Subscription
from ..errors import LivelayerError, describe
from ..events import CommandFinished, CommandRefused, DataReceived, EpochStarted, HandlerFailed
from ..messages import Command, CommandResult, RawMessage, is_command
from ..state import SessionState
from .outbox import Outbox
from .store import Store, take_next

RESULT_TIMEOUT = 5.0  # seconds to get one result to the agent


@final
class CommandStream:
    """The agent's well-formed commands and unknown messages, in order; one reader at a time."""

    def __init__(self, packets: Subscription[DataReceived, SessionState]) -> None:
        self._packets = packets

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Command | RawMessage:
        """The next one.

        Raises:
            Lagged: some were overwritten unread; iteration goes on with the oldest kept.
        """
        while True:
            packet = await anext(self._packets)
            if packet.from_agent:
                message = packet.message
                if isinstance(message, RawMessage) or is_command(message):
                    return message

    def close(self) -> None:
        """Stop reading."""
        self._packets.__exit__(None, None, None)


async def report_results(store: Store, outbox: Outbox) -> None:
    """Tell the agent what became of each of its commands, for as long as the session is open."""
    with store.bus.subscribe(CommandFinished, CommandRefused, EpochStarted) as outcomes:
        epoch = store.state.epoch
        while True:
            outcome, lagged = await take_next(outcomes)
            if lagged is not None:
                _failed(store, lagged)
            if outcome is None:
                return
            if isinstance(outcome, EpochStarted):
                epoch = outcome.epoch
                continue
            result = _result(outcome)
            if result is not None and epoch == store.state.epoch:
                try:
                    await outbox.send(result, RESULT_TIMEOUT, require_agent=True)
                except LivelayerError as error:
                    _failed(store, error)


def _failed(store: Store, error: LivelayerError) -> None:
    store.publish_late(HandlerFailed("command_result", describe(error)))


def _result(outcome: CommandFinished | CommandRefused) -> CommandResult | None:
    if isinstance(outcome, CommandFinished):
        return CommandResult(
            command=outcome.command,
            request_id=outcome.request_id,
            surface=outcome.surface,
            ok=outcome.ok,
            reason=outcome.reason,
        )
    if outcome.reason == "sender":
        return None  # it was no agent's command, so no agent waits for its result
    return CommandResult(
        command=outcome.command, request_id=outcome.request_id, ok=False, reason=outcome.reason
    )
