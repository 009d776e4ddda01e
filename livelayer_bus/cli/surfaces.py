"""`livelayer surfaces`: what is installed, and whether it loads."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..config import DISTRIBUTIONS, InstalledSurface, installed_surfaces, load_surface
from ..errors import PluginBrokenError
from .exits import FAILED, OK


def command(
    check: Annotated[
        bool, typer.Option("--check", help="Also import each one, and say what is broken.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines instead of a table.")] = False,
) -> None:
    """List the surfaces that are installed, by name and distribution.

    livelayer.toml names a surface (plugin = "console") by the name shown here. Installing a
    distribution that declares an entry point in the group livelayer_bus.surfaces adds to the list,
    as livelayer-surface-minimal does, the template. On a terminal, the surfaces that livelayer-web,
    livelayer-terminal and livelayer-recorder would add are listed with what to install.

    Examples:

    \b
      livelayer surfaces
      livelayer surfaces --check
      livelayer surfaces --json | jq -r .name
    """
    faults = {surface: fault_of(surface) if check else None for surface in installed_surfaces()}
    if as_json:
        for surface, fault in faults.items():
            line = msgspec.structs.asdict(surface) | ({"fault": fault} if check else {})
            typer.echo(msgspec.json.encode(line).decode())
    else:
        _show(faults, check)
    raise typer.Exit(FAILED if any(faults.values()) else OK)


def fault_of(surface: InstalledSurface) -> str | None:
    """Why a surface cannot be loaded; None if it can."""
    try:
        load_surface(surface.name)
    except PluginBrokenError as exc:
        return str(exc)
    return None


def _show(faults: dict[InstalledSurface, str | None], check: bool) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        for surface, fault in faults.items():
            fields = msgspec.structs.astuple(surface) + ((fault or "ok",) * check)
            typer.echo("\t".join(fields))
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    columns = ("name", "distribution", "version", "from", *(["check"] if check else []))
    for column in columns:
        table.add_column(column, overflow="fold")
    for surface, fault in faults.items():
        verdict = Text(fault, "red") if fault else Text("ok", "green")
        row: list[Text | str] = [Text(surface.name, "bold"), surface.distribution, surface.version]
        table.add_row(*row, Text(surface.target, "dim"), *([verdict] if check else []))
    for name in sorted(DISTRIBUTIONS.keys() - {surface.name for surface in faults}):
        hint = f"pip install {DISTRIBUTIONS[name]}"
        table.add_row(Text(name, "dim"), "not installed", "", Text(hint, "dim"))
    console.print(table)
