"""Run the worker: `dev`, `start` and the other commands of livekit-agents."""

from __future__ import annotations

from livekit.agents import cli

from . import server

if __name__ == "__main__":
    cli.run_app(server)
