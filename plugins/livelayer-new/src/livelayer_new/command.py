"""`livelayer new`: a project from a template."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from .projects import Kind, NameRefused, create_project

_NEXT: Final[dict[Kind, str]] = {
    "surface": ".venv/bin/livelayer surfaces --check",
    "app": ".venv/bin/python -m {package}",
    "agent": ".venv/bin/python -m {package} dev",
}
"""What shows the project at work."""


def command(
    kind: Annotated[Kind, typer.Argument(help="What to make.", show_default=False)],
    name: Annotated[
        str,
        typer.Argument(help="Its name: lower-case letters, digits, hyphens.", show_default=False),
    ],
    into: Annotated[
        Path,
        typer.Option(
            help="The folder in which the project's folder is made.",
            exists=True,
            file_okay=False,
            writable=True,
        ),
    ] = Path(),
) -> None:
    """Make a project: a surface, a web application, or an agent.

    The folder NAME gets code, tests and a README. The tests pass before you change anything, and
    need neither a network nor a key. A folder that exists is left as it is.

    \b
      surface  shows a session in a way of your own; a distribution that others can install
      app      a web application (Starlette) with an agent on its pages
      agent    a livekit-agents worker that the pages of an app understand

    Examples:

    \b
      livelayer new surface shop-lights
      livelayer new app shop
      livelayer new agent shop-guide --into agents
    """
    try:
        folder = create_project(kind, name, into)
    except NameRefused as exc:
        raise typer.BadParameter(str(exc), param_hint="NAME") from exc
    typer.echo(f"made {folder}: README.md says how to go on\n")
    typer.echo(f"  cd {folder}")
    typer.echo("  python3 -m venv .venv && .venv/bin/pip install -e . --group test")
    typer.echo("  .venv/bin/pytest")
    typer.echo(f"  {_NEXT[kind].format(package=name.replace('-', '_'))}")
