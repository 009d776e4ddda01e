"""What happened in the demo, and whether it is what should have happened."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, final

import anyio
import anyio.abc
import msgspec

from livelayer_bus.errors import Lagged
from livelayer_bus.events import (
    AgentAvailabilityChanged,
    AgentStateChanged,
    CommandFinished,
    ConnectionStateChanged,
    DataSent,
    Event,
    HandlerFailed,
    Reconnecting,
    Role,
    SessionFailed,
    SurfaceDidNotStop,
    SurfaceFailed,
    SurfaceMounted,
    SurfaceUnmounted,
    TranscriptUpdated,
)
from livelayer_bus.jsonl import EventLine, LaggedLine, SnapshotLine
from livelayer_bus.messages import UserMessage
from livelayer_bus.session import Session
from livelayer_bus.surfaces.jsonl import UnreadableLine, read_jsonl

from .demo_surfaces import Received

MAX_CHANGES: Final = 1000


class Utterance(msgspec.Struct, frozen=True):
    """Something that was said or typed."""

    role: Role
    text: str


@final
class Observer:
    """Notes what a reader of the report wants to know, while it happens."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.changes: list[str] = []
        """State changes in words, the newest last; bounded."""
        self.faults: list[str] = []
        self.joins = 0
        self.carried_out: dict[str, list[str]] = {}
        """Types of the commands that each surface carried out; bounded."""
        self._said: dict[str, Utterance] = {}

    @property
    def said(self) -> tuple[Utterance, ...]:
        """Spoken and typed, in the order in which it began."""
        return tuple(self._said.values())

    async def run(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Watch until cancelled."""
        with self._session.subscribe() as changes:
            task_status.started()
            while True:
                try:
                    event = await anext(changes)
                except Lagged as lagged:
                    self.faults.append(f"{lagged.missed} events were too fast for the demo")
                    continue
                except StopAsyncIteration:
                    return
                self._note(event)

    def _note(self, event: Event) -> None:
        words = self._words(event)
        if words and len(self.changes) < MAX_CHANGES:
            self.changes.append(words)
        match event:
            case ConnectionStateChanged(state="connected"):
                self.joins += 1
            case TranscriptUpdated(entry=entry):
                if entry.id in self._said or len(self._said) < MAX_CHANGES:
                    self._said[entry.id] = Utterance(entry.role, entry.text)
            case DataSent(type="user_message") if len(self._said) < MAX_CHANGES:
                message = event.message
                if isinstance(message, UserMessage):
                    self._said[f"typed {len(self._said)}"] = Utterance("user", message.text)
            case CommandFinished(ok=True, surface=key, command=command):
                done = self.carried_out.setdefault(key, [])
                if len(done) < MAX_CHANGES:
                    done.append(command)
            case SurfaceFailed(key=key, error=error):
                self.faults.append(f"surface {key} failed: {error}")
            case SurfaceDidNotStop(key=key):
                self.faults.append(f"surface {key} did not stop")
            case HandlerFailed(error=error):
                self.faults.append(f"a handler failed: {error}")
            case Reconnecting(reason=reason):
                self.faults.append(f"the connection was interrupted: {reason}")
            case SessionFailed(error=error):
                self.faults.append(f"the session failed: {error}")
            case _:
                pass

    def _words(self, event: Event) -> str | None:
        match event:
            case ConnectionStateChanged():
                return event.state
            case AgentAvailabilityChanged():
                state = "ready" if event.ready else "active" if event.active else "gone"
                return f"agent {state}"
            case AgentStateChanged():
                return f"agent {event.state}"
            case SurfaceMounted():
                return f"+{event.key}"
            case SurfaceUnmounted():
                return f"-{event.key}"
            case _:
                return None


class Recording(msgspec.Struct, frozen=True):
    """What the recorder's file holds."""

    events: int = 0
    snapshots: int = 0
    problems: tuple[str, ...] = ()


class DemoReport(msgspec.Struct, frozen=True, kw_only=True):
    """What happened, for a person to read and for a script to judge."""

    url: str
    session_id: str
    same_session: bool
    changes: tuple[str, ...]
    faults: tuple[str, ...]
    joins: int
    said: tuple[Utterance, ...]
    received: Mapping[str, Received]
    commands: tuple[str, ...]
    """Types of the commands that the printed page carried out."""
    site: str | None
    """Address of the site; None if there was none."""
    site_commands: tuple[str, ...]
    """Types of the commands that a browser carried out there."""
    recording: Path
    asked: int
    """Lines of the script that were said."""
    answered: int
    """Those that were answered as the script expects."""
    offline: bool
    """The guide answered; with a real model nobody knows the words beforehand."""
    scripted: bool
    """There was time for at least one line of the script."""

    def problems(self, recording: Recording) -> tuple[str, ...]:
        """What did not happen although it should have; empty when all is well."""
        found = [*self.faults, *recording.problems]
        recorder = self.received["jsonl"]
        spoken = any(entry.role == "agent" and entry.text for entry in self.said)
        checks = [
            (self.joins == 1, f"the room was joined {self.joins} times instead of once"),
            (self.same_session, "the session changed while a surface was away"),
            ("agent ready" in self.changes, "the agent never said that it is ready"),
            ("agent speaking" in self.changes, "the agent never spoke"),
            (spoken, "the transcript holds nothing of the agent"),
            (recorder.mounts == 2, f"the recorder was mounted {recorder.mounts} times, not twice"),
            (recording.snapshots == 2, f"the recording has {recording.snapshots} snapshots, not 2"),
            (
                not self.offline or self.answered == self.asked,
                f"{self.asked - self.answered} of {self.asked} lines had no proper answer",
            ),
            (self.asked > 0 or not self.scripted, "nothing was said to the agent"),
        ]
        found += [problem for fine, problem in checks if not fine]
        for key, received in self.received.items():
            for kind, count in (("video", received.video), ("audio", received.audio)):
                if not count:
                    found.append(f"no {kind} reached the surface {key}")
        return tuple(found)


def check_recording(path: Path, session_id: str) -> Recording:
    """Read one session back from a recording; after a snapshot, no event may be missing.

    A recording of earlier sessions may stand in the same file.
    """
    events = snapshots = 0
    problems: list[str] = []
    expected: int | None = None
    try:
        for line in read_jsonl(path):
            match line:
                case SnapshotLine() | EventLine() if line.cursor.partition(":")[0] != session_id:
                    expected = None
                case SnapshotLine():
                    snapshots += 1
                    expected = line.sequence + 1
                case EventLine():
                    events += 1
                    if line.sequence != expected:
                        problems.append(f"event {line.sequence} follows where {expected} should")
                    expected = line.sequence + 1
                case LaggedLine() if expected is not None:
                    problems.append(f"the recorder missed {line.missed} events")
                case UnreadableLine() if expected is not None:
                    problems.append(f"line {line.number} of the recording: {line.problem}")
                case _:
                    pass
    except OSError as exc:
        problems.append(f"there is no recording ({exc.strerror})")
    return Recording(events, snapshots, tuple(problems))
