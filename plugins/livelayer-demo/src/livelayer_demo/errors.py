"""Errors of the demo agent that the core does not have."""

from __future__ import annotations

from livelayer_bus.errors import BrokenError


class DemoDependencyError(BrokenError):
    """Something that the demo needs is missing, or does not work on this machine."""

    def __init__(
        self,
        distribution: str,
        reason: str,
        advice: str = "pip install --force-reinstall livelayer-demo",
    ) -> None:
        super().__init__(f"the demo needs {distribution}: {reason}; {advice}", retryable=False)
        self.distribution = distribution
        self.reason = reason


class SpeechFailedError(BrokenError):
    """espeak-ng did not turn a text into speech."""

    def __init__(self, operation: str, code: int) -> None:
        super().__init__(
            f"espeak-ng failed while {operation} (code {code}); the sentence is not spoken",
            retryable=True,
        )
        self.operation = operation
        self.code = code


class DemoAgentFailedError(BrokenError):
    """The demo agent stopped on its own; the cause, if there is one, says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the demo agent stopped: {reason}; start a new one", retryable=True)
        self.reason = reason
