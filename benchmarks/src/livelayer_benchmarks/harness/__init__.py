"""What every benchmark is made of: processes, rivals in rounds, servers, results."""

from .area import LATENCY, RATIO, READERS, RIVAL, RSS, Area, Bars, Column, Lines, Table
from .processes import Process, Ready, Send, Worker, ask, started
from .records import (
    Environment,
    Goal,
    Result,
    at_least,
    at_most,
    environment,
    median,
    median_of_ratios,
    percentile,
)
from .rivals import Rival, Row, Step, load_rivals, rivals_of, rounds, rows, run_rounds
from .servers import AGENT, Keys, RoomRef, Server, new_room, serve_embedded, server_for
from .tasks import running
from .usage import MEGABYTE, cpu_seconds, resident_mb

__all__ = [
    # An area, and how it is shown
    "Area",
    "Table",
    "Column",
    "RIVAL",
    "READERS",
    "RATIO",
    "LATENCY",
    "RSS",
    "Lines",
    "Bars",
    # Its result
    "Result",
    "Environment",
    "environment",
    "Goal",
    "at_most",
    "at_least",
    "median",
    "median_of_ratios",
    "percentile",
    # Rivals in rounds
    "Rival",
    "rivals_of",
    "load_rivals",
    "Row",
    "Step",
    "rows",
    "rounds",
    "run_rounds",
    # Processes
    "Process",
    "Ready",
    "Send",
    "Worker",
    "started",
    "ask",
    "running",
    "cpu_seconds",
    "resident_mb",
    "MEGABYTE",
    # Servers
    "Server",
    "Keys",
    "serve_embedded",
    "server_for",
    "RoomRef",
    "new_room",
    "AGENT",
]
