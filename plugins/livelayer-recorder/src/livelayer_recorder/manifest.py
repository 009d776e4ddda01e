"""`manifest.json`: what a recording is, and what it lacks."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Final, Literal

import av
import msgspec

from livelayer_bus import AgentConfig

from .audio_timeline import Gap
from .errors import NotARecordingError
from .tracks import Source

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
EVENTS: Final = "events.jsonl"
CAPTIONS: Final = "captions.vtt"

Status = Literal["recording", "finished", "broken"]


class Track(msgspec.Struct, frozen=True, kw_only=True):
    """One track of the media file."""

    kind: Literal["video", "audio"]
    source: Source = "agent"
    """Whose it is: the agent's, or of the session's own microphone or camera."""
    codec: str
    width: int | None = None
    height: int | None = None
    sample_rate: int | None = None


class Drops(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in the session and is not in the recording."""

    pictures: int = 0
    """Pictures that came while the encoder was behind, or that were late."""
    sound_frames: int = 0
    """Sound that came while the encoder was behind; silence takes its place."""
    events: int = 0
    """Events that were overwritten before they were written; a snapshot stands in their place."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a recording is. Times are seconds from the recording's start."""

    format: int = FORMAT
    status: Status = "recording"
    """`recording` also of one whose process died; `broken`: it stopped because of `problem`."""
    problem: str | None = None
    session_id: str
    agent_id: str
    agent_config: AgentConfig | None = None
    started: str
    """In UTC, ISO 8601."""
    start_ns: int
    """The same instant on the clock of the events' `time_ns`."""
    seconds: float = 0.0
    """How long it lasts, as far as is known."""
    delete_after: str | None = None
    """When it may be deleted, in UTC: see `livelayer recordings --delete-expired`."""
    media: str | None = None
    """The media file's name; None: there is none."""
    media_start: float = 0.0
    """When the media file begins; captions are in step with it."""
    tracks: tuple[Track, ...] = ()
    sizes: tuple[tuple[int, int], ...] = ()
    """Width and height of the session's pictures, in the order of their first appearance."""
    pictures: int = 0
    gaps: tuple[Gap, ...] = ()
    """Where sound was missing: it is silence in the media file."""
    drops: Drops = Drops()
    redacted: bool = True
    """The values of form fields were taken out."""
    versions: dict[str, str] = {}


def versions() -> dict[str, str]:
    """What made a recording."""
    return {
        "livelayer-bus": version("livelayer-bus"),
        "livelayer-recorder": version("livelayer-recorder"),
        "av": av.__version__,
        "libavformat": ".".join(map(str, av.library_versions["libavformat"])),
    }


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest in one step: a crash leaves the old one or the new one.

    Raises:
        OSError: it cannot be written.
    """
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    temporary = folder / f".{MANIFEST}.tmp"
    temporary.write_bytes(data + b"\n")
    temporary.replace(folder / MANIFEST)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a recording.

    Raises:
        NotARecordingError: there is none, or a version wrote it that this one cannot read.
    """
    path = folder / MANIFEST
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except OSError as exc:
        raise NotARecordingError(folder, f"it has no {MANIFEST} ({exc.strerror})") from exc
    except msgspec.DecodeError as exc:
        raise NotARecordingError(folder, f"its {MANIFEST} cannot be read ({exc})") from exc
    if manifest.format != FORMAT:
        problem = f"its format is {manifest.format}, and this version reads {FORMAT}"
        raise NotARecordingError(folder, problem)
    return manifest
