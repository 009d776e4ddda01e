"""The demo's report: what happened, whether everything worked, and how it is printed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, final

import anyio
import anyio.abc
import msgspec
from rich.console import Console
from rich.text import Text

from livelayer_bus.errors import Lagged
from livelayer_bus.events import (
    AgentAvailabilityChanged,
    AgentStateChanged,
    CommandFinished,
    ConnectionStateChanged,
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
from livelayer_bus.session import Session
from livelayer_bus.surfaces.jsonl import UnreadableLine, read_jsonl

from .demo_surfaces import FrameCounts

MAX_CHANGES: Final = 1000
LINES_SHOWN: Final = 40  # of the transcript and of the changes


class Utterance(msgspec.Struct, frozen=True):
    """A spoken or typed line."""

    role: Role
    text: str


@final
class Observer:
    """Collects the events that the report needs."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.changes: list[str] = []
        """State changes in words, the newest last; bounded."""
        self.faults: list[str] = []
        self.unexpected_joins = 0
        """Joins of the room other than the first and those after a wanted `disconnect`."""
        self.carried_out: dict[str, list[str]] = {}
        """Types of the commands that each surface carried out; bounded."""
        self._said: dict[tuple[str | None, str], Utterance] = {}
        self._may_join = True

    @property
    def said(self) -> tuple[Utterance, ...]:
        """The spoken and typed lines, in the order in which they began."""
        return tuple(self._said.values())

    async def run(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Collect until cancelled."""
        with self._session.subscribe() as changes:
            task_status.started()
            while True:
                try:
                    event = await anext(changes)
                except Lagged as lagged:
                    self.faults.append(f"the demo missed {lagged.missed} events")
                    continue
                except StopAsyncIteration:
                    return
                self.note(event)

    def note(self, event: Event) -> None:
        """Collect one event."""
        words = self._words(event)
        if words and len(self.changes) < MAX_CHANGES:
            self.changes.append(words)
        match event:
            case ConnectionStateChanged(state="connected"):
                self.unexpected_joins += not self._may_join
                self._may_join = False
            case ConnectionStateChanged(state="disconnected", error=None):
                # A person ended the conversation, and may continue it.
                self._may_join = True
            case TranscriptUpdated(entry=entry):
                key = entry.sender, entry.id
                if key in self._said or len(self._said) < MAX_CHANGES:
                    self._said[key] = Utterance(entry.role, entry.text)
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
    """What the recorder wrote."""

    events: int = 0
    snapshots: int = 0
    problems: tuple[str, ...] = ()


class DemoReport(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in one run of the demo."""

    url: str
    session_id: str
    same_session: bool
    changes: tuple[str, ...]
    faults: tuple[str, ...]
    unexpected_joins: int
    said: tuple[Utterance, ...]
    received: Mapping[str, FrameCounts]
    commands: tuple[str, ...]
    """Types of the commands that the page in the terminal carried out."""
    site: str | None
    """The site's address; None without a site."""
    second: str | None = None
    """The address of the second process's page."""
    second_problem: str | None = None
    """Why the second process does not have all that happened; None: it does."""
    site_commands: tuple[str, ...]
    """Types of the commands that a browser carried out."""
    recording: Path
    media: Path | None = None
    """The folder with picture and sound; another one than asked for if that held a recording."""
    asked: int
    """Lines of the script that were typed."""
    answered: int
    """Lines that were answered as the script expects."""
    offline: bool
    """The guide answered; the words of a real model are not known beforehand."""
    scripted: bool
    """There was time for at least one line of the script."""

    def problems(self, recording: Recording) -> tuple[str, ...]:
        """Return what did not work, in words; empty if everything did."""
        found = [*self.faults, *recording.problems]
        recorder = self.received["jsonl"]
        spoken = any(entry.role == "agent" and entry.text for entry in self.said)
        checks = [
            (
                not self.unexpected_joins,
                f"joins of the room that were not asked for: {self.unexpected_joins}",
            ),
            (self.same_session, "the session changed while a surface was away"),
            ("agent ready" in self.changes, "the agent was never ready"),
            ("agent speaking" in self.changes, "the agent never spoke"),
            (spoken, "the transcript has no line of the agent"),
            (recorder.mounts == 2, f"the recorder was mounted {recorder.mounts} times, not twice"),
            (recording.snapshots == 2, f"the recording has {recording.snapshots} snapshots, not 2"),
            (
                not self.offline or self.answered == self.asked,
                f"{self.asked - self.answered} of {self.asked} lines were not answered as expected",
            ),
            (self.asked > 0 or not self.scripted, "no line was typed"),
        ]
        found += [problem for passed, problem in checks if not passed]
        if self.second_problem is not None:
            found.append(self.second_problem)
        for key, received in self.received.items():
            for kind, count in (("video", received.video), ("audio", received.audio)):
                if not count:
                    found.append(f"no {kind} reached the surface {key}")
        return tuple(found)


def check_recording(path: Path, session_id: str) -> Recording:
    """Read one session back from a recording; after a snapshot, no event may be missing.

    Args:
        path: The file, which may hold other sessions too.
        session_id: The session to check.
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
                        problems.append(f"event {line.sequence} follows instead of {expected}")
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


def print_report(report: DemoReport, recording: Recording) -> None:
    """Print what happened, for a person."""
    console = Console(highlight=False, soft_wrap=True)
    console.print()
    _heading(console, "what was said")
    for line in report.said[-LINES_SHOWN:]:
        agent = line.role == "agent"
        who = Text("agent    " if agent else "you      ", "bold green" if agent else "bold cyan")
        console.print(who, Text(_printable(line.text)), sep="")
    _heading(console, "what changed")
    console.print(Text(", ".join(report.changes[-LINES_SHOWN:])))
    _heading(console, "what arrived")
    for key, received in report.received.items():
        mounts = f"mounted {received.mounts} time{'s' if received.mounts != 1 else ''}"
        frames = f"{received.video} video frames, {received.audio} audio frames"
        console.print(Text(f"{key:<8} {frames}, {mounts}"))
    done = ", ".join(report.commands) or "nothing"
    console.print(Text(f"page     carried out: {done}"))
    if report.site is not None:
        done = ", ".join(report.site_commands) or "nothing"
        console.print(Text(f"web      carried out: {done}"))
    _heading(console, "where")
    console.print(Text(f"session  {report.session_id} on {report.url}, one session throughout"))
    if report.site is not None:
        console.print(Text(f"site     {report.site}"))
    if report.second is not None:
        console.print(Text(f"second   {report.second}"))
    kept = f"{recording.events} events after {recording.snapshots} snapshots"
    console.print(Text(f"events   {report.recording} ({kept})"))
    if report.media is not None:
        console.print(Text(f"media    {report.media}"))


def _heading(console: Console, words: str) -> None:
    console.print(Text(words, "bold"))


def _printable(text: str) -> str:
    """Replace what could move the terminal's cursor or reorder its text."""
    return "".join(sign if sign.isprintable() else " " for sign in text)
