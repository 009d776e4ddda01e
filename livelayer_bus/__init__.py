"""One live agent session, any number of surfaces: see `Session`, and README.md for the picture.

The names here are what an application or a surface writes. Every error is in `errors`, every event
in `events`, every message in `messages`, and what a room adapter implements in `rooms`.
"""

from __future__ import annotations

from importlib import import_module

# A name is imported when it is first used: the SDK and numpy take a third of a second to import,
# and `livelayer --help` needs neither. Type checkers read the imports; a test compares the two.
TYPE_CHECKING = False  # as type checkers take it; `typing` is most of what is left to import
_MODULES = {
    "session": "Session AgentSessionProvider use_agent_session standalone",
    "state": "SessionState",
    "contract": "ControlledSession",
    "surfaces": "Surface SurfaceSession MountedSurface mount Publisher Lease",
    "messages": "Capability RawMessage AgentState",
    "tokens": (
        "LiteralToken LocalKeys SessionEndpoint TokenEndpoint TokenSource TokenRequest RoomAccess"
    ),
    "media": "AudioChannel AudioFrame VideoChannel VideoFrame",
    "bus": "Bus Record Subscription",
    "clock": "Backoff",
    "errors": "LivelayerError ClosedError BrokenError BusyError MisuseError RefusedError Lagged",
    "events": (
        "Event ConnectionState AgentConfig TranscriptEntry ConnectionStateChanged Reconnecting "
        "Reconnected ResumeWindowClosed SessionFailed EpochStarted AgentAvailabilityChanged "
        "AgentTimedOut AgentStateChanged AgentConfigChanged TranscriptUpdated TranscriptCleared "
        "DataReceived DataSent MalformedMessage CommandReceived CommandFinished CommandRefused "
        "SurfaceMounted SurfaceUnmounted SurfaceFailed SurfaceDidNotStop HandlerFailed "
        "MicrophoneChanged CameraChanged ScreenChanged TrackChanged"
    ),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}

if TYPE_CHECKING:
    from .bus import Bus as Bus
    from .bus import Record as Record
    from .bus import Subscription as Subscription
    from .clock import Backoff as Backoff
    from .contract import ControlledSession as ControlledSession
    from .errors import BrokenError as BrokenError
    from .errors import BusyError as BusyError
    from .errors import ClosedError as ClosedError
    from .errors import Lagged as Lagged
    from .errors import LivelayerError as LivelayerError
    from .errors import MisuseError as MisuseError
    from .errors import RefusedError as RefusedError
    from .events import AgentAvailabilityChanged as AgentAvailabilityChanged
    from .events import AgentConfig as AgentConfig
    from .events import AgentConfigChanged as AgentConfigChanged
    from .events import AgentStateChanged as AgentStateChanged
    from .events import AgentTimedOut as AgentTimedOut
    from .events import CameraChanged as CameraChanged
    from .events import CommandFinished as CommandFinished
    from .events import CommandReceived as CommandReceived
    from .events import CommandRefused as CommandRefused
    from .events import ConnectionState as ConnectionState
    from .events import ConnectionStateChanged as ConnectionStateChanged
    from .events import DataReceived as DataReceived
    from .events import DataSent as DataSent
    from .events import EpochStarted as EpochStarted
    from .events import Event as Event
    from .events import HandlerFailed as HandlerFailed
    from .events import MalformedMessage as MalformedMessage
    from .events import MicrophoneChanged as MicrophoneChanged
    from .events import Reconnected as Reconnected
    from .events import Reconnecting as Reconnecting
    from .events import ResumeWindowClosed as ResumeWindowClosed
    from .events import ScreenChanged as ScreenChanged
    from .events import SessionFailed as SessionFailed
    from .events import SurfaceDidNotStop as SurfaceDidNotStop
    from .events import SurfaceFailed as SurfaceFailed
    from .events import SurfaceMounted as SurfaceMounted
    from .events import SurfaceUnmounted as SurfaceUnmounted
    from .events import TrackChanged as TrackChanged
    from .events import TranscriptCleared as TranscriptCleared
    from .events import TranscriptEntry as TranscriptEntry
    from .events import TranscriptUpdated as TranscriptUpdated
    from .media import AudioChannel as AudioChannel
    from .media import AudioFrame as AudioFrame
    from .media import VideoChannel as VideoChannel
    from .media import VideoFrame as VideoFrame
    from .messages import AgentState as AgentState
    from .messages import Capability as Capability
    from .messages import RawMessage as RawMessage
    from .session import AgentSessionProvider as AgentSessionProvider
    from .session import Session as Session
    from .session import standalone as standalone
    from .session import use_agent_session as use_agent_session
    from .state import SessionState as SessionState
    from .surfaces import Lease as Lease
    from .surfaces import MountedSurface as MountedSurface
    from .surfaces import Publisher as Publisher
    from .surfaces import Surface as Surface
    from .surfaces import SurfaceSession as SurfaceSession
    from .surfaces import mount as mount
    from .tokens import LiteralToken as LiteralToken
    from .tokens import LocalKeys as LocalKeys
    from .tokens import RoomAccess as RoomAccess
    from .tokens import SessionEndpoint as SessionEndpoint
    from .tokens import TokenEndpoint as TokenEndpoint
    from .tokens import TokenRequest as TokenRequest
    from .tokens import TokenSource as TokenSource

__all__ = list(_MODULE_OF)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    value: object
    if name in _MODULES:
        value = import_module(f".{name}", __name__)
    elif name in _MODULE_OF:
        value = getattr(import_module(f".{_MODULE_OF[name]}", __name__), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Tracebacks and help() name the public path. Records keep their own: msgspec resolves the
    # annotations of a Struct in the module that it names.
    if isinstance(value, type) and not hasattr(value, "__struct_fields__"):
        value.__module__ = __name__
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
