"""The demo agent's lifecycle: joined, performing and closed as one `async with` block."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Final, Self

from livekit import rtc
from livekit.agents.testing import fake_job_context
from livekit.plugins.livelayer import BridgeStatistics
from livekit.plugins.livelayer.face import Face

from livelayer_bus.errors import ConnectError, MisuseError
from livelayer_bus.rooms import join_error, redact_sdk_log

from . import guide
from .agent_session import Performance, bounded
from .avatar import AvatarStatistics
from .brain import THINKING_SECONDS
from .errors import DemoAgentFailedError
from .hearing import Transcribe
from .models import OPENAI_PLUGIN, ModelChoice, choose_models
from .speech import Voice

START_SECONDS: Final = 15.0
CLOSE_SECONDS: Final = 5.0
_NOISY_LOGGERS: Final = ("livekit", "livekit.agents")


class DemoAgent:
    """A talking agent in one LiveKit room, for the length of an `async with` block.

    Inside the block the agent is in the room, its face is published, and it answers: it greets the
    first person, then whoever types (`user_message` or `lk.chat`). Leaving the block ends its
    speech, leaves the room and gives back every task and thread, within `close_timeout`. If the
    agent stops on its own (the room is closed, the connection is lost for good), `wait_stopped`
    returns, and leaving the block raises `DemoAgentFailedError`, unless another error does.

    One block an instance.
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
            models: What to think and speak with; by default chosen from the environment.
            room_options: Options of the SDK's connection.
            greeting: Said once the first person is there; None says nothing.
            thinking_seconds: The offline guide's pause before each answer.
            transcribe: The offline guide's ears: an async function that gets the speech of one
                turn, as one audio frame, and gives its text. None: the guide hears that somebody
                speaks, and asks to type.
            start_timeout: Bound of entering the block, in seconds.
            close_timeout: Bound of leaving the block, in seconds.
            quiet: Keep what LiveKit logs below WARNING away from the handlers, inside the block.
        """
        self._url = url
        self._token = token
        self._models = models or models_of_this_machine()
        # Two connections are what every server offers; a single one warns where it is unknown.
        self._room_options = room_options or rtc.RoomOptions(single_peer_connection=False)
        self._greeting = greeting
        self._thinking_seconds = thinking_seconds
        self._transcribe = transcribe
        self._start_timeout = start_timeout
        self._close_timeout = close_timeout
        self._quiet = quiet
        self._levels: dict[str, int] = {}
        self._life: asyncio.Task[None] | None = None
        self._performance: Performance | None = None

    @property
    def models(self) -> ModelChoice:
        """Which models answer, with a sentence for the user."""
        return self._models

    def video_statistics(self) -> AvatarStatistics:
        """Frames sent and left out so far.

        Raises:
            MisuseError: The block was not entered.
        """
        return self._on_stage().video_statistics()

    def wire_statistics(self) -> BridgeStatistics:
        """Data messages sent and received so far.

        Raises:
            MisuseError: The block was not entered.
        """
        return self._on_stage().wire_statistics()

    async def wait_stopped(self) -> None:
        """Return when the agent has stopped, on its own or because the block is being left."""
        if self._life is not None:
            await asyncio.wait({self._life})

    async def __aenter__(self) -> Self:
        """Join, and return when the agent is able to answer.

        Raises:
            MisuseError: The instance was used before.
            RoomRefusedError: The server does not accept the token.
            ConnectError: The server cannot be reached, or not within `start_timeout`.
            DemoDependencyError: the voice library is missing.
        """
        if self._life is not None:
            raise MisuseError("a DemoAgent is good for one 'async with' block: create a new one")
        self._hush()
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._life = asyncio.create_task(self._live(ready), name="demo-agent")
        try:
            await asyncio.wait(
                {ready, self._life},
                timeout=self._start_timeout,
                return_when=asyncio.FIRST_COMPLETED,
            )
            in_time = self._life.done()
        finally:
            if not ready.done():
                await self._end()
        if ready.done():
            return self
        if not in_time:
            raise ConnectError(self._url, f"not ready within {self._start_timeout:g} s")
        self._life.result()
        raise DemoAgentFailedError(self._reason(None))

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the room and free everything.

        Raises:
            DemoAgentFailedError: The agent had stopped on its own before.
        """
        life = self._life
        if life is None:
            return
        await self._end()
        cause = life.exception() if life.done() and not life.cancelled() else None
        stopped_alone = cause is not None or self._on_stage().end_reason is not None
        if stopped_alone and error is None:
            raise DemoAgentFailedError(self._reason(cause)) from cause

    async def _live(self, ready: asyncio.Future[None]) -> None:
        """Everything the agent ever does, in one task, because a job's context belongs to one."""
        room = rtc.Room()
        room.on("disconnected", self._on_disconnected)
        executor = ThreadPoolExecutor(1, thread_name_prefix="demo-agent")
        try:
            face, voice = await self._prepare(room, executor)
            with _job(room):
                self._performance = Performance(
                    room,
                    face,
                    voice,
                    executor,
                    models=self._models.kind,
                    greeting=self._greeting,
                    thinking_seconds=self._thinking_seconds,
                    transcribe=self._transcribe,
                )
                await self._performance.run(ready)
        finally:
            room.off("disconnected", self._on_disconnected)
            await bounded(room.disconnect(), self._close_timeout / 2)
            if self._performance is not None:
                await self._performance.aclose()
            # Nothing long runs there: a sentence takes milliseconds.
            executor.shutdown(wait=True, cancel_futures=True)

    async def _prepare(
        self, room: rtc.Room, executor: ThreadPoolExecutor
    ) -> tuple[Face, Voice | None]:
        """Connect while the thread loads the voice and draws the face."""
        loop = asyncio.get_running_loop()
        loading = loop.run_in_executor(executor, _warm_up, self._models.kind == "offline")
        try:
            await self._connect(room)
            return await loading
        finally:
            loading.cancel()

    async def _connect(self, room: rtc.Room) -> None:
        redact_sdk_log()
        try:
            await room.connect(self._url, self._token, self._room_options)
        except rtc.ConnectError as exc:
            # Not `from exc`: the SDK's text quotes the token that a server refused.
            raise join_error(self._url, self._token, exc.message) from None

    async def _end(self) -> None:
        life = self._life
        if life is None:
            return
        if self._performance is None:
            life.cancel()
        else:
            self._performance.end()
        done, _ = await asyncio.wait({life}, timeout=self._close_timeout)
        if not done:
            life.cancel()
            await asyncio.wait({life}, timeout=1.0)
        self._unhush()

    def _on_disconnected(self, reason: rtc.DisconnectReason.ValueType) -> None:
        if self._performance is not None:
            self._performance.end(f"its room is gone ({rtc.DisconnectReason.Name(reason)})")

    def _on_stage(self) -> Performance:
        if self._performance is None:
            raise MisuseError("the DemoAgent is not running: enter its 'async with' block first")
        return self._performance

    def _reason(self, cause: BaseException | None) -> str:
        told = self._performance.end_reason if self._performance is not None else None
        while isinstance(cause, BaseExceptionGroup) and len(cause.exceptions) == 1:
            cause = cause.exceptions[0]
        return told or (type(cause).__name__ if cause is not None else "it ended while starting")

    def _hush(self) -> None:
        if not self._quiet:
            return
        for name in _NOISY_LOGGERS:
            logger = logging.getLogger(name)
            # Who chose a level on purpose keeps it.
            if logger.level == logging.NOTSET:
                self._levels[name] = logger.level
                logger.setLevel(logging.WARNING)

    def _unhush(self) -> None:
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)
        self._levels.clear()


def models_of_this_machine() -> ModelChoice:
    """The choice of `choose_models` for this process's environment and packages."""
    try:
        installed = importlib.util.find_spec(OPENAI_PLUGIN) is not None
    except ModuleNotFoundError:
        installed = False
    return choose_models(os.environ, openai_plugin_installed=installed)


@contextmanager
def _job(room: rtc.Room) -> Generator[None, None, None]:
    """A job for an agent without a worker, its temporary folder removed at the end."""
    with fake_job_context(room=room, agent_identity=room.local_participant.identity) as job:
        try:
            yield
        finally:
            # Without a worker nobody calls the job's own clean-up, which is not public.
            for value in vars(job).values():
                if isinstance(value, TemporaryDirectory):
                    value.cleanup()


def _warm_up(offline: bool) -> tuple[Face, Voice | None]:
    return Face(), Voice() if offline else None
