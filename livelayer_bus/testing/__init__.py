"""For tests of surfaces, sessions and plugins: scripted rooms, manual time, conformance checks."""

from .check_thread import CheckFailedError, LeakedTasksError, no_leaked_tasks
from .session_check import Provoke, SessionFactory, check_controlled_session
from .surface_check import SurfaceFactory, check_surface
from .waiting import PATIENCE, Gate, ManualClock, polled, settle

from .room import (  # isort: skip
    ScriptedMicrophone, ScriptedRoom, ScriptedRooms, ScriptedStream, ScriptedTokens,
    ScriptedVideoTrack, ScriptError, SentPacket, SentText, grey_picture, silence,
)  # fmt: skip

__all__ = [
    # Checks
    "check_surface", "SurfaceFactory", "check_controlled_session", "SessionFactory", "Provoke",
    # Rooms
    "ScriptedRooms", "ScriptedRoom", "ScriptedStream", "ScriptedMicrophone", "ScriptedVideoTrack",
    "ScriptedTokens", "SentPacket", "SentText", "Gate",
    # Time and tasks
    "ManualClock", "settle", "polled", "PATIENCE", "no_leaked_tasks",
    # Frames
    "grey_picture", "silence",
    # Errors
    "CheckFailedError", "LeakedTasksError", "ScriptError",
]  # fmt: skip
