"""`DemoAgent`: joins a room, answers and leaves, as one `async with` block."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Final, Self

from livekit import rtc
from livekit.agents.testing import fake_job_context
from livekit.plugins.livelayer import BridgeStatistics

from livelayer_bus.errors import ConnectError, MisuseError
from livelayer_bus.rooms import join_error, keep, prepare_sdk

from . import guide
from .agent_session import DemoAgentSession, bounded
from .errors import DemoAgentFailedError
from .models import ModelChoice, models_of_this_machine
from .offline import THINKING_SECONDS, Transcribe
from .speech import Voice

START_SECONDS: Final = 15.0
CLOSE_SECONDS: Final = 5.0
_NOISY_LOGGERS: Final = ("livekit", "livekit.agents")


class DemoAgent:
    """A talking agent in one LiveKit room, for the length of an `async with` block.

    Inside the block the agent is in the room and publishes its face; it greets the first user, and
    answers every typed line (`user_message` or `lk.chat`). Leaving the block ends its speech,
    leaves the room and frees every task and thread, within `close_timeout`. If the agent stops on
    its own (the room is closed, the connection is lost for good), `wait_stopped` returns, and
    leaving the block raises `DemoAgentFailedError`, unless another error does.

    An instance can be entered once.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        models: ModelChoice | None = None,
        room_options: rtc.RoomOptions | None = None,
        greeting: str | None = guide.GREETING,
        thinking_seconds: float = THINKING_SECONDS,
        transcribe: Transcribe | None = None,
        start_timeout: float = START_SECONDS,
        close_timeout: float = CLOSE_SECONDS,
        quiet: bool = True,
    ) -> None:
        """
        Args:
            url: The LiveKit server.
            token: The agent's token, see `demo_agent_token`.
            models: The models to use; by default chosen from the environment.
            room_options: Options of the SDK's connection.
            greeting: Said when the first user is active; None: no greeting.
            thinking_seconds: The offline guide's pause before each answer.
            transcribe: Speech to text for the offline guide: an async function that gets the speech
                of one turn as one audio frame and returns its text. None: the guide notices
                speech, and asks to type.
            start_timeout: Seconds that entering the block may take.
            close_timeout: Seconds that leaving the block may take.
            quiet: Drop LiveKit's log records below WARNING inside the block.
        """
        self._url = url
        self._token = token
        self._models = models or models_of_this_machine()
        # Every server offers two connections; a single one logs a warning where it is unknown.
        self._room_options = room_options or rtc.RoomOptions(single_peer_connection=False)
        self._greeting = greeting
        self._thinking_seconds = thinking_seconds
        self._transcribe = transcribe
        self._start_timeout = start_timeout
        self._close_timeout = close_timeout
        self._quiet = quiet
        self._levels: dict[str, int] = {}
        self._task: asyncio.Task[None] | None = None
        self._session: DemoAgentSession | None = None

    @property
    def models(self) -> ModelChoice:
        """The models that answer, with a sentence for the user."""
        return self._models

    def wire_statistics(self) -> BridgeStatistics:
        """Return the counts of data messages so far.

        Raises:
            MisuseError: the block was not entered.
        """
        return self._running().wire_statistics()

    async def wait_stopped(self) -> None:
        """Wait until the agent has stopped, on its own or because the block is left."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def __aenter__(self) -> Self:
        """Join, and return when the agent can answer.

        Raises:
            MisuseError: the instance was used before.
            RoomRefusedError: the server does not accept the token.
            ConnectError: the server cannot be reached, or not within `start_timeout`.
            DemoDependencyError: the voice library is missing.
        """
        if self._task is not None:
            raise MisuseError("a DemoAgent can be entered once ('async with'): create a new one")
        self._hush()
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(ready), name="demo-agent")
        try:
            await asyncio.wait(
                {ready, self._task},
                timeout=self._start_timeout,
                return_when=asyncio.FIRST_COMPLETED,
            )
            in_time = self._task.done()
        finally:
            if not ready.done():
                await self._end()
        if ready.done():
            return self
        if not in_time:
            raise ConnectError(self._url, f"not ready within {self._start_timeout:g} s")
        self._task.result()
        raise DemoAgentFailedError(self._reason(None))

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Leave the room and free everything.

        Raises:
            DemoAgentFailedError: the agent stopped on its own before.
        """
        task = self._task
        if task is None:
            return
        await self._end()
        cause = task.exception() if task.done() and not task.cancelled() else None
        stopped_alone = cause is not None or self._running().end_reason is not None
        if stopped_alone and error is None:
            raise DemoAgentFailedError(self._reason(cause)) from cause

    async def _run(self, ready: asyncio.Future[None]) -> None:
        """Join, run and leave, in one task: the context of a job belongs to one."""
        room = rtc.Room()
        room.on("disconnected", self._on_disconnected)
        executor = ThreadPoolExecutor(1, thread_name_prefix="demo-agent")
        try:
            voice = await self._prepare(room, executor)
            with _job(room):
                self._session = DemoAgentSession(
                    room,
                    voice,
                    executor,
                    models=self._models.kind,
                    greeting=self._greeting,
                    thinking_seconds=self._thinking_seconds,
                    transcribe=self._transcribe,
                )
                await self._session.run(ready)
        finally:
            room.off("disconnected", self._on_disconnected)
            await bounded(room.disconnect(), self._close_timeout / 2)
            if self._session is not None:
                await self._session.aclose()
            # It only speaks sentences, which takes milliseconds.
            executor.shutdown(wait=True, cancel_futures=True)

    async def _prepare(self, room: rtc.Room, executor: ThreadPoolExecutor) -> Voice | None:
        """Connect while the thread loads the voice."""
        if self._models.kind != "offline":
            await self._connect(room)
            return None
        loading = asyncio.get_running_loop().run_in_executor(executor, Voice)
        try:
            await self._connect(room)
            return await loading
        finally:
            loading.cancel()

    async def _connect(self, room: rtc.Room) -> None:
        prepare_sdk(self._url)
        joining = asyncio.create_task(self._join(room), name="demo-agent joining")
        try:
            await asyncio.shield(joining)
        except asyncio.CancelledError:
            # The native side joins all the same, and logs an error if the server closes meanwhile.
            await asyncio.wait({joining}, timeout=self._close_timeout / 2)
            raise
        except rtc.ConnectError as exc:
            # Not `from exc`: the SDK's text quotes the token that a server refused.
            raise join_error(self._url, self._token, exc.message) from None

    async def _join(self, room: rtc.Room) -> None:
        await room.connect(self._url, self._token, self._room_options)
        keep(room)

    async def _end(self) -> None:
        task = self._task
        if task is None:
            return
        if self._session is None:
            task.cancel()
        else:
            self._session.end()
        done, _ = await asyncio.wait({task}, timeout=self._close_timeout)
        if not done:
            task.cancel()
            await asyncio.wait({task}, timeout=1.0)
        self._unhush()

    def _on_disconnected(self, reason: rtc.DisconnectReason.ValueType) -> None:
        if self._session is not None:
            self._session.end(f"its room is gone ({rtc.DisconnectReason.Name(reason)})")

    def _running(self) -> DemoAgentSession:
        if self._session is None:
            raise MisuseError("the DemoAgent is not running: enter its 'async with' block first")
        return self._session

    def _reason(self, cause: BaseException | None) -> str:
        reason = self._session.end_reason if self._session is not None else None
        while isinstance(cause, BaseExceptionGroup) and len(cause.exceptions) == 1:
            cause = cause.exceptions[0]
        return reason or (type(cause).__name__ if cause is not None else "it ended while starting")

    def _hush(self) -> None:
        if not self._quiet:
            return
        for name in _NOISY_LOGGERS:
            logger = logging.getLogger(name)
            # A level that the application chose is kept, also one that a parent has.
            if logger.getEffectiveLevel() < logging.WARNING and logger.level == logging.NOTSET:
                self._levels[name] = logger.level
                logger.setLevel(logging.WARNING)

    def _unhush(self) -> None:
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)
        self._levels.clear()


@contextmanager
def _job(room: rtc.Room) -> Generator[None, None, None]:
    """Run a job for an agent without a worker; removes its temporary folder at the end."""
    with fake_job_context(room=room, agent_identity=room.local_participant.identity) as job:
        try:
            yield
        finally:
            # A worker calls the job's own clean-up, which is not public.
            for value in vars(job).values():
                if isinstance(value, TemporaryDirectory):
                    value.cleanup()
