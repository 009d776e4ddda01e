"""Commands of the application's own: a message with a name and parameters, as a function tool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
from livekit.agents import function_tool

from livelayer_bus.messages import Capability, RawMessage

from .command_result import Answer
from .message_sender import Outgoing
from .page_context import EVENT_CHARACTERS, excerpt
from .tools import AnyTool, in_words


class CustomCommand(msgspec.Struct, frozen=True, kw_only=True):
    """A command that the application invented and its pages understand.

    The model's arguments become the message's fields, its `type` is `name`. The page answers with
    a `command_result` that names the command, or with a message of type `reply` that repeats the
    command's `requestId`; what that holds is told to the model.
    """

    name: str
    description: str
    parameters: Mapping[str, Any] = msgspec.field(default_factory=dict[str, Any])
    """JSON Schema of each field, by name."""
    required: tuple[str, ...] | None = None
    """Fields that must be given; None: all."""
    reply: str | None = None
    capability: Capability | None = None
    """Offer it only while this is granted; None: always."""


class Asks(Protocol):
    """Who sends commands and waits for what became of them."""

    async def command(self, message: Outgoing, *, reply: str | None = None) -> Answer: ...


def custom_tool(command: CustomCommand, page: Asks) -> AnyTool:
    """The function tool of a command."""
    required = command.parameters if command.required is None else command.required
    schema: dict[str, object] = {
        "name": command.name,
        "description": command.description,
        "parameters": {
            "type": "object",
            "properties": dict(command.parameters),
            "required": list(required),
            "additionalProperties": False,
        },
    }

    @function_tool(raw_schema=schema)
    async def run(raw_arguments: dict[str, object]) -> str:
        fields = {name: raw_arguments[name] for name in command.parameters if name in raw_arguments}
        answers: list[Answer] = []

        async def ask() -> Answer:
            answer = await page.command(RawMessage(command.name, fields), reply=command.reply)
            answers.append(answer)
            return answer

        words = await in_words(ask)
        if answers and answers[0] and answers[0].value:
            words += f" The page answered: {excerpt(answers[0].value, EVENT_CHARACTERS)}"
        return words

    return run
