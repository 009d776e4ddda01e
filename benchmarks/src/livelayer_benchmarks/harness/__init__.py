"""What every benchmark is made of: processes, rivals in rounds, servers, results."""

from .area import (
    Area,
    Bars,
    Column,
    Lines,
    Measured,
    Megabytes,
    Milliseconds,
    Name,
    Ratio,
    Readers,
    Table,
    cost_and_latency,
)
from .measured import BEGIN_SECONDS, MEGABYTE, begun, cpu_seconds, resident_mb, running
from .processes import Process, Ready, Send, ask, started
from .records import Environment, Goal, Result, at_least, at_most, median, percentile, spread
from .rivals import Rival, Row, fewest, load_rivals, rivals_of, rounds, rows, run_rounds
from .servers import AGENT, RoomRef, Server, new_room, server_for

__all__ = [
    # An area, and how it is shown
    "Area",
    "Measured",
    "Table",
    "Column",
    "Name",
    "Readers",
    "Ratio",
    "Milliseconds",
    "Megabytes",
    "Lines",
    "Bars",
    "cost_and_latency",
    # Its result
    "Result",
    "Environment",
    "Goal",
    "at_most",
    "at_least",
    "median",
    "percentile",
    "spread",
    # Rivals in rounds
    "Rival",
    "rivals_of",
    "load_rivals",
    "Row",
    "rows",
    "fewest",
    "rounds",
    "run_rounds",
    # Processes
    "Process",
    "Ready",
    "Send",
    "started",
    "ask",
    # In a measured process
    "running",
    "begun",
    "BEGIN_SECONDS",
    "cpu_seconds",
    "resident_mb",
    "MEGABYTE",
    # Servers
    "Server",
    "server_for",
    "RoomRef",
    "new_room",
    "AGENT",
]
