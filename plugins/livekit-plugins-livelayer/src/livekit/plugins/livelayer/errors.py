"""Errors of the agent's side that the core does not have."""

from __future__ import annotations

from livelayer_bus.errors import BusyError, MisuseError, RefusedError


class CapabilityNotGrantedError(RefusedError):
    """The bridge was not given this capability; nothing was sent."""

    def __init__(self, capability: str) -> None:
        super().__init__(
            f"the capability {capability!r} is not granted: add it to "
            "SurfaceBridge(capabilities=[...]) if the surfaces of this agent grant it"
        )
        self.capability = capability


class CommandNameError(MisuseError):
    """A command of the application has a name that is in use."""

    def __init__(self, name: str) -> None:
        super().__init__(f"a tool or command named {name!r} exists: choose another name")
        self.name = name


class CollectionBusyError(BusyError):
    """Another collection is running; there is one at a time."""

    def __init__(self) -> None:
        super().__init__("this bridge's data collection", "await the running one first")


class CollectionEndedError(RefusedError):
    """A collection ended before every required field had a value."""

    def __init__(self, missing: tuple[str, ...], reason: str) -> None:
        super().__init__(f"the collection ended ({reason}) without: {', '.join(missing) or '-'}")
        self.missing = missing
        self.reason = reason
