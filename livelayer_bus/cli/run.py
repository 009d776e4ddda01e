"""`livelayer run`: a session from a configuration file."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import anyio
import typer

from ..bus import Subscription
from ..config import FILE_NAME, Config, load_config
from ..control import serve_control
from ..errors import ControlError, Lagged, NotSupportedError
from ..events import SessionFailed
from ..state import SessionState
from ..surfaces.supervision import MountedSurface
from .exits import FAILED, OK, complain, run_async


def command(
    config: Annotated[
        Path, typer.Option("--config", "-c", help="The configuration file.", metavar="FILE")
    ] = Path(FILE_NAME),
    check: Annotated[
        bool, typer.Option("--check", help="Check the file and load its plugins; connect nothing.")
    ] = False,
) -> None:
    """Connect to the agent of livelayer.toml and show it on the surfaces listed there.

    Runs until Ctrl-C, until the session fails for good, or until its last surface has ended. While
    it runs, livelayer tail and livelayer send reach it from other terminals of yours.

    A file to begin with

    \b
      agent_id = "agt_abc123"

    \b
      [tokens]
      kind = "local-keys"
      url = "ws://127.0.0.1:7880"
      api_key = { env = "LIVEKIT_API_KEY" }
      api_secret = { env = "LIVEKIT_API_SECRET" }

    \b
      [surfaces.console]
      options = { interactive = true }

    \b
      [surfaces.recording]
      plugin = "jsonl"
      options = { file = "session.jsonl" }

    \b
      [surfaces.web]
      capabilities = ["navigate", "scroll"]
      options = { port = 8080, site = "site" }

    Examples:

    \b
      livelayer run
      livelayer run --config kiosk.toml --check
    """
    settings = load_config(config)
    run_async(lambda: _check(settings) if check else _run(settings))


async def _check(config: Config) -> int:
    async with config.build_session(os.environ) as session:
        config.mount_surfaces(session)
    keys = ", ".join(config.surfaces) or "no surface"
    typer.echo(f"{config.path} is fine: {config.agent_id} on {keys}")
    return OK


async def _run(config: Config) -> int:
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(config.build_session(os.environ))
        if config.control:
            try:
                await stack.enter_async_context(serve_control(session))
            except (ControlError, NotSupportedError) as exc:
                complain(f"'livelayer send' and 'tail' cannot reach this session: {exc}")
        failures = stack.enter_context(session.subscribe(SessionFailed))
        surfaces = config.mount_surfaces(session)
        await session.connect()
        if not surfaces:
            complain(f"no surfaces in {config.path}: 'livelayer tail' shows what happens")
        failure = await _until_end(failures, surfaces)
    if failure is not None:
        complain(failure)
    return FAILED if failure is not None else OK


async def _until_end(
    failures: Subscription[SessionFailed, SessionState], surfaces: tuple[MountedSurface, ...]
) -> str | None:
    """Wait until the session failed, or no surface is left; what went wrong, if anything did."""
    failure: str | None = None
    async with anyio.create_task_group() as group:

        async def watch_session() -> None:
            nonlocal failure
            try:
                failure = (await anext(failures)).error
            except Lagged:  # one of those that it reads was overwritten: a failure
                failure = failures.resync().error or "the session failed"
            group.cancel_scope.cancel()

        group.start_soon(watch_session)
        for surface in surfaces:
            await surface.wait()
        if surfaces:
            group.cancel_scope.cancel()
    failed = [surface.key for surface in surfaces if surface.status == "failed"]
    if failure is None and failed:
        return f"surfaces failed: {', '.join(failed)}"
    return failure
