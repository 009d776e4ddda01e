"""`livelayer tail`: a running session's events as JSON lines."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import anyio.to_thread
import typer

from .. import control
from ..control import find_session
from .exits import OK, run_async


def command(
    session: Annotated[
        str | None,
        typer.Option("--session", "-s", help="The session's id, or how it begins.", metavar="ID"),
    ] = None,
    after: Annotated[
        str | None,
        typer.Option(help="Continue after this cursor of a line.", metavar="SESSION:SEQUENCE"),
    ] = None,
    events: Annotated[
        list[str] | None,
        typer.Option("--event", "-e", help="Only events of this kind; may be repeated."),
    ] = None,
) -> None:
    """Follow a running session until it ends or Ctrl-C: one JSON object a line.

    The first line is a snapshot of the state; each line after it is the next event, without gap or
    duplicate. Each has a "cursor": pass the last one to --after to continue where you stopped, as
    long as the session still holds it. A reader that is too slow gets a line with "line": "lagged"
    and then a new snapshot; it never slows the session down.

    Examples:

    \b
      livelayer tail | jq -c .event
      livelayer tail -e TranscriptUpdated | jq -r '.event.entry.text'
      livelayer tail --after "$(tail -n 1 seen.jsonl | jq -r .cursor)" >> seen.jsonl
    """

    async def main() -> int:
        session_id = await find_session(session or (after.partition(":")[0] if after else None))
        async with control.tail(session_id, after=after, types=tuple(events or ())) as lines:
            async for line in lines.raw():
                # A full pipe may block the write; Ctrl-C still has to work.
                if not await anyio.to_thread.run_sync(_print, line, abandon_on_cancel=True):
                    break
        return OK

    run_async(main)


def _print(line: bytes) -> bool:
    """Write and flush; return False when the reader of stdout has gone."""
    try:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # Python flushes stdout at exit, which would fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True
