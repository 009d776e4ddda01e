"""What the surfaces let the agent do: what was granted, less what they refused recently."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, final

from livelayer_bus.clock import Clock, SystemClock
from livelayer_bus.messages import Capability, check_capabilities

REFUSAL_SECONDS: Final = 60.0
"""How long a refusal counts; afterwards the surface may have been given more."""


@final
class GrantedCapabilities:
    """Which capabilities the agent may use now."""

    def __init__(self, granted: Iterable[str], *, clock: Clock | None = None) -> None:
        """
        Args:
            granted: The capabilities that the surfaces grant.
            clock: What `REFUSAL_SECONDS` are measured on; for tests.

        Raises:
            MisuseError: a name is not a capability.
        """
        self._granted = check_capabilities(granted)
        self._clock: Clock = clock or SystemClock()
        self._refused: dict[Capability, float] = {}

    @property
    def current(self) -> frozenset[Capability]:
        """What is granted and was not refused in the last `REFUSAL_SECONDS`."""
        earliest = self._clock.now() - REFUSAL_SECONDS
        return frozenset(
            capability
            for capability in self._granted
            if self._refused.get(capability, earliest) <= earliest
        )

    @property
    def granted(self) -> frozenset[Capability]:
        """What is granted, refused or not."""
        return self._granted

    def replace(self, granted: Iterable[str]) -> None:
        """Replace the grants; earlier refusals are forgotten.

        Raises:
            MisuseError: a name is not a capability.
        """
        self._granted = check_capabilities(granted)
        self._refused.clear()

    def record(self, capability: Capability | None, *, refused: bool) -> None:
        """Note that a surface carried out a command with this capability, or refused it."""
        if capability is None:
            return
        if refused:
            self._refused[capability] = self._clock.now()
        else:
            self._refused.pop(capability, None)
