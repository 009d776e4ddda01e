"""Ways to own a session: a provider for the tasks below it, or one stand-alone surface."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar, Token
from typing import Unpack, final

from ..errors import NoProviderError
from ..surfaces.surface import Surface, SurfaceFunction
from .session import Session, SessionOptions

_current: ContextVar[Session | None] = ContextVar("livelayer_session", default=None)


@final
class AgentSessionProvider:
    """`async with AgentSessionProvider(agent_id, ...) as session`: open, but not connected.

    Every task started inside the block finds the session with `use_agent_session()`. The arguments
    are those of `Session`. Request tasks of an ASGI application do not see what its lifespan task
    set: enter the provider there, and hand the session on in `app.state`.
    """

    def __init__(self, agent_id: str, **options: Unpack[SessionOptions]) -> None:
        self._session = Session(agent_id, **options)
        self._token: Token[Session | None] | None = None

    async def __aenter__(self) -> Session:
        session = await self._session.__aenter__()
        self._token = _current.set(session)
        return session

    async def __aexit__(self, _: object, exc: BaseException | None, __: object) -> None:
        if self._token is not None:
            # In another context than entered (a generator fixture) there is nothing to undo.
            with suppress(ValueError):
                _current.reset(self._token)
        await self._session.__aexit__(None, exc, None)


def use_agent_session() -> Session:
    """The session of the nearest provider around this task.

    Raises:
        NoProviderError: not below a provider; it names the pattern for ASGI applications.
    """
    if (session := _current.get()) is None:
        raise NoProviderError
    return session


@asynccontextmanager
async def standalone(
    surface: Surface | SurfaceFunction,
    agent_id: str,
    *,
    microphone: bool = True,
    key: str = "standalone",
    capabilities: Iterable[str] = (),
    **options: Unpack[SessionOptions],
) -> AsyncGenerator[Session, None]:
    """One surface that owns its session, connected for the block.

    Args:
        surface: what shows the agent.
        agent_id, options: as for `Session`.
        microphone: keep the microphone for this surface alone.
        key, capabilities: as for `Session.mount`.

    Raises:
        RefusedError, BrokenError: the session could not connect.
    """
    async with Session(agent_id, **options) as session:
        if microphone:
            session.microphone.reserve(key)
        session.mount(surface, key=key, capabilities=capabilities)
        await session.connect()
        yield session
