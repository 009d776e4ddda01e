"""The demo's own surfaces: a page that prints what it does, and a wrapper that counts frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

import anyio
import msgspec

from livelayer_bus import messages
from livelayer_bus.contract import Outgoing
from livelayer_bus.surfaces import Surface, SurfaceSession

PAGE_CAPABILITIES: Final[tuple[messages.Capability, ...]] = (
    "navigate",
    "scroll",
    "click",
    "fill_forms",
    "submit_forms",
    "read_page",
)


class FrameCounts(msgspec.Struct):
    """Frames that one surface received, over all its mounts."""

    video: int = 0
    audio: int = 0
    mounts: int = 0


@final
class CountedSurface:
    """Runs a surface, and counts the frames of the session beside it."""

    def __init__(self, surface: Surface, received: FrameCounts) -> None:
        self._surface = surface
        self._received = received

    async def run(self, session: SurfaceSession) -> None:
        """Run the surface until it ends."""
        self._received.mounts += 1
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._count_video, session)
                group.start_soon(self._count_audio, session)
                await self._surface.run(session)
                group.cancel_scope.cancel()
        except ExceptionGroup as error:
            # The surface's own error is reported, not the group's.
            raise error.exceptions[0] from error

    async def _count_video(self, session: SurfaceSession) -> None:
        with session.video.subscribe() as frames:
            async for _ in frames:
                self._received.video += 1

    async def _count_audio(self, session: SurfaceSession) -> None:
        with session.audio.subscribe() as frames:
            async for _ in frames:
                self._received.audio += 1


@final
class PrintedPage:
    """A page in the terminal: carries out commands by printing what it did."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._path = "/"
        self._session: SurfaceSession | None = None
        self.done: list[str] = []
        """Types of the commands that were carried out."""

    async def run(self, session: SurfaceSession) -> None:
        """Carry out commands until cancelled; the request for the next one completes the last."""
        self._session = session
        async for command in session.commands():
            if isinstance(command, messages.RawMessage):
                continue
            self._write(self._carry_out(command))
            answer = self._answer(command)
            if answer is not None:
                await session.send_data(answer, confirm=None)
            self.done.append(command.wire_type())

    def mark_used(self) -> None:
        """Note that a person uses this page: commands go here first from now on."""
        if self._session is not None:
            self._session.mark_used()

    def _carry_out(self, command: messages.Command) -> str:
        match command:
            case messages.Navigate():
                self._path = command.href
                return f"page: now at {command.href}"
            case messages.ScrollPage():
                return f"page: scrolled {command.direction}"
            case messages.ScrollTo() | messages.Click():
                return f"page: {command.wire_type()} {command.selector}"
            case messages.FillForm():
                return f"page: filled in {', '.join(command.values)} of {command.form_id}"
            case messages.FocusField():
                return f"page: waiting in {command.field_name} of {command.form_id}"
            case messages.SubmitForm():
                return f"page: submitted {command.form_id}"
            case _:
                return f"page: asked for {command.wire_type().removeprefix('request_')}"

    def _answer(self, command: messages.Command) -> Outgoing | None:
        match command:
            case messages.RequestPageContext():
                context = {
                    "title": "livelayer demo",
                    "path": self._path,
                    "text": "A page in the terminal: it navigates, scrolls and has one form.",
                }
                return messages.PageContext(context, request_id=command.request_id)
            case messages.RequestRoutes():
                return messages.Routes(("/", "/pricing", "/docs"), request_id=command.request_id)
            case messages.SubmitForm():
                return messages.FormSubmitted(command.form_id, request_id=command.request_id)
            case _:
                return None
