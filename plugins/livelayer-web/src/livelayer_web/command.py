"""`livelayer serve`: the session endpoint, with a server of its own or a real one."""

from __future__ import annotations

import asyncio
import logging
import secrets
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from livelayer_bus.cli import OK, complain, run_async
from livelayer_bus.config import FILE_NAME
from livelayer_bus.errors import ConfigError
from livelayer_bus.events import AgentConfig
from livelayer_bus.rooms import network_problem
from livelayer_bus.tokens import SESSION_PATH

from .endpoint import (
    ApiKeys,
    Auth,
    EndpointConfig,
    ServedAgent,
    anyone,
    create_app,
    load_endpoint_config,
)
from .endpoint.app import logger
from .http import serving

PORT: Final = 8787
DEMO_AGENT: Final = ServedAgent(id="demo", config=AgentConfig("Lumi"), dispatch="livelayer-demo")
"""The agent without a configuration file; a worker with this name answers."""


def command(
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help=f"{FILE_NAME}, if there is one.")
    ] = None,
    port: Annotated[
        int, typer.Option(help="TCP port; 0 takes a free one.", min=0, max=65535)
    ] = PORT,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    url: Annotated[
        str | None,
        typer.Option(
            help="A LiveKit server instead of the embedded one, as ws://127.0.0.1:7880.",
            envvar="LIVEKIT_URL",
            show_default=False,
        ),
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Its API key.", envvar="LIVEKIT_API_KEY", show_default=False)
    ] = None,
    secret: Annotated[
        str | None,
        typer.Option(help="Its API secret.", envvar="LIVEKIT_API_SECRET", show_default=False),
    ] = None,
    origin: Annotated[
        list[str] | None, typer.Option(help="A page that may ask, as https://example.com.")
    ] = None,
    no_keys: Annotated[
        bool, typer.Option("--open", help="Accept requests without an API key.")
    ] = False,
    log: Annotated[bool, typer.Option(help="One JSON line a request on stderr.")] = True,
) -> None:
    """Give out sessions: LiveLayer's session endpoint and LiveKit's token endpoint, until Ctrl-C.

    Without --url, and without one in the file, it starts a server of its own on this machine's
    loopback. Agents, keys, origins and limits come from livelayer.toml; without a file the one
    agent is demo, for a worker named livelayer-demo. Without keys one is made up and printed.

    Examples:

    \b
      livelayer serve
      livelayer serve --origin http://localhost:3000 --open
      livelayer serve -c livelayer.toml --url wss://rooms.example.com --host 0.0.0.0
    """
    found = _read(config)
    if log:
        _log_to_stderr()

    async def main() -> int:
        address = url or found.url
        async with _rooms(address, key or found.api_key, secret or found.api_secret) as at:
            settings = found.settings(*at, origins=tuple(origin or ()))
            made_up = None if found.keys or no_keys else secrets.token_urlsafe(24)
            auth: Auth = anyone if no_keys else ApiKeys(found.keys or {"local": made_up or ""})
            app = create_app(settings, agents=found.agents, auth=auth)
            async with serving(app, host=host, port=port) as base:
                _say_what_next(found, at, base, made_up, own=address is None)
                await asyncio.Event().wait()
        return OK

    run_async(main)


def _read(path: Path | None) -> EndpointConfig:
    if path is None and not Path(FILE_NAME).exists():
        return EndpointConfig(agents=(DEMO_AGENT,))
    return load_endpoint_config(path or FILE_NAME)


@asynccontextmanager
async def _rooms(
    url: str | None, key: str | None, secret: str | None
) -> AsyncGenerator[tuple[str, str, str], None]:
    """Address, key and secret of the LiveKit server; without an address, of an embedded one."""
    if url is None:
        from livelayer_embedded import EmbeddedServer  # not needed with a server of yours

        problem = network_problem()
        if problem is not None:
            complain(f"rooms of this server cannot be joined now: {problem}")
        async with EmbeddedServer(key=key, secret=secret) as server:
            yield server.url, server.key, server.secret
        return
    if not key or not secret:
        raise ConfigError(url, "its key and secret: set LIVEKIT_API_KEY and LIVEKIT_API_SECRET")
    yield url, key, secret


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


def _say_what_next(
    found: EndpointConfig, at: tuple[str, str, str], base: str, made_up: str | None, own: bool
) -> None:
    url, key, secret = at
    first = found.agents[0]
    typer.echo(f"endpoint  {base}{SESSION_PATH}  (OpenAPI: {base}/openapi.json)")
    typer.echo(f"rooms     {url}{'  (this machine only)' if own else ''}")
    typer.echo(f"agents    {', '.join(agent.id for agent in found.agents)}")
    if made_up is not None:
        typer.echo(f"API key   {made_up}  (made up for this run: header x-api-key)")
    typer.echo("")
    typer.echo("your worker of livekit-agents, in another terminal:")
    secrets_known = f" LIVEKIT_API_KEY={key} LIVEKIT_API_SECRET={secret}" if own else ""
    name = f" LIVELAYER_AGENT={first.worker}" if first.worker != DEMO_AGENT.worker else ""
    typer.echo(f"  LIVEKIT_URL={url}{secrets_known}{name} python YOUR_AGENT.py dev")
    typer.echo("a session, in Python:")
    key_argument = f', api_key="{made_up}"' if made_up is not None else ""
    typer.echo(f'  Session("{first.id}", tokens=SessionEndpoint.at("{base}"{key_argument}))')
    typer.echo("Ctrl-C ends it", err=True)
