"""The commands by name; only the module of the one that was asked for is imported."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Final

import typer

from .exits import EPILOG, fail, hush_sdk

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "demo": ("demo", "Talk to an agent on this machine: no key, no cloud, nothing to install."),
    "serve": ("serve", "Give out sessions: the endpoint that pages and token sources ask."),
    "run": ("run", "Run a session from livelayer.toml until Ctrl-C."),
    "surfaces": ("surfaces", "List the surfaces that are installed."),
    "send": ("send", "Publish a data message into a running session."),
    "tail": ("tail", "Follow a running session's events as JSON lines."),
    "bench": ("bench", "Measure this machine, side by side with the alternatives."),
    "dev-server": ("dev_server", "Run a LiveKit-protocol server on this machine's loopback."),
    "token": ("token", "Make a LiveKit access token from an API key and secret."),
    "doctor": ("doctor", "Check this machine and say what to do about what is wrong."),
}
"""Name of the command: its module here, and its line in the list."""

_HELP: Final = """\
One live agent session, any number of surfaces.

Begin with [bold]livelayer demo[/bold]: a talking agent in a room on this machine.

A session that runs ([bold]livelayer run[/bold] or [bold]demo[/bold]) can be reached from another
terminal: [bold]livelayer tail[/bold] follows it, [bold]livelayer send[/bold] speaks into it.
"""


def build(arguments: Sequence[str]) -> typer.Typer:
    """The command line, with the one command that `arguments` name and stand-ins for the others."""
    app = typer.Typer(
        name="livelayer",
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(help=_HELP, epilog=EPILOG)(_options)
    wanted = next((word for word in arguments if word in COMMANDS), None)
    completing = "_LIVELAYER_COMPLETE" in os.environ
    for name, (module, line) in COMMANDS.items():
        if name == wanted or completing:
            command = import_module(f".{module}", __package__).command
            app.command(name, short_help=line, epilog=EPILOG)(command)
        else:
            app.command(name, help=line, short_help=line)(_stand_in)
    return app


def run(arguments: Sequence[str]) -> None:
    """Run `arguments` and end the process; every error is one line, unless `--debug` is given."""
    debug = "--debug" in arguments
    if not debug:
        hush_sdk()
    try:
        build(arguments)(args=list(arguments), prog_name="livelayer")
    except Exception as exc:
        if debug:
            raise
        fail(_single(exc))


def _single(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _stand_in() -> None:
    """A line in the list of commands; never run."""


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"livelayer-bus {version('livelayer-bus')}")
        raise typer.Exit


def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Both options act elsewhere: on the way out, and in their callback."""
