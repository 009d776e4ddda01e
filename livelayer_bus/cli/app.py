"""The commands by name, each from an entry point; only the requested one is imported."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, entry_points, version
from typing import Annotated, Any, Final

import typer

from ..errors import PluginNotFoundError
from .exits import EPILOG, fail

GROUP: Final = "livelayer_bus.commands"
"""The entry point group of commands: functions that typer can call."""

_TABLE: Final = """\
demo       livelayer-demo       Talk to an agent on this machine: no key, no cloud, nothing to install.
serve      livelayer-web        Run the session endpoint, which gives pages and token sources their rooms.
run        livelayer-bus        Run a session from livelayer.toml until Ctrl-C.
standby    livelayer-nats       Own a named session, or wait until its owner is gone.
record     livelayer-recorder   Run a session from livelayer.toml and record it.
replay     livelayer-recorder   Play a recording into surfaces.
recordings livelayer-recorder   List recordings, export and delete them.
new        livelayer-new        Make a project: a surface, a web application, an agent.
surfaces   livelayer-bus        List the surfaces that are installed.
send       livelayer-bus        Publish a data message into a running session.
tail       livelayer-bus        Follow a running session's events as JSON lines.
bench      livelayer-benchmarks Measure this machine, side by side with the alternatives.
dev-server livelayer-embedded   Run a LiveKit-protocol server on this machine's loopback.
token      livelayer-bus        Make a LiveKit access token from an API key and secret.
doctor     livelayer-bus        Check this machine, and say how to repair what is wrong.
"""  # noqa: E501
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    name: (line, distribution)
    for name, distribution, line in (row.split(maxsplit=2) for row in _TABLE.splitlines())
}
"""Name of the command: its line in the list, and the distribution that offers it."""

_HELP: Final = """\
One live agent session, any number of surfaces.

Begin with livelayer demo: a talking agent in a room on this machine.

A session that runs (livelayer run or demo) can be reached from another
terminal: livelayer tail follows it, livelayer send sends it a message.
"""


def build(arguments: Sequence[str]) -> typer.Typer:
    """The command line, with the command that `arguments` name and stand-ins for the others."""
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
    if not debug:  # the SDK's faults are errors too, and some quote the token
        logging.getLogger("livekit").setLevel(logging.CRITICAL)
    try:
        build(arguments)(args=list(arguments), prog_name="livelayer")
    except Exception as exc:
        if debug:
            raise
        while isinstance(exc, ExceptionGroup) and len(exc.exceptions) == 1:
            exc = exc.exceptions[0]
        fail(exc)


def _load(name: str, installed: dict[str, EntryPoint]) -> Callable[..., Any]:
    if name not in installed:
        raise PluginNotFoundError(name, GROUP, tuple(installed), COMMANDS[name][1])
    command: Callable[..., Any] = installed[name].load()
    return command


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
