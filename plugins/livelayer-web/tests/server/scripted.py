"""For tests: a page without a browser, and a web surface on a scripted session."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeAlias, final

import anyio
import httpx
from livelayer_web.http import MEDIA_TYPE
from livelayer_web.surface import WebSurface
from starlette.types import ASGIApp

from livelayer_bus import MisuseError, MountedSurface, Session
from livelayer_bus.testing import PATIENCE, ManualClock, ScriptedRoom, ScriptedRooms


@final
@dataclass
class Frame:
    """One server-sent event, or a comment."""

    event: str
    data: Any = field(repr=False)
    cursor: str | None

    @property
    def sequence(self) -> int:
        sequence: int = self.data["sequence"]
        return sequence


def parse_frames(text: str) -> list[Frame]:
    """The complete frames of a stream's text."""
    frames: list[Frame] = []
    for block in text.split("\n\n")[:-1]:
        fields: dict[str, str] = {}
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        if "event" in fields:
            frames.append(Frame(fields["event"], json.loads(fields["data"]), fields.get("id")))
        elif "" in fields:
            frames.append(Frame("comment", fields[""], None))
    return frames


@final
class Events:
    """An event stream that is open."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._text = response.aiter_text()
        self._buffer = ""
        self._frames: list[Frame] = []

    async def next(self, *kinds: str) -> Frame:
        """The next frame (of these kinds)."""
        with anyio.fail_after(PATIENCE):
            while True:
                while self._frames:
                    frame = self._frames.pop(0)
                    if not kinds or frame.event in kinds:
                        return frame
                await self._more()

    async def event(self, name: str) -> Frame:
        """The next session event of this class."""
        while (frame := await self.next("event")).data["event"]["event"] != name:
            pass
        return frame

    async def rest(self) -> list[Frame]:
        """Every frame until the stream ends."""
        with anyio.fail_after(PATIENCE):
            try:
                while True:
                    await self._more()
            except StopAsyncIteration:
                frames, self._frames = self._frames, []
                return frames

    async def _more(self) -> None:
        self._buffer += await anext(self._text)
        whole, separator, self._buffer = self._buffer.rpartition("\n\n")
        self._frames += parse_frames(whole + separator)


@final
class Page:
    """A page that has joined."""

    def __init__(self, http: httpx.AsyncClient, joined: dict[str, Any]) -> None:
        self.http = http
        self.joined = joined
        self.key: str = joined["key"]
        self.id: str = joined["viewer"]

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    async def ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        """A request of this page."""
        if body is None:
            return await self.http.request(method, path, headers=self.headers)
        return await self.http.request(method, path, headers=self.headers, json=body)

    async def beat(self, **fields: object) -> httpx.Response:
        return await self.ask("POST", "viewers/me/beat", fields)

    async def say(self, message: Mapping[str, object], name: str = "message-1") -> httpx.Response:
        return await self.ask("POST", "messages", {"id": name, "message": dict(message)})

    async def leave(self) -> httpx.Response:
        return await self.ask("DELETE", "viewers/me")

    async def poll(
        self, wait: int = 0, after: str | None = None, **query: str
    ) -> tuple[list[Frame], str | None]:
        """The frames of a long poll, and the cursor to go on with."""
        headers = self.headers | ({"last-event-id": after} if after is not None else {})
        given = {"wait": str(wait), **query}
        answer = await self.http.get("events", headers=headers, params=given, timeout=PATIENCE)
        if answer.status_code != HTTPStatus.OK:
            raise MisuseError(answer.text)
        frames = parse_frames(answer.text)
        return frames, next((f.cursor for f in reversed(frames) if f.cursor), after)

    @asynccontextmanager
    async def events(self, after: str | None = None, **query: str) -> AsyncGenerator[Events]:
        """This page's event stream."""
        headers = self.headers | ({"last-event-id": after} if after is not None else {})
        async with self.http.stream("GET", "events", headers=headers, params=query) as response:
            if response.status_code != HTTPStatus.OK:
                raise MisuseError((await response.aread()).decode())
            yield Events(response)


@final
@dataclass
class Web:
    """A mounted web surface, over real HTTP."""

    surface: WebSurface
    session: Session
    rooms: ScriptedRooms
    clock: ManualClock
    mounted: MountedSurface
    http: httpx.AsyncClient

    async def connect(self) -> ScriptedRoom:
        """Connect the session; its agent has joined and is ready."""
        await self.session.connect()
        room = await self.rooms.next()
        room.agent_says({"type": "bot_ready"})
        return room

    async def join(
        self, body: object = None, *, bearer: str | None = None, **headers: str
    ) -> httpx.Response:
        if bearer is not None:
            headers["authorization"] = f"Bearer {bearer}"
        return await self.http.post("viewers", json=body or {}, headers=headers)

    async def page(self, previous: str | None = None) -> Page:
        """A page that joins without a token."""
        answer = await self.join({"previous": previous} if previous is not None else {})
        if answer.status_code != HTTPStatus.CREATED:
            raise MisuseError(answer.text)
        return Page(self.http, answer.json())


Serve: TypeAlias = Callable[..., AbstractAsyncContextManager[Web]]
"""`scripted_web` with its clock given."""


@asynccontextmanager
async def scripted_web(
    clock: ManualClock,
    *,
    capabilities: tuple[str, ...] = (),
    session: Mapping[str, Any] | None = None,
    **options: Any,
) -> AsyncGenerator[Web]:
    """A web surface on a scripted session, on a free port and on manual time.

    Args:
        clock: of session and surface.
        capabilities: what the surface is mounted with.
        session: further options of the session.
        options: further options of the surface.
    """
    rooms = ScriptedRooms(agent="agent")
    given: dict[str, Any] = {"port": 0, "clock": clock, **options}
    async with Session(
        "agt_lumi", tokens=rooms.tokens, room=rooms, clock=clock, **(session or {})
    ) as opened:
        surface = WebSurface(**given)
        mounted = opened.mount(surface, key="web", capabilities=capabilities, on_fault="unmount")
        with anyio.fail_after(PATIENCE):
            url = await surface.wait_url()
        async with httpx.AsyncClient(base_url=f"{url}/livelayer/") as http:
            yield Web(surface, opened, rooms, clock, mounted, http)


def client_of(app: ASGIApp, base: str = "http://localhost/") -> httpx.AsyncClient:
    """A client of an application, without a network."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base)


def code_of(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a problem.

    Raises:
        MisuseError: the answer is not a complete problem.
    """
    body = answer.json() if answer.headers.get("content-type") == MEDIA_TYPE else {}
    if body.get("status") != answer.status_code or not (body.get("title") and body.get("detail")):
        raise MisuseError(f"this answer is not a problem: {answer.status_code} {answer.text[:200]}")
    code: str = body["code"]
    return answer.status_code, code
