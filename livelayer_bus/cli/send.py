"""`livelayer send`: a data message into a session in another process of this machine."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import typer

from ..control import find_session, send_message
from .exits import run_async


def command(
    message: Annotated[
        list[str],
        typer.Argument(
            metavar="MESSAGE | TYPE [FIELD=VALUE]...",
            help="A JSON object, - for one on stdin, or a type and its fields.",
            show_default=False,
        ),
    ],
    session: Annotated[
        str | None,
        typer.Option("--session", "-s", help="The session's id, or how it begins.", metavar="ID"),
    ] = None,
    timeout: Annotated[
        float, typer.Option(help="Seconds to wait for an active agent.", min=0.1, max=60)
    ] = 5.0,
    require_agent: Annotated[bool, typer.Option(help="Fail if no agent is active.")] = True,
) -> None:
    """Publish a data message into a running session, as if one of its surfaces had sent it.

    Returns when the transport accepted it. A value that is JSON (a number, true, a list) is sent
    as such, any other value as text. With one session running, --session is not needed.

    Examples:

    \b
      livelayer send user_message text="go to pricing"
      livelayer send '{"type": "quiz_response", "answer": 42}'
      jq -c . message.json | livelayer send -
    """
    fields = _parse(message)

    async def main() -> None:
        found = await find_session(session)
        await send_message(found, fields, timeout=timeout, require_agent=require_agent)

    run_async(main)


def _parse(words: Sequence[str]) -> dict[str, Any]:
    first, rest = words[0], words[1:]
    if first == "-" or first.lstrip().startswith("{"):
        if rest:
            raise typer.BadParameter(f"unexpected argument after a whole message: {rest[0]!r}")
        text = sys.stdin.read() if first == "-" else first
        try:
            value = msgspec.json.decode(text)
        except msgspec.DecodeError as exc:
            raise typer.BadParameter(f"the message is not JSON: {exc}") from exc
        if not isinstance(value, dict) or not isinstance(value.get("type"), str):
            raise typer.BadParameter('the message must be a JSON object with a string "type"')
        return value
    return {"type": first} | dict(map(_field, rest))


def _field(word: str) -> tuple[str, Any]:
    name, equals, value = word.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"expected FIELD=VALUE, got {word!r}")
    try:
        return name, msgspec.json.decode(value)
    except msgspec.DecodeError:
        return name, value
