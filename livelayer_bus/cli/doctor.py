"""`livelayer doctor`: what works on this machine, what does not, and what to do about it."""

from __future__ import annotations

import os
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from .checks import Finding, Verdict, check_machine, check_server
from .exits import FAILED, OK, run_async

_STYLES: dict[Verdict, str] = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def command(
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines instead of text.")] = False,
) -> None:
    """Check this machine: Python, packages, loopback, surfaces, the voice of the demo.

    With LIVEKIT_URL set, also check that the server answers there, and with LIVEKIT_API_KEY and
    LIVEKIT_API_SECRET that it accepts their tokens. Each line is ok, warn or fail and says what to
    do; nothing is installed or changed. Exits with 1 if a line says fail.

    Examples:

    \b
      livelayer doctor
      LIVEKIT_URL=ws://127.0.0.1:7880 livelayer doctor --json
    """

    async def main() -> int:
        findings = [*check_machine(), *await check_server(os.environ)]
        for finding in findings:
            if as_json:
                typer.echo(msgspec.json.encode(finding).decode())
            else:
                _show(finding)
        return FAILED if any(finding.verdict == "fail" for finding in findings) else OK

    run_async(main)


def _show(finding: Finding) -> None:
    line = Text.assemble(
        (f"{finding.verdict:<5}", _STYLES[finding.verdict]), (f"{finding.what:<26}"), finding.found
    )
    if finding.advice:
        line.append(f": {finding.advice}", "bold")
    Console(highlight=False, soft_wrap=True).print(line)
