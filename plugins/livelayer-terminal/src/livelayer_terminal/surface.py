"""The terminal surface: state, transcript, audio level, frame rate and data messages, live."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from contextlib import suppress
from typing import Final, TextIO, final

import anyio
import msgspec
from rich.console import Console

from livelayer_bus import events
from livelayer_bus.clock import SystemClock
from livelayer_bus.errors import Lagged, LivelayerError, MisuseError
from livelayer_bus.media import AudioSubscription, VideoFrame, VideoSubscription
from livelayer_bus.surfaces import BackgroundWriter, SurfaceSession

from .keyboard import LineEditor, keyboard, keys_one_by_one
from .panel import DrawnPanel
from .plain import opening_line, plain_line
from .typed import enter
from .view import (
    AudioFacts,
    ConsoleView,
    Direction,
    MessageFacts,
    VideoFacts,
    in_encoding,
)

CLOSE_SECONDS: Final = 1.0
HISTORY: Final = 48  # audio levels kept for the curve
MESSAGES: Final = 8  # data messages kept
RATE_SECONDS: Final = 2.0  # over which the frame rate is measured
SHOWN: Final = 200  # characters of a data message
PARSED: Final = 4096  # bytes; a longer data message is shown without parsing it


@final
class ConsoleSurface:
    """Shows a session in a terminal; elsewhere prints a line for each change.

    Guarantee: the event loop never waits for the terminal: a thread draws at most `refresh` times a
    second, and less often if the terminal is slow. Text from the agent cannot control the terminal.
    The panel is drawn below what the application prints, and erased when it is unmounted.

    Args:
        file: where to write; standard output if None.
        interactive: read lines from this process's keyboard and send them to the agent. Enter alone
            interrupts an agent that speaks, or connects again; `y` and `n` answer what the agent
            asks; Ctrl-D ends the surface.
        refresh: redraws a second, at most.
        plain: True prints lines instead of drawing; None: if `file` is not a terminal.

    Raises:
        MisuseError: `refresh` is not above 0 and at most 60.
    """

    def __init__(
        self,
        file: TextIO | None = None,
        *,
        interactive: bool = False,
        refresh: float = 10.0,
        plain: bool | None = None,
    ) -> None:
        if not 0 < refresh <= 60:
            raise MisuseError(f"refresh must be above 0 and at most 60 a second, got {refresh}")
        self._file = file
        self._interactive = interactive
        self._pause = 1 / refresh
        self._plain = plain

    def __repr__(self) -> str:
        return f"ConsoleSurface(interactive={self._interactive})"

    async def run(self, session: SurfaceSession) -> None:
        """Show the session until cancelled, or until a person types Ctrl-D.

        Raises:
            OSError: writing to the terminal failed.
        """
        console = Console(file=self._file or sys.stdout, highlight=False, markup=False)
        plain = self._plain if self._plain is not None else not console.is_terminal
        if plain:
            await _print_changes(session, console)
        else:
            await self._draw(session, console)

    async def _draw(self, session: SurfaceSession, console: Console) -> None:
        watcher = _Watcher(session)
        panel = DrawnPanel(console, redirect=self._file is None)
        writer = BackgroundWriter(panel.draw)
        keys = keyboard() if self._interactive else None
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(watcher.watch_events)
                group.start_soon(watcher.watch_video)
                group.start_soon(watcher.watch_audio)
                if keys is not None:
                    group.start_soon(watcher.watch_keyboard, keys)
                while not watcher.left:
                    await writer.put(watcher.view())
                    await anyio.sleep(self._pause)
                group.cancel_scope.cancel()
        except ExceptionGroup as group_error:
            # Raise the error of the task itself, not the group.
            raise group_error.exceptions[0] from group_error
        finally:
            await writer.aclose(CLOSE_SECONDS, panel.erase)


async def _print_changes(session: SurfaceSession, console: Console) -> None:
    file = console.file

    def write(line: str) -> None:
        file.write(in_encoding(line, console.encoding))
        file.flush()

    writer = BackgroundWriter(write)
    try:
        with session.subscribe() as changes:
            await writer.put(_stamped(opening_line(changes.snapshot)))
            while True:
                try:
                    event = await anext(changes)
                except StopAsyncIteration:
                    return
                except Lagged as lagged:
                    await writer.put(_stamped(f"lost     {lagged.missed} events: too slow"))
                    continue
                line = plain_line(event)
                if line is not None:
                    await writer.put(_stamped(line))
    finally:
        await writer.aclose(CLOSE_SECONDS)


def _stamped(line: str) -> str:
    return f"{time.strftime('%H:%M:%S')}  {line}\n"


def shortened(event: events.DataReceived | events.DataSent) -> str:
    """A message's fields without its `type`, which is shown beside them."""
    data = event.data
    if event.is_json and len(data) <= PARSED:
        with suppress(msgspec.DecodeError):  # a number that Python cannot represent
            value = event.json()
            if isinstance(value, dict):
                value.pop("type", None)
                return msgspec.json.encode(value).decode()[:SHOWN] if value else ""
    return data[:SHOWN].decode("utf-8", "replace")


@final
class _Watcher:
    """Collects what the next redraw shows; its methods are cheap and draw nothing."""

    def __init__(self, session: SurfaceSession) -> None:
        self._session = session
        self._clock = SystemClock()
        self._began = self._clock.now()
        self._messages: deque[MessageFacts] = deque(maxlen=MESSAGES)
        self._levels: deque[float] = deque(maxlen=HISTORY)
        self._pushed: deque[tuple[float, int]] = deque()
        self._frame: VideoFrame | None = None
        self._video: VideoSubscription = session.video.subscribe()
        self._audio: AudioSubscription = session.audio.subscribe()
        self._lost = 0
        self._notice: str | None = None
        self._editor: LineEditor | None = None
        self.left = False
        """The person typed Ctrl-D."""

    def view(self) -> ConsoleView:
        """What to draw now."""
        return ConsoleView(
            state=self._session.state,
            elapsed=self._clock.now() - self._began,
            video=self._video_facts(),
            audio=self._audio_facts(),
            messages=tuple(self._messages),
            lost=self._lost,
            notice=self._notice,
            prompt=self._editor.text if self._editor is not None else None,
            question=self._question,
        )

    @property
    def _question(self) -> events.ApprovalRequested | None:
        if self._editor is None or "ask_approval" not in self._session.capabilities:
            return None
        return next(iter(self._session.state.approvals), None)

    async def watch_video(self) -> None:
        with self._video:
            async for frame in self._video:
                self._frame = frame

    async def watch_audio(self) -> None:
        with self._audio:
            async for _ in self._audio:
                pass

    async def watch_events(self) -> None:
        kinds: tuple[type[events.Event], ...] = (
            events.DataReceived,
            events.DataSent,
            events.CommandRefused,
            events.HandlerFailed,
            events.MalformedMessage,
            events.SurfaceFailed,
        )
        with self._session.subscribe(*kinds) as changes:
            while True:
                try:
                    self._take(await anext(changes))
                except Lagged as lagged:
                    self._lost += lagged.missed
                except StopAsyncIteration:
                    return

    async def watch_keyboard(self, descriptor: int) -> None:
        self._editor = LineEditor()
        try:
            with keys_one_by_one(descriptor):
                while True:
                    await anyio.wait_readable(descriptor)
                    keys = os.read(descriptor, 1024)
                    if not keys:
                        return
                    for line in self._editor.feed(keys):
                        await self._send(line)
                    if self._editor.ended:
                        self.left = True
                        return
        finally:
            self._editor = None

    async def _send(self, line: str) -> None:
        self._notice = None
        try:
            await enter(self._session, line, self._question)
        except LivelayerError as error:
            self._notice = str(error)

    def _take(self, event: events.Event) -> None:
        match event:
            case events.DataSent(type="user_message"):
                pass  # a line of the transcript
            case events.DataReceived(type="agent_tool_call" | "agent_turn_ended" | "agent_usage"):
                pass  # there are many; tools that run have a line of their own
            case events.DataReceived() | events.DataSent():
                text = shortened(event)
                direction: Direction = "in" if isinstance(event, events.DataReceived) else "out"
                self._messages.append(MessageFacts(direction, event.type or "bytes", text))
            case events.CommandRefused():
                self._notice = f"{event.command} refused: {event.detail}"
            case events.MalformedMessage():
                self._notice = event.problem
            case events.HandlerFailed():
                self._notice = f"{event.handler}: {event.error}"
            case events.SurfaceFailed():
                self._notice = f"surface {event.key}: {event.error}"
            case _:
                pass

    def _video_facts(self) -> VideoFacts:
        channel, frame, now = self._session.video, self._frame, self._clock.now()
        self._pushed.append((now, channel.statistics().pushed))
        while now - self._pushed[0][0] > RATE_SECONDS:
            self._pushed.popleft()
        (began, before), (_, after) = self._pushed[0], self._pushed[-1]
        numbers = self._video.statistics()
        return VideoFacts(
            available=channel.available,
            width=frame.width if frame else 0,
            height=frame.height if frame else 0,
            fps=(after - before) / (now - began) if now > began else 0.0,
            dropped=numbers.dropped,
        )

    def _audio_facts(self) -> AudioFacts:
        channel, numbers = self._session.audio, self._audio.statistics()
        level = channel.level
        facts = AudioFacts(
            available=channel.available,
            level=level,
            history=tuple(self._levels),
            dropped=numbers.dropped,
        )
        self._levels.append(level)
        return facts
