"""For tests of surfaces, sessions and plugins: scripted rooms, manual time, conformance checks."""

from .clock import ManualClock
from .frames import grey_picture, mark_of, marked_picture, silence
from .gate import Gate
from .records import ScriptedMicrophone, ScriptedVideoTrack, SentPacket, SentText
from .room import ScriptedRoom, ScriptedRooms, ScriptedStream, ScriptedTokens, ScriptError
from .rules import CheckFailedError
from .session_check import Provoke, SessionFactory, check_controlled_session
from .surface_check import SurfaceFactory, check_surface
from .tasks import LeakedTasksError, no_leaked_tasks
from .waiting import PATIENCE, polled, settle

__all__ = [
    # Checks
    "check_surface", "SurfaceFactory", "check_controlled_session", "SessionFactory", "Provoke",
    # Rooms
    "ScriptedRooms", "ScriptedRoom", "ScriptedStream", "ScriptedMicrophone", "ScriptedVideoTrack",
    "ScriptedTokens", "SentPacket", "SentText", "Gate",
    # Time and tasks
    "ManualClock", "settle", "polled", "PATIENCE", "no_leaked_tasks",
    # Frames
    "grey_picture", "marked_picture", "mark_of", "silence",
    # Errors
    "CheckFailedError", "LeakedTasksError", "ScriptError",
]  # fmt: skip
