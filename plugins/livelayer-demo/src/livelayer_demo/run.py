"""One run of the demo: a server, an agent, a session, its surfaces, a conversation, a report."""

from __future__ import annotations

import tempfile
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, final
from uuid import uuid4

import anyio
import msgspec
from livelayer_embedded import EmbeddedServer
from livelayer_terminal import ConsoleSurface, TerminalSurface

from livelayer_bus.config import load_surface
from livelayer_bus.control import serve_control
from livelayer_bus.errors import ControlError, Lagged, MisuseError, NotSupportedError
from livelayer_bus.events import AgentStateChanged, DataSent, TranscriptUpdated
from livelayer_bus.session import Session
from livelayer_bus.surfaces import MountedSurface
from livelayer_bus.surfaces.jsonl import JsonlSurface
from livelayer_bus.tokens import LocalKeys

from .access import demo_agent_token
from .agent import DemoAgent
from .demo_surfaces import PAGE_CAPABILITIES, CountedSurface, FrameCounts, PrintedPage
from .report import DemoReport, Observer
from .script import SCRIPT, ScriptLine
from .second_process import SecondProcess, check_installed, following
from .web import KEY as WEB
from .web import Site, check_port, mount_site

READY_SECONDS: Final = 20.0
GREETING_SECONDS: Final = 10.0
SETTLED_SECONDS: Final = 0.7
"""How long the agent must listen before its answer counts as complete."""
FULL_SECONDS: Final = 12.0
"""The shortest run with time for the greeting and a line of the script."""
AWAY_SECONDS: Final = 0.6
"""How long the recorder stays unmounted."""

Print = Callable[[str], None]


class DemoOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to run the demo."""

    url: str | None = None
    """A LiveKit server; None: an embedded one, on the loopback interface."""
    key: str | None = None
    secret: str | None = None
    seconds: float | None = None
    """How long the conversation may take; None: no limit."""
    recording: Path | None = None
    """The file for the events; None: a new one in the temporary directory."""
    record: Path | None = None
    """The folder for a recording with picture and sound; None: there is none."""
    interactive: bool = False
    """A person types instead of the script."""
    screen: bool = False
    """The session is shown on the whole terminal."""
    port: int | None = None
    """The site's TCP port; None: 8080, or a free one if 8080 is in use."""
    nats: bool = False
    """A second process follows the session through a NATS server."""

    def __repr__(self) -> str:
        return f"DemoOptions(url={self.url!r}, interactive={self.interactive})"


async def run_demo(
    options: DemoOptions,
    write: Print,
    stop: anyio.Event | None = None,
    talking: anyio.Event | None = None,
) -> DemoReport:
    """Run a conversation on two surfaces and on a site, and return what happened.

    Args:
        options: How to run.
        write: Prints a line for a person.
        stop: Set by the caller to end an interactive conversation.
        talking: Set here when an interactive conversation begins.

    Raises:
        MisuseError: there is a url without key and secret, or the port is in use.
        ConnectError: the server cannot be reached.
        RoomRefusedError: the server refuses the token.
        DemoDependencyError: the voice library is missing, or NATS with `nats`.
    """
    check_port(options.port)  # before anything is started
    if options.nats:
        check_installed()
    room = f"demo-{uuid4().hex[:8]}"
    async with AsyncExitStack() as stack:
        url, key, secret = await stack.enter_async_context(_server(options))
        write(f"room {room} on {url}")
        token = demo_agent_token(key, secret, room)
        agent = await stack.enter_async_context(DemoAgent(url, token))
        write(agent.models.message)
        tokens = LocalKeys(url, key, secret, room_name=room, name="You")
        session = await stack.enter_async_context(Session("demo", tokens=tokens))
        try:
            await stack.enter_async_context(serve_control(session))
        except (ControlError, NotSupportedError) as exc:
            write(f"'livelayer tail' and 'send' cannot reach this session: {exc}")
        else:
            write("from another terminal: livelayer tail | jq -c .event")
        demo = _Demo(options, session, write)
        await demo.play(stop or anyio.Event(), talking or anyio.Event())
        # Inside the block: closing the session changes its state.
        return demo.report(url, agent.models.kind == "offline")


@asynccontextmanager
async def _server(options: DemoOptions) -> AsyncGenerator[tuple[str, str, str]]:
    if options.url is None:
        async with EmbeddedServer() as server:
            yield server.url, server.key, server.secret
        return
    if not options.key or not options.secret:
        raise MisuseError(
            f"the demo needs an API key and secret for {options.url}: set LIVEKIT_API_KEY and "
            "LIVEKIT_API_SECRET"
        )
    yield options.url, options.key, options.secret


@final
class _Demo:
    def __init__(self, options: DemoOptions, session: Session, write: Print) -> None:
        self._options = options
        self._session = session
        self._write = write
        self._id = session.id
        folder = Path(tempfile.gettempdir())
        self._path = options.recording or folder / f"livelayer-demo-{session.id[:8]}.jsonl"
        self._received = {"console": FrameCounts(), "jsonl": FrameCounts()}
        self._screen = TerminalSurface() if options.screen else None
        console = self._screen or ConsoleSurface(interactive=options.interactive)
        self._console = CountedSurface(console, self._received["console"])
        self._recorder = CountedSurface(JsonlSurface(self._path), self._received["jsonl"])
        self._page = PrintedPage(write)
        self._observer = Observer(session)
        self._asked = 0
        self._answered = 0
        self._site: str | None = None
        self._media: Any = None
        self._second: SecondProcess | None = None
        self._second_problem: str | None = None

    async def play(self, stop: anyio.Event, talking: anyio.Event) -> None:
        session = self._session
        async with AsyncExitStack() as stack, anyio.create_task_group() as group:
            await group.start(self._observer.run)
            console = session.mount(self._console, key="console")
            if self._screen is not None:
                await self._screen.shown.wait()  # it has what is printed from here on
            recorder = session.mount(self._recorder, key="jsonl")
            if self._options.record is not None:
                self._media = load_surface("recorder")(self._options.record)
                session.mount(self._media, key="recorder")
            # Before the site: the printed page gets the commands until a person uses the site.
            session.mount(self._page.run, key="page", capabilities=PAGE_CAPABILITIES)
            site = await mount_site(session, self._options.port)
            self._site = site.url
            group.start_soon(self._prefer_printed_page, site)
            if self._options.nats:
                self._second = await stack.enter_async_context(
                    following(session, self._options.port)
                )
            await session.connect()
            self._write(site.message)
            if self._second is not None:
                self._write(self._second.message)
            with anyio.move_on_after(self._options.seconds):
                await self._until(lambda: session.state.agent_ready, READY_SECONDS)
                await self._remount_while_speaking(recorder)
                if self._options.interactive:
                    talking.set()
                    await self._wait_for_person(console, stop)
                else:
                    await self._play_script()
            await self._let_finish()
            if self._second is not None:
                self._second_problem = await self._second.check()
            group.cancel_scope.cancel()

    def report(self, url: str, offline: bool) -> DemoReport:
        """Return what happened so far."""
        seconds = self._options.seconds
        return DemoReport(
            url=url,
            session_id=self._session.id,
            same_session=self._session.id == self._id,
            changes=tuple(self._observer.changes),
            faults=tuple(self._observer.faults),
            unexpected_joins=self._observer.unexpected_joins,
            said=self._observer.said,
            received=self._received,
            commands=tuple(self._page.done),
            site=self._site,
            second=None if self._second is None else self._second.url,
            second_problem=self._second_problem,
            site_commands=tuple(self._observer.carried_out.get(WEB, ())),
            recording=self._path,
            media=None if self._media is None else self._media.directory,
            asked=self._asked,
            answered=self._answered,
            offline=offline,
            scripted=not self._options.interactive and (seconds is None or seconds >= FULL_SECONDS),
        )

    async def _prefer_printed_page(self, site: Site) -> None:
        """Send commands to the printed page while no person uses one of the web pages."""
        used = 0
        with self._session.subscribe(DataSent) as sent:
            while True:
                try:
                    message = await anext(sent)
                except Lagged:
                    continue
                except StopAsyncIteration:
                    return
                # What came from the second page says so on its bridge.
                before, used = used, 0 if self._second is None else self._second.last_used
                if message.type == "user_message" and not site.viewers() and used == before:
                    self._page.mark_used()

    async def _remount_while_speaking(self, recorder: MountedSurface) -> None:
        """Unmount the recorder during the greeting, and mount it again."""
        await self._until(lambda: self._session.agent_state == "speaking", GREETING_SECONDS)
        await anyio.sleep(1.0)
        await recorder.unmount()
        await anyio.sleep(AWAY_SECONDS)
        self._session.mount(self._recorder, key="jsonl")
        self._write("the recorder was unmounted and mounted again while the agent speaks")
        await self._until_quiet(GREETING_SECONDS)

    async def _wait_for_person(self, console: MountedSurface, stop: anyio.Event) -> None:
        """Wait for Ctrl-D in the console, or `stop`."""
        async with anyio.create_task_group() as group:

            async def watch_console() -> None:
                await console.wait()
                group.cancel_scope.cancel()

            group.start_soon(watch_console)
            await stop.wait()
            group.cancel_scope.cancel()

    async def _play_script(self) -> None:
        limit = self._options.seconds
        end = time.monotonic() + limit if limit is not None else None
        for line in SCRIPT:
            if end is not None and self._asked and time.monotonic() + line.listen_seconds > end:
                return
            await self._ask(line)

    async def _ask(self, line: ScriptLine) -> None:
        self._asked += 1
        spoken = len(self._said())
        await self._session.send_text(line.text)
        bound = 10.0 + 2 * line.listen_seconds
        try:
            heard = await self._until(lambda: self._heard(line, spoken), bound)
        except anyio.get_cancelled_exc_class():
            self._answered += 1  # the time is over: the answer may still have come
            raise
        if heard:
            self._answered += 1
        await self._until_quiet(bound)

    def _said(self) -> str:
        entries = self._session.transcript
        return " ".join(entry.text for entry in entries if entry.role == "agent").lower()

    def _heard(self, line: ScriptLine, before: int) -> bool:
        fresh = self._said()[before:]
        return all(words in fresh for words in line.answer_has)

    async def _until(self, true: Callable[[], bool], seconds: float) -> bool:
        """Wait for a condition on the session's state; False if it did not hold in time."""
        with self._session.subscribe() as changes, anyio.move_on_after(seconds):
            while not true():
                with suppress(Lagged):  # the state has what they brought
                    await anext(changes)
        return true()

    async def _until_quiet(self, seconds: float) -> None:
        """Wait until the agent has been listening for a moment."""
        with (
            self._session.subscribe(AgentStateChanged, TranscriptUpdated) as changes,
            anyio.move_on_after(seconds),
        ):
            while True:
                with anyio.move_on_after(SETTLED_SECONDS):
                    with suppress(Lagged):
                        await anext(changes)
                    continue
                if self._session.agent_state == "listening":
                    return

    async def _let_finish(self) -> None:
        """Wait for the last sentence, so that the recording contains it."""
        if self._session.connection_state == "connected" and not self._options.interactive:
            await self._until_quiet(3.0)
