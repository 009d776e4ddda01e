"""`livelayer demo`: a talking agent on two surfaces, and a report that scripts can trust."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final

import anyio
import anyio.to_thread
import typer
from rich.console import Console
from rich.text import Text

from livelayer_bus.cli import FAILED, OK, complain, run_async
from livelayer_bus.surfaces.console_view import clean

from .report import DemoReport, Recording, check_recording
from .run import DemoOptions, run_demo

LINES: Final = 40  # of the transcript and of the changes in the report


def command(
    seconds: Annotated[
        float | None,
        typer.Option(
            help="Play a script for at most this long, instead of letting you type.", min=1
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(help="A LiveKit server instead of the embedded one, as ws://127.0.0.1:7880."),
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Its API key.", envvar="LIVEKIT_API_KEY", show_default=False)
    ] = None,
    secret: Annotated[
        str | None,
        typer.Option(help="Its API secret.", envvar="LIVEKIT_API_SECRET", show_default=False),
    ] = None,
    recording: Annotated[
        Path | None,
        typer.Option("--recording", "-o", help="Where the events go.", metavar="FILE.jsonl"),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            help="The site's port; 8080 unless that is taken.",
            min=0,
            max=65535,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Talk to an agent on this machine: a real LiveKit room, a voice and a face, without any key.

    On a terminal you type and the agent answers aloud into the room and in text; Ctrl-C or Ctrl-D
    ends it. Without a terminal, or with --seconds, a script does the talking. Two surfaces show
    the one session, the terminal and a recorder; the recorder is taken away and put back while the
    agent speaks. A page made of words carries out what the agent asks for.

    With livelayer-web installed it also serves a small site, and prints its address: the agent is
    there too, in a panel and in a bubble, and does what it is asked to on the page that you used.

    At the end it says what happened. The exit code is 0 if that is what should have happened and 1
    otherwise, so that it serves as a test of an installation.

    With OPENAI_API_KEY, or LIVEKIT_INFERENCE_API_KEY and its secret, real models answer.

    Examples:

    \b
      livelayer demo
      livelayer demo --seconds 15
      livelayer demo --url ws://127.0.0.1:7880 --seconds 30 -o demo.jsonl
    """
    interactive = seconds is None and sys.stdin.isatty() and sys.stdout.isatty()
    options = DemoOptions(
        url=url,
        key=key,
        secret=secret,
        seconds=seconds,
        recording=recording,
        interactive=interactive,
        port=port,
    )

    stop = anyio.Event()

    async def main() -> int:
        # Not typer.echo: it goes past the console surface, which prints above its picture.
        report = await run_demo(options, print, stop)
        recorded = await anyio.to_thread.run_sync(
            check_recording, report.recording, report.session_id
        )
        _show(report, recorded)
        problems = report.problems(recorded)
        for problem in problems:
            complain(problem)
        return FAILED if problems else OK

    run_async(main, stop.set if interactive else None)


def _show(report: DemoReport, recording: Recording) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print()
    _heading(console, "what was said")
    for line in report.said[-LINES:]:
        agent = line.role == "agent"
        who = Text("agent    " if agent else "you      ", "bold green" if agent else "bold cyan")
        console.print(who, Text(clean(line.text)), sep="")
    _heading(console, "what changed")
    console.print(Text(", ".join(report.changes[-LINES:])))
    _heading(console, "what arrived")
    for key, received in report.received.items():
        mounts = f"mounted {received.mounts} time{'s' if received.mounts != 1 else ''}"
        frames = f"{received.video} video frames, {received.audio} audio frames"
        console.print(Text(f"{key:<8} {frames}, {mounts}"))
    done = ", ".join(report.commands) or "nothing"
    console.print(Text(f"page     carried out: {done}"))
    if report.site is not None:
        done = ", ".join(report.site_commands) or "nothing"
        console.print(Text(f"web      carried out: {done}"))
    _heading(console, "where")
    console.print(Text(f"session  {report.session_id} on {report.url}, one session throughout"))
    if report.site is not None:
        console.print(Text(f"site     {report.site}"))
    kept = f"{recording.events} events after {recording.snapshots} snapshots"
    console.print(Text(f"events   {report.recording} ({kept})"))


def _heading(console: Console, words: str) -> None:
    console.print(Text(words, "bold"))
