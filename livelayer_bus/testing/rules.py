"""How a conformance check states a rule, and bounds the time it takes to show it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar, cast

import anyio

from .errors import CheckFailedError

T = TypeVar("T")


def require(condition: bool, rule: str, found: str, hint: str) -> None:
    """Go on only if the rule holds.

    Raises:
        CheckFailedError: it does not.
    """
    if not condition:
        raise CheckFailedError(rule, found, hint)


@asynccontextmanager
async def in_time(seconds: float, rule: str, hint: str) -> AsyncGenerator[None]:
    """Require that the block ends within `seconds`.

    Raises:
        CheckFailedError: it did not, and was cancelled.
    """
    with anyio.move_on_after(seconds) as scope:
        yield
    require(not scope.cancelled_caught, rule, f"it was not over after {seconds:g} s", hint)


@asynccontextmanager
async def opened(factory: Callable[[], T | AbstractAsyncContextManager[T]]) -> AsyncGenerator[T]:
    """What the factory makes, entered if it is an async context manager."""
    made = factory()
    if isinstance(made, AbstractAsyncContextManager):
        manager = cast(AbstractAsyncContextManager[T], made)
        async with manager as entered:
            yield entered
    else:
        yield made


async def side_by_side(*works: Callable[[], Awaitable[None]]) -> None:
    """Run these at the same time; the first error ends the others and is raised as it is."""
    errors: list[Exception] = []
    async with anyio.create_task_group() as group:

        async def run(work: Callable[[], Awaitable[None]]) -> None:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - raised below, outside of the group
                errors.append(error)
                group.cancel_scope.cancel()

        for work in works:
            group.start_soon(run, work)
    if errors:
        raise errors[0]
