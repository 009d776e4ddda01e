"""The rules of the conformance checks: what a broken one raises, and how long one may take."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

from ..errors import MisuseError


class CheckFailedError(MisuseError, AssertionError):
    """A surface or a session broke a rule of its contract; what it raised is the cause."""

    def __init__(self, rule: str, found: str, hint: str) -> None:
        super().__init__(f"rule broken: {rule}. Found: {found}. {hint}")
        self.rule = rule
        self.found = found
        self.hint = hint


def require(
    condition: bool, rule: str, found: str, hint: str, cause: BaseException | None = None
) -> None:
    """Go on only if the rule holds.

    Raises:
        CheckFailedError: it does not; raised from `cause`.
    """
    if not condition:
        raise CheckFailedError(rule, found, hint) from cause


@asynccontextmanager
async def in_time(seconds: float, rule: str, found: str, hint: str) -> AsyncGenerator[None]:
    """Require that the block ends within `seconds`.

    Raises:
        CheckFailedError: it did not, and was cancelled.
    """
    with anyio.move_on_after(seconds) as scope:
        yield
    require(not scope.cancelled_caught, rule, f"{found} within {seconds:g} s", hint)
