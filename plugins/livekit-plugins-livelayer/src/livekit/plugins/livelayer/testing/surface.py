"""A page for tests: a participant that answers like a surface and records what it gets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final, TypeAlias, final

import anyio
from livekit import rtc

from livelayer_bus.messages import ALL, capability_of, check_capabilities
from livelayer_bus.rooms import keep, names, prepare_sdk
from livelayer_bus.tasks import TaskOwner

PATIENCE: Final = 60.0
"""Seconds that a test waits at most: a deadline for what must happen, on a busy machine, too."""

Fields: TypeAlias = dict[str, Any]
Reply: TypeAlias = Callable[[Fields], Mapping[str, Any] | None]


@final
class ScriptedSurface:
    """Joins a room as a user with one page, and carries out or refuses the agent's commands.

    A command whose capability it holds succeeds and is answered; any other is refused with
    `command_result`, as a session of livelayer-bus does. `replies` overrides the answer to a type.
    """

    def __init__(
        self,
        *,
        capabilities: Iterable[str] = ALL,
        page: object = None,
        routes: Iterable[str] = ("/", "/pricing"),
        replies: Mapping[str, Reply] | None = None,
    ) -> None:
        """
        Args:
            capabilities: What the agent may do.
            page: The answer to `request_page_context`.
            routes: The answer to `request_routes`.
            replies: The answer to messages of a type: a message, or None for no answer.
        """
        self.room = rtc.Room()
        self.capabilities = check_capabilities(capabilities)
        self.page = page if page is not None else {"title": "Home", "path": "/"}
        self.routes = tuple(routes)
        self.replies = dict(replies or {})
        self.received: list[Fields] = []
        """Every message from the agent, in order."""
        self.heard: list[str] = []
        """Every finished transcript of the agent."""
        self.packets: list[bytes] = []
        """Every data packet as it arrived."""
        self._taken: set[int] = set()
        self._changed = asyncio.Event()
        self._tasks = TaskOwner()
        self.room.on("data_received", self._on_data)
        self.room.register_text_stream_handler(names.TRANSCRIPTION_TOPIC, self._on_transcript)

    async def connect(self, url: str, token: str) -> None:
        """Join the room."""
        prepare_sdk(url)
        await self.room.connect(url, token, rtc.RoomOptions(single_peer_connection=False))
        keep(self.room)

    async def aclose(self) -> None:
        """Leave."""
        await self._tasks.aclose(1.0)
        await self.room.disconnect()

    def types(self) -> list[str]:
        """The types of what was received, in order."""
        return [str(message["type"]) for message in self.received]

    async def type(self, text: str) -> None:
        """Type a line to the agent."""
        await self.send({"type": "user_message", "text": text})

    async def send(self, message: Mapping[str, Any]) -> None:
        """Send the agent a message."""
        await self.send_bytes(json.dumps(message).encode())

    async def send_bytes(self, data: bytes) -> None:
        """Send the agent any bytes."""
        await self.room.local_participant.publish_data(data, reliable=True)

    async def next(self, kind: str) -> Fields:
        """Wait for the first message of this type that was not returned before.

        Raises:
            TimeoutError: it did not arrive within 10 s.
        """
        while True:
            for index, message in enumerate(self.received):
                if message["type"] == kind and index not in self._taken:
                    self._taken.add(index)
                    return message
            await self._change(f"a message {kind!r}")

    async def hear(self, words: str) -> str:
        """Wait for a transcript of the agent that contains these words, in any case.

        Raises:
            TimeoutError: it did not arrive within 10 s.
        """
        while True:
            for text in self.heard:
                if words.lower() in text.lower():
                    return text
            await self._change("the agent to say that")

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until a condition on what was received or heard holds.

        Raises:
            TimeoutError: nothing new arrived for 10 s.
        """
        while not true():
            await self._change("the condition")

    async def _change(self, what: str) -> None:
        self._changed.clear()
        try:
            with anyio.fail_after(PATIENCE):
                await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(f"waited {PATIENCE:g} s for {what}") from None

    def _on_data(self, packet: rtc.DataPacket) -> None:
        if (packet.topic or "").startswith(names.RESERVED_PREFIX):
            return
        self.packets.append(packet.data)
        message: Fields = json.loads(packet.data)
        self.received.append(message)
        self._changed.set()
        for answer in self._answers(message):
            self._tasks.start(partial(self.send, answer), "surface answer")

    def _answers(self, message: Fields) -> list[Mapping[str, Any]]:
        kind = str(message["type"])
        if kind in self.replies:
            reply = self.replies[kind](message)
            return [reply] if reply is not None else []
        capability = capability_of(kind)
        if capability is None:
            return []
        extra = {"requestId": message["requestId"]} if "requestId" in message else {}
        result = {"type": "command_result", "command": kind, "surface": "scripted", **extra}
        if capability not in self.capabilities:
            return [{**result, "ok": False, "reason": "capability"}]
        done = {**result, "ok": True}
        match kind:
            case "request_page_context":
                return [{"type": "page_context", "context": self.page, **extra}, done]
            case "request_routes":
                return [{"type": "routes", "routes": self.routes, **extra}, done]
            case "submit_form":
                form = message["formId"]
                return [{"type": "form_submitted", "formId": form, **extra}, done]
            case _:
                return [done]

    def _on_transcript(self, reader: rtc.TextStreamReader, _identity: str) -> None:
        self._tasks.start(lambda: self._read(reader), "surface transcript")

    async def _read(self, reader: rtc.TextStreamReader) -> None:
        self.heard.append(await reader.read_all())
        self._changed.set()
