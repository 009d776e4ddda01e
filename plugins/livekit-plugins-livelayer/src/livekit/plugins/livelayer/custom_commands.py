"""Commands of the application: a message with a name and parameters, as a function tool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from livelayer_bus.messages import Capability, RawMessage

from .page_context import EVENT_CHARACTERS, excerpt
from .tools import AnyTool, CommandSender, raw_tool, report


class CustomCommand(msgspec.Struct, frozen=True, kw_only=True):
    """A command that the application defines and its pages understand.

    The model's arguments become the message's fields; the message's `type` is `name`. The page
    answers with a `command_result` that names the command, or with a message of type `reply` that
    repeats the command's `requestId`; the model is shown that message's fields.
    """

    name: str
    description: str
    parameters: Mapping[str, Any] = msgspec.field(default_factory=dict[str, Any])
    """JSON Schema of each field, by name."""
    required: tuple[str, ...] | None = None
    """Fields that must be given; None: all."""
    reply: str | None = None
    capability: Capability | None = None
    """Offer the command only while this is granted; None: always."""


def custom_tool(command: CustomCommand, sender: CommandSender) -> AnyTool:
    """Return the function tool of a command."""
    required = tuple(command.parameters) if command.required is None else command.required

    async def run(raw_arguments: dict[str, object]) -> str:
        fields = {name: raw_arguments[name] for name in command.parameters if name in raw_arguments}
        message = RawMessage(command.name, fields)
        return await report(lambda: sender.command(message, reply=command.reply), _show)

    return raw_tool(command.name, command.description, command.parameters, required)(run)


def _show(value: object) -> str:
    return f"Done. The page answered: {excerpt(value, EVENT_CHARACTERS)}" if value else "Done."
