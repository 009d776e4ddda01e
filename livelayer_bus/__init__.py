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
    # isort: off
    from .bus import Bus as Bus, Record as Record, Subscription as Subscription
    from .clock import Backoff as Backoff
    from .contract import ControlledSession as ControlledSession
    from .errors import (
        BrokenError as BrokenError, BusyError as BusyError, ClosedError as ClosedError,
        Lagged as Lagged, LivelayerError as LivelayerError, MisuseError as MisuseError,
        RefusedError as RefusedError,
    )  # fmt: skip
    from .events import (
        AgentAvailabilityChanged as AgentAvailabilityChanged, AgentConfig as AgentConfig,
        AgentConfigChanged as AgentConfigChanged, AgentStateChanged as AgentStateChanged,
        AgentTimedOut as AgentTimedOut, CameraChanged as CameraChanged,
        CommandFinished as CommandFinished, CommandReceived as CommandReceived,
        CommandRefused as CommandRefused, ConnectionState as ConnectionState,
        ConnectionStateChanged as ConnectionStateChanged, DataReceived as DataReceived,
        DataSent as DataSent, EpochStarted as EpochStarted, Event as Event,
        HandlerFailed as HandlerFailed, MalformedMessage as MalformedMessage,
        MicrophoneChanged as MicrophoneChanged, Reconnected as Reconnected,
        Reconnecting as Reconnecting, ResumeWindowClosed as ResumeWindowClosed,
        ScreenChanged as ScreenChanged, SessionFailed as SessionFailed,
        SurfaceDidNotStop as SurfaceDidNotStop, SurfaceFailed as SurfaceFailed,
        SurfaceMounted as SurfaceMounted, SurfaceUnmounted as SurfaceUnmounted,
        TrackChanged as TrackChanged, TranscriptCleared as TranscriptCleared,
        TranscriptEntry as TranscriptEntry, TranscriptUpdated as TranscriptUpdated,
    )  # fmt: skip
    from .media import (
        AudioChannel as AudioChannel, AudioFrame as AudioFrame, VideoChannel as VideoChannel,
        VideoFrame as VideoFrame,
    )  # fmt: skip
    from .messages import (
        AgentState as AgentState, Capability as Capability, RawMessage as RawMessage,
    )  # fmt: skip
    from .session import (
        AgentSessionProvider as AgentSessionProvider, Session as Session, standalone as standalone,
        use_agent_session as use_agent_session,
    )  # fmt: skip
    from .state import SessionState as SessionState
    from .surfaces import (
        Lease as Lease, MountedSurface as MountedSurface, Publisher as Publisher,
        Surface as Surface, SurfaceSession as SurfaceSession, mount as mount,
    )  # fmt: skip
    from .tokens import (
        LiteralToken as LiteralToken, LocalKeys as LocalKeys, RoomAccess as RoomAccess,
        SessionEndpoint as SessionEndpoint, TokenEndpoint as TokenEndpoint,
        TokenRequest as TokenRequest, TokenSource as TokenSource,
    )  # fmt: skip
    # isort: on

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
