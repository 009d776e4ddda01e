"""The commands by name, each from an entry point; only the requested one is imported."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, entry_points, version
from typing import Annotated, Any, Final

import typer

from ..errors import PluginNotFoundError
from .exits import EPILOG, fail, hush_sdk

GROUP: Final = "livelayer_bus.commands"
"""The entry point group of commands: functions that typer can call."""

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "demo": (
        "Talk to an agent on this machine: no key, no cloud, nothing to install.",
        "livelayer-demo",
    ),
    "serve": (
        "Run the session endpoint, which gives pages and token sources their rooms.",
        "livelayer-web",
    ),
    "run": ("Run a session from livelayer.toml until Ctrl-C.", "livelayer-bus"),
    "standby": ("Own a named session, or wait until its owner is gone.", "livelayer-nats"),
    "record": ("Run a session from livelayer.toml and record it.", "livelayer-recorder"),
    "replay": ("Play a recording into surfaces.", "livelayer-recorder"),
    "recordings": ("List recordings, export and delete them.", "livelayer-recorder"),
    "new": ("Make a project: a surface, a web application, an agent.", "livelayer-new"),
    "surfaces": ("List the surfaces that are installed.", "livelayer-bus"),
    "send": ("Publish a data message into a running session.", "livelayer-bus"),
    "tail": ("Follow a running session's events as JSON lines.", "livelayer-bus"),
    "bench": (
        "Measure this machine, side by side with the alternatives.",
        "livelayer-benchmarks",
    ),
    "dev-server": (
        "Run a LiveKit-protocol server on this machine's loopback.",
        "livelayer-embedded",
    ),
    "token": ("Make a LiveKit access token from an API key and secret.", "livelayer-bus"),
    "doctor": ("Check this machine, and say how to repair what is wrong.", "livelayer-bus"),
}
"""Name of the command: its line in the list, and the distribution that offers it."""

_HELP: Final = """\
One live agent session, any number of surfaces.

Begin with livelayer demo: a talking agent in a room on this machine.

A session that runs (livelayer run or demo) can be reached from another
terminal: livelayer tail follows it, livelayer send sends it a message.
"""


def build(arguments: Sequence[str]) -> typer.Typer:
    """The command line, with the command that `arguments` name and stand-ins for the others.

    Commands of third parties are listed with the name of their distribution.
    """
    app = typer.Typer(
        name="livelayer",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(help=_HELP, epilog=EPILOG)(_options)
    installed = {point.name: point for point in entry_points(group=GROUP)}
    lines = {name: line for name, (line, _) in COMMANDS.items()}
    for name, point in installed.items():
        lines.setdefault(name, f"From {point.dist.name if point.dist else 'an unknown package'}.")
    wanted = next((word for word in arguments if word in lines), None)
    completing = "_LIVELAYER_COMPLETE" in os.environ
    for name, line in lines.items():
        if name == wanted or (completing and name in installed):
            command = _load(name, installed)
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


def _load(name: str, installed: dict[str, EntryPoint]) -> Callable[..., Any]:
    if name not in installed:
        raise PluginNotFoundError(name, GROUP, tuple(installed), COMMANDS[name][1])
    command: Callable[..., Any] = installed[name].load()
    return command


def _single(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _stand_in() -> None:
    """Stands for a command in the list; never called."""


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
