"""`livelayer dev-server`: the embedded server on its own."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

import msgspec
import typer

from livelayer_bus.cli import complain, run_async
from livelayer_bus.rooms import network_problem

from . import EmbeddedServer

PORT: Final = 7880
"""LiveKit's own."""


def command(
    port: Annotated[
        int, typer.Option(help="TCP port on 127.0.0.1; 0 takes a free one.", min=0, max=65535)
    ] = PORT,
    key: Annotated[str, typer.Option(help="API key.", envvar="LIVEKIT_API_KEY")] = "devkey",
    secret: Annotated[
        str | None,
        typer.Option(help="API secret; random if not given.", envvar="LIVEKIT_API_SECRET"),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print url, key and secret as one JSON line.")
    ] = False,
) -> None:
    """Run a LiveKit-protocol server on this machine's loopback, until Ctrl-C.

    LiveKit's own SDKs and livekit-agents connect to it unchanged. It is for development and tests:
    only this machine can reach it. It prints the variables to export, so that other commands and
    programs find it.

    Examples:

    \b
      livelayer dev-server
      livelayer dev-server --port 0 --json
    """

    async def main() -> None:
        problem = network_problem()
        if problem is not None:
            complain(f"rooms of this server cannot be joined now: {problem}")
        async with EmbeddedServer(port, key=key, secret=secret) as server:
            if as_json:
                facts = {"url": server.url, "key": server.key, "secret": server.secret}
                typer.echo(msgspec.json.encode(facts).decode())
            else:
                typer.echo(f"export LIVEKIT_URL={server.url}")
                typer.echo(f"export LIVEKIT_API_KEY={server.key}")
                typer.echo(f"export LIVEKIT_API_SECRET={server.secret}")
                typer.echo("serving on this machine only; Ctrl-C ends it", err=True)
            await asyncio.Event().wait()

    run_async(main)
