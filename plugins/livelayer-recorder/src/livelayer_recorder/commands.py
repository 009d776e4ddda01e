"""`livelayer record`, `livelayer replay` and `livelayer recordings`."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import anyio
import typer

from livelayer_bus.cli import FAILED, OK, complain, run_async
from livelayer_bus.errors import ConfigError, MisuseError

if TYPE_CHECKING:  # imported when it is needed: `--help` needs no media library
    from .recording import Recording
    from .replay import ReplayRoom

PROGRESS_SECONDS: Final = 0.2
URL_SECONDS: Final = 10.0  # for a surface that serves pages to say where
_TIME: Final = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)")


def record(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The recording's folder.", metavar="DIR"),
    ] = None,
    config: Annotated[
        Path, typer.Option("--config", "-c", help="The configuration file.", metavar="FILE")
    ] = Path("livelayer.toml"),
    seconds: Annotated[
        float | None, typer.Option(help="Stop after that many seconds.", min=0.1)
    ] = None,
    media_format: Annotated[
        str, typer.Option("--format", help="mp4 (H.264, AAC) or mkv (VP8, Opus).")
    ] = "mp4",
    microphone: Annotated[
        bool, typer.Option("--microphone", help="Record what people say, too.")
    ] = False,
    camera: Annotated[bool, typer.Option("--camera", help="Record people's camera, too.")] = False,
    field_values: Annotated[
        bool, typer.Option("--field-values", help="Record the values of form fields, too.")
    ] = False,
    delete_after: Annotated[
        float | None,
        typer.Option("--delete-after", help="Days after which it may be deleted.", min=0.01),
    ] = None,
) -> None:
    """Connect to the agent of livelayer.toml, show it on the surfaces listed there, and record it.

    The folder holds media.mp4, events.jsonl, captions.vtt and manifest.json. Ctrl-C ends the
    recording. The agent and every surface are told that a recording runs.

    Examples:

    \b
      livelayer record
      livelayer record --config kiosk.toml -o recordings/monday --delete-after 30
    """
    from livelayer_bus import Session
    from livelayer_bus.config import load_config

    from .surface import RecorderSurface

    settings = load_config(config)
    folder = output or Path("recordings") / f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}"
    recorder = RecorderSurface(
        folder,
        format=media_format,  # type: ignore[arg-type]  # checked there
        microphone=microphone,
        camera=camera,
        field_values=field_values,
        delete_after_days=delete_after,
    )

    async def show_progress(session: Session) -> None:
        while True:
            await anyio.sleep(1.0)
            manifest = recorder.manifest
            if sys.stderr.isatty() and manifest is not None:
                state = session.state
                print(
                    f"\rrecording {_clock(manifest.seconds)}  {manifest.pictures} pictures  "
                    f"{state.connection_state}, {len(state.transcript)} lines",
                    end="\x1b[K",
                    file=sys.stderr,
                    flush=True,
                )

    async def main() -> int:
        try:
            async with AsyncExitStack() as stack:
                session = await stack.enter_async_context(settings.build_session(os.environ))
                mounted = session.mount(recorder, key="recorder")
                surfaces = settings.mount_surfaces(session)
                async with anyio.create_task_group() as tasks:
                    if not surfaces:
                        tasks.start_soon(show_progress, session)
                    await session.connect()
                    with anyio.move_on_after(seconds):
                        await mounted.wait()
                    tasks.cancel_scope.cancel()
        finally:
            if recorder.manifest is not None:
                end = "\r\x1b[K" if sys.stderr.isatty() else ""
                print(f"{end}recorded into {recorder.directory}", file=sys.stderr)
        if recorder.problem is not None:
            complain(recorder.problem)
            return FAILED
        return OK

    run_async(main)


def replay(
    directory: Annotated[Path, typer.Argument(help="The recording's folder.", metavar="DIR")],
    speed: Annotated[float, typer.Option(help="Seconds of the recording in a second.")] = 1.0,
    start: Annotated[
        str, typer.Option("--from", help="Where to begin.", metavar="[[H:]M:]SECONDS")
    ] = "0",
    loop: Annotated[bool, typer.Option("--loop", help="Begin anew at the end.")] = False,
    hold: Annotated[
        bool, typer.Option("--hold", help="Stand still at the end until Ctrl-C.")
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="A file whose surfaces show it.", metavar="FILE"),
    ] = None,
    surfaces: Annotated[
        list[str] | None,
        typer.Option("--surface", "-s", help="A surface that shows it; may be repeated."),
    ] = None,
    publish: Annotated[
        str | None,
        typer.Option(help="Play it in a room of this server, as an agent.", metavar="URL"),
    ] = None,
    room_name: Annotated[
        str | None, typer.Option("--room", "-r", help="The room to publish into.", metavar="NAME")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="API key, to publish.", envvar="LIVEKIT_API_KEY")
    ] = None,
    secret: Annotated[
        str | None,
        typer.Option(
            help="API secret, to publish.", envvar="LIVEKIT_API_SECRET", show_default=False
        ),
    ] = None,
) -> None:
    """Play a recording into surfaces, as if its session ran now: nothing is connected.

    Without --surface and --config the terminal shows it. With --publish it is played in a LiveKit
    room, as the agent did, once somebody is there; key and secret come from LIVEKIT_API_KEY and
    LIVEKIT_API_SECRET.

    Examples:

    \b
      livelayer replay recordings/monday
      livelayer replay recordings/monday --speed 2 --from 1:30
      livelayer replay recordings/monday --surface web --hold
      livelayer replay recordings/monday --publish ws://127.0.0.1:7880 --room kitchen
    """
    from livelayer_bus import Session
    from livelayer_bus.config import load_config, load_surface

    from .replay import ReplayRoom

    room = ReplayRoom(directory, speed=speed, start=seconds_of(start), loop=loop)
    if room.position >= room.duration:
        where = f"--from {start}"
        raise MisuseError(f"{where} is behind the end: the recording has {_clock(room.duration)}")
    if publish is not None:
        if surfaces or config is not None:
            raise MisuseError("--publish plays into a room: surfaces show it from there")
        run_async(lambda: _publish(room, publish, room_name, key, secret))
        return
    settings = None if config is None else load_config(config)
    names = list(surfaces or ([] if settings is not None else ["console"]))

    async def main() -> int:
        async with Session(room.agent_id, room=room) as session:
            for name in names:
                surface = load_surface(name)()
                session.mount(surface, key=name)
                if (wait_url := getattr(surface, "wait_url", None)) is not None:
                    with anyio.move_on_after(URL_SECONDS):
                        print(f"{name}: {await wait_url()}", file=sys.stderr)
            if settings is not None:
                settings.mount_surfaces(session)
            await session.connect()
            async with _progress(room, shown="console" not in session.state.surfaces):
                await room.wait_finished()
                if hold:
                    await anyio.sleep_forever()
        return OK

    run_async(main)


async def _publish(
    room: ReplayRoom, url: str, name: str | None, key: str | None, secret: str | None
) -> int:
    """Play in a LiveKit room."""
    from .replay_agent import ReplayAgent

    if not (key and secret):
        raise ConfigError("--publish", "needs LIVEKIT_API_KEY and LIVEKIT_API_SECRET")
    name = name or f"replay-{room.recording.directory.resolve().name}"
    config = room.recording.manifest.agent_config
    token = agent_token(key, secret, name, room.agent_id, config.name if config else None)
    agent = ReplayAgent(room)

    async def show() -> None:
        await agent.joined.wait()
        print(f"in the room {name}, waiting for somebody to join", file=sys.stderr)
        await agent.playing.wait()
        async with _progress(room, shown=True):
            await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(show)
        await agent.run(url, token)
        tasks.cancel_scope.cancel()
    if agent.dropped:
        print(f"{agent.dropped} packets and pictures were not sent in time", file=sys.stderr)
    return OK


@asynccontextmanager
async def _progress(room: ReplayRoom, *, shown: bool) -> AsyncGenerator[None]:
    """Show where a replay is, on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(stderr=True)
    if not (shown and console.is_terminal):
        yield
        return
    columns = TextColumn("{task.description}"), BarColumn(None)
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=room.duration)

        async def follow() -> None:
            while True:
                where = f"{_clock(room.position)} / {_clock(room.duration)}"
                pace = "paused" if room.paused else "" if room.speed == 1 else f"{room.speed:g}x"
                progress.update(task, completed=room.position, description=f"{where} {pace}")
                await anyio.sleep(PROGRESS_SECONDS)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow)
            yield
            tasks.cancel_scope.cancel()


def recordings(
    directory: Annotated[
        Path, typer.Argument(help="A recording, or a folder that holds some.", metavar="DIR")
    ] = Path("recordings"),
    sheet: Annotated[
        Path | None,
        typer.Option(help="Write a contact sheet, a row a recording.", metavar="FILE.png"),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(help="Write a recording as one page to look at.", metavar="FILE.html"),
    ] = None,
    delete_expired: Annotated[
        bool, typer.Option("--delete-expired", help="Delete what may be deleted by now.")
    ] = False,
) -> None:
    """List recordings: when, how long, how large, which agent, and whether they are whole.

    Examples:

    \b
      livelayer recordings
      livelayer recordings recordings --sheet sheet.png
      livelayer recordings recordings/monday --export monday.html
    """
    from rich.console import Console, JustifyMethod
    from rich.table import Table

    from .contact_sheet import write_contact_sheet
    from .html_export import write_html

    found = find_recordings(directory)
    if not found:
        raise ConfigError(str(directory), "holds no recording: 'livelayer record' makes one")
    if delete_expired:
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        for one in found:
            if one.manifest.delete_after is not None and one.manifest.delete_after <= now:
                shutil.rmtree(one.directory)
                print(f"deleted {one.directory}")
        return
    if export is not None:
        if len(found) != 1:
            raise ConfigError(str(directory), "holds several recordings: name one to export")
        write_html(found[0], export)
        print(f"{export}: open it in a browser")
        return
    if sheet is not None:
        write_contact_sheet(found, sheet)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("recording", "started", "length", "size", "agent", "pictures", "status"):
        justify: JustifyMethod = "right" if title in ("length", "size") else "left"
        table.add_column(title, justify=justify, overflow="fold")
    for one in found:
        manifest = one.manifest
        agent = manifest.agent_config.name if manifest.agent_config else manifest.agent_id
        size = sum(file.stat().st_size for file in one.directory.iterdir() if file.is_file())
        pictures = " ".join(f"{width}x{height}" for width, height in manifest.sizes)
        status = "cut off" if manifest.status == "recording" else manifest.status
        length, megabytes = _clock(one.seconds), f"{size / 1e6:.1f} MB"
        started = manifest.started[:16].replace("T", " ")
        name = one.directory.name
        table.add_row(name, started, length, megabytes, agent, pictures, status)
    Console().print(table)
    if sheet is not None:
        print(f"contact sheet: {sheet}")


def find_recordings(directory: Path) -> list[Recording]:
    """The folder itself if it is a recording, or those in it, the oldest first."""
    from .errors import NotARecordingError
    from .manifest import MANIFEST
    from .recording import Recording

    folders = [directory] if (directory / MANIFEST).exists() else sorted(directory.glob("*/"))
    found: list[Recording] = []
    for folder in folders:
        if not (folder / MANIFEST).exists():
            continue
        try:
            found.append(Recording(folder))
        except NotARecordingError as exc:
            complain(str(exc))
    return sorted(found, key=lambda one: one.manifest.started)


def agent_token(key: str, secret: str, room: str, identity: str, name: str | None) -> str:
    """A token to join a room as an agent."""
    from livekit import api

    grants = api.VideoGrants(room_join=True, room=room, agent=True, can_update_own_metadata=True)
    token = api.AccessToken(key, secret).with_identity(identity).with_grants(grants)
    return token.with_kind("agent").with_name(name or identity).to_jwt()


def seconds_of(text: str) -> float:
    """What `1:30`, `90` or `0:01:30.5` mean in seconds.

    Raises:
        MisuseError: it is not a time.
    """
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise MisuseError(f"{text!r} is not a time: write seconds, or minutes and seconds as 1:30")
    hours, minutes, seconds = found.groups()
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
