"""A surface that records a session: its media, its events, what was said, and what is missing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, final

import anyio

from livelayer_bus import Event, MisuseError, Subscription, SurfaceSession
from livelayer_bus.clock import now_ns
from livelayer_bus.state import SessionState
from livelayer_bus.surfaces import BackgroundWriter

from .errors import RecordingBrokenError
from .manifest import MANIFEST, Manifest
from .redaction import Redact
from .session_writer import FLUSH_SECONDS, RecordingOptions, SessionWriter, problem_of
from .tracks import FORMATS, SOURCES, MediaFormat, MediaOptions


@final
class RecorderSurface:
    """Records a session into a folder, from mounting to unmounting.

    Guarantee: every event is a whole line of `events.jsonl`, once and in order. Pictures and sound
    in `media.mp4` are as far apart as they were received; what is missing is in `manifest.json`.
    Encoding and writing happen in threads behind a bounded hand-over: a slow disk or encoder drops
    pictures of the recording, which are counted, and slows nothing else. Killed at any time, the
    folder can be played, all but about the last second. When it cannot be written any more,
    a `RecordingChanged` event says why, the surface ends, and the session goes on.

    While it records, `state.recording` names the surface, and the agent is told by a data message
    `{"type": "recording_state", "active": true}`.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        format: MediaFormat = "mp4",  # noqa: A002 - the option's name in livelayer.toml
        video: bool = True,
        audio: bool = True,
        microphone: bool = False,
        camera: bool = False,
        size: Sequence[int] | None = None,
        max_fps: float | None = None,
        preset: str = "veryfast",
        quality: int = 23,
        threads: int = 1,
        redact: Redact | None = None,
        field_values: bool = False,
        delete_after_days: float | None = None,
        announce: bool = True,
    ) -> None:
        """Make a recorder that is not mounted yet.

        Args:
            directory: the recording's folder (`~` is expanded, missing folders are created). If
                it holds a recording already, this one goes into `<directory>-2`, and so on.
            format: `mp4` (H.264 and AAC), or `mkv` (VP8 and Opus).
            video: record the agent's picture.
            audio: record the agent's voice.
            microphone: record what the session publishes from its microphone, in a track of its
                own.
            camera: record its camera likewise, fitted into `size`.
            size: width and height of the file's picture; None: those of the first one. Pictures of
                other sizes are fitted into it.
            max_fps: at most that many pictures a second; None: all.
            preset: of x264; a slower one makes smaller files.
            quality: constant rate factor; less is better, and larger.
            threads: of the video encoder.
            redact: what to leave out; see `Redact`. It is given what `field_values` leaves.
            field_values: record the values of form fields, too.
            delete_after_days: when `livelayer recordings --delete-expired` may delete it.
            announce: tell the agent by a data message.

        Raises:
            MisuseError: a value is out of range.
        """
        if format not in FORMATS:
            raise MisuseError(f"format must be one of {', '.join(FORMATS)}, got {format!r}")
        if size is not None and (len(size) != 2 or min(size) < 2):
            raise MisuseError(f"size must be [width, height] of at least 2 pixels, got {size!r}")
        if delete_after_days is not None and not delete_after_days > 0:
            raise MisuseError(f"delete_after_days must be more than 0, got {delete_after_days}")
        self.directory = Path(directory).expanduser()
        """The folder; while mounted, and afterwards, the one that was written last."""
        self.problem: str | None = None
        """Why the last recording could not go on; None if it could."""
        self.manifest: Manifest | None = None
        """What is known of the last recording; None before it was mounted."""
        self._wanted: Final = self.directory
        self._options: Final = RecordingOptions(
            media=MediaOptions(
                format=format,
                video=video,
                audio=audio,
                microphone=microphone,
                camera=camera,
                size=None if size is None else (size[0], size[1]),
                preset=preset,
                quality=quality,
                threads=threads,
            ),
            max_fps=max_fps,
            redact=redact,
            field_values=field_values,
            delete_after_days=delete_after_days,
            announce=announce,
        )

    def __repr__(self) -> str:
        return f"RecorderSurface({str(self.directory)!r})"

    async def run(self, session: SurfaceSession) -> None:
        """Record until unmounted, until the session is closed, or until it cannot be written."""
        self.problem = None
        problem: Exception | None = None
        begun: list[SessionWriter] = []
        # Attached before the first wait: every event from here on is in the recording, also if it
        # is unmounted before there is a folder.
        with session.subscribe() as events:
            beginning = BackgroundWriter[int](
                lambda start_ns: begun.append(self._begin(session, events, start_ns))
            )
            try:
                await beginning.put(now_ns())
                await self._record(begun[0], session)
            except* (OSError, RecordingBrokenError) as group:
                problem = group.exceptions[0]
            finally:
                with anyio.CancelScope(shield=True):
                    if not begun and problem is None:
                        problem = await _settled(beginning)
                    self.problem = None if problem is None else self._words(problem)
                    for writer in begun:
                        writer.problem = self.problem
                        await writer.finish()
                        self.problem, self.manifest = writer.problem, writer.manifest
                session.report_recording(active=False, error=self.problem)

    async def _record(self, writer: SessionWriter, session: SurfaceSession) -> None:
        self.manifest = writer.manifest
        session.report_recording(active=True)
        async with anyio.create_task_group() as tasks:
            for source in SOURCES:
                tasks.start_soon(writer.take_pictures, source)
                tasks.start_soon(writer.take_sound, source)
            tasks.start_soon(writer.encode)
            tasks.start_soon(writer.tell_agent)
            await writer.write_events()
            tasks.cancel_scope.cancel()

    def _words(self, problem: Exception) -> str:
        if isinstance(problem, RecordingBrokenError):
            return str(problem)
        return str(RecordingBrokenError(self._wanted, problem_of(problem)))

    def _begin(
        self, session: SurfaceSession, events: Subscription[Event, SessionState], start_ns: int
    ) -> SessionWriter:
        """In a thread: make the folder and its first lines."""
        self.directory = _create(self._wanted)
        return SessionWriter(self.directory, self._options, session, events, start_ns)


async def _settled(beginning: BackgroundWriter[int]) -> Exception | None:
    """Wait for a folder that is being made; what went wrong, if it is not there in time."""
    try:
        if await beginning.aclose(FLUSH_SECONDS):
            return None
    except OSError as exc:
        return exc
    return TimeoutError(f"there was no folder within {FLUSH_SECONDS:g} s")


def _create(wanted: Path) -> Path:
    """Create the folder, or one with a number behind its name if there is a recording in it."""
    folder, number = wanted, 1
    while (folder / MANIFEST).exists():
        number += 1
        folder = wanted.with_name(f"{wanted.name}-{number}")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
