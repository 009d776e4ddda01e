"""What this process has used: CPU time and memory."""

from __future__ import annotations

import resource

import psutil

MEGABYTE = 1 << 20


def cpu_seconds() -> float:
    """CPU time of every thread of this process, native ones included."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def resident_mb() -> float:
    """Megabytes of this process that are in memory."""
    return float(psutil.Process().memory_info().rss) / MEGABYTE
