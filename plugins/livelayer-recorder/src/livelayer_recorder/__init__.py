"""Record and replay: a session becomes a folder, and a folder becomes a session."""

from .captions import Cue
from .errors import NotARecordingError, RecordingBrokenError
from .manifest import Drops, Manifest, Track
from .recording import Moment, Recording
from .redaction import Redact, without_field_values
from .replay import ReplayRoom
from .replay_agent import ReplayAgent
from .surface import RecorderSurface

__all__ = [
    # Record
    "RecorderSurface", "Redact", "without_field_values",
    # Replay
    "ReplayRoom", "ReplayAgent", "Recording", "Moment",
    # What a recording holds
    "Manifest", "Track", "Drops", "Cue",
    # Errors
    "RecordingBrokenError", "NotARecordingError",
]  # fmt: skip
