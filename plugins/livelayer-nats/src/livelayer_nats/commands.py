"""`livelayer standby`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
import typer

from livelayer_bus.cli import FAILED, OK, complain, run_async
from livelayer_bus.errors import ConfigError, LivelayerError, describe


def standby(
    session_id: Annotated[
        str, typer.Argument(help="The session's name, the same for all its processes.")
    ],
    config: Annotated[
        Path, typer.Option("--config", "-c", help="The configuration file.", metavar="FILE")
    ] = Path("livelayer.toml"),
) -> None:
    """Own a session that other processes can take over, or wait until its owner is gone.

    Start it on as many machines as you like, with the same file: one of them runs the session, as
    livelayer run does, the others wait. When it dies, one of those goes on with the session's id,
    its events, its transcript and its room. A process that lost the session ends with exit code 1:
    have it started again, and it waits.

    The file has a surface of the plugin nats. Its token source gives one identity to all:

    \b
      [tokens]
      kind = "local-keys"
      identity = "front-desk"

    \b
      [surfaces.nats]
      options = { nats = "nats://127.0.0.1:4222" }

    Examples:

    \b
      livelayer standby front-desk
      livelayer standby front-desk --config kiosk.toml
    """
    from livelayer_bus import Session
    from livelayer_bus.config import load_config, reveal

    from .bridge import NatsBridge
    from .takeover import take_over

    settings = load_config(config)
    found = [key for key, table in settings.surfaces.items() if (table.plugin or key) == "nats"]
    if len(found) != 1:
        raise ConfigError(str(settings.path), "standby needs one surface of the plugin nats")
    key = found[0]
    table = settings.surfaces[key]
    others = {name: one for name, one in settings.surfaces.items() if name != key}
    try:
        made = NatsBridge(**cast("dict[str, Any]", reveal(table.options, os.environ)))
    except (LookupError, TypeError, LivelayerError) as exc:
        raise ConfigError(f"{settings.path}: surfaces.{key}.options", describe(exc)) from exc

    async def main() -> int:
        async with (
            take_over(made, session_id, settings.agent_id) as taken,
            Session(
                settings.agent_id,
                base_url=settings.base_url,
                tokens=settings.token_source(os.environ),
                **settings.session.keywords(),
                continues=taken.state,
                prior_room_name=taken.room_name,
            ) as session,
        ):
            bridge = session.mount(
                taken.bridge, key=key, capabilities=table.capabilities, on_fault="restart"
            )
            msgspec.structs.replace(settings, surfaces=others).mount_surfaces(session)
            await session.connect()
            await bridge.wait()
        if bridge.status == "failed":
            complain(f"session {session_id} belongs to another process now")
            return FAILED
        return OK

    run_async(main)
