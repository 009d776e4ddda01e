"""What can go wrong on the agent's side that is nobody else's error."""

from __future__ import annotations

from livelayer_bus.errors import MisuseError, RefusedError


class CapabilityNotGrantedError(RefusedError):
    """The bridge was not told that any surface grants this capability; nothing was sent."""

    def __init__(self, capability: str) -> None:
        super().__init__(
            f"no surface granted {capability!r}: name it in SurfaceBridge(capabilities=[...]) if "
            "the surfaces of this agent do"
        )
        self.capability = capability


class CommandNameError(MisuseError):
    """A command of the application has a name that is taken."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the command {name!r} exists already: choose another name")
        self.name = name


class CollectionBusyError(MisuseError):
    """Fields are being collected already; one collection at a time."""

    def __init__(self) -> None:
        super().__init__("fields are being collected already: await that collection first")


class CollectionEndedError(RefusedError):
    """A collection ended before its required fields were filled."""

    def __init__(self, missing: tuple[str, ...], reason: str) -> None:
        super().__init__(f"the collection ended ({reason}) without: {', '.join(missing) or '-'}")
        self.missing = missing
        self.reason = reason
