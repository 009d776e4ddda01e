"""A session for everything beneath: opened without connecting, found by `use_agent_session()`."""

from __future__ import annotations

from contextvars import ContextVar, Token
from types import TracebackType
from typing import Unpack, final

from ..errors import NoProviderError
from .session import Session, SessionOptions

_current: ContextVar[Session | None] = ContextVar("livelayer_session", default=None)


@final
class AgentSessionProvider:
    """`async with AgentSessionProvider(agent_id, ...) as session`: open, but not connected.

    Every task started inside the block finds the session with `use_agent_session()`. The arguments
    are those of `Session`.

    In an ASGI application a context variable set in the lifespan task does not reach request
    tasks. Enter the provider there, put the session into `app.state`, and take it from
    `request.app.state` in the endpoints.
    """

    def __init__(self, agent_id: str, **options: Unpack[SessionOptions]) -> None:
        self._session = Session(agent_id, **options)
        self._token: Token[Session | None] | None = None

    async def __aenter__(self) -> Session:
        session = await self._session.__aenter__()
        self._token = _current.set(session)
        return session

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._token is not None:
            try:
                _current.reset(self._token)
            except ValueError:
                # Left in another context than entered (a generator fixture): nothing to undo here.
                self._token = None
        await self._session.__aexit__(exc_type, exc, traceback)


def use_agent_session() -> Session:
    """The session of the nearest provider around this task.

    Raises:
        NoProviderError: there is none; the error names the pattern for ASGI applications.
    """
    session = _current.get()
    if session is None:
        raise NoProviderError
    return session
