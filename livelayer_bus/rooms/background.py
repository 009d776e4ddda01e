"""Work of the SDK that cannot be aborted half-way, and so outlives the caller that gave it up.

A join under way would put a ghost into the room, a stream half closed would stay subscribed to
every event of the process. Each such task ends by itself, in bounded time.
"""

from __future__ import annotations

from typing import Final

from ..tasks import RootTask, TaskOwner, Work

_owner: Final = TaskOwner()


def run_to_end(work: Work, name: str) -> RootTask:
    """Start `work` on a task that nobody cancels; what it raises is in the task's `error`."""
    return _owner.start(work, name)
