"""`livelayer demo`: a talking agent on two surfaces, and a report that a script can check."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from livelayer_bus.cli import FAILED, OK, complain, run_async

_OWN_SERVER: Final = "ws://127.0.0.1"


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
        typer.Option("--recording", "-o", help="The file for the events.", metavar="FILE.jsonl"),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(help="Record the session into this folder.", metavar="DIR"),
    ] = None,
    plain: Annotated[
        bool,
        typer.Option(
            "--plain", help="Lines and a small panel, instead of a screen with the picture."
        ),
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(
            help="The site's port; 8080 if it is free.",
            min=0,
            max=65535,
            show_default=False,
        ),
    ] = None,
    nats: Annotated[
        bool,
        typer.Option("--nats", help="A second process follows the session, with its own page."),
    ] = False,
) -> None:
    """Talk to an agent on this machine: a real LiveKit room, a voice and a face, without any key.

    On a terminal you see its face and type, and the agent answers in speech and text; Ctrl-C or
    Ctrl-D ends the conversation. Without a terminal, or with --seconds, a script types. Two
    surfaces show the one session: the terminal and a recorder, which is unmounted and mounted again
    while the agent speaks. A page in the terminal carries out the agent's commands.

    It also serves a small site and prints its address: the agent is there in a panel and in a
    bubble, and carries out commands on the page that you used last.

    At the end it prints what happened. The exit code is 0 if everything worked and 1 otherwise, so
    that it tests an installation.

    With --nats, the session's events also go through a NATS server, and a second process shows them
    on a page of its own: what is typed there reaches the agent too.

    With OPENAI_API_KEY, or LIVEKIT_INFERENCE_API_KEY and its secret, real models answer.

    Examples:

    \b
      livelayer demo
      livelayer demo --plain
      livelayer demo --seconds 15
      livelayer demo --record monday
      livelayer demo --nats
      livelayer demo --url ws://127.0.0.1:7880 --seconds 30 -o demo.jsonl
    """
    print("livelayer demo is starting: a room, an agent and a site on this machine", flush=True)

    # Not at the top: these take seconds to import, and the line above comes first.
    import anyio
    import anyio.to_thread

    from livelayer_bus.rooms import prepare_sdk

    prepare_sdk(url or _OWN_SERVER)  # without a network it raises, before the slow imports

    from .report import check_recording, print_report
    from .run import DemoOptions, run_demo

    on_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    interactive = seconds is None and on_terminal
    options = DemoOptions(
        url=url,
        key=key,
        secret=secret,
        seconds=seconds,
        recording=recording,
        record=record,
        interactive=interactive,
        screen=on_terminal and not plain,
        port=port,
        nats=nats,
    )
    talking, stop = anyio.Event(), anyio.Event()

    async def main() -> int:
        # Not typer.echo: the surface shows what `print` writes.
        report = await run_demo(options, print, stop, talking)
        recorded = await anyio.to_thread.run_sync(
            check_recording, report.recording, report.session_id
        )
        print_report(report, recorded)
        problems = report.problems(recorded)
        for problem in problems:
            complain(problem)
        return FAILED if problems else OK

    def end_conversation() -> bool:
        stop.set()
        return talking.is_set()

    run_async(main, end_conversation)
