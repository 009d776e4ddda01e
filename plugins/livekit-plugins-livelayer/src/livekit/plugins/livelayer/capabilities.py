"""What the surfaces let the agent do: as it was told, less what they refused a moment ago."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final, final

from livelayer_bus.messages import Capability, check_capabilities

REFUSAL_SECONDS: Final = 60.0
"""For how long a refusal stands; after that the surface may have been given more."""


@final
class Grants:
    """Which capabilities may be used now."""

    def __init__(
        self, granted: Iterable[str], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._granted = check_capabilities(granted)
        self._clock = clock
        self._refused: dict[Capability, float] = {}

    @property
    def current(self) -> frozenset[Capability]:
        """What was granted and not refused in the last `REFUSAL_SECONDS`."""
        now = self._clock()
        return frozenset(
            capability
            for capability in self._granted
            if self._refused.get(capability, now - REFUSAL_SECONDS) <= now - REFUSAL_SECONDS
        )

    @property
    def granted(self) -> frozenset[Capability]:
        """What was granted, refused or not."""
        return self._granted

    def replace(self, granted: Iterable[str]) -> None:
        """Other surfaces, other grants; earlier refusals are forgotten.

        Raises:
            MisuseError: one of the names is no capability.
        """
        self._granted = check_capabilities(granted)
        self._refused.clear()

    def learn(self, capability: Capability | None, *, refused: bool) -> None:
        """A surface carried out something that needs this capability, or refused to."""
        if capability is None:
            return
        if refused:
            self._refused[capability] = self._clock()
        else:
            self._refused.pop(capability, None)
