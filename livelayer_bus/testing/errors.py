"""What the test kit itself raises: failed checks, leaked tasks, a script that makes no sense."""

from __future__ import annotations

from ..errors import MisuseError


class CheckFailedError(MisuseError, AssertionError):
    """A surface or a session broke a rule of its contract."""

    def __init__(self, rule: str, found: str, hint: str) -> None:
        super().__init__(f"rule broken: {rule}. Found: {found}. {hint}")
        self.rule = rule
        self.found = found
        self.hint = hint


class LeakedTasksError(MisuseError, AssertionError):
    """Tasks that were started inside a guarded block still run after its end."""

    def __init__(self, names: tuple[str, ...], seconds: float) -> None:
        super().__init__(
            f"{len(names)} tasks still run {seconds:g} s after the block that started them: "
            f"{', '.join(names)}; cancel and await what you start"
        )
        self.names = names
        self.seconds = seconds


class ScriptError(MisuseError):
    """The script asks a scripted room for something that no real room could do."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(f"the script cannot do that: {what}; {hint}")
        self.what = what
